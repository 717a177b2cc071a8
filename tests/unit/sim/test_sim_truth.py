from types import SimpleNamespace

import numpy as np
import pytest

from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Stack
from stxm_live.sim.instrument import SimulatedMicroscope
from stxm_live.sim.microscope import Drift
from stxm_live.sim.truth import agreement, true_index

PIXEL_UM = 0.03
SHAPE = (24, 36)
ENERGIES_EV = (505.0, 515.0, 510.0)


@pytest.fixture
def scanned():
    """A particle that drifts by (1, -2) pixels from image to image, after three images."""
    scope = SimulatedMicroscope.with_particle(
        Recipe.load("nvpf").reference_spectra,
        rng=np.random.default_rng(0),
        shape=SHAPE,
        drift=Drift(trend_um=(PIXEL_UM, -2 * PIXEL_UM)),
    )
    for energy in ENERGIES_EV:
        scope.energy.set(energy).wait(60)
        scope.camera.trigger().wait(60)
    return scope


@pytest.mark.parametrize("flipped", [False, True])
def test_the_truth_lies_where_the_anchor_image_saw_the_particle(scanned, flipped):
    x0, x1, y0, y1 = scanned.specimen.extent_um
    maps = SimpleNamespace(
        extent_um=(x1, x0, y1, y0) if flipped else (x0, x1, y0, y1),
        specimen=np.zeros(SHAPE, dtype=bool),
        provenance={"anchor_ev": 510.0003},  # a readback of the third image
    )
    truth = true_index(scanned, maps, ENERGIES_EV)
    upright = truth[::-1, ::-1] if flipped else truth
    particle = scanned.specimen.particle.phase_index
    np.testing.assert_array_equal(upright[2:, :-4], particle[:-2, 4:])
    assert (upright[:, -4:] == -1).all()


def test_a_recorded_stack_has_no_truth():
    scope = SimulatedMicroscope.with_recorded(Stack.from_arrays(np.ones((2, 3, 4)), [705.0, 710.0]))
    with pytest.raises(ValueError, match="known truth"):
        true_index(scope, None, (705.0, 710.0))


def test_agreement_counts_the_right_pixels_among_those_mapped_and_truly_specimen():
    maps = SimpleNamespace(
        phase_index=np.array([[0, 1, 1, -1]]),
        latent_index=None,
        probability=np.array([[[0.9, 0.8, 0.1, 0.0]], [[0.1, 0.2, 0.9, 0.0]]]),
    )
    right = agreement(maps, np.array([[0, 0, -1, 1]], dtype=np.int8))
    assert list(right.values()) == [0.5, 1.0]
