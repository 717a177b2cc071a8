"""Common parts of result files: the dataset and its pixel size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.phase_maps import PhaseMaps

if TYPE_CHECKING:
    import xarray


def as_dataset(maps: PhaseMaps | xarray.Dataset) -> xarray.Dataset:
    """Return a result in the form of `PhaseMaps.to_xarray`; a stored one already has it.

    Raises
    ------
    ValueError
        If a product has an unknown name: names become file names.
    """
    if isinstance(maps, PhaseMaps):
        return maps.to_xarray()
    foreign = [name for name in map(str, maps.data_vars) if not name.isidentifier()]
    if foreign:
        raise ValueError(f"not a result of stxm_live: it has a product named {foreign[0][:60]!r}")
    return maps


def final_index_name(dataset: xarray.Dataset) -> str:
    """Return the name of the product that `PhaseMaps.final_index` shows, or that of clusters."""
    if "cluster_index" in dataset:
        return "cluster_index"
    return "resolved_index" if "resolved_index" in dataset else "phase_index"


_SMALLEST_UM = 1e-9
"""A pixel below this has no size, such as one of a scan whose ends are nearly equal."""


def pixel_size_um(dataset: xarray.Dataset) -> tuple[float, float] | None:
    """Return height and width of a pixel, or None if the extent has no length."""
    steps = [_step_um(np.asarray(dataset[axis].values)) for axis in ("y", "x")]
    known = [step for step in steps if step != 0]
    if not known or not all(_SMALLEST_UM < step < np.inf for step in known):
        return None
    # one line of pixels has no step of its own: square pixels
    height, width = (step or known[0] for step in steps)
    return height, width


def _step_um(centres: NDArray[np.float64]) -> float:
    return abs(float(centres[-1] - centres[0])) / max(1, centres.size - 1)
