"""Errors of scan and references that look like a missing reference, and are none."""

from dataclasses import replace

import numpy as np
import pytest
from particles import particle_counts
from three_lines import ENERGIES, GRID, PHOTONS, REFERENCES, spectrum

from stxm_live.core.stack import Stack
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.facts import Facts
from stxm_live.phase_mapping.quality import assess
from stxm_live.phase_mapping.scan_errors.errors import SharedErrors
from stxm_live.phase_mapping.scan_errors.search import shared_errors
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.weighted_products import Baseline
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.sim.phantom import od_cube

UNKNOWN = np.interp(ENERGIES, GRID, spectrum(703.9, 711.2, 0.9))


def found(*, shift_ev=0.0, images=0.0, lines=0.0, unknown=0.0, order=None, n=400):
    rng = np.random.default_rng(1)
    shifts = np.broadcast_to(shift_ev, 3)
    true = np.array(
        [
            np.interp(np.add(ENERGIES, d), GRID, s)
            for d, s in zip(shifts, REFERENCES.od, strict=True)
        ]
    )
    true *= 1 + lines * np.sin(1.3 * np.arange(len(ENERGIES)) + np.arange(3)[:, None])
    true = true[:, order or np.arange(len(ENERGIES))]
    phase, strange = rng.integers(0, 3, n), rng.random(n) < unknown
    od = true[phase].T
    od[:, strange] = UNKNOWN[:, None]
    od = od * rng.uniform(0.3, 1.5, n) + images * rng.standard_normal(len(ENERGIES))[:, None]
    counts = rng.poisson(PHOTONS * np.exp(-od)).clip(1).astype(np.float32)
    seen = np.log(PHOTONS / counts).astype(np.float32)
    noise = SpectrumNoise(1.0, True, Baseline.slope(np.array(ENERGIES), constant_std=0.1))
    worst = strange if unknown else rng.random(n) < 0.3
    return shared_errors(
        CountedSpectra(seen, counts, REFERENCES.at(ENERGIES), noise), worst, REFERENCES, ENERGIES
    )


def test_an_energy_offset_is_not_a_missing_reference():
    errors = found(shift_ev=0.1)
    assert errors.causes == ("axis",)
    np.testing.assert_allclose(errors.shift_ev, 0.1, atol=0.02)


def test_axes_of_single_references_are_not_a_missing_reference():
    errors = found(shift_ev=np.array([0.1, -0.1, 0.02]))
    assert errors.causes[0] == "axes"
    np.testing.assert_allclose(errors.shift_ev, [0.1, -0.1, 0.02], atol=0.03)


def test_i0_beneath_the_specimen_is_not_a_missing_reference():
    errors = found(images=0.03)
    assert errors.causes[0] == "images"
    assert errors.moves_labels
    assert not errors.is_of_axis


def test_lines_of_other_strengths_are_not_a_missing_reference():
    errors = found(lines=0.12)
    assert errors.causes[0] == "lines"
    assert np.abs(errors.lines).max() == pytest.approx(0.12, abs=0.04)
    assert not errors.moves_labels


LISTED = list(range(len(ENERGIES)))


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ([0, 1, 2, 5, 4, 3, *LISTED[6:]], "the images at 705.2 and 706.9 eV look exchanged"),
        ([0, 1, 2, 2, *LISTED[4:]], "the image at 705.2 eV looks as if it was taken at 704.4 eV"),
        (LISTED[::-1], "the images look as if they were in the reverse order of energies"),
        ([*LISTED[1:], 0], "each image looks as if it was taken at the next energy of the list"),
        ([11, *LISTED[:-1]], "each image looks as if it was taken at the energy before its own"),
    ],
)
def test_images_at_other_energies_of_the_list_are_named(nvpf, order, words):
    errors = found(order=order)
    assert errors.causes[0] == "order"
    assert errors.order.tolist() == order
    assert words in errors.in_words(REFERENCES.phase_names, tuple(ENERGIES))
    fine = Facts((), 0.02, np.full(9, 0.04, np.float32), 900.0, 1.0, 1.0, 0.0, 9)
    named = {"phase_names": REFERENCES.phase_names, "energies_ev": tuple(ENERGIES)}
    quality = assess(replace(fine, shared_errors=errors, **named), nvpf)
    assert quality.verdict == "poor"
    assert words in quality.cause


@pytest.mark.parametrize("unknown", [0.1, 0.5])
def test_a_missing_reference_stays_one(unknown):
    assert found(unknown=unknown) is None


def test_all_of_another_phase_is_no_error_of_the_references():
    errors = found(unknown=1.0)
    assert errors is None or errors.is_minor


def test_a_scan_without_errors_has_none():
    assert found() is None


def test_errors_are_named_with_their_significance(nvpf):
    none = SharedErrors.none((3, 2), 800)
    named = {
        "axis": (replace(none, shift_ev=np.full(3, 0.1)), "nominal ones +0.10 eV"),
        "axes": (replace(none, shift_ev=np.array([0.1, 0, -0.1])), "A +0.10 eV, B +0.00 eV, C"),
        "images": (replace(none, images_od=np.array([0.0, -0.03])), "-0.030 OD, at 701 eV"),
        "lines": (replace(none, lines=np.eye(3, 2) * 0.15), "A by +15 % at 700 eV"),
    }
    fine = Facts((), 0.02, np.full(9, 0.04, np.float32), 900.0, 1.0, 1.0, 0.0, 9)
    for cause, (errors, words) in named.items():
        facts = replace(
            fine,
            shared_errors=replace(errors, gains={cause: 1.0}),
            phase_names=("A", "B", "C"),
            energies_ev=(700.0, 701.0),
        )
        quality = assess(facts, nvpf)
        assert quality.verdict == "limited"
        assert "(40 sigma)" in quality.cause
        assert words in quality.cause
        assert "--set" not in quality.action


def test_an_offset_that_nobody_looked_for_does_not_look_sure(nvpf):
    _, energies_ev, particle = particle_counts()
    od = od_cube(particle, nvpf.reference_spectra, np.add(energies_ev, 0.3))
    counts = np.random.default_rng(6).poisson(3000 * np.exp(-od)).astype(np.float32)
    recipe = nvpf.with_changes({"energy_fit": False, "model": None, "alignment.enabled": False})
    maps = map_phases(Stack.from_arrays(counts, energies_ev), recipe)
    assert maps.quality.verdict == "poor"
