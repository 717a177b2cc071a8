"""References that mixtures of others cannot be distinguished from, and energies that would help."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.mixed_reference import MixedReference
from stxm_live.core.references import ReferenceSpectra
from stxm_live.phase_mapping.baseline_widths import FEWEST_ENERGIES, USUAL_STD
from stxm_live.phase_mapping.likelihood import typical_photons
from stxm_live.phase_mapping.weighted_products import Baseline

WITHIN_SIGMA = 1.0
"""Distance, in standard deviations of one pixel, up to which a mixture looks the same."""

MAPPED = 0.01
"""Share of a map from which a phase is looked at."""

_MOST_PARTS = 3
"""Mixtures of more phases than these are only looked for if no smaller one is near enough."""

_ROUNDING = 1e-9
"""Share of a vector's length that is left by rounding where all of it is projected out."""

_NOT_NEARER = 2.0
"""Distance of one other phase over that of a mixture with it, from which the mixture counts."""

_LEAST_SHARE = 0.005
"""Share of the largest part below which a part is rounding."""


@dataclass(frozen=True, eq=False)
class TypicalPixel:
    """The noise and thickness at which references are compared.

    Parameters
    ----------
    references : ndarray of shape (n_phases, n_energies)
    variance : ndarray of shape (n_phases, n_energies)
        Of the optical density of a pixel of each phase.
    thickness : float
        Factor on the references.
    baseline : Baseline
        Background that every spectrum has besides its phase.
    """

    references: NDArray[np.float64]
    variance: NDArray[np.float64]
    thickness: float
    baseline: Baseline

    @classmethod
    def expected(
        cls,
        spectra: ReferenceSpectra,
        energies_ev: Sequence[float] | NDArray[np.floating],
        *,
        photons: float,
        od: float,
        baseline: Baseline | None = None,
    ) -> TypicalPixel:
        """Return the pixel of a scan that is still to be made.

        Parameters
        ----------
        spectra : ReferenceSpectra
        energies_ev : sequence of float
        photons : float
            Detected per pixel and energy beside the specimen.
        od : float
            Optical density where the mean of the references is largest.
        baseline : Baseline, optional
            By default a constant and a slope as in the likelihood (`expected_baseline`).

        Raises
        ------
        ValueError
            If photons or OD are not above 0.
        """
        for name, value in (("photons", photons), ("od", od)):
            if not 0 < value < np.inf:
                raise ValueError(f"{name} = {value:g}: expected a number above 0")
        energies = np.asarray(energies_ev, dtype=np.float64)
        references = spectra.at(energies)
        thickness = thickness_of(spectra, od)
        variance = np.exp(thickness * references) / photons
        return cls(references, variance, thickness, baseline or expected_baseline(energies))

    def distance(self, phase: int, others: Sequence[int]) -> tuple[NDArray[np.float64], float]:
        """Return the shares of the best mixture of others, and its distance in sigma.

        Parameters
        ----------
        phase : int
        others : sequence of int

        Returns
        -------
        shares : ndarray of shape (n_others,)
            Not negative.
        sigma : float
        """
        from scipy.optimize import nnls

        spectra = self._without_baseline[phase]
        shares, sigma = nnls(spectra[list(others)].T, spectra[phase])
        return shares, float(sigma)

    @cached_property
    def _without_baseline(self) -> NDArray[np.float64]:
        """References in units of each phase's noise, the baseline projected out.

        Shape (n_phases whose noise it is, n_phases, n_values); the expected size of the baseline's
        coefficients counts as further values, one for each.
        """
        sharpness = self.variance[:, None] ** -0.5
        n_terms = len(self.baseline.shapes)
        spectra = self.thickness * self.references * sharpness
        known = np.diag(np.sqrt(self.baseline.precision))
        known = np.broadcast_to(known, (len(spectra), n_terms, n_terms))
        terms = np.concatenate([self.baseline.shapes * sharpness, known], axis=2)
        rows = np.concatenate([terms, np.pad(spectra, ((0, 0), (0, 0), (0, n_terms)))], axis=1)
        for k, before in enumerate(np.linalg.norm(terms, axis=2).T):
            length = np.linalg.norm(rows[:, k], axis=1)
            is_more = length > _ROUNDING * before
            unit = rows[:, k : k + 1] * (is_more / np.where(is_more, length, 1.0))[:, None, None]
            rows[:, k + 1 :] -= (rows[:, k + 1 :] * unit).sum(axis=2, keepdims=True) * unit
        return rows[:, n_terms:]


def thickness_of(spectra: ReferenceSpectra, od: float) -> float:
    """Return the factor on the references that gives their mean this OD at its peak.

    Raises
    ------
    ValueError
        If the mean of the references is nowhere positive.
    """
    largest = float(spectra.od.mean(axis=0).max())
    if largest <= 0:
        raise ValueError(
            "the mean of the references is nowhere positive, so the thickness of a pixel does not "
            "follow from its OD; give optical densities"
        )
    return od / largest


def expected_baseline(
    energies_ev: Sequence[float] | NDArray[np.floating], kind: str = "auto"
) -> Baseline:
    """Return the background that the likelihood allows for, before a scan shows how large it is.

    Parameters
    ----------
    energies_ev : sequence of float
    kind : str
        ``resolver.baseline`` of the recipe. "auto" is a constant and a slope of any size, or of
        the usual size with few energies.
    """
    energies = np.asarray(energies_ev, dtype=np.float64)
    if kind == "none":
        return Baseline.none(len(energies))
    if kind == "constant":
        return Baseline.constant(len(energies))
    if kind == "auto" and len(energies) < FEWEST_ENERGIES:
        return Baseline.slope(energies, constant_std=USUAL_STD[0], slope_std=USUAL_STD[1])
    return Baseline.slope(energies)


def mixed_references(
    phase_names: Sequence[str], pixel: TypicalPixel, *, within: float = WITHIN_SIGMA
) -> tuple[MixedReference, ...]:
    """Return the references that others mix to, and by which mixtures.

    Parameters
    ----------
    phase_names : sequence of str
    pixel : TypicalPixel
    within : float
        Largest distance in standard deviations of one pixel.

    Returns
    -------
    tuple of MixedReference
        In the order of the phases, the nearest mixture of each first. No part of a mixture is
        superfluous.

    Notes
    -----
    Non-negative least squares with the weights of the counts (Lawson and Hanson, Solving least
    squares problems, chapter 23); thickness, constant and slope are free as in the likelihood.

    Examples
    --------
    >>> spectra = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.5], [0.0, 0.0, 0.0, 1.0]])
    >>> pixel = TypicalPixel(spectra, np.full((3, 4), 1e-4), 1.0, Baseline.none(4))
    >>> [str(one) for one in mixed_references(["a", "b", "c"], pixel)]
    ['b is 0.50 a + 0.50 c within 0.00 sigma']
    """
    found = []
    for phase in range(len(phase_names)):
        of_phase = [
            MixedReference(
                phase_names[phase],
                {phase_names[j]: float(share) for j, share in parts.items()},
                sigma,
            )
            for parts, sigma in _smallest_mixtures(phase, pixel, within)
        ]
        found += sorted(of_phase, key=lambda one: one.sigma)
    return tuple(found)


def _smallest_mixtures(
    phase: int, pixel: TypicalPixel, within: float
) -> list[tuple[dict[int, float], float]]:
    """Return shares and distance of the mixtures of a phase of which no part is superfluous."""
    others = [k for k in range(len(pixel.references)) if k != phase]
    if not others or pixel.distance(phase, others)[1] > within:
        return []
    found: list[tuple[dict[int, float], float]] = []
    for n_parts in range(1, min(len(others), _MOST_PARTS) + 1):
        for chosen in combinations(others, n_parts):
            shares, sigma = pixel.distance(phase, chosen)
            if sigma > within or shares.min() <= _LEAST_SHARE * shares.max():
                continue
            parts = dict(zip(chosen, shares, strict=True))
            if not any(_does(fewer, parts, sigma) for fewer in found):
                found.append((parts, sigma))
    if not found:
        shares, sigma = pixel.distance(phase, others)
        some = zip(others, shares, strict=True)
        found.append(({k: s for k, s in some if s > _LEAST_SHARE * shares.max()}, sigma))
    return found


def _does(fewer: tuple[dict[int, float], float], parts: dict[int, float], sigma: float) -> bool:
    """Return True if fewer parts do as well; two phases that noise confuses may hide a mixture."""
    return set(fewer[0]) <= set(parts) and (len(fewer[0]) > 1 or fewer[1] < _NOT_NEARER * sigma)


def of_mapped(
    phase_names: Sequence[str],
    references: NDArray[np.floating],
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    baseline: Baseline,
    shares: Iterable[float],
) -> tuple[MixedReference, ...]:
    """Return the mixed references among the phases of a map, at its own photons and OD.

    Parameters
    ----------
    phase_names : sequence of str
    references : ndarray of shape (n_phases, n_energies)
    od, photons : ndarray of shape (n_energies, n_spectra)
        Optical density, and the photons behind each value: one over its variance.
    baseline : Baseline
    shares : iterable of float
        Share of each phase in the map; those below `MAPPED` are left out.
    """
    pixel = typical_pixel(references, od, photons, baseline)
    if pixel is None:
        return ()
    mapped = {n for n, share in zip(phase_names, shares, strict=True) if share >= MAPPED}
    return tuple(one for one in mixed_references(phase_names, pixel) if one.phase in mapped)


def typical_pixel(
    references: NDArray[np.floating],
    od: NDArray[np.floating],
    photons: NDArray[np.floating],
    baseline: Baseline,
) -> TypicalPixel | None:
    """Return a pixel of median photons and OD; None without spectra, or where none absorbs.

    Parameters
    ----------
    references : ndarray of shape (n_phases, n_energies)
    od, photons : ndarray of shape (n_energies, n_spectra)
        Optical density, and the photons behind each value: one over its variance.
    baseline : Baseline
    """
    if not od.shape[1]:
        return None
    typical_od = np.median(od, axis=1).astype(np.float64)
    variance = 1 / np.maximum(typical_photons(photons).astype(np.float64), 1e-9)
    mean = references.mean(axis=0) - references.mean()
    thickness = float((mean * typical_od).sum() / max((mean * mean).sum(), 1e-300))
    if not 0 < thickness < np.inf:
        return None
    return TypicalPixel(
        np.asarray(references, dtype=np.float64),
        np.broadcast_to(variance, references.shape),
        thickness,
        baseline,
    )
