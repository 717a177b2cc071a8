"""Images of what was found for each spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def images_of(values: NDArray[Any], mapped: NDArray[np.bool_]) -> NDArray[Any]:
    """Return flat values (..., n_spectra) as images (..., ny, nx).

    NaN, -1 or False where nothing is mapped.

    Examples
    --------
    >>> images_of(np.array([1, 2]), np.array([[True, False], [False, True]]))
    array([[ 1, -1],
           [-1,  2]])
    """
    nothing = {"f": np.nan, "i": -1, "b": False}[values.dtype.kind]
    image = np.full((*values.shape[:-1], mapped.size), nothing, dtype=values.dtype)
    image[..., np.flatnonzero(mapped)] = values
    return image.reshape(*values.shape[:-1], *mapped.shape)
