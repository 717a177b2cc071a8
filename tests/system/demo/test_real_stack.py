"""The same road on a measured stack: ALS 11.0.2, Fe L2,3, 123 energies (B. Toner, M. Marcus)."""

import numpy as np
import pytest

from stxm_live import Recipe, ReferenceSpectra, map_phases
from stxm_live.adaptive.energies.cost import Conditions
from stxm_live.adaptive.energies.selection import Offer, choose_energies
from stxm_live.core.recipe_files import read_mask, read_two_columns
from stxm_live.io.files import read_stack
from stxm_live.phase_mapping.exploration import explore_stack
from stxm_live.preprocessing.reference_extraction import region_spectrum

pytestmark = pytest.mark.real

THIRTEEN_EV = (700, 705, 707, 707.8, 708.5, 709.3, 709.7, 710.5, 712, 715, 720.4, 722.5, 725)
"""Pre-edge, both L3 lines and their flanks, the dip, L2: chosen by eye from the references."""


@pytest.fixture(scope="module")
def stack(real_folder):
    return read_stack(real_folder / "71214078.hdr")


@pytest.fixture(scope="module")
def recipe(real_folder, tmp_path_factory):
    """The end members, the beamline's I0 and the authors' mask, as they came with the stack."""
    folder = tmp_path_factory.mktemp("fe")
    names = ("oxidized", "reduced")
    spectra = {name: read_two_columns(real_folder / f"{name}.t") for name in names}
    ReferenceSpectra.from_spectra(spectra).to_csv(folder / "references.csv")
    (folder / "fe.toml").write_text(
        'name = "fe"\nreferences = "references.csv"\nenergy_fit = false\n'
        f'[i0]\nsource = "spectrum"\nspectrum = "{real_folder}/i0.xsp"\n'
        f'[specimen]\nmask = "{real_folder}/mask_file.msk"\n'
    )
    return Recipe.load(folder / "fe.toml")


@pytest.fixture(scope="module")
def maps(stack, recipe):
    return map_phases(stack, recipe, quick=True)


@pytest.fixture(scope="module")
def nearest_ev(stack):
    """The recorded energies next to the thirteen."""
    recorded = np.array(stack.energies_ev)
    return tuple(float(recorded[np.abs(recorded - e).argmin()]) for e in THIRTEEN_EV)


def test_the_share_of_oxidised_iron_is_the_known_one(maps):
    assert maps.specimen.sum() == 4374
    assert 100 * maps.fractions[0] == pytest.approx(73.6, abs=0.5)
    assert maps.valid[maps.specimen].all()


def test_the_best_correlation_is_the_larger_weighted_share_of_a_linear_combination(maps):
    inside = maps.specimen
    references = maps.reference_od
    design = np.column_stack([references.T, np.ones(len(maps.energies_ev))])
    shares = np.linalg.lstsq(design, maps.od[:, inside].astype(float), rcond=None)[0][:2]
    norms = np.linalg.norm(references - references.mean(axis=1, keepdims=True), axis=1)
    expected = (shares * norms[:, None]).argmax(axis=0)
    np.testing.assert_array_equal(maps.phase_index[inside], expected)


def test_thirteen_energies_keep_most_labels_of_the_full_spectrum(stack, recipe, maps, nearest_ev):
    few = map_phases(stack, recipe.with_changes({"energies_ev": nearest_ev}), quick=True)
    assert few.energies_ev == nearest_ev
    inside = maps.specimen
    assert (few.phase_index[inside] == maps.phase_index[inside]).mean() >= 0.92


def test_thirteen_chosen_energies_keep_the_labels_of_all_123(stack, recipe, maps):
    like_correlation, offer = Conditions(900, baseline="constant"), Offer(keep_ev=(700.0,))
    chosen = choose_energies(recipe.reference_spectra, 13, like_correlation, offer)
    few = map_phases(stack, recipe.with_changes({"energies_ev": chosen}), quick=True)
    assert few.energies_ev == chosen
    same = few.phase_index[maps.specimen] == maps.phase_index[maps.specimen]
    assert same.mean() >= 0.93  # 0.94 with thirteen chosen by eye
    same = few.resolved_index[maps.specimen] == maps.resolved_index[maps.specimen]
    assert same.mean() >= 0.95


def test_regions_of_the_stack_are_its_end_members(stack, recipe, maps):
    for k, name in enumerate(maps.phase_names):
        # the clearest pixels of a phase, as a user would draw them on the map
        clear = maps.phase_index == k
        clear &= maps.reliability >= np.percentile(maps.reliability[clear], 95)
        found = region_spectrum(stack, clear, recipe, name=name, source="stack")
        own, other = np.corrcoef(found.od, maps.reference_od[[k, 1 - k]])[0, 1:]
        assert own > 0.97  # the specimen holds no pure pixel of the authors' reduced end member
        assert own > other + 0.05


def test_a_stack_its_authors_aligned_is_left_where_it_is(maps):
    assert np.abs(maps.shifts_px).max() <= 0.15


def test_i0_found_in_the_image_is_the_measured_one_but_for_a_factor(stack, recipe, maps):
    where_it_is = {"i0.source": "empty-region", "alignment.enabled": False}
    found = map_phases(stack, recipe.with_changes(where_it_is), quick=True)
    ratio = maps.i0 / found.i0
    assert ratio.std() / ratio.mean() < 0.002  # counting noise of the region is 0.001


def test_the_default_map_agrees_with_the_authors_by_the_line_of_the_readme(
    real_folder, stack, recipe
):
    plain = {"energy_fit": True, "specimen.mask": None}
    plain |= {"i0.source": "empty-region", "i0.spectrum": None}
    found = map_phases(stack, recipe.with_changes(plain))
    assert found.energy_axis is not None
    theirs = read_mask(real_folder / "mask_file.msk")
    oxidised = found.resolved_index[theirs & (found.resolved_index >= 0)] == 0
    assert 100 * oxidised.mean() == pytest.approx(73.6, abs=3)
    assert "energy" not in str(found.quality)
    assert abs(found.energy_offset_ev) < 0.05


def test_two_clusters_without_references_are_the_two_end_members(stack, maps, real_folder):
    found = explore_stack(stack, n_clusters=2, n_components=1)
    index = found.spectra.image(found.clusters.index)
    theirs = read_mask(real_folder / "mask_file.msk") & np.isfinite(index)
    same = float(np.mean(index[theirs] == maps.phase_index[theirs]))
    assert max(same, 1 - same) > 0.97
    assert theirs.sum() == 4374
