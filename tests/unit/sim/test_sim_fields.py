"""I0 and specimen in fields of view that make them hard to find, against the truth."""

import numpy as np
import pytest
from simulated_fields import CASES, field_of_view

from stxm_live.preprocessing.detector import usable_intensity
from stxm_live.preprocessing.i0 import mean_over, stack_field

SIDE = 96
CLEAR = [name for name in CASES if name != "fills the field"]
OVERLAP = {"seen above the edge only": 0.75}
"""Of this one the thinnest places are too thin for 100 photons."""


def seen(nvpf, case, photons, *, gain=2.5, seed=0, factor=1.0):
    """The view, its counts, and I0 of every image."""
    rng = np.random.default_rng(seed)
    view = field_of_view(case, nvpf.reference_spectra, nvpf.energies_ev, side=SIDE, rng=rng)
    i0 = photons * gain * np.linspace(1.05, 0.95, 13)
    counts, _ = usable_intensity(factor * view.counts(i0, rng, gain=gain))
    return view, counts, factor * i0 * view.level


@pytest.mark.parametrize("photons", [100, 10_000])
@pytest.mark.parametrize("case", CLEAR)
def test_i0_and_specimen_are_the_true_ones_within_half_a_per_cent_and_the_noise(
    nvpf, case, photons
):
    view, counts, i0 = seen(nvpf, case, photons)
    field = stack_field(np.log(counts), nvpf.reference_spectra.at(nvpf.energies_ev), nvpf)
    noise = 3 / np.sqrt(photons * field.empty.sum())
    np.testing.assert_allclose(mean_over(counts, field.empty), i0, rtol=0.005 + noise)
    known = np.isfinite(counts).all(axis=0)
    both, either = field.specimen & view.specimen, field.specimen | view.specimen
    overlap = (both & known).sum() / (either & known).sum()
    assert overlap > OVERLAP.get(case, 0.97)


@pytest.mark.parametrize("photons", [100, 10_000])
def test_a_field_without_an_empty_place_is_an_error(nvpf, photons):
    _, counts, _ = seen(nvpf, "fills the field", photons)
    with pytest.raises(ValueError, match="nothing in the field looks empty"):
        stack_field(np.log(counts), nvpf.reference_spectra.at(nvpf.energies_ev), nvpf)


@pytest.mark.parametrize("factor", [1e-3, 40.0])
def test_another_unit_of_the_counts_changes_nothing(nvpf, factor):
    _, counts, _ = seen(nvpf, "film of uneven thickness", 1000)
    first = stack_field(np.log(counts), nvpf.reference_spectra.at(nvpf.energies_ev), nvpf)
    other = stack_field(
        np.log(np.float32(factor) * counts), nvpf.reference_spectra.at(nvpf.energies_ev), nvpf
    )
    assert (first.specimen != other.specimen).sum() <= 2
    assert (first.empty != other.empty).mean() < 0.005


def test_holes_the_beam_passes_are_empty_support_and_no_specimen(nvpf):
    view, counts, _ = seen(nvpf, "holes", 1000)
    field = stack_field(np.log(counts), nvpf.reference_spectra.at(nvpf.energies_ev), nvpf)
    y, x = np.indices(view.specimen.shape) / SIDE
    hole = np.hypot(y - 0.45, x - 0.42) < 0.05
    assert not field.specimen[hole].any()
    assert field.empty[np.hypot(y - 0.45, x - 0.42) < 0.025].all()
