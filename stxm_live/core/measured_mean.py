"""Means of values of which some may not have been measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def measured_mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the mean of each row (n_energies, n_pixels) over the values that are there.

    NaN where a row has none.

    Examples
    --------
    >>> measured_mean(np.array([[1.0, 3.0], [np.nan, 5.0], [np.nan, np.nan]]))
    array([ 2.,  5., nan])
    """
    mean = (
        values.mean(axis=1, dtype=np.float64) if values.shape[1] else np.full(len(values), np.nan)
    )
    for row in np.flatnonzero(np.isnan(mean)):
        known = values[row][np.isfinite(values[row])]
        if known.size:
            mean[row] = known.mean(dtype=np.float64)
    return np.asarray(mean)
