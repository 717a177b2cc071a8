"""Memory that a map needs beside its stack, by Python's own count of its arrays."""

import copy
import gc
import tracemalloc

import numpy as np
import pytest

from stxm_live.core.stack import Stack
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.preprocessing.alignment.joint_refinement import refined_shifts
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

SIDE = 320


@pytest.fixture(scope="module")
def stack(nvpf):
    rng = np.random.default_rng(1)
    made = make_particle((SIDE, SIDE), phase_weights=STATES_OF_CHARGE["Na2VPF"], rng=rng)
    od = od_cube(made, nvpf.reference_spectra, nvpf.energies_ev)
    counts = np.stack([rng.poisson(2000 * np.exp(-one)).astype(np.float32) for one in od])
    return Stack.from_arrays(counts, nvpf.energies_ev)


def cubes_of(function, stack):
    """What a function returns, and the cubes of the stack at its peak and after it."""
    gc.collect()
    tracemalloc.start()
    try:
        found = function()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    cube = 4 * len(stack.frames) * SIDE**2
    return found, peak / cube, kept / cube


def test_a_result_keeps_the_aligned_images_and_its_maps_but_no_optical_density(stack, nvpf):
    recipe = nvpf.with_changes({"alignment.refine": False, "energy_fit": False})
    map_phases(stack, recipe, quick=True)  # packages are imported
    maps, _, kept = cubes_of(lambda: map_phases(stack, recipe, quick=True), stack)
    assert kept < 3.2  # 5.1 with the optical density and the spectra
    held = maps.od
    assert maps.od is held
    assert not held.flags.writeable
    np.testing.assert_array_equal(copy.deepcopy(maps).od, held)


def test_a_refinement_holds_its_unknowns_for_some_images_only(stack):
    images = [frame.intensity for frame in stack.frames]
    shifts = np.zeros((len(images), 2))
    _, peak, _ = cubes_of(lambda: refined_shifts(images, shifts), stack)
    assert peak < 9  # of which the pixels of the fit, .4 cubes for each number, are most
