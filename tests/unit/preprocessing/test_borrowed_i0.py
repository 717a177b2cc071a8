"""A zoom that specimen fills has no I0 of its own: that of the overview comes with the scan."""

import numpy as np
import pytest

from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Frame, Stack, StackKey
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.preprocessing.i0 import BORROWED
from stxm_live.sim.instrument import SimulatedMicroscope
from stxm_live.sim.microscope import Beam, Drift

STEADY = Beam(photons_per_pixel=5000, slope=0, ring_decay_per_image=0)
FULL = (-0.3, 0.3)
"""Inside the particle, from edge to edge."""


@pytest.fixture(scope="module")
def recipe(nvpf):
    return nvpf.with_changes({"alignment.enabled": False, "energy_fit": False})


@pytest.fixture(scope="module")
def scope(recipe):
    return SimulatedMicroscope.with_particle(
        recipe.reference_spectra,
        rng=np.random.default_rng(5),
        shape=(80, 80),
        beam=STEADY,
        drift=Drift(),
    )


def stack_of(scope, recipe, x_um, y_um, *, n=40, **announced):
    """What the microscope counts, without a RunEngine."""
    scan = StackScan(
        shape=(len(recipe.energies_ev), n, n),
        energies_ev=recipe.energies_ev,
        x_extent_um=x_um,
        y_extent_um=y_um,
        data_field="camera",
        **announced,
    )
    columns, rows = np.linspace(*x_um, n), np.linspace(*y_um, n)
    frames = tuple(
        Frame(e, scope.microscope.counts(e, columns, rows).astype(np.float32), e)
        for e in sorted(recipe.energies_ev)
    )
    return Stack(StackKey(("zoom",)), scan, frames)


@pytest.fixture(scope="module")
def i0_counts(scope, recipe):
    overview = map_phases(stack_of(scope, recipe, (-1.2, 1.2), (-1.2, 1.2)), recipe)
    true = [scope.microscope.i0(e, np.zeros(1), np.zeros(1))[0, 0] for e in recipe.energies_ev]
    np.testing.assert_allclose(overview.i0, true, rtol=0.01)
    return tuple(overview.i0)


def true_od(scope, energies_ev, x_um, y_um, n=40):
    columns, rows = np.linspace(*x_um, n), np.linspace(*y_um, n)
    return -np.log([scope.specimen.intensity(e, columns, rows) for e in energies_ev])


@pytest.mark.parametrize("x_um", [FULL, (-0.9, -0.3)])
def test_with_the_overviews_i0_the_optical_density_of_a_full_field_is_true(
    scope, recipe, i0_counts, x_um
):
    stack = stack_of(scope, recipe, x_um, FULL, i0_counts=i0_counts)
    maps = map_phases(stack, recipe)
    assert BORROWED in maps.warnings
    np.testing.assert_array_equal(maps.i0, i0_counts)
    error = maps.od - true_od(scope, maps.energies_ev, x_um, FULL)
    assert abs(np.median(error)) < 0.02
    truth = scope.specimen.phase_index(np.linspace(*x_um, 40), np.linspace(*FULL, 40))
    assert (maps.final_index == truth)[maps.specimen].mean() > 0.8


@pytest.mark.parametrize("quantity", ["counts", "od"])
def test_in_a_field_without_empty_support_a_mask_says_what_is_specimen(
    scope, recipe, i0_counts, tmp_path, quantity
):
    mask = np.zeros((40, 40), dtype=bool)
    mask[5:30, 8:36] = True
    np.save(tmp_path / "mask.npy", mask)
    stack = stack_of(scope, recipe, FULL, FULL, i0_counts=i0_counts)
    if quantity == "od":
        od = true_od(scope, recipe.energies_ev, FULL, FULL)
        stack = Stack.from_arrays(od, recipe.energies_ev, quantity="od")
    maps = map_phases(stack, recipe.with_changes({"specimen.mask": tmp_path / "mask.npy"}))
    assert np.array_equal(maps.specimen, mask)
    assert ((maps.phase_index >= 0) == mask).all()


def test_without_it_the_field_is_refused_or_its_optical_density_is_wrong(scope, recipe):
    with pytest.raises(ValueError, match="nothing in the field looks empty"):
        map_phases(stack_of(scope, recipe, (-0.9, -0.3), FULL), recipe)


def test_empty_support_in_the_field_is_better_than_what_was_measured_before(
    scope, recipe, i0_counts
):
    faded = tuple(0.95 * i0 for i0 in i0_counts)  # the ring current has risen since
    edge = (-1.2, -0.2)
    stack = stack_of(scope, recipe, edge, edge, i0_counts=faded)
    maps = map_phases(stack, recipe)
    assert BORROWED not in maps.warnings
    np.testing.assert_allclose(maps.i0, i0_counts, rtol=0.01)


def test_the_same_maps_when_made_again(scope, recipe, i0_counts):
    maps = map_phases(stack_of(scope, recipe, FULL, FULL, i0_counts=i0_counts), recipe)
    again = maps.redo({"exclude_energies_ev": [505.0]})
    assert again.warnings.count(BORROWED) == 1
    assert len(again.i0) == len(maps.i0) - 1
    np.testing.assert_array_equal(again.i0, maps.i0[1:])


def test_a_scan_announces_i0_for_each_of_its_energies():
    options = {
        "shape": (2, 3, 4),
        "energies_ev": (505.0, 517.5),
        "x_extent_um": (0, 1),
        "y_extent_um": (0, 1),
        "data_field": "camera",
    }
    scan = StackScan(**options, i0_counts=(900.0, 1000.0))
    assert StackScan.from_start(scan.metadata()) == scan
    for wrong in ((900.0,), (900.0, 0.0), (900.0, float("nan"))):
        with pytest.raises(ValueError, match="i0_counts must be 2 positive numbers"):
            StackScan(**options, i0_counts=wrong)
