import hashlib
import shutil

import numpy as np
import pytest
from pydantic import ValidationError
from skimage.io import imsave

from stxm_live.core.recipe import Recipe, recipe_path, shipped_recipes
from stxm_live.core.recipe_files import read_mask

TOML = """
name = "iron"
references = "spectra/fe.csv"
energies_ev = [708.5, 700.0, 710.2]
exclude_energies_ev = [700.0]

[i0]
source = "spectrum"
spectrum = "i0.xsp"

[alignment]
max_shift_px = 4

[specimen]
mask = "particle.msk"

[resolver]
method = "pearson"

[detector]
saturation_counts = 60000
"""


@pytest.fixture
def folder(tmp_path):
    """A recipe with every file that it names."""
    folder = tmp_path / "iron"
    (folder / "spectra").mkdir(parents=True)
    (folder / "recipe.toml").write_text(TOML)
    (folder / "spectra" / "fe.csv").write_text("energy_ev,oxidized,reduced\n690,1,1\n720,2,3\n")
    (folder / "i0.xsp").write_text("690 100\n720 130\n")
    (folder / "particle.msk").write_text("  xx\n x\n")
    return folder


def values(**changes):
    return {"name": "iron", "references": "fe.csv", **changes}


def test_the_shipped_recipe_has_the_papers_phases_energies_and_threshold():
    recipe = Recipe.load("nvpf")
    spectra = recipe.reference_spectra
    assert spectra.phase_names == ("Na3VPF", "Na2.4VPF", "Na2VPF", "Na1VPF", "Na1-yVPF")
    assert len(recipe.energies_ev) == 13
    assert recipe.ambiguity_threshold == 0.005
    assert recipe.min_correlation == 0
    assert spectra.at(recipe.energies_ev).shape == (5, 13)
    assert spectra.synthetic, "no measured set is public, and results must say so"


def test_every_shipped_recipe_loads_by_its_name():
    assert "nvpf" in shipped_recipes()
    for name, path in shipped_recipes().items():
        assert Recipe.load(name).name == name
        assert Recipe.load(path).fingerprint == Recipe.load(name).fingerprint


def test_an_unknown_recipe_names_those_that_ship(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no recipe 'nvfp': .*\(.*nvpf.*\)"):
        Recipe.load("nvfp")


def test_a_file_of_that_name_comes_before_a_shipped_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nvpf").write_text(TOML)
    assert Recipe.load("nvpf").name == "iron"


def test_files_are_looked_for_beside_the_recipe(folder, monkeypatch):
    monkeypatch.chdir("/")
    recipe = Recipe.load(folder)
    assert recipe_path(folder) == folder / "recipe.toml"
    assert recipe.references == folder / "spectra" / "fe.csv"
    assert recipe.reference_spectra.phase_names == ("oxidized", "reduced")
    assert [column.tolist() for column in recipe.i0_spectrum] == [[690, 720], [100, 130]]
    assert recipe.specimen_mask.tolist() == [[0, 0, 1, 1], [0, 1, 0, 0]]
    assert recipe.model is None


def test_i0_may_be_the_header_of_a_point_scan(folder):
    (folder / "point_0.xsp").write_text("690 7\n720 9\n")
    (folder / "recipe.toml").write_text(TOML.replace("i0.xsp", "point.hdr"))
    recipe = Recipe.load(folder)
    assert recipe.i0.spectrum == folder / "point_0.xsp"
    assert recipe.i0_spectrum[1].tolist() == [7, 9]
    (folder / "recipe.toml").write_text(TOML.replace("i0.xsp", "point.hdf5"))
    with pytest.raises(ValueError, match=r"point.hdf5: a point scan in HDF5 .*--i0 .*name that f"):
        _ = Recipe.load(folder).i0_spectrum


def test_an_absolute_path_stays_as_it_is(folder):
    elsewhere = folder / "spectra" / "fe.csv"
    recipe = Recipe.from_values(values(references=str(elsewhere)), folder="/nowhere")
    assert recipe.references == elsewhere


def test_what_a_recipe_does_not_say_has_the_papers_defaults():
    recipe = Recipe.from_values(values())
    assert recipe.energies_ev is None
    assert recipe.ambiguity_threshold == 0.005
    assert recipe.i0.source == "empty-region"
    assert recipe.alignment.enabled
    assert recipe.alignment.max_shift_px is None
    assert recipe.i0_spectrum is None
    assert recipe.specimen_mask is None
    assert recipe.selected([1000.0, 505.0, 512.345]) == [505.0, 512.345, 1000.0]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"ambiguity_treshold": 0.01}, "ambiguity_treshold: .*did you mean ambiguity_threshold"),
        ({"treshold": 0.01}, "treshold: there is no such setting; there is name, references"),
        (
            {"alignment": {"max_shift": 3}},
            r"alignment\.max_shift: there is no such setting; did you mean alignment\.max_shift_px",
        ),
        ({"alignment": {"max_shift_px": 0}}, r"alignment\.max_shift_px: .*greater than 0"),
        ({"alignment": True}, r"alignment: expected a table \[alignment\]"),
        ({"name": ""}, "name: .*at least 1 character"),
        ({"ambiguity_threshold": -0.1}, "ambiguity_threshold: .*greater than or equal to 0"),
        ({"ambiguity_threshold": "low"}, "ambiguity_threshold: .*valid number"),
        ({"min_correlation": 1.2}, "min_correlation: .*less than or equal to 1"),
        ({"energies_ev": [515, 515.0]}, "energies_ev: an energy is listed twice"),
        ({"energies_ev": [515, -3]}, r"energies_ev\.1: .*greater than 0"),
        ({"i0": {"source": "region"}}, r"i0: source = \"region\" needs region = \[x0, x1, y0, y1"),
        ({"i0": {"source": "spectrum"}}, 'i0: source = "spectrum" needs spectrum = "file.csv"'),
        (
            {"i0": {"source": "sky"}},
            "i0.source: 'sky' should be 'empty-region', 'region', 'spectrum' or",
        ),
        ({"i0": {"region": [1, 2, 3]}}, r"i0\.region\.3: Field required"),
        ({"resolver": {"method": "magic"}}, "resolver.method: .*'mahalanobis'"),
        ({"detector": {"photons_per_count": 0}}, r"detector\.photons_per_count: .*greater than 0"),
        (
            {"detector": {"photons_per_count": float("inf")}},
            r"detector\.photons_per_count: .*finite",
        ),
        ({"detector": {"dark_counts": float("nan")}}, r"detector\.dark_counts: .*finite"),
        ({"energies_ev": [515, float("inf")]}, r"energies_ev\.1: .*finite"),
        ({"i0": {"region": [0, 1, 0, float("nan")]}}, r"i0\.region\.3: .*finite"),
        ({"colors": {"A": "red", "B": "#12"}}, "colors: color '#12' of phase 'B': expected"),
        ({"colors": {"A": "red;background:url(x)"}}, "colors: color 'red;.*' of phase 'A'"),
        ({"colors": {"A": "teal\n"}}, "colors: color .* of phase 'A'"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(changes, problem):
    with pytest.raises(ValueError, match=rf"recipe '.*':(?s:.*) {problem}"):
        Recipe.from_values(values(**changes))


def test_colors_are_hexadecimal_or_words():
    colors = {"A": "#1b7", "B": "#1B7A3D", "C": "rebeccapurple", "D": "tab:blue"}
    assert Recipe.from_values(values(colors=colors)).colors == colors


def test_all_wrong_values_are_told_at_once_a_line_each():
    with pytest.raises(ValueError, match="recipe 'iron'") as e:
        Recipe.from_values({"name": "iron", "min_correlation": 7, "resolver": {"k": 1}})
    lines = str(e.value).splitlines()[1:]
    assert sorted(line.split(":")[0].strip() for line in lines) == [
        "min_correlation",
        "resolver.k",
    ]
    assert "pydantic" not in str(e.value)


def test_a_slip_in_the_toml_is_told_with_file_and_line(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("energies_ev = " + "1" * 5000)
    with pytest.raises(ValueError, match=r"recipe\.toml: .*integer"):
        Recipe.load(path)
    path.write_text('name = "iron"\nenergies_ev = [515.6, 517.5\n[i0]\nsource =\n')
    with pytest.raises(ValueError, match=r"recipe\.toml: .*line \d"):
        Recipe.load(path)


def test_a_change_touches_only_what_it_names(folder):
    recipe = Recipe.load(folder)
    changed = recipe.with_changes({"resolver.method": "mahalanobis", "ambiguity_threshold": 0.01})
    assert changed.resolver.method == "mahalanobis"
    assert changed.ambiguity_threshold == 0.01
    assert recipe.resolver.method == "pearson"
    before, after = recipe.model_dump(), changed.model_dump()
    before["resolver"]["method"], before["ambiguity_threshold"] = "mahalanobis", 0.01
    assert after == before
    assert changed.reference_spectra.phase_names == ("oxidized", "reduced")


def test_a_change_takes_the_text_of_a_command_line(folder):
    recipe = Recipe.load(folder).with_changes({"alignment.max_shift_px": "2.5"})
    assert recipe.alignment.max_shift_px == 2.5


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"resolvr.method": "pearson"},
            r"resolvr\.method: there is no such setting; did you mean resolver\.method",
        ),
        ({"name.first": "Fe"}, r"name\.first: there is no such setting"),
        ({"resolvr": {"method": "pearson"}}, "resolvr: .*did you mean resolver"),
        ({"resolver.methd": "pearson"}, r"resolver\.methd: .*did you mean resolver\.method"),
        ({"resolver.method": "best"}, "^recipe '.*': resolver.method: 'best' should be 'pearson'"),
        ({"resolver.method": "posterior"}, "'centroid' or 'likelihood'"),
        ({"ambiguity_threshold": "low"}, "ambiguity_threshold: .*valid number"),
    ],
)
def test_a_change_of_something_that_is_not_there_is_refused(folder, changes, problem):
    with pytest.raises(ValueError, match=problem):
        Recipe.load(folder).with_changes(changes)


def test_a_recipe_does_not_change_in_place():
    with pytest.raises(ValidationError, match="frozen"):
        Recipe.from_values(values()).ambiguity_threshold = 0.1


def test_the_recipe_selects_the_nearest_within_half_the_distance_and_half_an_ev():
    recipe = Recipe.from_values(values(energies_ev=[520.0, 510.0, 520.6]))
    assert recipe.energies_ev == (510.0, 520.0, 520.6)
    offered = [520.85, 510.2, 510.25, 519.75, 520.28, 530.0]
    assert recipe.selected(offered) == [510.2, 519.75, 520.85]
    assert recipe.not_in([510.2, 520.85]) == [520.0]
    assert recipe.selected([509.6, 511.0, 519.6, 521.0]) == []
    alone = Recipe.from_values(values(energies_ev=[510.0]))
    assert alone.selected([510.5])
    assert not alone.selected([510.6])


def test_a_scan_of_fewer_energies_than_the_recipe_keeps_all_that_are_listed():
    recipe = Recipe.load("nvpf")
    for offered in (recipe.energies_ev[::2], recipe.energies_ev[3:5], recipe.energies_ev[2:3]):
        assert recipe.selected(offered) == list(offered)
        left = [e for e in recipe.energies_ev if e not in offered]
        assert recipe.not_in(offered) == left


def test_excluded_energies_are_left_out_within_the_tolerance():
    recipe = Recipe.from_values(values(exclude_energies_ev=[530.3], energy_tolerance_ev=0.05))
    assert not recipe.selected([530.3])
    assert not recipe.selected([530.34])
    assert recipe.selected([530.36])


def test_the_fingerprint_depends_on_values_and_contents_not_on_the_place(folder, tmp_path):
    first = Recipe.load(folder).fingerprint
    assert len(first) == len(hashlib.sha256().hexdigest())
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    assert Recipe.load(moved).fingerprint == first
    assert Recipe.load(folder).with_changes({"model": "bundle"}).fingerprint == first
    seen = {first, Recipe.load(folder).with_changes({"ambiguity_threshold": 0.006}).fingerprint}
    for name in ("spectra/fe.csv", "i0.xsp", "particle.msk"):
        with (moved / name).open("a") as file:
            file.write("\n")
        seen.add(Recipe.load(moved).fingerprint)
    assert len(seen) == 5


def test_a_mask_is_the_same_from_each_kind_of_file(tmp_path, rng):
    mask = rng.random((7, 11)) < 0.4
    mask[3] = False
    mask[:, 5] = False
    mask[0, -1] = True
    np.save(tmp_path / "mask.npy", mask.astype(np.uint8))
    imsave(tmp_path / "mask.png", np.where(mask, 255, 0).astype(np.uint8), check_contrast=False)
    rows = ["".join("x" if c else " " for c in row) for row in mask]
    (tmp_path / "mask.msk").write_text("\n".join(rows) + "\n")
    (tmp_path / "short.msk").write_text("\n".join(row.rstrip() for row in rows) + "\n")
    for name in ("mask.npy", "mask.png", "mask.msk", "short.msk"):
        read = read_mask(tmp_path / name)
        assert read.dtype == bool
        assert np.array_equal(read, mask), name


def test_whatever_is_brighter_than_half_in_a_colored_picture_is_specimen(tmp_path):
    picture = np.zeros((2, 3, 4), dtype=np.uint8)
    picture[..., 3] = 255
    picture[0, 1, :3] = 255
    picture[1, 2, :3] = 100
    imsave(tmp_path / "mask.png", picture, check_contrast=False)
    assert read_mask(tmp_path / "mask.png").tolist() == [[0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_mask_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "empty.msk").write_bytes(content)
    with pytest.raises(ValueError, match=r"empty\.msk: the mask is empty"):
        read_mask(tmp_path / "empty.msk")


@pytest.mark.parametrize("suffix", [".npy", ".png"])
def test_a_damaged_mask_file_is_refused_by_name(tmp_path, rng, suffix):
    path = tmp_path / f"mask{suffix}"
    mask = (rng.random((40, 50)) * 255).astype(np.uint8)
    np.save(path, mask) if suffix == ".npy" else imsave(path, mask)
    whole = path.read_bytes()
    other = {".npy": b"PK\x03\x04" + whole, ".png": whole[:12] + b"XXXX" + whole[16:]}
    for content in (b"", b"no mask", whole[:20], whole[:200], other[suffix]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"mask\.\w+: cannot be read as a mask \("):
            read_mask(path)


@pytest.mark.parametrize("name", ["mask.tif", "mask"])
def test_a_mask_of_another_kind_is_refused_with_the_kinds_there_are(tmp_path, name):
    (tmp_path / name).write_text("xx\n")
    with pytest.raises(ValueError, match=rf"{name}: a mask is a \.msk, \.npy or \.png file, not "):
        read_mask(tmp_path / name)


def test_a_mask_that_is_no_image_is_refused_with_its_shape(tmp_path):
    np.save(tmp_path / "cube.npy", np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match=r"cube\.npy: the mask has shape \(2, 3, 4\)"):
        read_mask(tmp_path / "cube.npy")


def test_a_mask_that_is_not_there_is_told_as_such(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        read_mask(tmp_path / "nowhere.png")


def test_a_mask_array_of_python_objects_is_not_unpacked(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        read_mask(tmp_path / "objects.npy")


def test_a_changed_value_makes_the_choice_it_belongs_to(nvpf):
    assert nvpf.with_changes({"i0.region": (0, 1, 0, 1)}).i0.source == "region"
    assert nvpf.with_changes({"alignment.reference_ev": 517.5}).alignment.reference == "constant"
    both = nvpf.with_changes({"i0.region": (0, 1, 0, 1), "i0.source": "empty-region"})
    assert both.i0.source == "empty-region"


def test_a_recipe_without_references_is_one_for_a_first_look_and_says_so_when_asked_for_maps():
    recipe = Recipe.load("first-look")
    recipe.read_files()
    assert (recipe.references, len(recipe.fingerprint)) == (None, 64)
    with pytest.raises(ValueError, match=r'recipe "first-look" has no references.* explore'):
        recipe.reference_spectra  # noqa: B018


def test_a_notebook_shows_recipe_and_references_in_few_words():
    recipe = Recipe.load("nvpf").with_changes({"resolver.method": "pearson"})
    assert repr(recipe) == str(recipe) == "<Recipe nvpf: references.csv, 13 energies, pearson>"
    assert "<td>pearson</td>" in recipe._repr_html_()
    spectra = recipe.reference_spectra
    assert repr(spectra).endswith("Na1-yVPF: 601 energies from 500 to 560 eV, synthetic>")
    assert "calculated, not measured" in spectra._repr_html_()
