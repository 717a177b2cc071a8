"""Which energies to measure: those that tell the phases apart best for given photons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.likelihood import fit_references
from stxm_live.references import ReferenceSpectra, listed_ev

THICKNESSES = (0.4, 0.7, 1.0, 1.3, 1.6)
"""Thicknesses that are averaged over, relative to the typical one."""

CONTRASTS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Difference of the shares of true phase and rival in a pixel; 1 is a pure pixel."""

_SLOPE_STEP_EV = 0.05

_SWEEPS = 30
"""Rounds of exchange after which the search ends; it has always ended earlier by itself."""

_SPECTRA = 400
"""Simulated spectra for each phase, thickness and offset of `expect`."""

_OFFSETS = (-1.2816, -0.5244, 0.0, 0.5244, 1.2816)
"""Quantiles 0.1, 0.3 ... 0.9 of a normal distribution, which stand for the axis error."""


@dataclass(frozen=True)
class Conditions:
    """What the energies are chosen for.

    Parameters
    ----------
    photons : float
        Detected per pixel and energy beside the specimen.
    od : float
        Optical density of a typical pixel where the mean of the references is largest.
    axis_error_ev : float
        Standard deviation of an unknown offset of the energy axis that nobody corrects; it makes
        energies where the references are steep less useful.
    baseline : bool
        Whether each spectrum has an unknown constant beside its unknown thickness, as for
        Pearson's coefficient or an I0 that does not come from the same image.
    """

    photons: float
    od: float = 1.0
    axis_error_ev: float = 0.1
    baseline: bool = True

    def __post_init__(self) -> None:
        for name, value in (("photons", self.photons), ("od", self.od)):
            if not 0 < value < np.inf:
                raise ValueError(f"{name} = {value:g}: expected a number above 0")
        if not 0 <= self.axis_error_ev < np.inf:
            raise ValueError(f"axis_error_ev = {self.axis_error_ev:g}: expected 0 or more eV")


class Expected(NamedTuple):
    """What a list of energies is expected to give, by simulated spectra.

    ``accuracy`` is the share of right labels of pixels of one phase, every phase and thickness
    counting alike; ``mixed_accuracy`` that of pixels of two phases in any proportion, where the
    larger share is the right label; ``confusion`` of shape (n_phases, n_phases) the share of each
    pure phase (row) that is taken for each phase (column).
    """

    accuracy: float
    mixed_accuracy: float
    confusion: NDArray[np.float64]

    def worst_pair(self) -> tuple[int, int, float]:
        """The two phases most often taken for one another, and how often on average."""
        mutual = (self.confusion + self.confusion.T) / 2
        mutual[np.tril_indices(len(mutual))] = -1.0
        first, second = np.unravel_index(int(mutual.argmax()), mutual.shape)
        return int(first), int(second), float(mutual[first, second])


def choose_energies(
    references: ReferenceSpectra,
    n_energies: int,
    conditions: Conditions,
    *,
    low_ev: float | None = None,
    high_ev: float | None = None,
    keep_ev: Sequence[float] = (),
    min_step_ev: float = 0.3,
) -> tuple[float, ...]:
    """The energies, among those of the references, that separate the phases best.

    Parameters
    ----------
    references : ReferenceSpectra
    n_energies : int
    conditions : Conditions
    low_ev, high_ev : float, optional
        Range to choose from; the whole range of the references by default.
    keep_ev : sequence of float
        Energies that are in the list in any case, such as one before the edge.
    min_step_ev : float
        Chosen energies are at least this far from each other.

    Returns
    -------
    tuple of float
        Ascending, of length ``n_energies``.

    Raises
    ------
    ValueError
        If there are fewer energies to choose from than asked for, or if one that is to be kept
        lies outside of the references.

    Notes
    -----
    What is made small is the sum, over ordered pairs of phases (true i, rival j) and
    `THICKNESSES`, of the probability that counting noise makes the rival fit better when each
    reference is fitted with a free thickness (and constant). In units of the noise a spectrum is
    a vector of length m, the references are directions, and the nearer direction wins: with the
    angle t between the two, what decides is normal with mean m (1 - cos t) and variance
    2 (1 - cos t), to which an offset of the axis with standard deviation s adds (s b)^2, b being
    how much of the spectrum's slope lies along the difference of the two directions. Pixels
    that hold some of the rival (`CONTRASTS`) have a smaller mean; without them the sum would only
    ask for the thinnest or thickest pixel once pure ones are told apart well. Energies are added
    one by one and then exchanged one by one until nothing gets better, from two beginnings.
    """
    pool = _Pool.of(references, conditions, low_ev, high_ev, keep_ev, min_step_ev)
    pool.check(n_energies)
    starts = [pool.grown(n_energies), pool.spread(n_energies)]
    best = min((pool.exchanged(s) for s in starts if len(s) == n_energies), key=pool.error)
    return pool.listed(best)


def choose_fewer(
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    conditions: Conditions,
    *,
    fewest: int = 4,
    low_ev: float | None = None,
    high_ev: float | None = None,
    keep_ev: Sequence[float] = (),
    min_step_ev: float = 0.3,
) -> Iterator[tuple[float, ...]]:
    """From a chosen list the ones with one energy less each, down to ``fewest``.

    The least useful energy is left out and the others are exchanged anew. Arguments otherwise
    as for `choose_energies`.
    """
    pool = _Pool.of(references, conditions, low_ev, high_ev, keep_ev, min_step_ev)
    chosen = [int(np.abs(pool.energies_ev - e).argmin()) for e in energies_ev]
    while len(chosen) > max(fewest, len(pool.kept), 1):
        shorter = ([k for k in chosen if k != one] for one in chosen if one not in pool.kept)
        chosen = pool.exchanged(min(shorter, key=pool.error))
        yield pool.listed(chosen)


def expect(
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    conditions: Conditions,
    rng: np.random.Generator,
) -> Expected:
    """Simulate pixels and label them by counting statistics.

    Parameters
    ----------
    references : ReferenceSpectra
    energies_ev : sequence of float
    conditions : Conditions
    rng : numpy.random.Generator

    Returns
    -------
    Expected
        No phase is taken to be more frequent than another; neighbouring pixels and the scan's
        own frequencies make a real map better than that.
    """
    n_phases = references.n_phases
    shape = (len(THICKNESSES), n_phases, _SPECTRA)
    truth = np.broadcast_to(np.arange(n_phases)[:, None], shape).ravel()
    amounts = np.broadcast_to(_amounts(references, conditions)[:, None, None], shape).ravel()
    pure = np.eye(n_phases)[truth]
    rivals = (truth + rng.integers(1, n_phases, truth.size)) % n_phases
    contrast = rng.uniform(0, 1, (truth.size, 1))
    mixed = (1 + contrast) / 2 * pure + (1 - contrast) / 2 * np.eye(n_phases)[rivals]
    told = [
        _told(pixels, references, energies_ev, conditions, rng)
        for pixels in (pure * amounts[:, None], mixed * amounts[:, None])
    ]
    confusion = np.zeros((n_phases, n_phases))
    for labels in told[0]:
        np.add.at(confusion, (truth, labels), 1 / len(told[0]))
    confusion /= confusion.sum(axis=1, keepdims=True)
    mixed_accuracy = float(np.mean([labels == truth for labels in told[1]]))
    return Expected(float(np.diag(confusion).mean()), mixed_accuracy, confusion)


def _told(
    pixels: NDArray[np.float64],
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    conditions: Conditions,
    rng: np.random.Generator,
) -> list[NDArray[np.intp]]:
    """Labels of pixels (n_pixels, n_phases), amounts of each phase, for each axis offset."""
    low, high = references.energies_ev[[0, -1]]
    offsets = np.multiply(conditions.axis_error_ev, _OFFSETS if conditions.axis_error_ev else (0,))
    labels = []
    for offset in offsets:
        seen = references.at(np.clip(np.add(energies_ev, offset), low, high))
        # a pixel without a count has no OD; one count is the nearest to it
        photons = np.maximum(rng.poisson(conditions.photons * np.exp(-(pixels @ seen))), 1).T
        fit = fit_references(
            np.log(conditions.photons / photons),
            photons,
            references.at(energies_ev),
            baseline=conditions.baseline,
        )
        labels.append(fit.log_likelihood.argmax(axis=0))
    return labels


def _amounts(references: ReferenceSpectra, conditions: Conditions) -> NDArray[np.float64]:
    """Factors on the references for each of `THICKNESSES`."""
    largest = float(references.od.mean(axis=0).max())
    if largest <= 0:
        raise ValueError(
            "the mean of the references is nowhere positive, so the thickness of a pixel cannot "
            "be told from its OD; give optical densities"
        )
    return np.array(THICKNESSES) * conditions.od / largest


@dataclass(frozen=True, eq=False)
class _Pool:
    """Energies to choose from, and what each adds to the sums that the error comes from.

    ``terms`` has shape (n_energies, n_phases, n_thicknesses, n_terms): weighted by the photons
    behind a pixel of that phase and thickness, see `_terms`.
    """

    energies_ev: NDArray[np.float64]
    terms: NDArray[np.float64]
    amounts: NDArray[np.float64]
    kept: tuple[int, ...]
    conditions: Conditions
    min_step_ev: float

    @classmethod
    def of(
        cls,
        references: ReferenceSpectra,
        conditions: Conditions,
        low_ev: float | None,
        high_ev: float | None,
        keep_ev: Sequence[float],
        min_step_ev: float,
    ) -> _Pool:
        grid = references.energies_ev
        low = grid[0] if low_ev is None else low_ev
        high = grid[-1] if high_ev is None else high_ev
        offered = grid[(grid >= low) & (grid <= high)]
        references.at(keep_ev)  # an error names those outside
        energies = np.union1d(offered, np.asarray(keep_ev, dtype=np.float64))
        kept = tuple(int(k) for k in np.searchsorted(energies, sorted(set(keep_ev))))
        amounts = _amounts(references, conditions)
        terms = _terms(references, energies, amounts, conditions.photons)
        return cls(energies, terms, amounts, kept, conditions, min_step_ev)

    def check(self, n_energies: int) -> None:
        """Whether so many can be chosen."""
        if n_energies < 2:
            raise ValueError(f"{n_energies} energies tell nothing apart; choose at least 2")
        if len(self.kept) > n_energies:
            kept = listed_ev(self.energies_ev[list(self.kept)])
            raise ValueError(
                f"{len(self.kept)} energies are to be kept ({kept} eV), more than the "
                f"{n_energies} to choose; ask for more or keep fewer"
            )
        most = len(self._filled(self.kept))
        if most < n_energies:
            ends = (
                ""
                if not len(self.energies_ev)
                else (f" ({self.energies_ev[0]:g} to {self.energies_ev[-1]:g} eV)")
            )
            raise ValueError(
                f"{n_energies} energies asked for, {most} are there to choose from{ends}, "
                f"{self.min_step_ev:g} eV or more apart; ask for fewer, or for a smaller step or "
                "a wider range"
            )

    def _filled(self, chosen: Sequence[int]) -> list[int]:
        """The list with whatever still fits in, from below."""
        filled = list(chosen)
        for k in range(len(self.energies_ev)):
            if k not in filled and self._free(filled)[k]:
                filled.append(k)
        return filled

    def _free(self, chosen: Sequence[int]) -> NDArray[np.bool_]:
        """Which energies are far enough from all the chosen ones."""
        apart = np.abs(self.energies_ev[:, None] - self.energies_ev[list(chosen)])
        free: NDArray[np.bool_] = np.all(apart >= self.min_step_ev - 1e-9, axis=1)
        free[list(chosen)] = False
        return free

    def listed(self, chosen: Sequence[int]) -> tuple[float, ...]:
        """The energies themselves, ascending."""
        return tuple(float(e) for e in np.sort(self.energies_ev[list(chosen)]))

    def error(self, chosen: Sequence[int]) -> float:
        """Summed probability of confusion; the smaller the better."""
        return float(self._error_of(self.terms[list(chosen)].sum(axis=0)))

    def _error_of(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return _confusion_error(sums, self.amounts, self.conditions)

    def _best_addition(self, chosen: Sequence[int]) -> tuple[int, float] | None:
        """The energy that helps most beside these, and the error with it; None if none fits."""
        free = np.flatnonzero(self._free(chosen))
        if not free.size:
            return None
        errors = self._error_of(self.terms[list(chosen)].sum(axis=0) + self.terms[free])
        best = int(errors.argmin())
        return int(free[best]), float(errors[best])

    def grown(self, n_energies: int) -> list[int]:
        """The kept ones and the best additions, one by one; shorter if there is no room."""
        chosen = list(self.kept)
        while len(chosen) < n_energies and (best := self._best_addition(chosen)) is not None:
            chosen.append(best[0])
        return chosen if len(chosen) == n_energies else self._filled(self.kept)[:n_energies]

    def spread(self, n_energies: int) -> list[int]:
        """The kept ones and others at even distances; shorter if there is no room."""
        chosen = list(self.kept)
        for wanted in np.linspace(self.energies_ev[0], self.energies_ev[-1], n_energies):
            free = np.flatnonzero(self._free(chosen))
            if free.size and len(chosen) < n_energies:
                chosen.append(int(free[np.abs(self.energies_ev[free] - wanted).argmin()]))
        return chosen

    def exchanged(self, chosen: Sequence[int]) -> list[int]:
        """The list after exchanging one energy for a better one as long as there is a better."""
        current, error = list(chosen), self.error(chosen)
        for _ in range(_SWEEPS):
            before = error
            for one in [k for k in current if k not in self.kept]:
                others = [k for k in current if k != one]
                best = self._best_addition(others)
                if best is not None and best[1] < error * (1 - 1e-9):
                    current, error = [*others, best[0]], best[1]
            if error == before:
                break
        return current


def _terms(
    references: ReferenceSpectra,
    energies_ev: NDArray[np.float64],
    amounts: NDArray[np.float64],
    photons: float,
) -> NDArray[np.float64]:
    """What each energy adds: of shape (n_energies, n_phases, n_thicknesses, 4 n_phases + 2).

    In this order, each times the photons w behind phase i: w, slope of i, every r_j, every
    r_j^2, every r_i r_j, and r_j times the slope of i.
    """
    low, high = references.energies_ev[[0, -1]]
    below = np.maximum(energies_ev - _SLOPE_STEP_EV, low)
    above = np.minimum(energies_ev + _SLOPE_STEP_EV, high)
    r = references.at(energies_ev).T  # (n_energies, n_phases)
    slope = ((references.at(above) - references.at(below)) / (above - below)).T
    each = np.broadcast_to(r[:, None, :], (*r.shape, r.shape[1]))
    columns = np.concatenate(
        [
            np.ones((*r.shape, 1)),
            slope[:, :, None],
            each,
            each**2,
            r[:, :, None] * each,
            slope[:, :, None] * each,
        ],
        axis=2,
    )
    weight = photons * np.exp(-np.multiply.outer(r, amounts))
    return np.asarray(weight[..., None] * columns[:, :, None, :])


def _confusion_error(
    sums: NDArray[np.float64], amounts: NDArray[np.float64], conditions: Conditions
) -> NDArray[np.float64]:
    """Probability that a rival fits better, summed over rivals, averaged over the rest.

    Parameters
    ----------
    sums : ndarray of shape (..., n_phases, n_thicknesses, 4 n_phases + 2)
        `_terms` summed over the energies.
    amounts : ndarray of shape (n_thicknesses,)
    conditions : Conditions

    Returns
    -------
    ndarray of shape (...)
    """
    from scipy.special import ndtr

    n = sums.shape[-3]
    w, slope, mean, square, product, steep = np.split(
        sums, [1, 2, 2 + n, 2 + 2 * n, 2 + 3 * n], axis=-1
    )
    if conditions.baseline:  # take the weighted means away
        w = np.where(w > 0, w, 1.0)
        square = square - mean**2 / w
        product = product - mean * _of_own_phase(mean) / w
        steep = steep - mean * slope / w
    # a phase that is flat on these energies has no variance but for rounding
    length = np.sqrt(np.where(square > 1e-12 * w, square, np.inf))
    own_length = _of_own_phase(length)
    gap = np.maximum(1 - product / (own_length * length), 0.0)  # 1 - cos of the angle
    signal = np.where(np.isfinite(own_length), amounts[:, None] * own_length * gap, 0.0)
    drift = amounts[:, None] * (_of_own_phase(steep) / own_length - steep / length)
    spread = np.hypot(np.sqrt(2 * gap), conditions.axis_error_ev * drift)
    z = -signal / np.maximum(spread, np.finfo(np.float64).tiny)
    wrong = np.mean([ndtr(contrast * z) for contrast in CONTRASTS], axis=0)
    rivals = ~np.eye(n, dtype=bool)[:, None, :]
    return np.asarray((wrong * rivals).sum(axis=-1).mean(axis=(-1, -2)))


def _of_own_phase(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of terms (..., n_phases, n_thicknesses, n_phases) those of i with i, last axis of one."""
    return np.asarray(np.einsum("...iqi->...iq", terms)[..., None])
