"""Text, spectrum and table for the pixel under the mouse."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.amount_words import look_alikes, number_in_words, share_in_words
from stxm_live.core.amounts import thickness_unit
from stxm_live.core.mixed_reference import alternatives
from stxm_live.core.twins import label_of
from stxm_live.plotting.panels.spectra import scaled_to

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.dashboard.scene import Scene

INVITATION = (
    "Move the mouse over a map, or tap on it; a click keeps the pixel, three at most, and another "
    "one releases it."
)


@dataclass(frozen=True, eq=False)
class PixelFacts:
    """Text and table of a pixel (HTML), and its spectrum over the references scaled to it.

    Parameters
    ----------
    text, table : str
        HTML, names escaped.
    od : ndarray of shape (n_energies,)
    scaled : list of ndarray of shape (n_energies,)
    """

    text: str
    table: str
    od: NDArray[np.float32]
    scaled: list[NDArray[np.float64]]


def pixel_facts(scene: Scene, row: int, column: int) -> PixelFacts:
    """Return everything known about a pixel."""
    od = scene.od[:, row, column]
    known = np.isfinite(od) & scene.measured
    scaled = [scaled_to(reference, od, known) for reference in scene.reference_od]
    maps = scene.maps
    lines = [_place(scene, row, column)]
    if not scene.specimen[row, column]:
        lines.append("no specimen here")
    elif maps is None:
        lines.append(f"OD {od[scene.latest]:.3f} at {scene.last_ev:.2f} eV")
    elif not maps.valid[row, column]:
        lines.append("no valid spectrum")
    else:
        lines += _judgement(maps, row, column)
    if maps is not None and maps.provenance.get("quantity", "counts") == "counts":
        lines.append(f"{maps.counts[row, column]:.0f} counts per energy")
    is_mapped = maps is not None and scene.specimen[row, column] and maps.valid[row, column]
    table = _table(scene, maps, row, column) if maps is not None and is_mapped else ""
    return PixelFacts("<br>".join(lines), table, od, scaled)


def _place(scene: Scene, row: int, column: int) -> str:
    x, y = scene.centre_of(row, column)
    unit = "µm" if scene.field.unit == "um" else "px"
    return f"<b>x {x:.3f}, y {y:.3f} {unit}</b> (row {row}, column {column})"


def _judgement(maps: PhaseMaps, row: int, column: int) -> list[str]:
    names = [escape(name) for name in maps.phase_names]
    lines = []
    if maps.resolved_index is not None:
        wrong = ""
        if maps.wrong_probability is not None:
            wrong = f", wrong with probability {maps.wrong_probability[row, column]:.3f}"
        final = int(maps.resolved_index[row, column])
        mixture = alternatives(maps.mixed_references).get(maps.phase_names[final], "")
        beside = f" ({escape(mixture)})" if mixture else ""
        name = escape(label_of(maps.phase_names, maps.twins, final))
        lines.append(f"<b>{name}</b>{beside}{wrong}")
    if maps.corrected_index is not None:
        lines.append(f"energy axis corrected: {names[maps.corrected_index[row, column]]}")
    k, reliability = maps.phase_index[row, column], maps.reliability[row, column]
    lines.append(f"by correlation {names[k]}, R {reliability:.2f}")
    if maps.ambiguous[row, column]:
        a, b = maps.ambiguous_pair[:, row, column]
        lines.append(f"ambiguous: {names[a]} or {names[b]}")
    if maps.unidentified[row, column]:
        lines.append("no reference fits")
    return lines + _amounts(maps, row, column)


def _amounts(maps: PhaseMaps, row: int, column: int) -> list[str]:
    """Return value and thickness with their uncertainties, once the maps are final."""
    amounts, lines = maps.final_amounts, []
    if amounts is None:
        return []
    if amounts.value is not None and amounts.value_std is not None:
        found = number_in_words(amounts.value[row, column], amounts.value_std[row, column])
        lines.append(f"{escape(amounts.quantity or 'value')} {found}")
    thickness = number_in_words(amounts.thickness[row, column], amounts.thickness_std[row, column])
    return [*lines, f"thickness {thickness} {thickness_unit(amounts.unit)}"]


def _table(scene: Scene, maps: PhaseMaps, row: int, column: int) -> str:
    """Return a table with a row per phase: Pearson coefficient, and probability if computed."""
    best = -1 if scene.index is None else int(scene.index[row, column])
    has, amounts = maps.probability is not None, maps.final_amounts
    alike = look_alikes(maps.phase_names, maps.twins, alternatives(maps.mixed_references))
    rows = []
    for k, name in enumerate(maps.phase_names):
        cells = [_number(maps.correlation[k, row, column])]
        if maps.probability is not None:
            cells.append(_number(maps.probability[k, row, column]))
        if amounts is not None:
            share = amounts.composition[k, row, column], amounts.composition_std[k, row, column]
            cells.append(share_in_words(*share, distinguished=name not in alike))
        strong = ' class="best"' if k == best else ""
        r, g, b = np.rint(255 * scene.colors[k]).astype(int)
        rows.append(
            f'<tr{strong}><td><i style="background:rgb({r},{g},{b})"></i>{escape(name)}</td>'
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )
    head = (
        '<th>phase</th><th title="Pearson correlation coefficient with the reference spectrum">'
        "PCC</th>"
    )
    if has:
        head += '<th title="probability of the phase from counting statistics">probability</th>'
    if amounts is not None:
        head += (
            '<th title="share of the thickness; the interval of 95 % of phases that cannot be '
            'distinguished">composition</th>'
        )
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "–"
