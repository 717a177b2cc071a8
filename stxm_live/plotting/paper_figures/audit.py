"""Audit: clear pixels whose position in latent space contradicts correlation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.measured_mean import measured_mean
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.phase_mapping.latent_space.assignment import MARGIN, contradicted, distance_by
from stxm_live.phase_mapping.latent_space.bundle import Bundle
from stxm_live.plotting.panels.maps import draw_phase_map
from stxm_live.plotting.panels.spectra import scaled_to
from stxm_live.plotting.paper_figures.latent import draw_phases, frame, view_of_phases
from stxm_live.plotting.paper_figures.maps import aspect_of, colors_of, pixels_of
from stxm_live.plotting.paper_figures.plate import Plate, Table, centred, sheet
from stxm_live.plotting.pictures import Panel
from stxm_live.plotting.style.lettering import PLAIN, plain, set_titles, side_legend
from stxm_live.plotting.style.palette import AMBIGUOUS, GROUND, SPECIMEN, heat
from stxm_live.plotting.style.raster import draw_raster, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NOT_AUDITED = "#383c42"


@dataclass(frozen=True, eq=False)
class Audit:
    """Suspected false assignments among the clear pixels of a result.

    Parameters
    ----------
    suspected_index : ndarray of int8, shape (ny, nx)
        The phase whose cluster is nearest, where it contradicts correlation; -1 elsewhere.
    counts : ndarray of shape (n_phases, n_phases)
        Suspected pixels by phase (rows) and nearest phase (columns).
    n_clear : int
        Number of clear pixels.
    """

    suspected_index: NDArray[np.int8]
    counts: NDArray[np.intp]
    n_clear: int

    @property
    def share(self) -> float:
        """Share of suspected pixels among the clear ones; NaN without any."""
        return float(self.counts.sum() / self.n_clear) if self.n_clear else float("nan")


def audit(maps: PhaseMaps, bundle: Bundle, margin: float = MARGIN) -> Audit:
    """Find clear pixels that are nearer to another phase's cluster than to their own.

    The paper's rule changes ambiguous pixels only, and cannot correct a clear pixel that is wrong.
    The suspected pixels should be checked; they are not changed.

    Raises
    ------
    ValueError
        If the maps were made without an encoder.
    """
    pixels = pixels_of(maps)
    clear = ~pixels.ambiguous
    found = contradicted(
        pixels.latent,
        pixels.phase_index,
        clear,
        distance_by("mahalanobis", bundle.landmarks),
        margin,
    )
    image = np.full(pixels.mask.shape, -1, dtype=np.int8)
    image[pixels.mask] = found
    counts = np.zeros((len(maps.phase_names),) * 2, dtype=np.intp)
    suspected = found >= 0
    np.add.at(counts, (pixels.phase_index[suspected], found[suspected]), 1)
    return Audit(image, counts, int(clear.sum()))


def audit_plate(maps: PhaseMaps, bundle: Bundle) -> Plate:
    """Draw the suspected pixels on the map; the table has one row for each."""
    result = audit(maps, bundle)
    suspected = result.suspected_index >= 0
    panels: list[Panel] = [
        partial(_draw_suspects, maps=maps, suspected=suspected),
        partial(
            _draw_index,
            maps=maps,
            index=np.where(suspected, maps.phase_index, np.int8(-1)),
            title="Phase by correlation",
            subtitle="suspected pixels only",
        ),
        partial(
            _draw_index,
            maps=maps,
            index=result.suspected_index,
            title="Nearest cluster in latent space",
            subtitle="suspected pixels only",
        ),
    ]
    figure = sheet(
        f"Suspected false assignments, {maps.key}",
        f"{int(suspected.sum())} of {result.n_clear} clear pixels ({100 * result.share:.1f} %) lie "
        f"nearer to another phase's cluster than to their own, by a squared Mahalanobis distance "
        f"above {MARGIN:g}. Check these pixels; they are not changed.",
        panels,
        3,
        aspect=aspect_of(maps),
        synthetic=maps.synthetic_references,
        identity=maps.identity,
    )
    return Plate("audit", figure, _suspects_table(maps, result))


def _suspects_table(maps: PhaseMaps, result: Audit) -> Table:
    """Return the position, phases and coefficients of every suspected pixel."""
    rows, columns = np.nonzero(result.suspected_index >= 0)
    ny, nx = maps.specimen.shape
    x0, x1, y0, y1 = maps.extent_um
    x_um, y_um = np.linspace(x0, x1, nx), np.linspace(y0, y1, ny)
    names = np.array(maps.phase_names)
    own = maps.phase_index[rows, columns]
    other = result.suspected_index[rows, columns]
    cells = (
        rows,
        columns,
        x_um[columns],
        y_um[rows],
        names[own],
        names[other],
        maps.correlation[own, rows, columns],
        maps.correlation[other, rows, columns],
        maps.reliability[rows, columns],
    )
    header = (
        "row",
        "column",
        "x_um",
        "y_um",
        "phase",
        "nearest_cluster",
        "correlation_with_phase",
        "correlation_with_nearest_cluster",
        "reliability",
    )
    return Table(header, list(zip(*(c.tolist() for c in cells), strict=True)))


def audit_latent_plate(maps: PhaseMaps, bundle: Bundle) -> Plate:
    """Draw suspected pixels in latent space and by phase, and the largest group's spectrum."""
    result = audit(maps, bundle)
    panels: list[Panel] = [
        partial(_draw_latent, maps=maps, bundle=bundle, result=result),
        partial(_draw_counts, result=result, phase_names=maps.phase_names),
    ]
    if result.counts.any():
        panels.append(partial(_draw_commonest, maps=maps, result=result))
    figure = sheet(
        f"Suspected false assignments in latent space, {maps.key}",
        f"{100 * result.share:.1f} % of the clear pixels are suspected.",
        panels,
        3,
        synthetic=maps.synthetic_references,
        identity=maps.identity,
    )
    rows = [
        (name, other, int(result.counts[i, j]))
        for i, name in enumerate(maps.phase_names)
        for j, other in enumerate(maps.phase_names)
        if i != j
    ]
    columns = ("phase", "nearest_cluster", "pixels")
    return Plate("audit-latent", figure, Table(columns, rows))


def _draw_suspects(ax: Axes, maps: PhaseMaps, suspected: NDArray[np.bool_]) -> None:
    """Draw the suspected pixels in amber on the specimen."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    rgb = np.empty((*suspected.shape, 3), dtype=np.float32)
    rgb[:] = to_rgb(GROUND)
    rgb[maps.phase_index >= 0] = to_rgb(SPECIMEN)
    rgb[maps.ambiguous] = to_rgb(_NOT_AUDITED)
    rgb[suspected] = to_rgb(AMBIGUOUS)
    draw_raster(ax, rgb, maps.extent_um)
    set_titles(ax, "Suspected pixels", "clear by correlation, contradicted by latent space")
    entries: list[tuple[Any, str]] = [
        (Patch(color=AMBIGUOUS), "suspected"),
        (Patch(color=SPECIMEN), "clear"),
        (Patch(color=_NOT_AUDITED), "ambiguous, not audited"),
    ]
    side_legend(ax, entries)


def _draw_index(
    ax: Axes, maps: PhaseMaps, index: NDArray[np.int8], title: str, subtitle: str
) -> None:
    draw_phase_map(
        ax,
        index,
        maps.extent_um,
        maps.phase_names,
        colors_of(maps),
        title=title,
        subtitle=subtitle,
    )
    legend = ax.get_legend()
    assert legend is not None
    legend.get_title().set_text("share of suspected pixels")


def _draw_latent(ax: Axes, maps: PhaseMaps, bundle: Bundle, result: Audit) -> None:
    pixels = pixels_of(maps)
    view = view_of_phases(pixels.latent, pixels.phase_index)
    clear = ~pixels.ambiguous
    seen, references = view.of(pixels.latent), view.of(bundle.reference_latent)
    draw_phases(
        ax,
        seen[clear],
        pixels.phase_index[clear],
        references,
        maps.phase_names,
        colors_of(maps),
        view,
        title="Latent space",
        subtitle="clear pixels, phase by correlation",
        marked=(result.suspected_index[pixels.mask] >= 0)[clear],
        marked_as="suspected",
    )
    frame(ax, np.concatenate([seen[clear], references]))


def _draw_counts(ax: Axes, result: Audit, phase_names: tuple[str, ...]) -> None:
    """Draw the number of suspected pixels by phase and nearest cluster."""
    n = len(phase_names)
    off_diagonal = ~np.eye(n, dtype=bool)
    shown = np.where(off_diagonal, result.counts.astype(np.float64), np.nan)
    top = max(1.0, float(np.nanmax(shown)))
    ax.imshow(shown, cmap=heat("oslo"), vmin=0, vmax=top, aspect="auto")
    style_axes(ax, "nearest cluster", "phase by correlation")
    for i, j in zip(*np.nonzero(off_diagonal), strict=True):
        color = "black" if shown[i, j] > 0.55 * top else "white"
        centred(ax, j, i, str(result.counts[i, j]), color=color)
    names = [plain(name, 12) for name in phase_names]
    ax.set_xticks(range(n), names, rotation=30, ha="right", rotation_mode="anchor", **PLAIN)
    ax.set_yticks(range(n), names, **PLAIN)
    set_titles(ax, "Suspected pixels by phase", "number of pixels")


def _draw_commonest(ax: Axes, maps: PhaseMaps, result: Audit) -> None:
    """Draw the largest group's mean spectrum over its own reference and the other one."""
    own, other = np.unravel_index(int(result.counts.argmax()), result.counts.shape)
    group = (result.suspected_index == other) & (maps.phase_index == own)
    mean = measured_mean(maps.od[:, group])
    known = np.isfinite(mean)
    entries: list[tuple[Any, str]] = []
    for k, word in ((own, "correlation"), (other, "nearest cluster")):
        scaled = scaled_to(maps.reference_od[k], mean, known)
        (line,) = ax.plot(maps.energies_ev, scaled, color=colors_of(maps)[k], linewidth=1.4)
        entries += [(line, maps.phase_names[k]), (None, f"  by {word}")]
    (points,) = ax.plot(maps.energies_ev, mean, "o", color="white", markersize=4.5)
    style_axes(ax, "photon energy (eV)", "optical density")
    set_titles(ax, "The largest group", f"mean spectrum of {int(group.sum())} pixels")
    legend = side_legend(ax, [*entries, (points, "mean spectrum")])
    legend.legend_handles[-1].set(markeredgecolor="#66707c")  # type: ignore[union-attr]
