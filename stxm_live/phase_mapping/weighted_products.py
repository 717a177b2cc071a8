"""Products of spectra and references under the weights of counting, less each one's baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import product

_SMALLEST = 1e-12
"""Share of the weights below which the square of a spectrum is rounding."""

_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class Baseline:
    """Terms that a spectrum has besides its phase, and their expected sizes.

    Parameters
    ----------
    shapes : ndarray of shape (n_terms, n_energies)
        In optical density: a constant, and a slope that is 1 from end to end.
    precision : ndarray of shape (n_terms,)
        One over the expected square of each coefficient; 0 for one that may be anything.
    """

    shapes: NDArray[np.float64]
    precision: NDArray[np.float64]

    @classmethod
    def none(cls, n_energies: int) -> Baseline:
        """Nothing besides the phase."""
        return cls(np.empty((0, n_energies)), np.empty(0))

    @classmethod
    def constant(cls, n_energies: int) -> Baseline:
        """Return a constant of any size."""
        return cls(np.ones((1, n_energies)), np.zeros(1))

    @classmethod
    def slope(
        cls,
        energies_ev: NDArray[np.floating],
        *,
        constant_std: float = np.inf,
        slope_std: float = np.inf,
    ) -> Baseline:
        """Return a constant and a slope.

        Parameters
        ----------
        energies_ev : ndarray of shape (n_energies,)
        constant_std, slope_std : float
            Standard deviation that is expected of the constant, and of the change of optical
            density from the first energy to the last.

        Examples
        --------
        >>> Baseline.slope(np.array([500.0, 510.0, 520.0]), slope_std=0.1).shapes[1]
        array([-0.5,  0. ,  0.5])
        """
        energies = np.asarray(energies_ev, dtype=np.float64)
        span = float(np.ptp(energies)) if len(energies) else 0.0
        middle = (energies.max() + energies.min()) / 2 if len(energies) else 0.0
        straight = (energies - middle) / (span or 1.0)
        precision = np.array([constant_std, slope_std], dtype=np.float64) ** -2
        return cls(np.stack([np.ones(len(energies)), straight]), precision)

    @classmethod
    def of_std(cls, energies_ev: NDArray[np.floating], std: Sequence[float | None]) -> Baseline:
        """Return nothing, a constant, or constant and slope, as many as there are sizes.

        Parameters
        ----------
        energies_ev : ndarray of shape (n_energies,)
        std : sequence of float or None
            Result of `std`.
        """
        sizes = np.array([np.inf if size is None else size for size in std], dtype=np.float64)
        return cls(cls.slope(energies_ev).shapes[: len(sizes)], sizes**-2)

    @property
    def std(self) -> list[float | None]:
        """Return the expected size of each coefficient in OD; None for one without a prior."""
        return [float(p) ** -0.5 if p > 0 else None for p in self.precision]

    @property
    def n_free(self) -> int:
        """Return the number of coefficients without a prior."""
        return int((self.precision == 0).sum())

    def in_units_of(self, gain: float) -> Baseline:
        """Return the same for weights in photons, whose variance is ``gain`` times their mean."""
        return replace(self, precision=self.precision * gain)

    def stretched(self, energies_ev: NDArray[np.floating]) -> Baseline:
        """Return the same terms over other energies."""
        shapes = Baseline.slope(energies_ev).shapes[: len(self.shapes)]
        return replace(self, shapes=shapes)

    def at(self, energies: slice | NDArray[np.bool_]) -> Baseline:
        """Return the same at some of the energies."""
        return replace(self, shapes=self.shapes[:, energies])


class Products(NamedTuple):
    """Weighted products of K references and the spectra, the baseline integrated out.

    ``square`` holds those of the references with each other: rows of the upper triangle,
    (K (K + 1) / 2, n_spectra), or of `each_alone` the K squares. ``along`` are those of references
    and spectra, (K, n_spectra); ``rest`` is the misfit of the baseline alone, (n_spectra,).
    ``pivots`` are the precisions of the baseline's coefficients after the fit, ``couplings`` and
    ``terms_along`` what these follow from.
    """

    square: NDArray[np.float64]
    along: NDArray[np.float64]
    rest: NDArray[np.float64]
    pivots: NDArray[np.float64]
    couplings: NDArray[np.float64]
    terms: NDArray[np.float64]
    terms_along: NDArray[np.float64]

    def at(self, some: slice) -> Products:
        """Return those of some of the spectra."""
        return Products(*(array[..., some] for array in self))

    def of_shares(
        self, shares: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Products of mixtures of the references: with the spectra, and with themselves.

        Parameters
        ----------
        shares : ndarray of shape (n_mixtures, K)

        Returns
        -------
        along, square : ndarray of shape (n_mixtures, n_spectra)
            The first 0 where negative, for there is no negative thickness; the second positive.
        """
        i, j = _pairs(shares.shape[1])
        pairs = shares[:, i] * shares[:, j] * np.where(i == j, 1.0, 2.0)
        along = product(shares, self.along)
        return np.maximum(along, 0.0, out=along), product(pairs, self.square)

    def gram(self) -> NDArray[np.float64]:
        """Return the products of every two references, shape (K, K, n_spectra)."""
        i, j = _pairs(len(self.along))
        gram = np.empty((len(self.along), len(self.along), self.along.shape[1]))
        gram[i, j] = gram[j, i] = self.square
        return gram

    def coefficients(
        self, thickness: NDArray[np.float64], reference: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Return the baseline beside a thickness of one reference each, (n_terms, n_spectra)."""
        columns = np.arange(len(thickness))
        return self._solved(self.terms_along - thickness * self.couplings[:, reference, columns])

    def baseline_of(self, mixture: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the baseline that mixtures (K, n_spectra) are fitted with."""
        return self._solved((self.couplings * mixture).sum(axis=1))

    def _solved(self, along: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the baseline for what is along its terms, (n_terms, n_spectra)."""
        found = np.empty_like(self.pivots)
        for term in reversed(range(len(found))):
            left = along[term].copy()
            for later in range(term + 1, len(found)):
                left -= found[later] * self.terms[term, later]
            found[term] = left / self.pivots[term]
        return found


class Raw(NamedTuple):
    """Weighted products of baseline, references and spectra, nothing integrated out."""

    terms: NDArray[np.float64]
    couplings: NDArray[np.float64]
    square: NDArray[np.float64]
    terms_along: NDArray[np.float64]
    along: NDArray[np.float64]
    rest: NDArray[np.float64]
    weight: NDArray[np.float64]

    def copy(self) -> Raw:
        """Return a copy that may be overwritten."""
        return Raw(*(array.copy() for array in self))

    @classmethod
    def of(
        cls,
        y: NDArray[np.float64],
        w: NDArray[np.float64],
        r: NDArray[np.float64],
        baseline: Baseline,
        *,
        pairs: bool = True,
    ) -> Raw:
        """Return the sums for spectra y, weights w, both (n_energies, n_spectra), references r.

        Without ``pairs`` no two references are multiplied.
        """
        g, n_terms, n_phases = baseline.shapes, len(baseline.shapes), len(r)
        i, j = _pairs(n_phases) if pairs else (np.arange(n_phases),) * 2
        wy = w * y
        along = product(np.concatenate([g, r]), wy)
        terms = product((g[:, None] * g).reshape(n_terms**2, len(w)), w)
        couplings = product((g[:, None] * r).reshape(n_terms * n_phases, len(w)), w)
        return cls(
            terms.reshape(n_terms, n_terms, w.shape[1]),
            couplings.reshape(n_terms, n_phases, w.shape[1]),
            product(r[i] * r[j], w),
            along[:n_terms],
            along[n_terms:],
            np.einsum("en,en->n", wy, y),
            w.sum(axis=0),
        )

    @staticmethod
    def rounding(weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the square of a spectrum that is rounding, for the sum of its weights."""
        return np.asarray(_SMALLEST * weight + _TINY)

    def less_baseline(self, precision: NDArray[np.float64]) -> Products:
        """Integrate the baseline's coefficients out, one after the other; overwrites these.

        Each is normal about 0 with its precision beforehand; what remains is the product under
        the covariance of noise and baseline together.
        """
        terms, couplings, square, terms_along, along, rest, weight = self
        pivots, least = np.empty_like(terms_along), self.rounding(weight)
        for a, expected in enumerate(precision):
            pivot = pivots[a] = np.maximum(terms[a, a] + expected, least)
            share = couplings[a] / pivot
            _take_outer(square, share, couplings[a])
            along -= share * terms_along[a]
            rest -= terms_along[a] ** 2 / pivot
            for b in range(a + 1, len(precision)):
                part = terms[a, b] / pivot
                couplings[b] -= part * couplings[a]
                terms[b] -= part * terms[a]
                terms_along[b] -= part * terms_along[a]
        for row in _diagonal(square, along):
            np.maximum(row, least, out=row)
        return Products(square, along, rest, pivots, couplings, terms, terms_along)


def products(
    y: NDArray[np.float64],
    w: NDArray[np.float64],
    r: NDArray[np.float64],
    baseline: Baseline,
) -> Products:
    """Weighted products of spectra and references, less each spectrum's baseline.

    Parameters
    ----------
    y, w : ndarray of shape (n_energies, n_spectra)
        Optical density, and one over its variance.
    r : ndarray of shape (n_phases, n_energies)
    baseline : Baseline
    """
    return Raw.of(y, w, r, baseline).less_baseline(baseline.precision)


def each_alone(
    y: NDArray[np.float64],
    w: NDArray[np.float64],
    r: NDArray[np.float64],
    baseline: Baseline,
) -> Products:
    """Return `products` for references that are not mixed: their own squares only.

    What is negative along a reference is 0, for there is no negative thickness.
    """
    found = Raw.of(y, w, r, baseline, pairs=False).less_baseline(baseline.precision)
    np.maximum(found.along, 0.0, out=found.along)
    return found


@cache
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of an upper triangle."""
    return np.triu_indices(n)


def _take_outer(
    square: NDArray[np.float64], share: NDArray[np.float64], coupling: NDArray[np.float64]
) -> None:
    """Take the products of two (K, n_spectra) from a triangle of rows, or from the diagonal."""
    if len(square) == len(coupling):
        square -= share * coupling
        return
    start = 0
    for k in range(len(coupling)):
        row = square[start : start + len(coupling) - k]
        row -= share[k] * coupling[k:]
        start += len(row)


def _diagonal(square: NDArray[np.float64], along: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Rows of a reference with itself, as views."""
    if len(square) == len(along):
        return list(square)
    return [square[i] for i in np.flatnonzero(np.equal(*_pairs(len(along))))]
