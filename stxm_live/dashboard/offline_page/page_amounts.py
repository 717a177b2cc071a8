"""The table of amounts on a page: the specimen and its particles, with uncertainties."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from stxm_live.core.amount_words import not_distinguished, number_in_words, share_in_words
from stxm_live.core.amounts import Amounts, thickness_unit
from stxm_live.plotting.style.value_range import value_range

if TYPE_CHECKING:
    import xarray

MAPS = ("value", "thickness", "composition")
"""Amounts that are shown as maps."""

_MOST_PARTICLES = 12
"""Particles that are listed; the file has all."""


def has_amounts(dataset: xarray.Dataset) -> bool:
    """Return True if a result has amounts, and not only pixels without a value."""
    return "thickness" in dataset and bool(np.isfinite(dataset["thickness"].values).any())


def map_ranges(dataset: xarray.Dataset) -> dict[str, tuple[float, float]]:
    """Return the numbers that are shown darkest and brightest on each map of amounts."""
    found = {name: value_range(name, dataset[name].values) for name in MAPS if name in dataset}
    return {name: (round(low, 4), round(high, 4)) for name, (low, high) in found.items()}


def distinguished(dataset: xarray.Dataset) -> list[bool]:
    """Return for each phase whether it can be distinguished from others and their mixtures."""
    names = dataset["phase"].values.tolist()
    alike = not_distinguished(names, dataset.attrs)
    return [name not in alike for name in names]


def meaning_of(name: str, dataset: xarray.Dataset) -> tuple[str, str]:
    """Return title and subtitle of a map of amounts."""
    if name == "thickness":
        return "Thickness", f"in {thickness_unit(dataset['thickness'].attrs['units'])}"
    if name == "value":
        quantity = str(dataset.attrs.get("value_quantity", "")) or "value of the composition"
        return quantity, "mean over the composition of a pixel, by counting statistics"
    return "Composition", "share of a phase in the thickness of a pixel, by counting statistics"


def amounts_section(dataset: xarray.Dataset) -> str:
    """Return the table as HTML; empty without amounts."""
    if not has_amounts(dataset):
        return ""
    amounts = Amounts.stored(dataset)
    assert amounts is not None
    names = dataset["phase"].values.tolist()
    alike = not_distinguished(names, dataset.attrs)
    heads = ["area", "pixels", f"thickness ({thickness_unit(amounts.unit)})"]
    if amounts.area_value is not None:
        heads.append(amounts.quantity or "value")
    rows = "".join(_rows(amounts, names, alike))
    phases = "".join(
        f'<th><i class="swatch phase-{k}"></i>{escape(name)}</th>' for k, name in enumerate(names)
    )
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    listed = len(amounts.area_pixels) - 1
    notes = [f"{name} cannot be distinguished: {text}" for name, text in alike.items()]
    if listed > _MOST_PARTICLES:
        notes.append(f"{listed - _MOST_PARTICLES} more particles are in the CSV and NeXus files")
    words = "".join(f"<br>{escape(text)}" for text in notes)
    return (
        '<section id="amounts"><h2>Amounts: share of the volume</h2>'
        '<div class="wide" tabindex="0" role="region" aria-label="amounts">'
        f"<table><tr>{head}{phases}</tr>{rows}</table></div>"
        '<p class="small">Mean of an area by volume ± its standard uncertainty: each pixel counts '
        "by its thickness, a mixture by its parts. For phases that "
        f"cannot be distinguished the interval of 95 %.{words}</p></section>"
    )


def _rows(amounts: Amounts, names: list[str], alike: dict[str, str]) -> Iterator[str]:
    for k in range(min(len(amounts.area_pixels), _MOST_PARTICLES + 1)):
        cells: list[Any] = ["specimen" if k == 0 else f"particle {k}", amounts.area_pixels[k]]
        cells.append(number_in_words(amounts.area_thickness[k], amounts.area_thickness_std[k]))
        if amounts.area_value is not None and amounts.area_value_std is not None:
            cells.append(number_in_words(amounts.area_value[k], amounts.area_value_std[k]))
        shares = zip(
            names, amounts.area_composition[k], amounts.area_composition_std[k], strict=True
        )
        cells += [
            share_in_words(s, std, distinguished=name not in alike) for name, s, std in shares
        ]
        yield f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in cells)}</tr>"
