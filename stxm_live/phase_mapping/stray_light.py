"""Light that reaches the detector beside the specimen, as the scan's own spectra show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.core.file_arrays import bands, empty_like
from stxm_live.core.references import ReferenceSpectra
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.likelihood import best_model, of_length_one
from stxm_live.phase_mapping.missing_reference import FEWEST, LEAST_SHARE, mean_spectrum
from stxm_live.phase_mapping.scan_errors.evidence import SPECTRA, Evidence

SHARES = (0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.1, 0.13)
"""Stray light over I0 that is tried; more than that is more likely another fault."""

OFFSETS_EV, WIDTHS_EV = (-0.08, 0.0, 0.08), (0.0, 0.12, 0.2, 0.3)
"""Offsets of the energy axis between which the best one is allowed for, and extra widths."""

LEAST_GAIN = 0.05
"""Log probability per spectrum that stray light must add."""

FEWEST_SPECTRA, FEWEST_ENERGIES = 100, 6

_ROUNDS = 3
"""For the transmission that each spectrum has without stray light."""

_DARKEST = 0.2
"""Least share of a transmission that is not stray light, before a spectrum is fitted."""

_OD = (-0.5, 6.0)
"""Optical densities that a spectrum may have."""


class Transmitted(NamedTuple):
    """Spectra without stray light.

    ``od`` is the optical density, and ``photons`` are those behind each value, both of shape
    (n_energies, n_spectra).
    """

    od: NDArray[np.float32]
    photons: NDArray[np.float32]


def without_stray_light(spectra: CountedSpectra, share: float) -> Transmitted:
    """Return what spectra would be if no light came beside the specimen.

    Parameters
    ----------
    spectra : CountedSpectra
        With stray light in image and I0.
    share : float
        Stray light over the light that the specimen can absorb.

    Returns
    -------
    Transmitted
        A dark pixel is worth fewer photons than it has, since those of the stray light add noise
        alone.

    Notes
    -----
    The measured OD is -ln((T + s) / (1 + s)) for a transmission T. It is a straight line about the
    transmission of the best reference, so that noise is stretched and not bent.
    """
    od, photons, *_ = spectra
    passed, worth = empty_like(od, np.float32), empty_like(photons, np.float32)
    for part in bands(od.shape[1]):
        y, w, _ = _linear(spectra.at(part), share)
        measured = photons[:, part] > 0
        passed[:, part] = np.where(measured, y, od[:, part])
        worth[:, part] = np.where(measured, w, 0)
    return Transmitted(passed, worth)


def stray_share(
    spectra: CountedSpectra, references: ReferenceSpectra, energies_ev: list[float]
) -> float:
    """Return the share of stray light for which some spectra of a scan are most probable.

    Parameters
    ----------
    spectra : CountedSpectra
    references : ReferenceSpectra
        The same references, also beside the scan's energies.
    energies_ev : list of float

    Returns
    -------
    float
        Over the light that the specimen can absorb; 0 if the scan does not show any.

    Notes
    -----
    A small offset of the energy axis, a wider beam and a missing reference look a little like stray
    light, so all are allowed for.
    """
    whole = np.flatnonzero((spectra.photons > 0).all(axis=0))
    if len(whole) < FEWEST_SPECTRA or len(spectra.od) < FEWEST_ENERGIES:
        return 0.0
    spectra = spectra.at(whole[at_most(SPECTRA, len(whole))])

    def climb(known: NDArray[np.float64]) -> _Climb:
        return _climb(partial(_log_probability, _with_missing(spectra._replace(references=known))))

    if not climb(spectra.references).share:
        return 0.0
    climbs = [*map(climb, _on_best_axes(spectra, references, energies_ev))]
    best = max(climbs, key=lambda one: one.value)
    without = max(one.without for one in climbs)
    return best.share if best.value - without >= LEAST_GAIN else 0.0


class _Climb(NamedTuple):
    """The best share of stray light, the log probability there, and that without stray light."""

    share: float
    value: float
    without: float


def _climb(value: Callable[[float], float]) -> _Climb:
    """Return the first maximum over the share of stray light."""
    shares, values = [0.0], [value(0.0)]
    for share in SHARES:
        shares.append(share)
        values.append(value(share))
        if values[-1] < values[-2]:
            break
    best = int(np.argmax(values))
    is_last = best == len(values) - 1
    share = shares[best] if is_last or not best else _top(shares, values)
    return _Climb(share, values[best], values[0])


def _on_best_axes(
    spectra: CountedSpectra, references: ReferenceSpectra, energies_ev: list[float]
) -> list[NDArray[np.float64]]:
    """Return the references on the best energy axis, and for a wider beam if that fits better."""
    evidence, energies = Evidence(spectra), np.array(energies_ev)
    ends = references.energies_ev[0], references.energies_ev[-1]
    nominal = references.broadened_at(np.clip(energies, *ends), 0.0)

    def on(shift_ev: float, width_ev: float) -> NDArray[np.float64]:
        seen = references.broadened_at(np.clip(energies + shift_ev, *ends), width_ev)
        return np.asarray(spectra.references + seen - nominal)

    def value(known: NDArray[np.float64]) -> float:
        return evidence.of(known, np.zeros(len(energies)))

    shift_ev = _top(OFFSETS_EV, [value(on(shift_ev, 0.0)) for shift_ev in OFFSETS_EV])
    sharp, *wide = (on(shift_ev, width_ev) for width_ev in WIDTHS_EV)
    widest = max(wide, key=value)
    return [sharp, widest] if value(widest) > value(sharp) else [sharp]


def _with_missing(spectra: CountedSpectra) -> CountedSpectra:
    """Return spectra with one more reference, the mean of those that agree with none, if any do."""
    references = spectra.references
    explained = Evidence(spectra).explained(references, np.zeros(len(spectra.od)))
    strange = explained.strange > 0.5
    if strange.sum() < max(FEWEST, LEAST_SHARE * len(strange)):
        return spectra
    missing = mean_spectrum(spectra.od, spectra.photons, strange)
    return spectra._replace(references=np.vstack([references, missing]))


def _top(tried: Sequence[float], values: Sequence[float]) -> float:
    """Return where a parabola through the largest value and both beside it is largest."""
    best = int(np.clip(np.argmax(values), 1, len(values) - 2))
    x, y = np.array(tried[best - 1 : best + 2]), np.array(values[best - 1 : best + 2])
    a, b, _ = np.polyfit(x, y, 2)
    return float(np.clip(-b / (2 * a), x[0], x[2]) if a < 0 else x[y.argmax()])


def _log_probability(spectra: CountedSpectra, share: float) -> float:
    """Return that of the measured OD per spectrum, up to a constant.

    The OD without stray light is stretched, by 1 over the slope; so is the thickness, all values
    of which are as probable beforehand.
    """
    y, w, slope = _linear(spectra, share)
    evidence, references = Evidence(spectra._replace(od=y, photons=w)), spectra.references
    stretched = float(np.log(slope).mean(axis=0).sum() - np.log(slope).sum())
    value = evidence.of(references, np.zeros(len(y))) + evidence.log_precision + stretched
    return value / int(y.shape[1])


def _linear(
    spectra: CountedSpectra, share: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return OD and photons without stray light, and the slope of the measured OD in it."""
    od, photons, references, noise = spectra
    measured, n = od.astype(np.float64), photons.astype(np.float64)
    seen = np.exp(-measured) * (1 + share)
    passed = np.maximum(seen - share, _DARKEST * seen)
    y, w = -np.log(passed), n * np.square(passed / seen)
    scaled, baseline = of_length_one(references), noise.baseline.in_units_of(noise.gain)
    for _ in range(_ROUNDS if share else 0):
        about = np.clip(best_model(y, w, scaled, baseline), *_OD)
        through = np.exp(-about)
        slope = through / (through + share)
        expected = -np.log((through + share) / (1 + share))
        off = np.clip(measured - expected, -2.0, 2.0)
        y = about + off / slope
        # n as the model has them, noisy as counts that are stretched alike would be
        w = n * np.square(slope) * np.exp(off * (1 - 1 / slope))
        # of the mean of a logarithm: what the fit takes off is too much for stretched noise
        too_low = noise.gain / (2 * np.maximum(n * np.exp(off), 1e-9))
        y += np.where(n > 0, too_low * (1 / slope**2 - 1 / slope), 0.0)
    if not share:
        slope = np.ones_like(y)
    return y, w, slope
