"""Panels that show a result, and the text above and below them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import of_pixels
from stxm_live.core.measured_mean import measured_mean
from stxm_live.core.references import SYNTHETIC_NOTE
from stxm_live.plotting.panels.maps import (
    Sureness,
    draw_ambiguity,
    draw_od_image,
    draw_phase_map,
)
from stxm_live.plotting.panels.spectra import draw_spectra
from stxm_live.plotting.style.layout import write_footer, write_header
from stxm_live.plotting.style.lettering import (
    DrawLegend,
    plain,
    set_titles,
    side_legend,
    wrapped,
    write_paragraphs,
)
from stxm_live.plotting.style.palette import VERDICT, Palette, phase_colors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stxm_live.core.phase_maps import PhaseMaps

SYNTHETIC = "Synthetic references: the reference spectra are calculated, not measured."

_LONGEST_NOTE = 110
"""Letters of the note at the foot of a figure."""

_NOTE_WIDTH, _NOTE_LINES = 80, 24
"""Letters in a line and lines of the panel of notes."""

METHODS = {
    "pearson": "by correlation",
    "mahalanobis": "ambiguous pixels by the encoder",
    "euclidean": "ambiguous pixels to the nearest reference in latent space",
    "centroid": "ambiguous pixels to the nearest centroid in latent space",
    "knn": "ambiguous pixels by neighbors in latent space",
    "likelihood": "by likelihood",
}


def draw_od_of_maps(ax: Axes, maps: PhaseMaps) -> None:
    """Draw the image of the energy at which the specimen absorbs most."""
    brightest = brightest_energy(mean_spectrum(maps))
    draw_od_image(ax, maps.od[brightest], maps.extent_um, maps.energies_ev[brightest])


def draw_spectra_of_maps(ax: Axes, maps: PhaseMaps, *, palette: Palette = "roma") -> None:
    """Draw the mean spectrum of the specimen over the references."""
    draw_spectra(
        ax,
        maps.energies_ev,
        mean_spectrum(maps),
        maps.reference_od,
        maps.phase_names,
        phase_colors(maps.phase_names, maps.colors, palette=palette),
        synthetic=maps.synthetic_references,
        unidentified=maps.unidentified_spectrum,
    )


def draw_final_map(
    ax: Axes,
    maps: PhaseMaps,
    *,
    palette: Palette = "roma",
    legend: DrawLegend = side_legend,
) -> None:
    """Draw the resolved map if there is one, else the initial map; unsure pixels are dimmed."""
    resolved = maps.resolved_index is not None
    if resolved and maps.wrong_probability is not None:
        sureness = Sureness.of_probability(maps.wrong_probability)
        meaning = "probability of being right"
    else:
        sureness, meaning = Sureness.of_reliability(maps.reliability), "reliability R"
    draw_phase_map(
        ax,
        maps.final_index,
        maps.extent_um,
        maps.phase_names,
        phase_colors(maps.phase_names, maps.colors, palette=palette),
        title="Resolved phase map" if resolved else "Phase map (largest correlation)",
        subtitle=f"{method_in_words(maps)}; brightness: {meaning}",
        fractions=shares_in_legend(maps, maps.final_fractions),
        sureness=sureness,
        twins=maps.twins,
        legend=legend,
    )


def shares_in_legend(
    maps: PhaseMaps, fractions: NDArray[np.float64] | None
) -> NDArray[np.float64] | None:
    """Return the shares, or None for a field without specimen, which has 0 % of each phase."""
    return None if maps.no_phases else fractions


def method_in_words(maps: PhaseMaps) -> str:
    """Return the method of the resolved map in words."""
    method = maps.provenance.get("method") if maps.resolved_index is not None else "pearson"
    return METHODS.get(str(method), "by the recipe's method")


def draw_ambiguity_of_maps(ax: Axes, maps: PhaseMaps) -> None:
    """Draw the paper's ambiguous pixels."""
    draw_ambiguity(
        ax,
        maps.ambiguous,
        maps.specimen,
        maps.extent_um,
        pair=maps.ambiguous_pair,
        phase_names=maps.phase_names,
        unidentified=maps.unidentified,
        valid=maps.valid,
    )


def mean_spectrum(maps: PhaseMaps) -> NDArray[np.float64]:
    """Return the mean OD of the valid specimen pixels at each energy, shape (n_energies,)."""
    return spectrum_over(maps.od, maps.specimen & maps.valid)


def spectrum_over(od: NDArray[np.floating], pixels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean OD of chosen pixels at each energy, (n_energies,); NaN without any."""
    return measured_mean(of_pixels(od, pixels))


def brightest_energy(mean_od: NDArray[np.float64]) -> int:
    """Return the index of the energy at which the specimen absorbs most; 0 if not known.

    Examples
    --------
    >>> brightest_energy(np.array([0.2, np.nan, 0.7]))
    2
    """
    return int(np.nan_to_num(mean_od, nan=-np.inf).argmax())


def write_result_header(figure: Figure, maps: PhaseMaps, notes: str | None = None) -> None:
    """Write stack, status and verdict above the panels, and below them notes; the first if None."""
    write_header(
        figure, result_title(maps), f"Quality {maps.quality}", VERDICT[maps.quality.verdict]
    )
    write_footer(
        figure, notes_on(maps, ", all in overview") if notes is None else notes, maps.identity
    )


def result_title(maps: PhaseMaps) -> str:
    """Return a title with the stack, its status and its number of energies."""
    revision = f", revision {maps.revision}" if maps.revision > 1 else ""
    return f"{maps.key}: {maps.status}, {len(maps.energies_ev)} energies{revision}"


def notes_on(maps: PhaseMaps, where: str = "") -> str:
    """Return a note on synthetic references, the first of the warnings and where the others are."""
    notes = [SYNTHETIC] if maps.synthetic_references else []
    warnings = other_warnings(maps.warnings)
    if warnings:
        more = f" (and {len(warnings) - 1} more{where})" if len(warnings) > 1 else ""
        notes.append(f"Note: {plain(warnings[0], _LONGEST_NOTE)}{more}")
    return " ".join(notes)


def other_warnings(warnings: Iterable[str]) -> list[str]:
    """Return the warnings apart from the one on synthetic references."""
    return [text for text in warnings if text != SYNTHETIC_NOTE]


def notes_in_panels(maps: PhaseMaps) -> list[list[str]]:
    """Return the lines of all warnings of a result, as many panels as they take."""
    panels: list[list[str]] = []
    for text in other_warnings(maps.warnings):
        item = textwrap.indent(wrapped(text, _NOTE_WIDTH, _NOTE_LINES), "  ").split("\n")
        item[0] = f"- {item[0].lstrip()}"
        if not panels or len(panels[-1]) + len(item) > _NOTE_LINES:
            panels.append([])
        panels[-1] += item
    return panels


def draw_notes(ax: Axes, lines: Sequence[str]) -> None:
    """Write lines of `notes_in_panels` in a panel."""
    set_titles(ax, "Notes")
    write_paragraphs(ax, "\n".join(lines))
