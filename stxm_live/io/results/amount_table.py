"""The table of amounts: the specimen, its particles, and shares by pixels and by volume."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray

Row = Sequence[Any]


def amount_rows(dataset: xarray.Dataset) -> Iterable[Row]:
    """Yield a header, two rows of shares by label, and a row for the specimen and each particle.

    Every number has its standard uncertainty in the next column. A value and a unit that are not
    known are empty.
    """
    phases = dataset["phase"].values.tolist()
    unit = dataset["thickness"].attrs["units"]
    quantity = str(dataset.attrs.get("value_quantity", "")) or "value"
    columns = [f"mean thickness ({unit})", quantity, *(f"share {name}" for name in phases)]
    yield ["area", "n_pixels", *(text for name in columns for text in (name, f"{name}, std"))]
    n_pixels = int(dataset["area_pixels"].values[0])
    for name, product in (("labels, by pixels", "pixel"), ("labels, by volume", "volume")):
        shares = zip(*_with_std(dataset, f"{product}_share"), strict=True)
        yield [name, n_pixels, *[None] * 4, *(number for pair in shares for number in pair)]
    for k, n in enumerate(dataset["area_pixels"].values.tolist()):
        name = "specimen" if k == 0 else f"particle {k}"
        composition = zip(*(v[k] for v in _with_std(dataset, "area_composition")), strict=True)
        value = [None, None]
        if "area_value" in dataset:
            value = [values[k] for values in _with_std(dataset, "area_value")]
        thickness = [values[k] for values in _with_std(dataset, "area_thickness")]
        yield [name, n, *thickness, *value, *(number for pair in composition for number in pair)]


def _with_std(dataset: xarray.Dataset, name: str) -> tuple[Any, Any]:
    return dataset[name].values, dataset[f"{name}_std"].values
