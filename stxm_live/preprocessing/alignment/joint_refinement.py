"""Joint refinement of shifts: each image is compared with a prediction from the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import product
from stxm_live.core.threads import in_threads
from stxm_live.preprocessing.alignment.low_rank_model import ShiftModel, SmoothLog

_SIGNIFICANT = (8.0, 8.0, 2.0)
"""Smallest variance of a component in each round, relative to the noise.

Remaining shifts look like a weak component, which would preserve them. Once they are removed, a
weak component is the chemistry of a small domain; without it, images with this domain are
shifted.
"""

START_PX = 0.1
"""Standard deviation, in y and in x, of the initial shifts."""

SMOOTH_PX = 0.05
"""Typical distance of an image from the line through its neighbors if the drift is smooth."""

LOOSE = 0.9
"""Largest uncertainty, relative to the initial one, of an image that counts as refined."""

MAX_CORRECTION_PX = 2.0
"""Longest correction; the linear step is not valid beyond it."""

_FEWEST_IMAGES = 5
"""Fewest images; with fewer the others cannot predict one."""


@dataclass(frozen=True, eq=False)
class Refined:
    """Result of the refinement.

    Parameters
    ----------
    shifts_px : ndarray of shape (n_images, 2)
        (y, x), with the mean of the given shifts; the given ones for images in ``problems``.
    std_px : ndarray of shape (n_images, 2)
        Standard deviation of each, without the common offset, from the scatter between blocks
        of the image. NaN where an image was not refined.
    problems : dict of int to str
        Reason for each image that keeps its shift.
    """

    shifts_px: NDArray[np.float64]
    std_px: NDArray[np.float64]
    problems: dict[int, str]


def refined_shifts(
    images: Sequence[NDArray[np.floating]],
    shifts_px: NDArray[np.float64],
    *,
    smooth_drift: bool = False,
    region: NDArray[np.bool_] | None = None,
) -> Refined:
    """Return the shifts at which few spectra times few maps explain every image.

    With D(p, k) = sum_r a_r(p) s_r(k) the chemistry at the place p and the energy k, an image
    that is still displaced by d_k is D - d_k . grad D. All d_k are found at once by
    Gauss-Newton with the maps a_r eliminated at every pixel (variable projection [1]_). The spectra
    s_r and a constant per image are further unknowns, so that a domain that changes contrast is not
    taken for a shift. Components as weak as noise are left out, the others shrink by their
    signal-to-noise ratio: a free map would absorb part of the shifts. Pixels weigh as their
    photons.

    Parameters
    ----------
    images : sequence of ndarray of shape (ny, nx)
        Counts in the order of the scan, not aligned; NaN where unusable.
    shifts_px : ndarray of shape (n_images, 2)
        Initial (y, x), right to about a pixel. They are kept where the images give no information.
    smooth_drift : bool
        Prefer a drift of constant velocity, as far as the initial shifts agree with it.
    region : ndarray of bool, shape (ny, nx), optional
        Pixels of the shifted images to compare; all by default.

    References
    ----------
    .. [1] G. Golub and V. Pereyra, "Separable nonlinear least squares: the variable projection
       method and its applications", Inverse Problems 19, R1-R26 (2003).
    """
    given = np.asarray(shifts_px, dtype=np.float64)
    unchanged = _nothing(given)
    if len(images) < _FEWEST_IMAGES:
        return unchanged
    smooth = in_threads(SmoothLog.of, images)
    blank = {k: "is blank" for k, image in enumerate(smooth) if image.is_blank}
    used = [k for k in range(len(images)) if k not in blank]
    prior = _prior(given, used, smooth_drift)
    while len(used) >= _FEWEST_IMAGES:
        found = _refined([smooth[k] for k in used], prior, region)
        if found is None:
            break
        if np.isfinite(found.std_px).any():
            return _among(found, used, unchanged, blank)
        for n, problem in found.problems.items():
            blank[used[n]] = problem
        used = [k for k in used if k not in blank]
        prior = _prior(given, used, smooth_drift)
    why = "overlaps with too few other images that predict each other"
    return replace(unchanged, problems={k: blank.get(k, why) for k in range(len(images))})


def _among(found: Refined, used: list[int], every: Refined, blank: dict[int, str]) -> Refined:
    """Return the result for some images, extended to all images."""
    shifts, std = every.shifts_px.copy(), every.std_px.copy()
    shifts[used], std[used] = found.shifts_px, found.std_px
    problems = blank | {used[n]: why for n, why in found.problems.items()}
    return Refined(shifts, std, problems)


def _refined(
    images: list[SmoothLog],
    prior: _Prior,
    region: NDArray[np.bool_] | None,
) -> Refined | None:
    """Return all images refined, or the reason for those that cannot be; None if none can."""
    shifts = prior.start.copy()
    misfits = []
    for significant in _SIGNIFICANT:
        model = ShiftModel.of(images, shifts, region, significant)
        if model is None:
            aside = np.hypot(*(shifts - np.median(shifts, axis=0)).T)
            return _left_out(
                prior, int(aside.argmax()), "has too little field in common with the others"
            )
        misfits.append(model.noise)
        step = model.step(prior.precision, prior.pull(shifts))
        del model  # before the next one is made
        shifts = shifts + step.shifts_px - step.shifts_px.mean(axis=0)
        moved = np.hypot(*(shifts - prior.start).T)
        if moved.max() > MAX_CORRECTION_PX:
            return _left_out(prior, int(moved.argmax()), "does not fit the others")
    if misfits[-1] > 1.02 * misfits[0]:
        return None
    loose = np.flatnonzero(step.std_px.max(axis=1) > LOOSE * START_PX)
    problems = {int(k): "is not predicted by the other energies" for k in loose}
    shifts, std = np.round(shifts, 3), step.std_px.copy()
    shifts[loose], std[loose] = prior.start[loose], np.nan
    return Refined(shifts, std, problems)


def _left_out(prior: _Prior, image: int, why: str) -> Refined:
    return replace(_nothing(prior.start), problems={image: why})


def _nothing(given: NDArray[np.float64]) -> Refined:
    return Refined(given, np.full_like(given, np.nan), {})


def _prior(given: NDArray[np.float64], used: list[int], smooth_drift: bool) -> _Prior:
    """Return the prior: initial shifts and, if the drift is said to be smooth, the drift.

    The drift may jump where the initial shifts do.
    """
    start = given[used]
    precision = np.eye(len(used)) / START_PX**2
    if smooth_drift and len(used) >= _FEWEST_IMAGES:
        bends = _bends(np.asarray(used, dtype=np.float64))
        borne_out = np.hypot(*(bends @ start).T) < 4 * np.hypot(SMOOTH_PX, START_PX)
        bends = bends[borne_out]
        precision_drift = product(bends.T, bends) / SMOOTH_PX**2
    else:
        precision_drift = np.zeros_like(precision)
    return _Prior(start, precision, precision_drift)


def _bends(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a matrix (n - 2, n): each image's distance from the line through its neighbors."""
    n = len(times)
    bends = np.zeros((n - 2, n))
    for k in range(n - 2):
        before, after = times[k + 1] - times[k], times[k + 2] - times[k + 1]
        bends[k, k : k + 3] = after / (before + after), -1, before / (before + after)
    return bends


@dataclass(frozen=True, eq=False)
class _Prior:
    """Gaussian prior for the shifts, the same for y and x."""

    start: NDArray[np.float64]
    """(n, 2)."""
    at_start: NDArray[np.float64]
    """Precision (n, n) of the shifts to start from."""
    of_drift: NDArray[np.float64]
    """Precision (n, n) of a drift of constant velocity."""

    @property
    def precision(self) -> NDArray[np.float64]:
        return self.at_start + self.of_drift

    def pull(self, shifts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the gradient (n, 2) of the prior's log density."""
        return -(self.at_start @ (shifts - self.start) + self.of_drift @ shifts)
