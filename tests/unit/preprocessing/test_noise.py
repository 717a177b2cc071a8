import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from particles import particle_counts, particle_stack
from simulated_fields import field_of_view

from stxm_live.core.od_uncertainty import od_std, smoothing
from stxm_live.phase_mapping.likelihood import fit_references
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.preprocessing.alignment.spline_shift import shifted
from stxm_live.preprocessing.i0 import i0_of_images, stack_field
from stxm_live.preprocessing.noise import dispersion

SHAPE = (80, 90)


def counted(gain, fano=1.0, *, mean=1000.0, n=13, seed=0):
    """Counts of an even beam: variance gain x fano times the mean."""
    rng = np.random.default_rng(seed)
    level = mean * np.linspace(1.1, 0.9, n)[:, None, None]
    if fano == 1:
        return gain * rng.poisson(level / gain, (n, *SHAPE)).astype(np.float32)
    p = 1 / fano  # a negative binomial has variance mean / p
    photons = rng.negative_binomial(level / gain * p / (1 - p), p, (n, *SHAPE))
    return gain * photons.astype(np.float32)


def everywhere():
    return np.ones(SHAPE, dtype=bool)


@pytest.mark.parametrize(("gain", "fano"), [(1, 1), (0.2, 1), (3.5, 1), (1, 2), (3.5, 2)])
def test_the_dispersion_is_gain_times_fano_factor(gain, fano):
    assert dispersion(counted(gain, fano), everywhere()) == pytest.approx(gain * fano, rel=0.02)


def test_films_grain_slow_beam_changes_and_spikes_are_no_noise():
    rng = np.random.default_rng(1)
    grain = 1 + 0.1 * rng.standard_normal(SHAPE)
    y, x = np.indices(SHAPE) / 80
    drift = 1 + 0.1 * np.linspace(-1, 1, 13)[:, None, None] * (y + y * x)
    counts = rng.poisson(1000 * grain * drift).astype(np.float32)
    counts[3, 20, 30:60] = 8000
    counts[5, 40:44] = np.nan
    assert dispersion(counts, everywhere()) == pytest.approx(1, rel=0.03)


def test_smoothing_by_the_alignment_is_not_taken_for_a_better_counter():
    rng = np.random.default_rng(2)
    shifts = rng.uniform(-2, 2, (13, 2))
    moved = np.array([shifted(k, tuple(s)) for k, s in zip(counted(2.0), shifts, strict=True)])
    assert dispersion(moved, everywhere(), shifts) == pytest.approx(2, rel=0.03)
    assert dispersion(moved, everywhere()) < 1.6


@settings(max_examples=10)
@given(st.tuples(st.floats(-3, 3), st.floats(-3, 3)))
def test_the_variance_that_interpolation_leaves_is_that_of_moved_noise(shift_px):
    noise = np.random.default_rng(0).normal(0, 1, (200, 200)).astype(np.float32)
    left = np.nanvar(shifted(noise, shift_px)[6:-6, 6:-6])
    assert smoothing(np.array([shift_px]))[0] == pytest.approx(left, rel=0.04)


def test_too_little_empty_support_tells_nothing():
    counts, few = counted(1), np.zeros(SHAPE, dtype=bool)
    few[:4, :6] = True
    assert dispersion(counts, few) is None
    assert dispersion(counts[:2], everywhere()) is None


@pytest.mark.parametrize("moved", [False, True])
def test_od_is_as_uncertain_as_it_scatters_from_scan_to_scan(nvpf, moved):
    # a counter of unknown gain and a Fano factor of 2
    rng = np.random.default_rng(3)
    references, energies_ev = nvpf.reference_spectra, nvpf.energies_ev
    view = field_of_view("whole particle", references, energies_ev, side=64, rng=rng)
    shifts = rng.uniform(-1, 1, (13, 2)) if moved else np.zeros((13, 2))
    gain, fano, photons = 0.3, 2.0, 3000 * np.linspace(1.05, 0.95, 13)
    mean = view.transmission * photons[:, None, None]
    od, uncertainty = [], []
    for _ in range(30):
        counts = gain * rng.negative_binomial(mean / (fano - 1), 1 / fano).astype(np.float32)
        counts = np.array([shifted(k, tuple(s)) for k, s in zip(counts, shifts, strict=True)])
        beam = i0_of_images(
            counts,
            energies_ev,
            stack_field(np.log(counts), nvpf.reference_spectra.at(energies_ev), nvpf),
            nvpf,
            (0, 1, 0, 1),
            shifts_px=shifts,
        )
        od.append(np.log(beam.i0)[:, None, None] - np.log(counts))
        of_image = beam.dispersion * smoothing(shifts)
        uncertainty.append(od_std(counts, beam.i0, beam.std, of_image))
    assert beam.dispersion == pytest.approx(gain * fano, rel=0.1)
    ratio = np.std(od, axis=0, ddof=1) / np.mean(uncertainty, axis=0)
    known = np.isfinite(ratio).all(axis=0)
    for where in (view.specimen & known, ~view.specimen & known):
        np.testing.assert_allclose(np.median(ratio[:, where], axis=1), 1, atol=0.1)


def test_the_error_of_i0_is_added_and_common_to_an_image():
    counts = np.full((2, 3), 400.0)
    found = od_std(counts, np.array([1000.0, 800.0]), np.array([30.0, 0.0]), 1.0)
    np.testing.assert_allclose(found[0], np.hypot(0.05, 0.03), rtol=1e-6)
    np.testing.assert_allclose(found[1], 0.05, rtol=1e-6)


@pytest.mark.parametrize("gain", [0.5, 4.0])
def test_chi_squared_is_calibrated_by_the_dispersion_of_the_support(nvpf, gain):
    rng = np.random.default_rng(4)
    references = nvpf.reference_spectra.at(nvpf.energies_ev)
    phase = rng.integers(0, 5, 4000)
    expected = 1500 * np.exp(-references[phase].T * rng.uniform(1, 4, 4000))
    counts = gain * rng.poisson(expected / gain)
    found = dispersion(counted(gain), everywhere())
    fit = fit_references(np.log(1500 / counts), counts, references, gain=found)
    own = fit.chi2[phase, np.arange(4000)] / found
    assert own.mean() == pytest.approx(12, rel=0.03)


def test_maps_tell_how_uncertain_every_optical_density_is(nvpf):
    maps = map_phases(particle_stack(), nvpf)
    assert maps.dispersion == pytest.approx(1, rel=0.05)
    photons = 3000 * np.exp(-np.median(maps.od[:, maps.specimen], axis=1))
    found = np.median(maps.od_std[:, maps.specimen], axis=1)
    np.testing.assert_allclose(found, np.sqrt(smoothing(maps.shifts_px) / photons), rtol=0.1)


def test_without_empty_support_the_spectra_tell_the_dispersion(nvpf, tmp_path):
    np.save(tmp_path / "mask.npy", particle_counts()[2].specimen)
    (tmp_path / "i0.csv").write_text("500 3000\n540 3000\n")
    recipe = nvpf.with_changes(
        {
            "specimen.mask": tmp_path / "mask.npy",
            "i0.source": "spectrum",
            "i0.spectrum": tmp_path / "i0.csv",
        }
    )
    maps = map_phases(particle_stack(), recipe)
    assert (maps.i0_std == 0).all()
    assert maps.dispersion == pytest.approx(1, rel=0.25)  # mixed pixels fit no reference
