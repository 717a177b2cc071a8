"""Images of which only some rows were scanned, as pictures for the alignment and moved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.preprocessing.alignment.spline_shift import shifted

_MANY = 0.05
"""Share of the rows. A few missing ones are bridged by the alignment as they are."""


def has_many_gaps(missing: NDArray[np.bool_]) -> bool:
    """Return True if many rows (ny,) are missing, and hardly any of them at the ends.

    Examples
    --------
    >>> has_many_gaps(np.arange(40) % 4 == 1), has_many_gaps(np.arange(40) > 20)
    (True, False)
    """
    known = np.flatnonzero(~missing)
    if not len(known):
        return False
    n_between = known[-1] - known[0] + 1 - len(known)
    n_ends = len(missing) - len(known) - n_between
    return bool(n_between > _MANY * len(missing) and n_ends <= _MANY * len(missing))


def without_row_gaps(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the image with missing rows filled in, linearly between the measured ones.

    Parameters
    ----------
    image : ndarray of shape (ny, nx)
        NaN in rows that were not scanned. Single pixels that are NaN stay so.
    """
    known = np.flatnonzero(np.isfinite(image).any(axis=1))
    if len(known) in (0, len(image)):
        return image
    rows = np.arange(len(image))
    place = np.interp(rows, known, np.arange(len(known)))
    before = np.floor(place).astype(np.intp)
    after = np.minimum(before + 1, len(known) - 1)
    part = (place - before).astype(np.float32)[:, None]
    filled = image[known[before]] * (1 - part) + image[known[after]] * part
    filled[known] = image[known]
    return np.asarray(filled, dtype=np.float32)


def shifted_rows(image: NDArray[np.float32], shift_px: tuple[float, float]) -> NDArray[np.float32]:
    """Return the image shifted by (y, x) pixels, NaN where the nearest row was not scanned.

    A row moves by a fraction of a pixel with what is interpolated between it and the next scanned
    ones.

    Parameters
    ----------
    image : ndarray of shape (ny, nx)
        NaN in rows that were not scanned.
    shift_px : (float, float)
        As for `shifted`.
    """
    scanned = np.asarray(np.isfinite(image).any(axis=1))
    moved = shifted(without_row_gaps(image), shift_px)
    if shift_px == (0.0, 0.0):
        moved = moved.copy()
    source = np.rint(np.arange(len(image)) - shift_px[0]).astype(np.intp)
    inside = (source >= 0) & (source < len(image))
    inside &= scanned[np.clip(source, 0, len(image) - 1)]
    moved[~inside] = np.nan
    return moved
