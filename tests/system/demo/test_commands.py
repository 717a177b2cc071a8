"""Commands that work with a catalogue, from one to the next as they are typed."""

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import two_phases
from particles import write_sdf
from PIL import Image

from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.stack import Stack
from stxm_live.io.files import write_nexus_stxm

pytestmark = pytest.mark.slow


def test_a_training_takes_some_spectra_of_every_run_and_simulated_ones(run, monkeypatch):
    for name in ("one", "two"):
        write_sdf(Path(), name)
        assert run("import", f"{name}.hdr", "--catalog", "runs")[0] == 0
    seen = {}

    def remember(recipe, spectra, **options):
        seen.update(options, spectra=spectra)
        raise ValueError("that is all")

    monkeypatch.setattr("stxm_live.gmvae.train_bundle", remember)
    arguments = ("train", "-1", "-2", "--catalog", "runs", "--per-run", 300)
    assert "that is all" in run(*arguments, "--simulated", 500)[1]
    assert seen["spectra"].shape == (300 + 300 + 500, 13)
    assert seen["simulated"]
    assert seen["note"].startswith("600 spectra of 2 runs and 500 simulated spectra")
    assert seen["labels"] is None
    run(*arguments, "--by-particle")
    assert np.bincount(seen["groups"]).tolist() == [300, 300]
    assert not seen["simulated"]


def test_the_demo_grows_maps_and_replays_identically_in_a_new_process(run, coarse_pictures):
    quick = ("--frame-time", 0.1, "--set", "energy_fit=false")
    code, text = run("demo", "d", "--size", 48, "--seed", 3, *quick)
    assert code == 0, text
    assert "identical to the stored result, bit for bit" in text
    for name in ("Pearson correlation", "the paper's map", "the most probable phase"):
        assert re.search(rf"{name}[^:]*: [5-9]\d\.\d % of the pixels correct", text)
    pictures = [
        np.asarray(Image.open(p)) for p in sorted(Path("d/pictures").glob("energy-[0-9]*.png"))
    ]
    assert len(pictures) >= 2  # all 13, unless drawing is slower than the scan
    changes = [(a != b).any(axis=-1).mean() for a, b in pairwise(pictures)]
    assert min(changes) > 0.01  # of the figure's pixels, between any two energies
    for name in ("overview", "phase-map", "resolved-map", "latent-map", "ambiguity"):
        assert Path(f"d/pictures/{name}.png").stat().st_size > 1500

    code, text = run("runs", "--catalog", "d/catalog")
    assert code == 0
    assert "13 × 48 × 48" in text
    code, text = run("replay", "--catalog", "d/catalog", "--set", "resolver.method=mahalanobis")
    assert code == 0
    assert "differs from the stored result in" in text
    code, text = run("replay", "nothing", "--catalog", "d/catalog")
    assert code == 1
    assert text.startswith("error: no run nothing")


def test_a_stack_is_mapped_with_references_i0_and_mask_in_files(run, no_pictures):
    inside = np.s_[..., 8:19, 9:26]  # specimen everywhere: I0 cannot be taken from the images
    counts = np.ascontiguousarray(two_phases.counts()[inside])
    write_nexus_stxm(Path("s.hdf5"), Stack.from_arrays(counts, two_phases.ENERGIES))
    files = {"i0": two_phases.I0, **two_phases.PHASES}
    for name, values in files.items():
        np.savetxt(f"{name}.xsp", np.column_stack([two_phases.ENERGIES, values]))
    mask = (two_phases.SPECIMEN & (np.arange(two_phases.NX) < 20))[inside]
    np.save("mask.npy", mask)
    options = ("--references", "left.xsp", "--references", "right.xsp", "--i0", "i0.xsp")
    Path("s-maps").mkdir()
    Path("s-maps/maps.html").write_text("of an earlier map")
    code, text = run("map", "s.hdf5", *options, "--mask", "mask.npy", "--json")
    assert code == 0, text
    shares = {phase["name"]: phase["share"] for phase in json.loads(text)["phases"]}
    assert shares["left"] == pytest.approx(two_phases.LEFT[inside][mask].mean(), abs=0.03)
    assert Path("s-maps/overview.png").exists()
    assert not Path("s-maps/maps.html").exists()


def test_references_from_a_run_of_the_catalogue(run, tmp_path):
    shipped = Recipe.load("nvpf").reference_spectra
    np.savetxt("na3.xsp", np.column_stack([shipped.energies_ev, shipped.od[0]]))
    write_sdf(tmp_path, "stack")
    code, text = run("import", "stack.hdr", "--catalog", "runs")
    assert code == 0, text
    (uid,) = re.findall(r"run ([0-9a-f-]{8,})", text)
    for name, place in {"run": f"run:{uid[:8]}", "file": "stack.hdr"}.items():
        sources = [f"Na2VPF={place}@0.6,1.5,0.5,1.2", "Na3VPF=na3.xsp"]
        code, text = run("references", *sources, "--catalog", "runs", "--out", f"{name}.csv")
        assert code == 0, text
    from_run, from_file = (ReferenceSpectra.from_csv(f"{name}.csv") for name in ("run", "file"))
    np.testing.assert_array_equal(from_run.od, from_file.od)
