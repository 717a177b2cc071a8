"""Maps made again of the same aligned images with another recipe."""

import numpy as np
import pytest
from particles import particle_stack

from stxm_live import map_phases


@pytest.fixture(scope="module")
def stack():
    return particle_stack()


@pytest.fixture(scope="module")
def maps(stack, nvpf):
    return map_phases(stack, nvpf)


@pytest.fixture(scope="module")
def still(nvpf):
    """Without alignment: an excluded anchor would move the shifts."""
    return nvpf.with_changes({"alignment.enabled": False})


@pytest.fixture(scope="module")
def maps_where_they_were(stack, still):
    return map_phases(stack, still)


@pytest.fixture(scope="module")
def without_524(stack, nvpf):
    return map_phases(stack, nvpf.with_changes({"exclude_energies_ev": [524.0]}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"exclude_energies_ev": [524.0]},
        {"i0.source": "region", "i0.region": (-10.0, 10.0, -10.0, -0.5)},
        {"energy_offset_ev": 0.2, "energy_width_ev": 0.1},
        {"resolver.method": "pearson", "ambiguity_threshold": 0.01},
    ],
)
def test_redone_maps_are_those_of_the_changed_recipe(stack, still, maps_where_they_were, changes):
    maps = maps_where_they_were
    if "i0.region" in changes:
        x0, _, y0, _ = stack.scan.extent_um
        changes = changes | {"i0.region": (x0 - 1, x0 + 0.2, y0 - 1, y0 + 0.2)}
    again = maps.redo(changes)
    assert again.differences(map_phases(stack, still.with_changes(changes))) == []
    assert again.revision == maps.revision + 1
    assert (again.differences(maps) == []) == (not changes)


def test_redone_maps_can_be_redone_back(maps):
    without = maps.redo({"exclude_energies_ev": [524.0]})
    assert len(without.energies_ev) == 12
    assert without.redo({"exclude_energies_ev": []}).identical(maps)


def test_redoing_keeps_the_shifts(maps):
    again = maps.redo({"exclude_energies_ev": [maps.provenance["anchor_ev"]]})
    kept = [e in again.energies_ev for e in maps.energies_ev]
    np.testing.assert_array_equal(again.shifts_px, maps.shifts_px[kept])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"alignment.enabled": False}, r"\[alignment\] or \[detector\] use map_run"),
        ({"detector.dark_counts": 3.0}, r"\[alignment\] or \[detector\] use map_run"),
        ({"energies_ev": None}, "energies that the recipe left out before"),
        ({"exclude_energies_ev": [505.0]}, "energies that the recipe left out before"),
        ({"no.such": 1}, "no.such: there is no such setting"),
    ],
)
def test_what_needs_the_raw_images_again_is_refused(without_524, changes, reason):
    maps = without_524
    with pytest.raises(ValueError, match=reason):
        maps.redo(changes)


def test_the_uncertainty_of_the_optical_density_follows_from_counts_and_i0(stack, nvpf):
    from dataclasses import replace

    maps = map_phases(stack, nvpf)
    known = replace(maps, dispersion=2.0, i0_std=maps.i0 * 0.01)
    expected = np.sqrt(2.0 / (maps.i0[3] * np.exp(-maps.od[3].astype(float))) + 1e-4)
    np.testing.assert_allclose(known.od_std[3], expected, rtol=1e-6)
