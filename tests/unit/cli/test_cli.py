import re
import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from particles import write_sdf
from PIL import Image

from stxm_live.cli.recipes import TEMPLATE
from stxm_live.core.recipe import Recipe

COMMANDS = ["demo", "map", "import", "replay", "runs", "train", "recipe new", "recipe show"]
COMMANDS += ["figures", "diagnose", "export", "references", "choose-energies"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run, command):
    code, text = run(*command.split(), "--help")
    assert code == 0
    assert re.search(rf"Examples?: stxm-live {command}", text)


def test_a_new_recipe_is_valid_once_it_has_references(run, tmp_path):
    code, _ = run("recipe", "new", "lfp.toml")
    assert code == 0
    Path("references.csv").write_text("energy_ev,a,b\n1,0,1\n2,1,0\n3,1,1\n")
    recipe = Recipe.load("lfp.toml")
    assert recipe.name == "lfp"
    assert run("recipe", "show", "lfp.toml")[0] == 0
    code, text = run("recipe", "new", "lfp.toml")
    assert code == 1
    assert "error: lfp.toml exists" in text


def test_the_commented_lines_of_a_new_recipe_are_valid_too(tmp_path):
    text = TEMPLATE.format(name="x")
    setting = re.compile(r"^# (\[?[a-z0-9_]+(?:\]$| = .*)|Na3VPF = .*)", re.MULTILINE)
    values = tomllib.loads(setting.sub(r"\1", text))
    assert values["resolver"] == {
        "method": "likelihood",
        "spatial": "potts",
        "audit": "list",
        "candidates": "pair",
        "statistics": "training",
        "baseline": "auto",
    }
    Recipe.from_values(values, folder=tmp_path)


def test_the_shipped_recipe_is_listed_and_shown_as_synthetic(run):
    assert "nvpf" in run("recipe", "list")[1]
    assert "5 synthetic references; on 13 energies" in run("recipe", "show", "nvpf")[1]


def test_errors_are_one_line_and_exit_with_1(run):
    code, text = run("recipe", "show", "lfp")
    assert code == 1
    assert text.startswith("error: no recipe 'lfp'")
    assert "nvpf" in text
    code, text = run("map", "nothing.hdr", "--recipe", "nvpf")
    assert code == 1
    assert text == "error: nothing.hdr: no such file "


def test_wrong_usage_exits_with_2(run):
    assert run("map")[0] == 2
    assert run("nonsense")[0] == 2


@pytest.mark.parametrize("command", ["runs", "replay", "export -1", "figures -1", "train -1"])
def test_commands_that_only_read_make_no_catalogue(run, tmp_path, command):
    code, text = run(*command.split(), "--catalog", "typo")
    assert code == 1
    assert text == f"error: no catalogue in {tmp_path / 'typo'}; stxm-live import makes one "
    assert list(tmp_path.iterdir()) == []


def test_train_wants_runs_or_simulated_spectra(run):
    code, text = run("train")
    assert code == 1
    assert "runs to train on, --simulated N, or both" in text
    for runs in ([], ["-1"]):
        code, text = run("train", *runs, "--simulated", 400, "--by-particle")
        assert code == 1
        assert "--" in text


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


@pytest.mark.slow
def test_the_demo_grows_maps_and_replays_identically_in_a_new_process(run):
    code, text = run("demo", "d", "--size", 64, "--frame-time", 0.7, "--seed", 3)
    assert code == 0, text
    assert "identical to the stored result, bit for bit" in text
    for name in ("Pearson correlation", "the paper's map", "the most probable phase"):
        assert re.search(rf"{name}[^:]*: [5-9]\d\.\d % of the pixels correct", text)
    pictures = [
        np.asarray(Image.open(p)) for p in sorted(Path("d/pictures").glob("energy-[0-9]*.png"))
    ]
    assert len(pictures) >= 5  # all 13, unless drawing is slower than the scan
    changes = [(a != b).any(axis=-1).mean() for a, b in pairwise(pictures)]
    assert min(changes) > 0.01  # of the figure's pixels, between any two energies
    for name in ("overview", "phase-map", "resolved-map", "latent-map", "ambiguity"):
        assert Path(f"d/pictures/{name}.png").stat().st_size > 5000

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
@pytest.mark.slow
def test_a_measured_stack_is_imported_replayed_and_mapped(run, real_folder):
    stack = real_folder / "71214078.hdr"
    files = [
        *("--references", real_folder / "oxidized.t", "--references", real_folder / "reduced.t"),
        *("--i0", real_folder / "i0.xsp", "--mask", real_folder / "mask_file.msk"),
    ]
    code, text = run("map", stack, *files)
    assert code == 0, text
    assert re.search(r"oxidized │ 73\.[3-8] %", text)
    assert Path("71214078-maps/overview.png").exists()
    code, text = run("import", stack, "--catalog", "runs")
    assert code == 0, text
    settings = [
        *("--set", "i0.source=spectrum", "--set", f"i0.spectrum='{real_folder}/i0.xsp'"),
        *("--set", f"specimen.mask='{real_folder}/mask_file.msk'"),
    ]
    Path("fe.toml").write_text('name = "fe"\nreferences = "71214078-maps/references.csv"\n')
    code, text = run("replay", "-1", "--catalog", "runs", "--recipe", "fe.toml", *settings)
    assert code == 0, text
    assert re.search(r"oxidized │ 73\.[3-8] %", text)
    code, text = run("replay", "-1", "--catalog", "runs", "--verify")
    assert code == 0, text
    assert "identical to the stored result" in text


def test_importing_what_is_not_there_makes_no_catalogue(run):
    code, text = run("import", "nothing.hdr", "--catalog", "runs")
    assert code == 1
    assert text == "error: nothing.hdr: no such file "
    assert not Path("runs").exists()
