import numpy as np
import pytest
from particles import image_documents

from stxm_live import LivePhaseMapper, Recipe


@pytest.fixture(scope="module")
def told():
    """The views of a live stack with 40 s between its images, and its first maps."""
    recipe = Recipe.load("nvpf").with_changes({"model": None, "energy_fit": False})
    views, maps = [], []
    live = LivePhaseMapper(recipe, background=False)
    live.add_sink(on_cube=views.append, on_maps=maps.append)
    n_events = 0
    for name, doc in image_documents():
        n_events += name == "event"
        live(name, doc | {"time": 1000.0 + 40.0 * n_events})
    return views, maps[0]


def test_a_view_carries_what_the_maps_will_know_of_drift_and_beam(told):
    (*_, last), maps = told
    for name in ("shifts_px", "i0", "i0_std"):
        np.testing.assert_array_equal(getattr(last, name), getattr(maps, name))


def test_of_energies_that_are_missing_nothing_is_known(told):
    view = told[0][3]
    assert view.measured.sum() == 4
    for values in (view.shifts_px[:, 0], view.i0, view.mean_counts):
        np.testing.assert_array_equal(np.isfinite(values), view.measured)


def test_the_mean_counts_are_those_of_the_specimen_behind_the_beam(told):
    (*_, last), maps = told
    expected = (maps.i0[:, None] * np.exp(-maps.od[:, maps.specimen].astype(float))).mean(axis=1)
    np.testing.assert_allclose(last.mean_counts, expected, rtol=1e-4)


def test_ambiguity_so_far_becomes_that_of_the_maps(told):
    views, maps = told
    assert views[1].provisional_ambiguous is None
    assert views[3].twins
    assert views[3].provisional_ambiguous.mean() < 1
    np.testing.assert_array_equal(views[-1].provisional_ambiguous, maps.ambiguous)


def test_the_time_left_comes_from_the_times_of_the_events(told):
    assert [view.progress.left_s for view in told[0]] == [40.0 * (12 - k) for k in range(13)]


def test_without_references_the_cube_has_everything_but_phases(told):
    views, found = [], []
    live = LivePhaseMapper(Recipe.load("first-look"), background=False)
    live.add_sink(on_cube=views.append, on_exploration=found.append)
    for name, doc in image_documents():
        live(name, doc)
    last, mapped = views[-1], told[0][-1]
    assert (len(views), len(found), last.phase_names) == (13, 1, ())
    assert last.provisional_index is None
    np.testing.assert_array_equal(last.shifts_px, mapped.shifts_px)
    np.testing.assert_allclose(last.i0, mapped.i0, rtol=0.01)


def test_a_scan_that_ended_early_is_explored_and_names_what_is_missing():
    found, n_events = [], 0
    live = LivePhaseMapper(Recipe.load("first-look"), background=False)
    live.add_sink(on_exploration=found.append)
    for name, doc in image_documents():
        n_events += name == "event"
        if name != "event" or n_events <= 11:
            live(name, doc)
    assert len(found[0].spectra.energies_ev) == 11
    assert "2 of 13 announced energies are missing: 530.3, 532.2 eV" in found[0].notes
