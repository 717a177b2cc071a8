"""The six panels of the live figure, for a growing cube and for finished maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import of_pixels
from stxm_live.core.measured_mean import measured_mean
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.references import ReferenceSpectra
from stxm_live.live.progress import Progress
from stxm_live.plotting.live_figure.energy_image import EnergyImage
from stxm_live.plotting.live_figure.first_look import draw_without_references, running
from stxm_live.plotting.live_figure.header import write_live_header, write_notes
from stxm_live.plotting.live_figure.layout import LiveAxes, fit_text, live_axes, remove_panels
from stxm_live.plotting.live_figure.legends import (
    PhaseStrip,
    class_legend,
    inner_legend,
    no_legend,
    phase_strip,
    symbol_legend,
)
from stxm_live.plotting.panels.drift_and_beam import draw_beam
from stxm_live.plotting.panels.energy_axis import axis_used, draw_axis_likelihood
from stxm_live.plotting.panels.maps import (
    commonest_pairs,
    draw_ambiguity,
    draw_no_map_yet,
    draw_phase_map,
    patch,
)
from stxm_live.plotting.panels.result import (
    SYNTHETIC,
    brightest_energy,
    draw_final_map,
    mean_spectrum,
    notes_on,
    result_title,
)
from stxm_live.plotting.panels.spectra import draw_separability, draw_spectra
from stxm_live.plotting.style.palette import FAINT, VERDICT, Palette, phase_colors
from stxm_live.plotting.style.raster import field_of_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stxm_live.live.cube import ODCube
    from stxm_live.phase_mapping.exploration import Exploration


def draw_waiting(figure: Figure) -> None:
    """Draw the figure before the first image."""
    remove_panels(figure)
    write_live_header(figure, "Waiting for the first image of a stack", "", FAINT)


def draw_growing(
    figure: Figure,
    view: ODCube,
    exploration: Exploration | None = None,
    *,
    palette: Palette = "roma",
    detail: tuple[str, str] | None = None,
) -> EnergyImage:
    """Draw a stack that is being measured.

    Parameters
    ----------
    figure : Figure
        An empty one, or one that `stxm_live.plotting.live_figure.layout.cleared` left;
        `stxm_live.plotting.live_figure.layout.SIZE_IN` is its natural size.
    view : ODCube
    exploration : Exploration, optional
        Clusters of the same stack, if the recipe has no references.
    palette : {"roma", "paper"}
    detail : (str, str)
        The header's second line and its color.
    """
    aspect = field_of_view(view.scan.extent_um, view.specimen.shape).aspect
    axes = live_axes(figure, aspect, sixth="pairs" if view.phase_names else "scree")
    colors = phase_colors(view.phase_names, view.colors, palette=palette)
    strip = PhaseStrip([(patch(c), name) for c, name in zip(colors, view.phase_names, strict=True)])
    _draw_growing_curves(axes, view, colors, strip)
    if view.phase_names:
        _draw_growing_maps(axes, view, colors, strip)
        _draw_growing_pairs(axes.energies, view)
    else:
        draw_without_references(axes, view, exploration, strip, palette)
    image = EnergyImage(
        axes.image,
        axes.spectra,
        view.od,
        view.energies_ev,
        view.measured,
        view.scan.extent_um,
        view.latest,
    )
    _share_field(axes)
    phase_strip(figure, strip.entries)
    n_measured, n_energies = int(view.measured.sum()), len(view.energies_ev)
    write_live_header(
        figure,
        f"{view.key}: energy {n_measured} of {n_energies}, {view.energies_ev[view.latest]:.2f} eV",
        *(detail or running(exploration)),
        progress=view.progress or Progress(n_measured, n_energies),
    )
    write_notes(figure, SYNTHETIC if view.synthetic_references else "")
    fit_text(figure, axes)
    return image


def _draw_growing_maps(
    axes: LiveAxes, view: ODCube, colors: NDArray[np.float64], strip: PhaseStrip
) -> None:
    """Draw the provisional map and its ambiguity; before there is one, the particle's outline."""
    extent = view.scan.extent_um
    title = "Provisional phase map"
    if view.provisional_index is None:
        draw_no_map_yet(
            axes.phases, view.specimen, extent, view.inseparable, title=title, legend=no_legend
        )
    else:
        draw_phase_map(
            axes.phases,
            view.provisional_index,
            extent,
            view.phase_names,
            colors,
            title=title,
            subtitle=f"{int(view.measured.sum())} of {len(view.energies_ev)} energies; "
            "the final map may differ",
            twins=view.twins,
            legend=strip.take,
        )
    if view.provisional_ambiguous is None:
        title = "Ambiguity so far"
        draw_no_map_yet(axes.ambiguity, view.specimen, extent, (), title=title, legend=no_legend)
    else:
        draw_ambiguity(
            axes.ambiguity,
            view.provisional_ambiguous,
            view.specimen,
            extent,
            title="Ambiguity so far",
            legend=class_legend,
        )


def _draw_growing_curves(
    axes: LiveAxes, view: ODCube, colors: NDArray[np.float64], strip: PhaseStrip
) -> None:
    """Draw spectra, drift and I0."""
    draw_spectra(
        axes.spectra,
        view.energies_ev,
        view.mean_spectrum,
        view.reference_od,
        view.phase_names,
        colors,
        measured=view.measured,
        synthetic=view.synthetic_references,
        legend=strip.take_last,
    )
    nothing = np.full(len(view.energies_ev), np.nan)
    draw_beam(
        axes.drift,
        axes.counts,
        view.energies_ev,
        np.stack([nothing, nothing], axis=1) if view.shifts_px is None else view.shifts_px,
        nothing if view.i0 is None else view.i0,
        nothing if view.mean_counts is None else view.mean_counts,
        i0_std=view.i0_std,
    )


def _draw_growing_pairs(ax: Axes, view: ODCube) -> None:
    """Draw the phases that the energies so far can distinguish."""
    usable = [e for e, known in zip(view.energies_ev, view.measured, strict=True) if known]
    of_scan = view.phase_names, view.energies_ev, view.reference_od
    _draw_pairs(ax, *of_scan, usable, view.inseparable)


def draw_final(
    figure: Figure,
    maps: PhaseMaps,
    *,
    palette: Palette = "roma",
    detail: tuple[str, str] | None = None,
) -> EnergyImage:
    """Draw a result: its map, with certainty as brightness, and the panels to judge it by.

    ``figure`` is as for `draw_growing`. ``detail`` is the header's second line and its color, by
    default the verdict.
    """
    aspect = field_of_view(maps.extent_um, maps.specimen.shape).aspect
    axes = live_axes(figure, aspect, sixth="pairs" if maps.energy_axis is None else "axis")
    strip = PhaseStrip([])
    mean = mean_spectrum(maps)
    _draw_final_panels(axes, maps, mean, palette, strip)
    image = EnergyImage(
        axes.image,
        axes.spectra,
        maps.od,
        maps.energies_ev,
        np.ones(len(maps.energies_ev), dtype=bool),
        maps.extent_um,
        brightest_energy(mean),
    )
    _share_field(axes)
    phase_strip(figure, strip.entries)
    write_live_header(
        figure,
        result_title(maps),
        *(detail or (f"Quality {maps.quality}", VERDICT[maps.quality.verdict])),
        status=maps.status,
    )
    write_notes(figure, notes_on(maps), maps.identity)
    fit_text(figure, axes)
    return image


def _draw_final_panels(
    axes: LiveAxes,
    maps: PhaseMaps,
    mean: NDArray[np.float64],
    palette: Palette,
    strip: PhaseStrip,
) -> None:
    """Draw all panels of a result but the first; ``mean`` is the specimen's spectrum."""
    draw_final_map(axes.phases, maps, palette=palette, legend=strip.take)
    draw_ambiguity(
        axes.ambiguity,
        maps.ambiguous,
        maps.specimen,
        maps.extent_um,
        unidentified=maps.unidentified,
        valid=maps.valid,
        title=_ambiguity_title(maps),
        legend=class_legend,
    )
    draw_spectra(
        axes.spectra,
        maps.energies_ev,
        mean,
        maps.reference_od,
        maps.phase_names,
        phase_colors(maps.phase_names, maps.colors, palette=palette),
        synthetic=maps.synthetic_references,
        unidentified=maps.unidentified_spectrum,
        legend=strip.take_last,
    )
    draw_beam(
        axes.drift,
        axes.counts,
        maps.energies_ev,
        maps.shifts_px,
        maps.i0,
        _mean_counts(maps),
        i0_std=maps.i0_std,
    )
    _draw_energy_axis(axes.energies, maps)


def draw_failure(
    figure: Figure,
    uid: str,
    error: BaseException,
    shown: ODCube | PhaseMaps | None = None,
    *,
    palette: Palette = "roma",
) -> EnergyImage | None:
    """Write the error above the last image or the maps of that run, where there are any."""
    detail = (f"analysis failed: {error}. The frames received are kept.", VERDICT["poor"])
    if isinstance(shown, PhaseMaps):
        return draw_final(figure, shown, palette=palette, detail=detail)
    if shown is not None:
        return draw_growing(figure, shown, palette=palette, detail=detail)
    remove_panels(figure)
    write_live_header(figure, f"run {uid[:8]}", *detail)
    return None


def _ambiguity_title(maps: PhaseMaps) -> str:
    """Return a title with the two phases that are confused most often."""
    pairs = commonest_pairs(maps.ambiguous_pair[:, maps.ambiguous], maps.phase_names)
    return f"Ambiguity, mostly {pairs[0].split('%  ')[1]}" if pairs else "Ambiguity"


def _share_field(axes: LiveAxes) -> None:
    """Remove y axis and scale bar from the maps, which show the same field as the image."""
    for ax in (axes.phases, axes.ambiguity):
        ax.tick_params(labelleft=False)
        ax.set_ylabel("")
        for artist in tuple(ax.artists):
            artist.remove()


def _mean_counts(maps: PhaseMaps) -> NDArray[np.float64]:
    """Return the specimen's mean counts in each image, of shape (n_energies,)."""
    counted = maps.specimen & maps.valid
    if not counted.any():
        return np.full(len(maps.energies_ev), np.nan)
    transmitted = measured_mean(of_pixels(maps.od, counted, lambda od: np.exp(-od)))
    return np.asarray(maps.i0 * transmitted)


def _draw_energy_axis(ax: Axes, maps: PhaseMaps) -> None:
    """Draw the estimate of the scan's energy axis; without one, the references' separation."""
    if maps.energy_axis is not None:
        draw_axis_likelihood(ax, maps.energy_axis, axis_used(maps), legend=symbol_legend)
        ax.set_ylabel("extra width (eV)")
        return
    values = maps.provenance.get("recipe_values", {})
    references = ReferenceSpectra(maps.phase_names, np.asarray(maps.energies_ev), maps.reference_od)
    threshold = values.get("ambiguity_threshold", 0.005)
    pairs = references.inseparable_pairs(maps.energies_ev, threshold)
    of_scan = maps.phase_names, maps.energies_ev, maps.reference_od
    _draw_pairs(ax, *of_scan, list(maps.energies_ev), pairs)


def _draw_pairs(
    ax: Axes,
    phase_names: tuple[str, ...],
    energies_ev: tuple[float, ...],
    reference_od: NDArray[np.float64],
    usable_ev: list[float],
    inseparable: Sequence[tuple[str, str]],
) -> None:
    """Draw the separation of each pair of phases on these energies."""
    known = np.isfinite(reference_od).all(axis=0)
    correlation = np.full(2 * (len(phase_names),), np.nan)
    if known.sum() > 1:  # with a single energy, as in an overview, nothing correlates
        energies = np.asarray(energies_ev)[known]
        references = ReferenceSpectra(phase_names, energies, reference_od[:, known])
        correlation = references.correlation([e for e in usable_ev if e in set(energies)])
    draw_separability(ax, correlation, inseparable, phase_names, legend=inner_legend)
