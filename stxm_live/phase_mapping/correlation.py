"""Pearson correlation of every pixel's spectrum with every reference (the paper's section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import bands, empty_as, in_bands
from stxm_live.core.products import product
from stxm_live.core.recipe import Recipe
from stxm_live.core.twins import SAME

_CHUNK = 4096
"""Pixels taken at once: their float64 copy stays in the processor's cache."""


class BestTwo(NamedTuple):
    """The two largest coefficients of every spectrum, and whose they are."""

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    first_index: NDArray[np.int8]
    second_index: NDArray[np.int8]


def pearson(spectra: NDArray[np.floating], references: NDArray[np.floating]) -> NDArray[np.float32]:
    """Pearson coefficients of spectra with references.

    Parameters
    ----------
    spectra : ndarray of shape (n_energies, n_spectra)
        Optical density; NaN where not measured. Sums are taken in float64.
    references : ndarray of shape (n_phases, n_energies)
        Optical density of each phase at the same energies.

    Returns
    -------
    ndarray of shape (n_phases, n_spectra), float32
        Between -1 and 1, on the energies that a spectrum has; NaN where it is constant or has
        fewer than two: such a spectrum is invalid, not ambiguous. 0 for a reference that is
        constant on these energies: nothing correlates with it.

    Raises
    ------
    ValueError
        If the numbers of energies differ, or if there are fewer than two.

    Notes
    -----
    All energies take part, the pre-edge one included (the paper's Algorithm 1).

    Examples
    --------
    >>> references = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> pearson(np.array([[0.5], [2.5], [0.5]]), references).round(2)
    array([[ 1. ],
           [-0.5]], dtype=float32)
    """
    n_energies, n_spectra = spectra.shape
    if references.shape[1] != n_energies:
        raise ValueError(
            f"references have {references.shape[1]} energies, the OD cube has {n_energies}"
        )
    if n_energies < 2:
        raise ValueError("a correlation needs at least two energies")
    centred = references - references.mean(axis=1, keepdims=True, dtype=np.float64)
    centred[np.ptp(references, axis=1) == 0] = 0.0
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    centred /= np.where(length > 0, length, 1.0)
    out = np.empty((len(references), n_spectra), dtype=np.float32)
    n_known = np.empty(n_spectra, dtype=np.intp)
    for start in range(0, n_spectra, _CHUNK):
        part = slice(start, start + _CHUNK)
        out[:, part] = _pearson(spectra[:, part], centred)
        n_known[part] = n_energies - np.isnan(spectra[:, part]).sum(axis=0)
    some = np.flatnonzero((n_known >= 2) & (n_known < n_energies))
    for start in range(0, len(some), _CHUNK):
        chosen = some[start : start + _CHUNK]
        out[:, chosen] = _pearson_of_some(spectra[:, chosen], references)
    return out


def _pearson(spectra: NDArray[np.floating], unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients with references that are centred and of unit length."""
    x = spectra.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = x.mean(axis=0)
        x -= mean
        length = np.sqrt(np.einsum("ij,ij->j", x, x))
        # rounding of the input leaves a constant spectrum with a tiny length
        constant = length <= 1e-6 * np.abs(mean)
        coefficients = product(unit, x) / np.where(constant, np.nan, length)
    return np.clip(coefficients, -1.0, 1.0)


def _pearson_of_some(
    spectra: NDArray[np.floating], references: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Coefficients of spectra that lack energies, each on those that it has."""
    known = ~np.isnan(spectra)
    count = known.sum(axis=0)
    r = references - references.mean(axis=1, keepdims=True, dtype=np.float64)
    weight, x = known.astype(np.float64), np.where(known, spectra, 0.0).astype(np.float64)
    mean = x.sum(axis=0) / count
    x = np.where(known, x - mean, 0.0)
    of_reference = product(r, weight) / count
    square = product(r * r, weight) - count * of_reference**2
    # what rounding leaves of a reference that is constant on a spectrum's energies is nothing
    flat = square <= 1e-12 * np.square(r).sum(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->j", x, x))
    constant = length <= 1e-6 * np.abs(mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        along = product(r, x) / np.sqrt(np.where(flat, np.inf, square))
        return np.clip(along / np.where(constant, np.nan, length), -1.0, 1.0)


def best_two(correlation: NDArray[np.float32]) -> BestTwo:
    """Return the largest and the second-largest coefficient of every spectrum.

    Parameters
    ----------
    correlation : ndarray of shape (n_phases, ...)

    Returns
    -------
    BestTwo
        Arrays of shape (...). NaN and -1 where the coefficients are NaN; of equal ones the
        earlier phase is the first.
    """
    shape = correlation.shape[1:]
    first = np.full(shape, -np.inf, dtype=np.float32)
    second = first.copy()
    first_index = np.full(shape, -1, dtype=np.int8)
    second_index = first_index.copy()
    for k, q in enumerate(correlation):
        wins = q > first
        runner_up = ~wins & (q > second)
        second = np.where(wins, first, np.where(runner_up, q, second))
        second_index = np.where(wins, first_index, np.where(runner_up, np.int8(k), second_index))
        first = np.where(wins, q, first)
        first_index = np.where(wins, np.int8(k), first_index)
    invalid = first_index < 0
    first[invalid] = second[invalid] = np.nan
    return BestTwo(first, second, first_index, second_index)


def least_separation(recipe: Recipe, *, complete: bool) -> float:
    """Return 1 - PCC below which correlation cannot distinguish two references of a scan.

    If the scan is complete, these are the references that are one spectrum.
    """
    return SAME if complete else recipe.ambiguity_threshold


def reliability(best: BestTwo) -> NDArray[np.float32]:
    """R = 100 (Q1 - Q2), the paper's equation 1; NaN where there is no coefficient."""
    return np.float32(100) * (best.first - best.second)


def ambiguous(best: BestTwo, threshold: float) -> NDArray[np.bool_]:
    """Return True if Q1 - Q2 < ``threshold``: strictly, as in section 3.3 and Algorithm 1.

    An invalid spectrum is not ambiguous.
    """
    return (best.first - best.second) < np.float32(threshold)


@dataclass(frozen=True, eq=False)
class Correlated:
    """The spectra that are mapped, one column each, and what correlation says of them.

    Parameters
    ----------
    od : ndarray of shape (n_energies, n_spectra), float32
        NaN where not measured; see `without_gaps`.
    references : ndarray of shape (n_phases, n_energies)
    correlation : ndarray of shape (n_phases, n_spectra), float32
        Pearson coefficients.
    best : BestTwo
        The two largest coefficients, arrays of shape (n_spectra,).
    ambiguous : ndarray of bool, shape (n_spectra,)
        The two are too close to distinguish the phases.
    uncorrelated : ndarray of bool, shape (n_spectra,)
        The largest is below the recipe's ``min_correlation``.
    """

    od: NDArray[np.float32]
    references: NDArray[np.float64]
    correlation: NDArray[np.float32]
    best: BestTwo
    ambiguous: NDArray[np.bool_]
    uncorrelated: NDArray[np.bool_]

    def without_gaps(self) -> Correlated:
        """Return the same with the gaps of spectra filled by their best reference.

        So every spectrum can be compared with every reference at all energies. What was filled
        has no photons, and so no weight in labels and probabilities.
        """
        lacking = [np.isnan(self.od[:, part]).any(axis=0) for part in bands(self.od.shape[1])]
        some = np.flatnonzero(np.concatenate([np.empty(0, dtype=np.bool_), *lacking]))
        if not some.size:
            return self
        filled = in_bands(lambda part: self.od[:, part], empty_as(self.od, self.od.shape))
        for part in bands(len(some)):
            filled[:, some[part]] = self._filled(some[part])
        return replace(self, od=filled)

    def _filled(self, some: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return some spectra that lack energies, without gaps, (n_energies, n)."""
        known = ~np.isnan(self.od[:, some])
        count = np.maximum(known.sum(axis=0), 1)
        reference = self.references[np.maximum(self.best.first_index[some], 0)].T
        y = np.where(known, self.od[:, some], 0.0).astype(np.float64)
        mean, of_reference = y.sum(axis=0) / count, (reference * known).sum(axis=0) / count
        centred = np.where(known, reference - of_reference, 0.0)
        square = np.square(centred).sum(axis=0)
        thickness = (centred * y).sum(axis=0) / np.where(square > 0, square, 1.0)
        return np.where(known, y, mean + thickness * (reference - of_reference))

    def small(self) -> Correlated:
        """Return the same without the arrays of spectra and coefficients, to be kept."""
        n_energies, n_phases = self.references.shape[1], len(self.references)
        return replace(
            self,
            od=np.empty((n_energies, 0), dtype=np.float32),
            correlation=np.empty((n_phases, 0), dtype=np.float32),
        )

    @property
    def reliability(self) -> NDArray[np.float32]:
        """R = 100 (Q1 - Q2), shape (n_spectra,)."""
        return reliability(self.best)

    @property
    def pair(self) -> NDArray[np.int8]:
        """Best and second-best phase, shape (2, n_spectra)."""
        return np.array([self.best.first_index, self.best.second_index])


def correlate(
    od: NDArray[np.float32], references: NDArray[np.float64], recipe: Recipe
) -> Correlated:
    """Compare spectra with references: the paper's section 3.2 and Algorithm 1.

    Parameters
    ----------
    od : ndarray of shape (n_energies, n_spectra)
    references : ndarray of shape (n_phases, n_energies)
    recipe : Recipe
        Its ``ambiguity_threshold``, and ``min_correlation``; 0 is off, however badly a spectrum
        correlates.
    """
    correlation = pearson(od, references)
    best = best_two(correlation)
    return Correlated(
        od=od,
        references=references,
        correlation=correlation,
        best=best,
        ambiguous=ambiguous(best, recipe.ambiguity_threshold),
        uncorrelated=np.asarray(best.first < (recipe.min_correlation or -np.inf)),
    )
