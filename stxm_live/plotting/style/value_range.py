"""The numbers that a map shows darkest and brightest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def value_range(name: str, values: NDArray[np.floating]) -> tuple[float, float]:
    """Return both numbers for a map of "composition", "value", or others such as "thickness".

    Shares are from 0 to 1 and others from 0 on; of values, which need have no zero, one pixel in a
    hundred is beyond either end.

    Examples
    --------
    >>> value_range("value", np.array([2.0, 3.0, np.nan])), value_range("composition", np.ones(1))
    ((2.01, 2.99), (0.0, 1.0))
    """
    finite = values[np.isfinite(values)]
    if name == "composition" or not finite.size:
        return 0.0, 1.0
    low, high = (float(end) for end in np.percentile(finite, [1, 99]))
    low = low if name == "value" else 0.0
    return low, max(high, low + 1e-3)
