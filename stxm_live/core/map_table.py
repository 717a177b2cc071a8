"""A result as a table of pandas, a row for each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas
    import xarray

_FIELD = {"y", "x"}


def table_of(maps: xarray.Dataset) -> pandas.DataFrame:
    """Return a row for each specimen pixel with a valid spectrum.

    A product with one value a pixel is a column of its own name; one with a value for each phase
    or energy has the columns ``probability Na3VPF`` or ``od 513.2 eV``. The index has row and
    column, and ``y_um`` and ``x_um`` are the position.
    """
    import pandas

    rows, columns = np.nonzero((maps["specimen"] & maps["valid"]).values)
    table: dict[str, Any] = {"y_um": maps["y"].values[rows], "x_um": maps["x"].values[columns]}
    for name, variable in maps.data_vars.items():
        others = [str(dim) for dim in variable.dims if dim not in _FIELD]
        if not set(variable.dims) >= _FIELD or len(others) > 1:
            continue
        values = variable.transpose(*others, "y", "x").values[..., rows, columns]
        if not others:
            table[str(name)] = values
            continue
        for label, one in zip(_labels(maps, others[0]), values, strict=True):
            table[f"{name} {label}"] = one
    index = pandas.MultiIndex.from_arrays([rows, columns], names=["row", "column"])
    return pandas.DataFrame(table, index=index)


def _labels(maps: xarray.Dataset, dim: str) -> list[str]:
    """Return what a column says of its place along a dimension."""
    if dim == "energy_ev":
        return [f"{energy_ev:g} eV" for energy_ev in maps[dim].values]
    if dim in maps.coords:
        return [str(value) for value in maps[dim].values]
    return [str(k + 1) for k in range(maps.sizes[dim])]
