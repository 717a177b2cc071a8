"""Neighboring pixels are mostly of one phase: a Potts prior, solved by mean fields."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most, even_parts
from stxm_live.core.threads import in_threads
from stxm_live.phase_mapping.mixtures import Assignment, Hypotheses, assignment
from stxm_live.phase_mapping.phase_frequencies import Mixing, mixing_of

STRENGTH = 0.57
"""Log-odds that one certain neighbor gives its phase, where the spectra say something."""

_IGNORANT = (0.27, 0.04)
"""The same where they say nothing: a constant, and so much more for each phase."""

_ORDERS_ITSELF = 0.14
"""For each phase: from about there on neighbors make domains of nothing."""

_INFORMED = 0.4
"""Growth of the strength from spectra without information to spectra that decide alone."""

DIAGONAL = 0.7071
"""Weight of a diagonal neighbor: the inverse of its distance."""

STRENGTH_SPECTRA = 5_000
"""An even selection, from which the strength is found."""

ITERATIONS = 15
"""Sweeps over the image; forty make no more labels of composite worlds right."""

MIXING = 0.3
"""Chance of being mixed for a pixel all of whose neighbors are of another phase."""

_LARGE = 5.0
"""Strength from which on an exponential needs care."""

_BAND = 196_608
"""Most values of a band of rows, over all phases: more leave the cache of a core; with many fewer,
threads wait for the interpreter."""

_ROWS = 128
"""Rows swept at once, besides those on either side that they depend on: with fewer, more rows are
swept twice, with more, more memory is needed."""

_IMPOSSIBLE = -1000.0
"""Log-likelihood relative to the best that no neighbors make up for."""


def strength_for(log_likelihood: NDArray[np.floating]) -> float:
    """Return the strength at which the probabilities promise what they keep.

    `STRENGTH`, but less where the spectra of a scan hardly tell the phases apart: neighbors that
    believe each other would turn noise into domains, the more so the fewer phases there are.

    Parameters
    ----------
    log_likelihood : ndarray of shape (n_phases, n_spectra)
        An even selection of at most `STRENGTH_SPECTRA` is used.

    Examples
    --------
    >>> nothing, all_known = np.zeros((2, 9)), np.array([[0.0] * 9, [-50.0] * 9])
    >>> round(strength_for(nothing), 2), round(strength_for(all_known), 2)
    (0.28, 0.57)
    """
    n_phases, n_spectra = log_likelihood.shape
    if n_phases < 2 or n_spectra == 0:
        return STRENGTH
    chosen = _relative(log_likelihood[:, at_most(STRENGTH_SPECTRA, n_spectra)]).astype(np.float64)
    p = np.exp(chosen)
    p /= p.sum(axis=0)
    entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=0).mean()
    known = 1 - float(entropy) / float(np.log(n_phases))
    ignorant = min(_IGNORANT[0] + _IGNORANT[1] * n_phases, _ORDERS_ITSELF * n_phases)
    return float(min(STRENGTH, ignorant + _INFORMED * known))


def potts_mixed(
    hypotheses: Hypotheses,
    mask: NDArray[np.bool_],
    *,
    scan: Mixing | None = None,
    strength: float | None = None,
    mixing: float = MIXING,
    iterations: int = ITERATIONS,
) -> Assignment:
    """Probability of each phase where neighbors are likely to be of the same phase.

    A pixel may be a mixture of its own phase and those of its neighbors, and of any two as often
    as the scan is.

    Parameters
    ----------
    hypotheses : Hypotheses
        Of n_spectra spectra, every phase alike a priori; the scan's own frequencies do not belong
        here, for with neighbors they erase rare phases.
    mask : ndarray of bool, shape (ny, nx)
        Where the spectra are from, in row-major order. Pixels outside count for nothing.
    scan : Mixing, optional
        How often pixels are mixtures wherever they are; default: that of `mixing_of`.
    strength : float, optional
        Log-odds that a certain neighbor in row or column gives its phase; one on a diagonal
        gives `DIAGONAL` of it. Default: that of `strength_for`.
    mixing : float
        A pixel of phase k with a share s of its neighbors of phase j is a mixture of k and j
        with probability ``mixing`` s.
    iterations : int
        Each takes the neighbors' probabilities of the one before.

    Returns
    -------
    Assignment

    Notes
    -----
    Without mixtures log q_k = log p(spectrum | k) + strength * sum over neighbors of
    weight * q_k, up to a constant: the mean-field equations of a Potts model, iterated from those
    without neighbors.

    The mixtures of all phases with all others resemble pure phases too much to be looked for
    alike everywhere: at a boundary it is that of the phases on either side, inside a domain as
    often as the scan as a whole holds it. So columns with one phase above another are not taken
    for a third one whose spectrum is between them.
    """
    if strength is None:
        strength = strength_for(hypotheses.of_pure)
    return potts_in_bands(
        hypotheses.at,
        mask,
        scan=mixing_of(hypotheses) if scan is None else scan,
        strength=strength,
        mixing=mixing,
        iterations=iterations,
    )


def potts_in_bands(
    hypotheses_of: Callable[[slice], Hypotheses],
    mask: NDArray[np.bool_],
    *,
    scan: Mixing,
    strength: float,
    mixing: float = MIXING,
    iterations: int = ITERATIONS,
) -> Assignment:
    """Return `potts_mixed`, with the likelihoods of some rows at a time.

    Parameters
    ----------
    hypotheses_of : callable
        Returns those of some spectra, which will be overwritten. Each is asked for once, from
        the first to the last.
    mask, scan, strength, mixing, iterations
        As for `potts_mixed`.
    """
    rows, columns = _box(mask)
    window = mask[rows, columns]
    n_phases = len(scan.with_other)
    if n_phases == 1:
        iterations = 0
    n_above = _n_above(window)
    weights = _Weights(hypotheses_of, n_phases)
    found = np.empty((n_above[-1], n_phases), dtype=np.float32).T
    mixed = np.empty(n_above[-1], dtype=np.float32)
    for start in range(0, len(window), _ROWS):
        stop = min(start + _ROWS, len(window))
        # each sweep hears of one more row on either side
        wide = slice(max(start - iterations, 0), min(stop + iterations, len(window)))
        some = slice(n_above[wide.start], n_above[wide.stop])
        kept = slice(n_above[start], n_above[stop])
        inside = slice(kept.start - some.start, kept.stop - some.start)
        pure, pairs = weights.of(some)
        own, with_other = pure, np.zeros_like(pure)
        if iterations:
            sweeps = _Sweeps(window[wide], pure, pairs, strength, mixing, scan)
            own, with_other = sweeps.after(iterations)
        found[:, kept], mixed[kept] = assignment(own[:, inside], with_other[:, inside])
    return Assignment(found, mixed)


class _Weights:
    """Weights of the spectra of one band after the other, each made once.

    Parameters
    ----------
    hypotheses_of : callable
        Returns those of some spectra.
    n_phases : int
    """

    def __init__(self, hypotheses_of: Callable[[slice], Hypotheses], n_phases: int) -> None:
        self._hypotheses_of = hypotheses_of
        self._start = self._stop = 0
        self._known = [np.empty((n_phases,) * n + (0,), dtype=np.float32) for n in (1, 2)]

    def of(self, some: slice) -> list[NDArray[np.float32]]:
        """Return `Hypotheses.weights` of spectra that begin among those before and end later."""
        made = self._hypotheses_of(slice(self._stop, some.stop)).into_weights()
        beside = some.start - self._start
        self._known = [
            np.concatenate([known[..., beside:], new], axis=-1)
            for known, new in zip(self._known, made, strict=True)
        ]
        self._start, self._stop = some.start, some.stop
        return self._known


def _n_above(window: NDArray[np.bool_]) -> list[int]:
    """Return how many spectra are above each row, and how many there are."""
    return [0, *np.cumsum(window.sum(axis=1)).tolist()]


class _Sweeps:
    """Mean fields of `potts_mixed`, swept over a window in bands of rows.

    A band and what is computed of it stay in the processor's cache; threads share the bands of a
    sweep. Each sweep takes the probabilities of the one before, so that neither changes a value.

    Parameters
    ----------
    window : ndarray of bool, shape (ny, nx)
        Where the spectra are from.
    pure : ndarray of shape (n_phases, n_spectra)
    pairs : ndarray of shape (n_phases, n_phases, n_spectra)
        Likelihoods relative to the best.
    strength, mixing : float
    scan : Mixing
    """

    def __init__(
        self,
        window: NDArray[np.bool_],
        pure: NDArray[np.float32],
        pairs: NDArray[np.float32],
        strength: float,
        mixing: float,
        scan: Mixing,
    ) -> None:
        with_other = scan.with_other.astype(np.float32)
        self._alone = 1 - with_other.sum(axis=1)
        self._anywhere = np.stack(
            [np.einsum("j,jn->n", w, p) for w, p in zip(with_other, pairs, strict=True)]
        )
        self._pure, self._pairs = pure * self._alone[:, None], pairs
        self._strength, self._mixing = strength, mixing
        self._own, self._mixed = np.empty_like(pure), np.empty_like(pure)
        self._shape = len(pure), len(window) + 2, window.shape[1]
        weight = neighbor_sum(window[None].astype(np.float32))[0, window]
        self._near = 1 / np.maximum(weight, np.float32(1e-6))
        n_above = _n_above(window)
        n_rows = max(1, _BAND // max(1, len(pure) * window.shape[1]))
        self._bands = [
            _Band(
                rows, slice(n_above[rows.start], n_above[rows.stop]), np.flatnonzero(window[rows])
            )
            for rows in even_parts(len(window), most=n_rows)
        ]

    def after(self, iterations: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weights (n_phases, n_spectra) of each phase alone, and as more of a mixture."""
        q, following = np.zeros((2, *self._shape), dtype=np.float32)
        start = self._pure / np.maximum(self._pure.sum(axis=0), np.float32(1e-30))
        for band in self._bands:
            band.put(start[:, band.spectra], q)
        for _ in range(iterations):
            in_threads(self._sweep, self._bands, repeat(q), repeat(following))
            q, following = following, q
        return self._own, self._mixed

    def _sweep(self, band: _Band, q: NDArray[np.float32], following: NDArray[np.float32]) -> None:
        """From padded probabilities to those that follow, in one of the bands."""
        some = band.spectra
        around = band.taken(_neighbors(q[:, band.rows.start : band.rows.stop + 2]))
        share = around * self._near[some]
        own = share * np.float32(self._mixing)
        own += np.float32(1 - self._mixing)
        own *= self._pure[:, some]
        share *= np.float32(self._mixing)
        if self._strength > _LARGE:
            around -= around.max(axis=0)
        around *= np.float32(self._strength)
        support = np.exp(around, out=around)
        mixed = self._mixed[:, some]
        for k, pairs in enumerate(self._pairs):
            np.einsum("jn,jn->n", share, pairs[:, some], out=mixed[k])
            mixed[k] *= self._alone[k]
        mixed += self._anywhere[:, some]
        mixed *= support
        self._own[:, some] = own = np.multiply(own, support, out=own)
        own += mixed
        own /= np.maximum(own.sum(axis=0), np.float32(1e-30))
        band.put(own, following)


class _Band(NamedTuple):
    """Some rows of a window, their spectra, and the places of these in the rows."""

    rows: slice
    spectra: slice
    places: NDArray[np.intp]

    def taken(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the values of the spectra, (n_phases, n), from those of all places."""
        return values.reshape(len(values), -1).take(self.places, axis=1)

    def put(self, values: NDArray[np.float32], padded: NDArray[np.float32]) -> None:
        """Write the values of the spectra to their places in an image that has a row above."""
        ny, nx = self.rows.stop - self.rows.start, padded.shape[2]
        inside = padded[:, self.rows.start + 1 : self.rows.stop + 1].reshape(-1, ny * nx)
        inside[:, self.places] = values


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns that hold the mask."""
    spans = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    rows, columns = (slice(s[0], s[-1] + 1) if s.size else slice(0, 0) for s in spans)
    return rows, columns


def _relative(log_likelihood: NDArray[np.floating]) -> NDArray[np.floating]:
    """Less that of the best phase; 0 where none is possible, finite throughout."""
    peak = log_likelihood.max(axis=0, initial=-np.inf)
    possible = np.isfinite(peak)
    relative = np.where(possible, log_likelihood, 0.0) - np.where(possible, peak, 0.0)
    return np.asarray(np.maximum(relative, _IMPOSSIBLE))


def neighbor_sum(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum over the eight neighbors of images (n, ny, nx), diagonal ones by `DIAGONAL`."""
    return _neighbors(_padded(images))


def _padded(q: NDArray[np.float32]) -> NDArray[np.float32]:
    """With an empty row above and below."""
    return np.pad(q, ((0, 0), (1, 1), (0, 0)))


def _neighbors(padded: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted sum over the eight neighbors of all rows but the first and the last."""
    beside = np.empty_like(padded)
    beside[:, :, :1] = 0
    beside[:, :, 1:] = padded[:, :, :-1]
    beside[:, :, :-1] += padded[:, :, 1:]
    line = beside * np.float32(DIAGONAL)
    line += padded
    around = beside[:, 1:-1]
    around += line[:, :-2]
    around += line[:, 2:]
    return around
