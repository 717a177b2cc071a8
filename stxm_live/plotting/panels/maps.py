"""Panels that show a map; each function draws on the axes given to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.twins import Twins, labels, merged_index, merged_shares
from stxm_live.plotting.style.lettering import DrawLegend, set_titles, side_legend
from stxm_live.plotting.style.palette import (
    AMBIGUOUS,
    DIMMEST,
    GROUND,
    INVALID,
    NO_DATA,
    SPECIMEN,
    UNIDENTIFIED,
    heat,
)
from stxm_live.plotting.style.raster import Extent, add_colorbar, draw_raster
from stxm_live.plotting.style.value_range import value_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.patches import Patch


def draw_od_image(
    ax: Axes,
    od: NDArray[np.floating],
    extent_um: Extent,
    energy_ev: float,
    *,
    subtitle: str = "",
    bar_label: str = "optical density ln(I0/I)",
) -> AxesImage:
    """Draw the optical density at one energy in grey; pixels without a value are blue.

    Parameters
    ----------
    od : ndarray of shape (ny, nx)
        NaN where not measured. Grey runs from the 0.5th to the 99.5th percentile.
    """
    import matplotlib as mpl

    low, high = grey_range(od)
    image = draw_raster(
        ax,
        od,
        extent_um,
        cmap=mpl.colormaps["gray"].with_extremes(bad=NO_DATA),
        vmin=low,
        vmax=high,
    )
    add_colorbar(ax, image, bar_label, extend="both")
    set_titles(ax, od_title(energy_ev), subtitle or missing_in_words(od))
    return image


def od_title(energy_ev: float) -> str:
    """Return the title of an image of one energy."""
    return f"Optical density at {energy_ev:.2f} eV"


def grey_range(od: NDArray[np.floating]) -> tuple[float, float]:
    """Return the ODs shown black and white: the 0.5th and the 99.5th percentile."""
    finite = od[np.isfinite(od)]
    low, high = np.percentile(finite, [0.5, 99.5]) if finite.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1.0)


def missing_in_words(od: NDArray[np.floating]) -> str:
    """Return a sentence on the share of pixels without a value; empty if there are none."""
    missing = 1.0 - float(np.isfinite(od).mean())
    return f"{100 * missing:.1f} % of the pixels have no value (blue)" if missing else ""


class Sureness(NamedTuple):
    """Brightness of each pixel, 0 to 1 of shape (ny, nx), and the meaning of both ends."""

    share: NDArray[np.floating]
    sure: str
    unsure: str

    @classmethod
    def of_reliability(cls, reliability: NDArray[np.floating]) -> Sureness:
        """Return the brightness from R = 100 (Q1 - Q2); full from the 75th percentile on."""
        finite = reliability[np.isfinite(reliability)]
        full = max(float(np.percentile(finite, 75)), 1e-6) if finite.size else 1.0
        share = np.clip(reliability / full, 0.0, 1.0)
        return cls(share, f"R ≥ {full:.2g}", "R near 0")

    @classmethod
    def of_probability(cls, wrong_probability: NDArray[np.floating]) -> Sureness:
        """Return the brightness from the probability of a wrong phase; zero from one half on."""
        share = np.clip(1 - 2 * wrong_probability, 0.0, 1.0)
        return cls(share, "100 % right", "≤ 50 % right")


def draw_phase_map(
    ax: Axes,
    index: NDArray[np.integer],
    extent_um: Extent,
    phase_names: Sequence[str],
    colors: NDArray[np.float64],
    *,
    title: str,
    subtitle: str = "",
    fractions: NDArray[np.float64] | None = None,
    sureness: Sureness | None = None,
    twins: Twins = (),
    legend: DrawLegend = side_legend,
) -> None:
    """Draw each pixel in the color of its phase; with ``sureness``, unsure pixels are dimmer.

    Parameters
    ----------
    index : ndarray of shape (ny, nx)
        Phase of each pixel, -1 for none.
    colors : ndarray of shape (n_phases, 3)
    fractions : ndarray of shape (n_phases,), optional
        Shares for the legend, 0 to 1; counted from ``index`` if not given.
    sureness : Sureness, optional
    twins : tuple of tuple of str
        Phases that have one color and one label, since they are not distinguished.
    legend : callable
        Draws the legend.
    """
    index = merged_index(np.asarray(index, dtype=np.int8), phase_names, twins)
    shown = index >= 0
    rgb = np.empty((*index.shape, 3), dtype=np.float32)
    rgb[:] = _rgb(GROUND)
    rgb[shown] = colors[index[shown]]
    entries = _phase_entries(index, phase_names, colors, fractions, twins)
    if sureness is not None and shown.any():
        share = np.nan_to_num(sureness.share[shown])
        rgb[shown] *= (DIMMEST + (1.0 - DIMMEST) * share)[:, None]
        entries += [
            (None, ""),
            (patch("white"), f"bright: {sureness.sure}"),
            (patch((DIMMEST,) * 3), f"dim: {sureness.unsure}"),
        ]
    draw_raster(ax, rgb, extent_um)
    set_titles(ax, title, subtitle)
    legend(ax, entries, "share of the pixels")


def _phase_entries(
    index: NDArray[np.integer],
    phase_names: Sequence[str],
    colors: NDArray[np.float64],
    fractions: NDArray[np.float64] | None,
    twins: Twins,
) -> list[tuple[Any, str]]:
    """Return the legend entries with shares, digits aligned."""
    if fractions is None:
        counts = np.bincount(index[index >= 0].ravel(), minlength=len(phase_names))
        fractions = counts / max(1, counts.sum())
    shares, shown = merged_shares(fractions, phase_names, twins), labels(phase_names, twins)
    if len(shown) == 1:  # all of the specimen is of one of them, which says nothing
        return [(patch(colors[k]), name) for k, name in shown.items()]
    return [(patch(colors[k]), f"{_percent(shares[k])}  {name}") for k, name in shown.items()]


def _percent(share: float) -> str:
    """Return a percentage, padded with figure spaces to the width of 100.0 %."""
    number = "<0.1" if 0 < share < 0.0005 else f"{100 * share:.1f}"
    return number.rjust(5, "\u2007") + " %"


def draw_no_map_yet(
    ax: Axes,
    specimen: NDArray[np.bool_],
    extent_um: Extent,
    pairs: Sequence[tuple[str, str]],
    *,
    title: str,
    subtitle: str = "shown once the energies distinguish phases",
    legend: DrawLegend = side_legend,
) -> None:
    """Draw the particle's outline, and list the phases that the energies cannot distinguish yet."""
    rgb = np.where(specimen[..., None], _rgb(SPECIMEN), _rgb(GROUND))
    draw_raster(ax, rgb, extent_um)
    set_titles(ax, title, subtitle)
    lines = [f"{a} | {b}" for a, b in pairs[:10]]
    if len(pairs) > len(lines):
        lines.append(f"and {len(pairs) - len(lines)} more pairs")
    legend(ax, [(None, line) for line in lines or ["too few energies"]], "not distinguished yet")


def draw_ambiguity(
    ax: Axes,
    ambiguous: NDArray[np.bool_],
    specimen: NDArray[np.bool_],
    extent_um: Extent,
    *,
    pair: NDArray[np.integer] | None = None,
    phase_names: Sequence[str] = (),
    unidentified: NDArray[np.bool_] | None = None,
    valid: NDArray[np.bool_] | None = None,
    title: str = "Ambiguity",
    legend: DrawLegend = side_legend,
) -> None:
    """Draw the specimen pixels whose two best phases correlate almost equally well (Fig. 4).

    Shares are of the specimen pixels with a valid spectrum, as `PhaseMaps.ambiguous_share` is.

    Parameters
    ----------
    ambiguous, specimen, unidentified, valid : ndarray of bool, shape (ny, nx)
    pair : ndarray of shape (2, ny, nx), optional
        Best and second-best phase; the three commonest pairs are listed.
    """
    nowhere = np.zeros_like(specimen)
    unfit = nowhere if unidentified is None else specimen & unidentified & ~ambiguous
    invalid = nowhere if valid is None else specimen & ~valid
    clear = specimen & ~(ambiguous | unfit | invalid)
    counted = max(1, int((specimen & ~invalid).sum()))
    entries: list[tuple[Any, str]] = []
    rgb = np.empty((*specimen.shape, 3), dtype=np.float32)
    rgb[:] = _rgb(GROUND)
    for mask, color, label in (
        (clear, SPECIMEN, "clear"),
        (ambiguous & ~invalid, AMBIGUOUS, "ambiguous"),
        (unfit & ~invalid, UNIDENTIFIED, "no reference fits"),
    ):
        rgb[mask] = _rgb(color)
        if mask.any() or color != UNIDENTIFIED:
            entries.append((patch(color), f"{_percent(mask.sum() / counted)}  {label}"))
    if invalid.any():
        rgb[invalid] = _rgb(INVALID)
        entries.append((patch(INVALID), f"{invalid.sum()} px  no valid spectrum"))
    if pair is not None and ambiguous.any():
        entries += [(None, ""), (None, "ambiguous between")]
        entries += [(None, line) for line in commonest_pairs(pair[:, ambiguous], phase_names)]
    draw_raster(ax, rgb, extent_um)
    set_titles(ax, title, "the two best phases correlate almost equally well")
    legend(ax, entries, "share of the pixels")


def commonest_pairs(pair: NDArray[np.integer], phase_names: Sequence[str]) -> list[str]:
    """Return a line for each of the three commonest pairs in ``pair``, of shape (2, n_pixels)."""
    pairs, counts = np.unique(np.sort(pair, axis=0), axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:3]
    return [
        f"{100 * counts[k] / counts.sum():.0f} %  {phase_names[a]} | {phase_names[b]}"
        for k, (a, b) in zip(order, pairs[:, order].T, strict=True)
        if a >= 0
    ]


def draw_reliability(
    ax: Axes,
    reliability: NDArray[np.floating],
    extent_um: Extent,
    *,
    title: str = "Reliability of the initial map",
    subtitle: str = "best minus second-best correlation",
) -> None:
    """Draw R = 100 (Q1 - Q2) of shape (ny, nx), NaN beside the specimen."""
    low, high = value_range("reliability", reliability)
    image = draw_raster(ax, reliability, extent_um, cmap=heat(), vmin=low, vmax=high)
    add_colorbar(ax, image, "reliability R = 100 (Q1 − Q2)", extend="max")
    set_titles(ax, title, subtitle)


def draw_wrong_probability(
    ax: Axes, wrong_probability: NDArray[np.floating], extent_um: Extent
) -> None:
    """Draw the probability (0 to 1) that a pixel's phase is wrong; NaN beside the specimen."""
    image = draw_raster(ax, wrong_probability, extent_um, cmap=heat(), vmin=0.0, vmax=0.5)
    add_colorbar(ax, image, "probability of a wrong phase", extend="max")
    finite = wrong_probability[np.isfinite(wrong_probability)]
    expected = f"expected share of wrong pixels: {100 * finite.mean():.1f} %" if finite.size else ""
    set_titles(ax, "Where the resolved map may be wrong", expected)


def draw_correlation(
    ax: Axes,
    correlation: NDArray[np.floating],
    extent_um: Extent,
    phase_name: str,
    *,
    lowest: float = 0.0,
    particle: str = "",
) -> None:
    """Draw the Pearson coefficient with one reference; NaN beside the specimen.

    ``particle`` stands before the name of the phase, where there are several.
    """
    image = draw_raster(ax, correlation, extent_um, cmap=heat(), vmin=lowest, vmax=1.0)
    add_colorbar(ax, image, "Pearson coefficient", extend="min")
    finite = correlation[np.isfinite(correlation)]
    median = f"median {np.median(finite):.4f}" if finite.size else ""
    set_titles(
        ax, f"{particle}: {phase_name}" if particle else f"Correlation with {phase_name}", median
    )


def patch(color: Any) -> Patch:
    """Return a square of a color for a legend."""
    from matplotlib.patches import Patch

    return Patch(facecolor=color, edgecolor="#8a929c", linewidth=0.5)


def _rgb(color: str) -> NDArray[np.float32]:
    from matplotlib.colors import to_rgb

    return np.asarray(to_rgb(color), dtype=np.float32)
