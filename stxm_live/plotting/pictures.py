"""Pictures of a result: one PNG per product, and an overview."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.whole_file import whole_file
from stxm_live.plotting.live_figure.layout import SIZE_IN
from stxm_live.plotting.live_figure.six_panels import draw_final
from stxm_live.plotting.panels.amounts import draw_share, draw_thickness, draw_value
from stxm_live.plotting.panels.energy_axis import energy_axis_panels
from stxm_live.plotting.panels.maps import (
    draw_correlation,
    draw_phase_map,
    draw_reliability,
    draw_wrong_probability,
)
from stxm_live.plotting.panels.regions import draw_reasons, draw_regions
from stxm_live.plotting.panels.result import (
    SYNTHETIC,
    draw_ambiguity_of_maps,
    draw_notes,
    draw_od_of_maps,
    draw_spectra_of_maps,
    method_in_words,
    notes_in_panels,
    shares_in_legend,
    write_result_header,
)
from stxm_live.plotting.style.layout import PictureFormat, figure_size_in, panel_axes
from stxm_live.plotting.style.palette import Palette, phase_colors
from stxm_live.plotting.style.raster import field_of_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.core.region import Region

DPI = 130

_NAMES = (
    *("overview", "summary", "phase-map", "reliability", "ambiguity", "latent-map"),
    *("resolved-map", "corrected-map", "truth", "wrong-probability", "correlation", "amounts"),
    *("energy-axis", "next-regions"),
)
"""Pictures that a result may have."""

Panel = Callable[["Axes"], None]

# title and subtitle
INITIAL = ("Initial phase map", "largest Pearson correlation (PCC), ambiguous pixels included")
LATENT = ("Latent-space map", "ambiguous pixels by the nearest cluster of the GMVAE (paper)")
RESOLVED = "Resolved phase map"
CORRECTED = ("Resolved phase map, energy axis corrected", "references shifted and broadened to fit")
TRUTH = ("Simulated truth", "the phases that the simulated specimen consists of")


def safe_name(text: str) -> str:
    """Return a name of letters, digits, dots, dashes and underscores; the rest becomes a dash.

    Examples
    --------
    >>> safe_name("run 3f2a/../91 region 1")
    'run-3f2a-..-91-region-1'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80] or "stack"


def folder_for_pictures(folder: str | Path) -> Path:
    """Return the folder, and make it if it is missing.

    Raises
    ------
    OSError
        If the folder cannot be made or written; the message names it.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".stxm_live-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OSError(
            error.errno,
            f"pictures cannot be written to {path} ({error.strerror}); choose another folder",
        ) from None
    return path


def write_pictures(
    maps: PhaseMaps,
    folder: str | Path,
    *,
    truth: NDArray[np.integer] | None = None,
    regions: Sequence[Region] = (),
    palette: Palette = "roma",
    picture_format: PictureFormat = "png",
) -> list[Path]:
    """Write a picture of each product that was made, an overview and a summary.

    The summary shows the same as the live figure after the scan, with drift, I0 and energy axis.

    Parameters
    ----------
    maps : PhaseMaps
    folder : path
        Made if it is missing. Pictures of an earlier result in it are replaced, and those that
        this result does not have are removed; other files stay.
    truth : ndarray of shape (ny, nx), optional
        Phase of each pixel of a simulated specimen, -1 beside it. The maps then show the share
        of pixels that agree with it.
    regions : sequence of Region
        Regions of `suggest_regions` or `RegionChooser.suggestions`. They are outlined and
        numbered from 1 on a picture ``next-regions``, which also gives the reason for each.
    palette : {"roma", "paper", "print"}
    picture_format : {"png", "pdf", "svg"}

    Returns
    -------
    list of Path
        In reading order; the overview first.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    path = folder_for_pictures(folder)
    written = []
    for name, figure in _figures(maps, truth, palette):
        written.append(save_picture(figure, path / name, picture_format))
    if regions:
        sheet = _regions_sheet(maps, regions, palette)
        written.append(save_picture(sheet, path / "next-regions", picture_format))
    for name, suffix in product(_NAMES, get_args(PictureFormat)):
        left = path / f"{name}.{suffix}"
        if left not in written:
            left.unlink(missing_ok=True)
    return written


def summary_png_base64(maps: PhaseMaps) -> str:
    """Return the six panels as a PNG in base64, for a notebook."""
    figure = agg_figure(SIZE_IN, dpi=72)
    draw_final(figure, maps)
    buffer = BytesIO()
    save_png(figure, buffer)
    return b64encode(buffer.getvalue()).decode("ascii")


def agg_figure(size_in: tuple[float, float], dpi: int = DPI) -> Figure:
    """Return an empty figure without pyplot, which may be drawn on any thread."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_in, dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_picture(figure: Figure, path: Path, picture_format: PictureFormat = "png") -> Path:
    """Write a figure as a file of that kind, and return its path with the suffix.

    Curves are on a light ground. Text stays text in a PDF and an SVG, so that it can be changed for
    a paper.
    """
    import matplotlib

    from stxm_live.plotting.style.lighten import lighten

    lighten(figure)
    target = path.with_name(f"{path.name}.{picture_format}")
    if picture_format == "png":
        save_png(figure, target)
    else:
        with (
            whole_file(target) as unfinished,
            unfinished.open("wb") as file,  # Matplotlib leaves its own open after an error
            matplotlib.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none"}),
        ):
            figure.savefig(file, format=picture_format)
    return target


def save_png(figure: Figure, target: Path | BytesIO) -> None:
    """Write a figure as PNG; compression level 3 takes half the time and no more space."""
    if isinstance(target, Path):
        with whole_file(target) as unfinished, unfinished.open("wb") as file:
            figure.savefig(file, format="png", pil_kwargs={"compress_level": 3})
    else:
        figure.savefig(target, format="png", pil_kwargs={"compress_level": 3})


def _aspect(maps: PhaseMaps) -> float:
    return field_of_view(maps.extent_um, maps.specimen.shape).aspect


def _figures(
    maps: PhaseMaps, truth: NDArray[np.integer] | None, palette: Palette
) -> Iterator[tuple[str, Figure]]:
    """Yield file name and figure of each picture."""
    panels = panels_of(maps, truth, palette)
    notes = [partial(draw_notes, lines=lines) for lines in notes_in_panels(maps)]
    overview = figure_of_panels([*panels.values(), *notes], 3, _aspect(maps))
    write_result_header(overview, maps, SYNTHETIC if maps.synthetic_references else "")
    yield "overview", overview
    summary = agg_figure(SIZE_IN, dpi=100)
    draw_final(summary, maps, palette=palette)
    yield "summary", summary
    for name, draw in panels.items():
        # these two are shown in the overview only
        if name in ("optical-density", "spectra"):
            continue
        yield name, _sheet(maps, [draw], n_columns=1)
    yield "correlation", _sheet(maps, correlation_panels(maps), n_columns=3)
    amounts = amount_panels(maps)
    if amounts:
        yield "amounts", _sheet(maps, amounts, n_columns=3)
    curves = energy_axis_panels(maps, palette)
    if curves:
        yield "energy-axis", _sheet(maps, curves, n_columns=2)


def correlation_panels(maps: PhaseMaps, particle: str = "") -> list[Panel]:
    """Return a panel with the correlation with each reference, all on one scale."""
    found = maps.correlation[:, maps.phase_index >= 0]
    lowest = float(np.percentile(found, 1)) if found.size else 0.0
    return [
        partial(
            draw_correlation,
            correlation=maps.correlation[k],
            extent_um=maps.extent_um,
            phase_name=name,
            lowest=lowest,
            particle=particle,
        )
        for k, name in enumerate(maps.phase_names)
    ]


def amount_panels(maps: PhaseMaps) -> list[Panel]:
    """Return panels of value, thickness and the share of each phase; none without amounts."""
    if maps.amounts is None:
        return []
    panels: list[Panel] = [] if maps.amounts.value is None else [partial(draw_value, maps=maps)]
    panels.append(partial(draw_thickness, maps=maps))
    return panels + [partial(draw_share, maps=maps, phase=k) for k in range(len(maps.phase_names))]


def panels_of(
    maps: PhaseMaps, truth: NDArray[np.integer] | None = None, palette: Palette = "roma"
) -> dict[str, Panel]:
    """Return the panels of a result by file name, in reading order."""
    panels: dict[str, Panel] = {
        "optical-density": partial(draw_od_of_maps, maps=maps),
        "spectra": partial(draw_spectra_of_maps, maps=maps, palette=palette),
        "phase-map": partial(
            _draw_index, maps.phase_index, INITIAL, maps, maps.fractions, truth, palette
        ),
        "reliability": partial(
            draw_reliability, reliability=maps.reliability, extent_um=maps.extent_um
        ),
        "ambiguity": partial(draw_ambiguity_of_maps, maps=maps),
    }
    for name, title, index, fractions in (
        ("latent-map", LATENT, maps.latent_index, None),
        (
            "resolved-map",
            (RESOLVED, method_in_words(maps)),
            maps.resolved_index,
            maps.resolved_fractions,
        ),
        ("corrected-map", CORRECTED, maps.corrected_index, None),
        ("truth", TRUTH, truth, None),
    ):
        if index is not None:
            panels[name] = partial(_draw_index, index, title, maps, fractions, truth, palette)
    if maps.wrong_probability is not None:
        panels["wrong-probability"] = partial(
            draw_wrong_probability,
            wrong_probability=maps.wrong_probability,
            extent_um=maps.extent_um,
        )
    return panels


def figure_of_panels(panels: Sequence[Panel], n_columns: int, aspect: float) -> Figure:
    """Draw panels in rows; ``aspect`` is their height over their width."""
    n_rows = -(-len(panels) // n_columns)
    figure = agg_figure(figure_size_in(n_rows, n_columns, aspect))
    axes = panel_axes(figure, n_rows, n_columns, aspect)
    for ax, draw in zip(axes, panels, strict=False):
        draw(ax)
    for ax in axes[len(panels) :]:
        ax.remove()
    return figure


def _sheet(maps: PhaseMaps, panels: Sequence[Panel], n_columns: int) -> Figure:
    """Draw panels in rows, under the stack's name and verdict."""
    figure = figure_of_panels(panels, n_columns, _aspect(maps))
    write_result_header(figure, maps)
    return figure


def _draw_index(
    index: NDArray[np.integer],
    titles: tuple[str, str],
    maps: PhaseMaps,
    fractions: NDArray[np.float64] | None,
    truth: NDArray[np.integer] | None,
    palette: Palette,
    ax: Axes,
) -> None:
    """Draw a phase map in flat colors, with the share of correct pixels if it is known."""
    title, subtitle = titles
    if truth is not None and index is not truth:
        subtitle = f"agrees with the simulated truth in {100 * share_right(index, truth):.1f} %"
    draw_phase_map(
        ax,
        index,
        maps.extent_um,
        maps.phase_names,
        phase_colors(maps.phase_names, maps.colors, palette=palette),
        title=title,
        subtitle=subtitle,
        fractions=shares_in_legend(maps, fractions),
        twins=maps.twins,
    )


def _regions_sheet(maps: PhaseMaps, regions: Sequence[Region], palette: Palette) -> Figure:
    """Draw the map with the regions on it, and beside it the reason for each."""
    panels: list[Panel] = [
        partial(_draw_numbered, maps, regions, palette),
        partial(draw_reasons, regions=regions),
    ]
    return _sheet(maps, panels, n_columns=2)


def _draw_numbered(maps: PhaseMaps, regions: Sequence[Region], palette: Palette, ax: Axes) -> None:
    """Draw the final map with the regions on it."""
    titles = ("Where to scan next", f"1 is the best; phases {method_in_words(maps)}")
    _draw_index(maps.final_index, titles, maps, maps.final_fractions, None, palette, ax)
    draw_regions(ax, regions)


def share_right(index: NDArray[np.integer], truth: NDArray[np.integer]) -> float:
    """Return the share of equal phases among the pixels that have a phase in both maps.

    Examples
    --------
    >>> share_right(np.array([0, 1, -1, 2]), np.array([0, 2, 1, -1]))
    0.5
    """
    both = (index >= 0) & (truth >= 0)
    return float((index[both] == truth[both]).mean()) if both.any() else float("nan")
