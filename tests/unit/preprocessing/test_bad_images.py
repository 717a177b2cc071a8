"""One image of a stack is spoilt: what the user reads, and that all else survives."""

from functools import cache
from itertools import cycle

import numpy as np
import pytest
from particles import NX, NY, particle_counts

from stxm_live.core.stack import Stack
from stxm_live.phase_mapping.workflow import map_phases

SPOILT = (0, 6, 8, 12)
"""Before the edge, in it, the one of most contrast, behind it."""

EXTENT_UM = (0.0, 2.13, 1.77, 0.0)


@pytest.fixture
def recipe(nvpf):
    return nvpf


def drift_of(seed):
    return np.random.default_rng(seed).integers(-2, 3, (13, 2))


def drifting(spoil=None, which=None):
    """The particle displaced by whole pixels, one image changed; and the displacements (y, x)."""
    counts, energies_ev, _ = particle_counts()
    drift = drift_of(which or 0)
    images = np.array([np.roll(c, d, axis=(0, 1)) for c, d in zip(counts, drift, strict=True)])
    if spoil is not None:
        images[which] = spoil(images[which].copy())
    return Stack.from_arrays(images, energies_ev, extent_um=EXTENT_UM), drift


def poisson(mean, seed=0):
    return np.random.default_rng(seed).poisson(mean).astype(np.float32)


def noise_only(image):
    return poisson(np.full(image.shape, 2500))


def blank(image):
    return np.zeros_like(image)


def constant(image):
    return np.full_like(image, 700)


def bright(image):
    """Four times the photons at a detector that counts to 9000."""
    return np.minimum(4 * image, 9000)


def clipped(image):
    """Only the empty support is beyond what the detector counts."""
    return np.minimum(image, 2800)


def dead_row(image):
    image[30] = 0
    return image


def dead_column(image):
    image[:, 40] = 0
    return image


def beam_dump(image):
    image[33:] = poisson(np.full(image[33:].shape, 3))
    return image


def shutter_closed(image):
    return poisson(0.003 * image)


def drifted_out_along_x(image):
    out, by = noise_only(image), round(0.9 * NX)
    out[:, by:] = image[:, : NX - by]
    return out


def drifted_out_along_y(image):
    out, by = noise_only(image), round(0.9 * NY)
    out[by:] = image[: NY - by]
    return out


def hot_pixel(image):
    image[30, 36] = 3e6
    return image


LEFT_OUT = {
    blank: "has no usable pixel and was left out",
    constant: "shows 700 counts in nearly every pixel",
    shutter_closed: "shutter closed",
}

KEPT = {
    noise_only: "too little contrast to be aligned",
    bright: "(saturated?",
    clipped: "(saturated?",
    dead_row: "no beam in 3 lines",
    dead_column: "60 zero or negative",
    beam_dump: "no beam in 28 lines",
    drifted_out_along_x: "too little contrast to be aligned",
    drifted_out_along_y: "too little contrast to be aligned",
    hot_pixel: "hot pixels left out (far brighter than their neighbors): 1",
}


def told(maps, energy_ev):
    """What the user reads of one image."""
    return [text for text in maps.warnings if text.startswith(f"image at {energy_ev:g} eV")]


def errors(maps, drift, but):
    """How far the other images are off, the offset common to them apart."""
    energies_ev = particle_counts()[1]
    others = [k for k in range(13) if k != but]
    at = [maps.energies_ev.index(energies_ev[k]) for k in others]
    left = maps.shifts_px[at] + drift[others]
    return np.hypot(*(left - np.median(left, axis=0)).T)


@pytest.fixture(scope="module")
def whole(nvpf):
    """The maps of the particle without a spoilt image, by the displacements."""
    return cache(lambda which: map_phases(drifting(None, which)[0], nvpf))


def check_survived(maps, drift, which, words):
    energies_ev = particle_counts()[1]
    assert any(words in text for text in told(maps, energies_ev[which]))
    others = [e for e in energies_ev if e != energies_ev[which]]
    assert not any(told(maps, e) for e in others)
    assert errors(maps, drift, which).max() < 0.15


def cases(faults):
    """Every fault at one of the places, in turn."""
    places = zip(faults, cycle(SPOILT), strict=False)
    return [pytest.param(spoil, which, id=f"{spoil.__name__}-{which}") for spoil, which in places]


@pytest.mark.parametrize(("spoil", "which"), cases(KEPT))
def test_a_spoilt_image_is_named_and_the_others_lie_where_they_should(recipe, spoil, which):
    stack, drift = drifting(spoil, which)
    # the maps of the last image at every other place, refined ones between
    maps = map_phases(stack, recipe, quick=which in SPOILT[::2])
    assert maps.status == "complete"
    check_survived(maps, drift, which, KEPT[spoil])
    # all but the lines without beam, and four pixels of drift
    kept = 0.35 if spoil is beam_dump else 0.75
    assert (maps.phase_index >= 0).sum() > kept * particle_counts()[2].specimen.sum()


@pytest.mark.parametrize(("spoil", "which"), cases(LEFT_OUT))
def test_an_image_that_shows_nothing_is_left_out_and_the_maps_are_incomplete(
    recipe, whole, spoil, which
):
    stack, drift = drifting(spoil, which)
    maps = map_phases(stack, recipe)
    energy_ev = particle_counts()[1][which]
    assert maps.status == "incomplete"
    assert f"{energy_ev:g} eV" in maps.quality.cause
    check_survived(maps, drift, which, LEFT_OUT[spoil])
    labelled = whole(which).phase_index >= 0
    assert (labelled & (maps.phase_index >= 0)).sum() > 0.95 * labelled.sum()


@pytest.mark.parametrize("which", SPOILT[::2])
def test_an_image_saturated_by_the_recipes_limit_is_left_out_by_name(recipe, which):
    stack, drift = drifting(bright, which)
    limited = recipe.with_changes({"detector.saturation_counts": 9000})
    maps = map_phases(stack, limited)
    assert maps.status == "incomplete"
    check_survived(maps, drift, which, "saturated) and was left out")


@pytest.mark.parametrize("which", SPOILT[::2])
def test_a_hot_pixel_costs_no_label(recipe, whole, which):
    """A spline through it would swing over many pixels around; the other energies label them."""
    drift = drift_of(which)
    maps = map_phases(drifting(hot_pixel, which)[0], recipe)
    assert np.isnan(maps.od[which][maps.specimen & maps.valid]).any()
    lost = (maps.phase_index < 0) & (whole(which).phase_index >= 0)
    assert lost.sum() < 3
    left = maps.shifts_px + drift
    assert np.hypot(*(left[which] - np.median(left, axis=0))) < 0.15


def test_nothing_is_told_of_images_that_are_as_they_should_be(whole):
    assert not any("image at" in text for text in whole(0).warnings)


def test_images_from_a_computer_may_have_one_highest_value(recipe):
    """Without noise the empty support of every image is that."""
    counts, energies_ev, particle = particle_counts()
    clean = np.where(particle.specimen, counts, np.float32(3000))
    maps = map_phases(Stack.from_arrays(clean, energies_ev, extent_um=EXTENT_UM), recipe)
    assert not any("saturated?" in text for text in maps.warnings)


def filled():
    """What a field in the middle of the particle shows."""
    counts, energies_ev, particle = particle_counts()
    inside = (slice(16, 42), slice(20, 50))
    assert particle.specimen[inside].mean() > 0.98
    truth = particle.phase_index[inside]
    return Stack.from_arrays(counts[:, inside[0], inside[1]], energies_ev), truth


def test_a_particle_that_fills_the_field_is_an_error_that_offers_box_and_spectrum(recipe):
    stack, _ = filled()
    with pytest.raises(ValueError, match=r"nothing in the field looks empty") as error:
        map_phases(stack, recipe)
    assert 'source = "region"' in str(error.value)
    assert 'source = "spectrum"' in str(error.value)


def test_a_particle_that_fills_the_field_is_mapped_with_a_measured_i0(recipe, tmp_path):
    stack, truth = filled()
    path = tmp_path / "i0.csv"
    path.write_text("energy_ev,i0\n" + "".join(f"{e},3000\n" for e in recipe.energies_ev))
    changes = {"i0.source": "spectrum", "i0.spectrum": str(path)}
    maps = map_phases(stack, recipe.with_changes(changes))
    mapped = maps.phase_index >= 0
    assert mapped.mean() > 0.85
    assert (maps.phase_index == truth)[mapped].mean() > 0.8
    assert np.hypot(*maps.shifts_px.T).max() < 0.25
