"""Recipes that are saved: the same maps from another folder."""

import shutil

import numpy as np
import pytest

from stxm_live import Recipe
from stxm_live.core.recipe_saving import moved_recipe_files, save_recipe


@pytest.fixture
def files(tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    (here / "refs.csv").write_text("energy_ev,A,B\n" + "".join(f"{e},{e},1\n" for e in (1, 2, 3)))
    np.save(here / "drawn.npy", np.eye(3, dtype=bool))
    (here / "i0.xsp").write_text("1 5\n2 6\n3 7\n")
    return here


def test_a_saved_recipe_is_the_same_recipe_wherever_its_folder_is(files, tmp_path):
    recipe = Recipe.from_values(
        {
            "name": 'quoted "name" in µm \\ and\nlines',
            "references": "refs.csv",
            "energies_ev": [1.0, 2.0, 3.0],
            "exclude_energies_ev": [2.0],
            "energy_fit": False,
            "energy_offset_ev": -0.125,
            "colors": {"A": "teal", "B": "#ff0000"},
            "i0": {"source": "spectrum", "spectrum": "i0.xsp"},
            "specimen": {"mask": "drawn.npy"},
            "resolver": {"method": "pearson"},
        },
        folder=files,
    )
    expected = recipe.fingerprint
    save_recipe(recipe, tmp_path / "saved")
    shutil.rmtree(files)
    shutil.move(tmp_path / "saved", tmp_path / "moved")
    read = Recipe.load(tmp_path / "moved" / "recipe.toml")
    assert read.fingerprint == expected
    assert read.name == recipe.name
    assert read.energy_offset_ev == recipe.energy_offset_ev
    assert read.colors == recipe.colors
    assert not read.energy_fit
    assert read.specimen_mask.sum() == 3
    assert read.i0_spectrum[1].tolist() == [5, 6, 7]
    assert read.resolver.method == "pearson"


def test_a_shipped_recipe_can_be_saved(tmp_path):
    saved = Recipe.load(save_recipe(Recipe.load("nvpf"), tmp_path))
    assert saved.fingerprint == Recipe.load("nvpf").fingerprint
    assert saved.references.parent == tmp_path


def test_a_file_that_is_gone_is_an_error_that_names_it(files, tmp_path):
    recipe = Recipe.from_values({"name": "a", "references": "refs.csv"}, folder=files)
    (files / "refs.csv").unlink()
    with pytest.raises(OSError, match=r"refs\.csv"):
        save_recipe(recipe, tmp_path / "saved")


def test_files_of_a_recipe_that_was_moved_are_found_again(tmp_path):
    (tmp_path / "recipes" / "3f2a91").mkdir(parents=True)
    mask = tmp_path / "recipes" / "3f2a91" / "mask.npy"
    mask.write_bytes(b"")
    shipped = Recipe.load("nvpf").model_dump(mode="json")
    then = "/opt/other/site-packages/stxm_live/recipes/nvpf"
    stored = {
        **shipped,
        "references": f"{then}/references.csv",
        "model": f"{then}/bundle",
        "specimen": {"mask": r"D:\runs\recipes\3f2a91\mask.npy"},
        "i0": {"source": "spectrum", "spectrum": "/gone/i0.csv"},
    }
    found = moved_recipe_files(stored, tmp_path)
    assert found["references"] == shipped["references"]
    assert found["model"] == shipped["model"]
    assert found["specimen"]["mask"] == str(mask)
    assert found["i0"] == stored["i0"]  # nowhere to be found: it is named as it was
    assert moved_recipe_files(shipped, None) == shipped
    own = {"references": "/home/me/nvpf/references.csv"}  # of the user, not of the package
    assert moved_recipe_files(own, tmp_path) == own
