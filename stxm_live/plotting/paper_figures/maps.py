"""Figures 3, S3 and 4: from correlation to the resolved map."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.phase_mapping.latent_space.assignment import STRATEGIES
from stxm_live.phase_mapping.latent_space.bundle import Bundle
from stxm_live.plotting.panels.maps import Sureness, draw_phase_map, draw_reliability
from stxm_live.plotting.panels.result import draw_ambiguity_of_maps, draw_od_of_maps
from stxm_live.plotting.paper_figures.latent import LatentView, draw_phases, frame, view_of_phases
from stxm_live.plotting.paper_figures.plate import Plate, Table, sheet
from stxm_live.plotting.pictures import Panel, correlation_panels
from stxm_live.plotting.style.palette import phase_colors
from stxm_live.plotting.style.raster import field_of_view

LATENT_RULES = {
    "mahalanobis": "Mahalanobis distance",
    "euclidean": "Euclidean distance to the references",
    "knn": "nearest neighbors",
    "centroid": "distance to the centroid",
}


class Pixels(NamedTuple):
    """The mapped pixels of a result in latent space, one row each.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx)
    latent : ndarray of shape (n_pixels, n_latent)
    phase_index, latent_index : ndarray of shape (n_pixels,)
        Phase by correlation, and phase after the paper's rule.
    ambiguous : ndarray of bool, shape (n_pixels,)
    pair : ndarray of shape (2, n_pixels)
    """

    mask: NDArray[np.bool_]
    latent: NDArray[np.float32]
    phase_index: NDArray[np.int8]
    latent_index: NDArray[np.int8]
    ambiguous: NDArray[np.bool_]
    pair: NDArray[np.int8]


def pixels_of(maps: PhaseMaps) -> Pixels:
    """Return the mapped pixels of a result.

    Raises
    ------
    ValueError
        If the maps were made without an encoder, or if no pixel is mapped.
    """
    if maps.latent is None or maps.latent_index is None:
        raise ValueError(f"{maps.key}: the maps were made without an encoder")
    mask = (maps.phase_index >= 0) & np.isfinite(maps.latent).all(axis=-1)
    if not mask.any():
        raise ValueError(f"{maps.key}: no specimen pixel has a valid spectrum")
    return Pixels(
        mask,
        maps.latent[mask],
        maps.phase_index[mask],
        maps.latent_index[mask],
        maps.ambiguous[mask],
        maps.ambiguous_pair[:, mask],
    )


def colors_of(maps: PhaseMaps) -> NDArray[np.float64]:
    """Return a color for each phase, shape (n_phases, 3)."""
    return phase_colors(maps.phase_names, maps.colors)


def aspect_of(maps: PhaseMaps) -> float:
    """Return height over width of the images."""
    return field_of_view(maps.extent_um, maps.specimen.shape).aspect


def index_panel(
    maps: PhaseMaps,
    index: NDArray[np.integer],
    title: str,
    subtitle: str,
    sureness: Sureness | None = None,
) -> Panel:
    """Return a panel with a map in flat colors, dimmer where it is not sure."""
    return partial(
        draw_phase_map,
        index=index,
        extent_um=maps.extent_um,
        phase_names=maps.phase_names,
        colors=colors_of(maps),
        title=title,
        subtitle=subtitle,
        sureness=sureness,
    )


def shares(index: NDArray[np.integer], n_phases: int) -> NDArray[np.float64]:
    """Return the share of each phase among the pixels that have one; NaN if there are none."""
    counts = np.bincount(index[index >= 0].ravel().astype(np.intp), minlength=n_phases)
    return counts / counts.sum() if counts.sum() else np.full(n_phases, np.nan)


def figure_3(maps: PhaseMaps) -> Plate:
    """Draw the correlation with every reference, the initial map, its reliability and ambiguity."""
    panels: list[Panel] = [
        partial(draw_od_of_maps, maps=maps),
        *correlation_panels(maps),
        index_panel(
            maps, maps.phase_index, "Initial phase map", "largest coefficient in each pixel"
        ),
        partial(draw_reliability, reliability=maps.reliability, extent_um=maps.extent_um),
        partial(draw_ambiguity_of_maps, maps=maps),
    ]
    figure = sheet(
        f"Fig. 3: Pearson correlation, {maps.key}",
        "Every pixel's spectrum is compared with every reference; where the two best coefficients "
        "are too close, the pixel is ambiguous.",
        panels,
        3,
        aspect=aspect_of(maps),
        synthetic=maps.synthetic_references,
        identity=maps.identity,
    )
    found = maps.correlation[:, maps.phase_index >= 0]
    rows = [
        (
            name,
            float(np.median(found[k])) if found.size else np.nan,
            maps.fractions[k],
            _share_of(maps.ambiguous[maps.phase_index == k]),
        )
        for k, name in enumerate(maps.phase_names)
    ]
    columns = ("phase", "median_correlation", "share", "ambiguous_share_of_phase")
    return Plate("fig3-correlation", figure, Table(columns, rows))


def _share_of(mask: NDArray[np.bool_]) -> float:
    return float(mask.mean()) if mask.size else float("nan")


def figure_s3(maps: PhaseMaps) -> Plate:
    """Draw the reliability of the initial map, and the map with its reliability as brightness."""
    panels: list[Panel] = [
        index_panel(maps, maps.phase_index, "Initial phase map", "largest coefficient"),
        partial(draw_reliability, reliability=maps.reliability, extent_um=maps.extent_um),
        index_panel(
            maps,
            maps.phase_index,
            "Reliability over the phase map",
            "color: phase; brightness: reliability",
            Sureness.of_reliability(maps.reliability),
        ),
    ]
    figure = sheet(
        f"Fig. S3: reliability of the phases by correlation, {maps.key}",
        "Reliability R is 100 times the difference of the two largest Pearson coefficients.",
        panels,
        3,
        aspect=aspect_of(maps),
        synthetic=maps.synthetic_references,
        identity=maps.identity,
    )
    rows = [
        (name, float(share), *quartiles(maps.reliability[maps.phase_index == k]))
        for k, (name, share) in enumerate(zip(maps.phase_names, maps.fractions, strict=True))
    ]
    columns = ("phase", "share", "reliability_25", "reliability_median", "reliability_75")
    return Plate("figS3-reliability", figure, Table(columns, rows))


def quartiles(values: NDArray[np.floating]) -> tuple[float, float, float]:
    """Return the three quartiles of the finite values; NaN without any."""
    finite = values[np.isfinite(values)]
    low, middle, high = np.percentile(finite, [25, 50, 75]) if finite.size else (np.nan,) * 3
    return float(low), float(middle), float(high)


def figure_4(maps: PhaseMaps, bundle: Bundle) -> Plate:
    """Draw the map before and after the paper's rule, on the specimen and in latent space."""
    pixels = pixels_of(maps)
    view = view_of_phases(pixels.latent, pixels.phase_index)
    n_changed = int((pixels.phase_index != pixels.latent_index).sum())
    panels: list[Panel] = [
        index_panel(maps, maps.phase_index, "By correlation", "ambiguous pixels included"),
        partial(draw_ambiguity_of_maps, maps=maps),
        index_panel(
            maps,
            _required(maps.latent_index),
            "Ambiguous pixels resolved",
            f"by latent space; {100 * n_changed / len(pixels.phase_index):.1f} % of the pixels "
            "changed",
        ),
        *_latent_panels(maps, bundle, pixels, view),
    ]
    figure = sheet(
        f"Fig. 4: ambiguous pixels by the encoder, {maps.key}",
        f"Top: maps; bottom: latent space along two of its directions. Rule: "
        f"{LATENT_RULES[_strategy(maps)]}, "
        f"candidates: {resolver_of(maps).get('candidates', 'pair')}.",
        panels,
        3,
        aspect=aspect_of(maps),
        synthetic=maps.synthetic_references,
        identity=maps.identity,
    )
    return Plate("fig4-resolved", figure, _latent_table(maps, pixels))


def _latent_panels(
    maps: PhaseMaps, bundle: Bundle, pixels: Pixels, view: LatentView
) -> list[Panel]:
    """Return panels of latent space without, with and after resolving the ambiguous pixels."""
    seen, references = view.of(pixels.latent), view.of(bundle.reference_latent)
    clear = ~pixels.ambiguous
    share = f"{100 * pixels.ambiguous.mean():.1f} % of the pixels"

    def panel(
        rows: NDArray[np.bool_],
        index: NDArray[np.int8],
        title: str,
        subtitle: str,
        *,
        marks: bool = False,
    ) -> Panel:
        def draw(ax: object) -> None:
            draw_phases(
                ax,  # type: ignore[arg-type]
                seen[rows],
                index[rows],
                references,
                maps.phase_names,
                colors_of(maps),
                view,
                title=title,
                subtitle=subtitle,
                marked=pixels.ambiguous[rows] if marks else None,
                marked_as="ambiguous",
            )
            frame(ax, np.concatenate([seen, references]))  # type: ignore[arg-type]

        return draw

    every = np.ones(len(seen), dtype=bool)
    return [
        panel(clear, pixels.phase_index, "Latent space: clear pixels", "phase by correlation"),
        panel(every, pixels.phase_index, "With the ambiguous pixels", share, marks=True),
        panel(every, pixels.latent_index, "After", "phase after the rule"),
    ]


def _latent_table(maps: PhaseMaps, pixels: Pixels) -> Table:
    """Return one row per mapped pixel."""
    rows, columns = np.nonzero(pixels.mask)
    names = np.array(maps.phase_names)
    table = zip(
        rows.tolist(),
        columns.tolist(),
        *pixels.latent.T.tolist(),
        names[pixels.phase_index].tolist(),
        pixels.ambiguous.astype(int).tolist(),
        names[pixels.latent_index].tolist(),
        strict=True,
    )
    axes = tuple(f"z{k + 1}" for k in range(pixels.latent.shape[1]))
    header = ("row", "column", *axes, "phase_by_correlation", "ambiguous", "phase_resolved")
    return Table(header, list(table))


def resolver_of(maps: PhaseMaps) -> dict[str, str]:
    """Return the recipe's table ``resolver``."""
    return dict(maps.provenance.get("recipe_values", {}).get("resolver", {}))


def _strategy(maps: PhaseMaps) -> str:
    """Return the strategy that made `latent_index`."""
    method = resolver_of(maps).get("method", "")
    return method if method in STRATEGIES else "mahalanobis"


def _required(index: NDArray[np.int8] | None) -> NDArray[np.int8]:
    if index is None:
        raise ValueError("the maps were made without an encoder")
    return index
