"""Commands that work with a catalogue, from one to the next as they are typed."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from particles import write_sdf
from PIL import Image

from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra

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
    code, text = run("demo", "d", "--size", 64, "--frame-time", 0.3, "--seed", 3)
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
    assert "13 x 64 x 64" in text
    code, text = run("replay", "--catalog", "d/catalog", "--set", "resolver.method=mahalanobis")
    assert code == 0
    assert "differs from the stored result in" in text
    code, text = run("replay", "nothing", "--catalog", "d/catalog")
    assert code == 1
    assert text.startswith("error: no run nothing")


@pytest.mark.real
def test_a_measured_stack_is_mapped_with_its_files(run, real_folder, no_pictures):
    stack = real_folder / "71214078.hdr"
    files = [
        *("--references", real_folder / "oxidized.t", "--references", real_folder / "reduced.t"),
        *("--i0", real_folder / "i0.xsp", "--mask", real_folder / "mask_file.msk"),
    ]
    code, text = run("map", stack, *files)
    assert code == 0, text
    assert re.search(r"oxidized │ 73\.[3-8] %", text)
    assert Path("71214078-maps/overview.png").exists()


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
