"""Images that match the anchor at a wrong place, and such that did jump."""

import numpy as np
import pytest

from stxm_live.core.recipe_options import AlignmentOptions
from stxm_live.preprocessing.alignment.stack_alignment import Pattern, place, refined

ENERGIES_EV = [520.0 + k for k in range(10)]


def disk(row, column, radius):
    y, x = np.indices((72, 72))
    return 1 / (1 + np.exp(np.hypot(y - row, x - column) - radius))


def aligned(first_two):
    """First and refined alignment of ten images: two of this OD, and eight of a particle."""
    rng = np.random.default_rng(2)
    particle, beside = disk(36, 22, 10), disk(40, 56, 7)
    ods = [first_two] * 2 + [(0.2 + 0.05 * k) * particle + 0.02 * beside for k in range(8)]
    images = [rng.poisson(4000 * np.exp(-od)).astype(np.float32) for od in ods]
    options = AlignmentOptions()
    first = place([Pattern(image, options, None) for image in images], ENERGIES_EV, options)
    return first, refined(first, images, ENERGIES_EV, options, None)


@pytest.mark.parametrize("radius", [6, 7, 14])
def test_before_the_edge_another_particle_is_not_moved_onto_the_one_that_is_seen_later(radius):
    first, full = aligned(0.1 * disk(40, 56, radius))
    assert (np.hypot(*first.shifts_px[:2].T) > 30).all()  # the attack: it matches
    assert np.hypot(*full.shifts_px.T).max() < 0.5
    assert full.notes[0].startswith("2 images (at 520, 521 eV) matched far from the images beside")


@pytest.mark.parametrize("od", [0.05, 0.2])
def test_a_particle_that_jumped_is_taken_back_however_far(od):
    _, full = aligned(od * disk(56, 42, 10))
    np.testing.assert_allclose(full.shifts_px[:2], [[-20, -20]] * 2, atol=0.5)
    assert not any("matched far" in note for note in full.notes)
