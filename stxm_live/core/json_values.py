"""Values as JSON has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def json_clean(value: Any) -> Any:
    """Return the value without numpy types, tuples and NaN, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): json_clean(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return json_clean(value.tolist())
    if isinstance(value, list | tuple):
        return [json_clean(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
