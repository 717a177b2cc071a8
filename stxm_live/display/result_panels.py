"""The four panels of the live figure, for a growing cube and for finished maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.display.layout import panel_axes, write_footer, write_header
from stxm_live.display.palette import FAINT, VERDICT, Palette, phase_colors
from stxm_live.display.panels import (
    Sureness,
    draw_ambiguity,
    draw_no_map_yet,
    draw_od_image,
    draw_phase_map,
)
from stxm_live.display.raster import field_of
from stxm_live.display.spectra import draw_separability, draw_spectra
from stxm_live.references import ReferenceSpectra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stxm_live.cube import CubeView
    from stxm_live.phase_maps import PhaseMaps

SYNTHETIC = "Synthetic references: the reference spectra are calculated, not measured."

METHODS = {
    "pearson": "by correlation",
    "mahalanobis": "ambiguous pixels by encoder",
    "euclidean": "ambiguous pixels to the nearest reference in latent space",
    "centroid": "ambiguous pixels to the nearest centroid in latent space",
    "knn": "ambiguous pixels by neighbours in latent space",
    "likelihood": "by likelihood",
}


def draw_waiting(figure: Figure) -> None:
    """Before the first image."""
    write_header(figure, "Waiting for the first image of a stack", "", FAINT)


def draw_growing(
    figure: Figure,
    view: CubeView,
    *,
    palette: Palette = "roma",
    detail: tuple[str, str] = ("scan running", FAINT),
) -> None:
    """OD image, spectra, provisional map and separability of a stack that is being measured.

    ``figure`` is an empty one; `stxm_live.display.layout.figure_size_in` is its natural size.
    ``detail`` is the header's second line and its colour.
    """
    extent = view.scan.extent_um
    aspect = field_of(extent, view.specimen.shape).aspect
    image_ax, spectra_ax, map_ax, last_ax = panel_axes(figure, 2, 2, aspect)
    colors = phase_colors(view.phase_names, view.colors, palette=palette)
    n_measured, n_energies = int(view.measured.sum()), len(view.energies_ev)
    energy = view.energies_ev[view.latest]
    draw_od_image(image_ax, view.od[view.latest], extent, energy)
    draw_spectra(
        spectra_ax,
        view.energies_ev,
        view.mean_spectrum,
        view.reference_od,
        view.phase_names,
        colors,
        measured=view.measured,
        latest=view.latest,
        synthetic=view.synthetic_references,
    )
    title = f"Provisional phase map, {n_measured} of {n_energies} energies"
    if view.provisional_index is None:
        draw_no_map_yet(map_ax, view.specimen, extent, view.inseparable, title=title)
    else:
        draw_phase_map(
            map_ax,
            view.provisional_index,
            extent,
            view.phase_names,
            colors,
            title=title,
            subtitle="largest correlation so far; the final map may differ",
        )
    _draw_separability(last_ax, view)
    write_header(
        figure,
        f"{view.key}: energy {n_measured} of {n_energies}, {energy:.2f} eV",
        *detail,
    )
    write_footer(figure, SYNTHETIC if view.synthetic_references else "")


def _draw_separability(ax: Axes, view: CubeView) -> None:
    usable = view.measured & np.isfinite(view.reference_od).all(axis=0)
    energies = np.asarray(view.energies_ev)
    known = np.isfinite(view.reference_od).all(axis=0)
    correlation = np.full(2 * (len(view.phase_names),), np.nan)
    if known.sum() > 1:  # with a single energy, as in an overview, nothing correlates
        od = view.reference_od[:, known]
        references = ReferenceSpectra(view.phase_names, energies[known], od)
        correlation = references.correlation(energies[usable].tolist())
    draw_separability(ax, correlation, view.inseparable, view.phase_names)


def draw_final(figure: Figure, maps: PhaseMaps, *, palette: Palette = "roma") -> None:
    """OD image, spectra, phase map with its certainty as brightness, and ambiguity of a result.

    ``figure`` is an empty one.
    """
    aspect = field_of(maps.extent_um, maps.specimen.shape).aspect
    image_ax, spectra_ax, map_ax, ambiguity_ax = panel_axes(figure, 2, 2, aspect)
    draw_od_of_maps(image_ax, maps)
    draw_spectra_of_maps(spectra_ax, maps, palette=palette)
    draw_final_map(map_ax, maps, palette=palette)
    draw_ambiguity_of_maps(ambiguity_ax, maps)
    write_result_header(figure, maps)


def draw_od_of_maps(ax: Axes, maps: PhaseMaps) -> None:
    """The image of the energy at which the specimen absorbs most."""
    brightest = int(np.nanargmax(np.nan_to_num(mean_spectrum(maps), nan=-np.inf)))
    draw_od_image(ax, maps.od[brightest], maps.extent_um, maps.energies_ev[brightest])


def draw_spectra_of_maps(ax: Axes, maps: PhaseMaps, *, palette: Palette = "roma") -> None:
    """Mean spectrum of the specimen over the references."""
    draw_spectra(
        ax,
        maps.energies_ev,
        mean_spectrum(maps),
        maps.reference_od,
        maps.phase_names,
        phase_colors(maps.phase_names, maps.colors, palette=palette),
        synthetic=maps.synthetic_references,
    )


def draw_final_map(ax: Axes, maps: PhaseMaps, *, palette: Palette = "roma") -> None:
    """The resolved map where there is one, dimmed where it is unsure."""
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
        fractions=maps.resolved_fractions if resolved else maps.fractions,
        sureness=sureness,
    )


def method_in_words(maps: PhaseMaps) -> str:
    """How the resolved map was made."""
    method = maps.provenance.get("method") if maps.resolved_index is not None else "pearson"
    return METHODS.get(str(method), "by the recipe's resolver")


def draw_ambiguity_of_maps(ax: Axes, maps: PhaseMaps) -> None:
    """The paper's ambiguous pixels."""
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
    """Mean OD of the valid specimen pixels at each energy, of shape (n_energies,)."""
    counted = maps.specimen & maps.valid
    if not counted.any():
        return np.full(len(maps.energies_ev), np.nan)
    return np.asarray(maps.od[:, counted].mean(axis=1, dtype=np.float64))


def write_result_header(figure: Figure, maps: PhaseMaps) -> None:
    """Stack, status and verdict above; remarks below."""
    revision = f", revision {maps.revision}" if maps.revision > 1 else ""
    n = len(maps.energies_ev)
    write_header(
        figure,
        f"{maps.key}: {maps.status}, {n} energies{revision}",
        f"Quality {maps.quality}",
        VERDICT[maps.quality.verdict],
    )
    remarks = [SYNTHETIC] if maps.synthetic_references else []
    warnings = [text for text in maps.warnings if "references are synthetic" not in text]
    if warnings:
        more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
        remarks.append(f"Note: {warnings[0]}{more}")
    write_footer(figure, " ".join(remarks))


def draw_failure(
    figure: Figure,
    uid: str,
    error: BaseException,
    view: CubeView | None = None,
    *,
    palette: Palette = "roma",
) -> None:
    """What went wrong, over the panels of the last image where there was one."""
    detail = (f"analysis failed: {error}. The frames received are kept.", VERDICT["poor"])
    if view is not None:
        draw_growing(figure, view, palette=palette, detail=detail)
    else:
        write_header(figure, f"run {uid[:8]}", *detail)
