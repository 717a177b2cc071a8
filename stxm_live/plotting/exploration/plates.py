"""The pictures of an exploration: PCA, clusters, non-negative components, maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.origin import identity
from stxm_live.phase_mapping.exploration import channel
from stxm_live.phase_mapping.exploration.channels import THINNEST_OD, default_channels, default_rgb
from stxm_live.plotting.exploration.panels import (
    draw_lines,
    draw_rgb,
    draw_scatter,
    draw_scores,
    draw_values,
)
from stxm_live.plotting.panels.maps import draw_phase_map
from stxm_live.plotting.panels.result import draw_spectra_of_maps
from stxm_live.plotting.panels.scree import draw_scree
from stxm_live.plotting.paper_figures.plate import Plate, Table, sheet
from stxm_live.plotting.style.palette import SPECIMEN, UNIDENTIFIED, phase_colors
from stxm_live.plotting.style.raster import field_of_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.phase_mapping.exploration import Exploration

_EIGENIMAGES = 6
"""Components that are drawn."""

_Draw = Callable[["Axes"], None]


def exploration_plates(
    exploration: Exploration,
    *,
    maps: Sequence[str] = (),
    rgb: tuple[str, str, str] | None = None,
) -> Iterator[Plate]:
    """Yield the pictures ``clusters``, ``pca``, ``nmf`` and ``maps`` with their tables.

    Parameters
    ----------
    exploration : Exploration
    maps : sequence of str
        Images to draw, as `stxm_live.phase_mapping.exploration.channel` reads them; by default
        the peak less the pre-edge, and the ratio of the two most telling energies.
    rgb : (str, str, str), optional
        The same for red, green and blue; by default the first three non-negative components, or
        three energies.
    """
    shown, colors = maps or default_channels(exploration), rgb or default_rgb(exploration)
    images = {name: channel(exploration, name) for name in (*shown, *colors)}
    yield _clusters(exploration)
    yield _principal(exploration)
    yield _non_negative(exploration)
    yield _maps(exploration, images, shown, colors)


def _clusters(exploration: Exploration) -> Plate:
    spectra, clusters = exploration.spectra, exploration.clusters
    names = [f"cluster {s.name}" for s in clusters.spectra]
    colors = phase_colors(names)
    od = np.array([s.od for s in clusters.spectra])
    std = np.array([np.zeros_like(s.od) if s.std is None else s.std for s in clusters.spectra])
    index = np.full(spectra.pixels.shape, -1)
    index[spectra.pixels] = clusters.index
    height = np.ptp(od, axis=1, keepdims=True)
    height[height == 0] = 1.0
    shape, shape_std = (od - od.min(axis=1, keepdims=True)) / height, std / height
    lines: Any = partial(draw_lines, energies_ev=spectra.energies_ev, names=names, colors=colors)
    panels: list[_Draw] = [
        partial(
            draw_phase_map,
            index=index,
            extent_um=spectra.extent_um,
            phase_names=names,
            colors=colors,
            title="Cluster map",
            subtitle="groups of similar spectra, the largest is 0",
        ),
        partial(
            lines,
            values=od,
            std=std,
            title="Mean spectra of the clusters",
            subtitle="bars: standard error",
        ),
        partial(
            lines,
            values=shape,
            std=shape_std,
            title="The same, scaled to one height",
            subtitle="shows what differs besides thickness",
            label="(OD − lowest) / range",
        ),
    ]
    columns = ["energy_ev"]
    for name in names:
        word = name.replace(" ", "_")
        columns += [f"{word}_od", f"{word}_std", f"{word}_scatter"]
    values = np.stack([od, std, clusters.scatter], axis=1).reshape(-1, od.shape[1])
    table = Table(tuple(columns), np.vstack([spectra.energies_ev, values]).T.tolist())
    return Plate("clusters", _sheet(exploration, "Clusters by k-means", panels), table)


def _principal(exploration: Exploration) -> Plate:
    spectra, pca = exploration.spectra, exploration.pca
    n = min(_EIGENIMAGES, len(pca.components))
    names = [f"component {k}" for k in range(n)]
    step, clusters = (
        float(np.ceil(10 * np.abs(pca.components[:n]).max()) / 10),
        exploration.clusters,
    )
    panels: list[_Draw] = [
        partial(draw_scree, pca=pca),
        partial(
            draw_lines,
            energies_ev=spectra.energies_ev,
            values=pca.components[:n] - step * np.arange(n)[:, None],
            names=names,
            colors=phase_colors(names),
            title="Eigenspectra",
            subtitle=f"differences from the mean spectrum, each {step:g} below the one before",
            label="eigenspectrum",
        ),
        partial(
            draw_scatter,
            pca=pca,
            index=clusters.index,
            colors=phase_colors([s.name for s in clusters.spectra]),
        ),
    ]
    for k in range(n):
        share = 100 * pca.eigenvalues[k] / max(pca.eigenvalues.sum(), 1e-30)
        above = "" if k < pca.n_above_noise else ", below the noise floor"
        panels.append(
            partial(
                draw_scores,
                image=spectra.image(pca.scores[:, k]),
                extent_um=spectra.extent_um,
                title=f"Eigenimage {k}: {share:.2g} % of the variance{above}",
            )
        )
    columns = ("energy_ev", "mean_od", *(f"eigenspectrum_{k}" for k in range(n)))
    rows = np.vstack([spectra.energies_ev, pca.mean, pca.components[:n]]).T
    title = "Principal components"
    return Plate("pca", _sheet(exploration, title, panels), Table(columns, rows.tolist()))


def _non_negative(exploration: Exploration) -> Plate:
    spectra, nmf = exploration.spectra, exploration.nmf
    names = [f"nmf{k}" for k in range(len(nmf.spectra))]
    panels: list[_Draw] = [
        partial(
            draw_lines,
            energies_ev=spectra.energies_ev,
            values=nmf.spectra,
            names=names,
            colors=phase_colors(names),
            title="Non-negative components",
            subtitle="for the mean amount; not unique: compare with known spectra",
        )
    ]
    panels += [
        partial(
            draw_values,
            image=spectra.image(nmf.amounts[:, k]),
            extent_um=spectra.extent_um,
            title=f"Amount of nmf{k}",
            subtitle="1 is its mean over the specimen",
            label="amount",
        )
        for k in range(len(names))
    ]
    table = Table(("energy_ev", *names), np.vstack([spectra.energies_ev, nmf.spectra]).T.tolist())
    detail = f"sums of these leave {nmf.residual:.3g} OD (root mean square)"
    return Plate("nmf", _sheet(exploration, "Non-negative components", panels, detail), table)


def _maps(
    exploration: Exploration,
    images: Mapping[str, NDArray[np.float64]],
    maps: Sequence[str],
    rgb: tuple[str, str, str],
) -> Plate:
    spectra = exploration.spectra
    panels: list[_Draw] = [
        partial(
            draw_values,
            image=images[name],
            extent_um=spectra.extent_um,
            title=_in_words(name),
            subtitle=_meaning(name),
            label="ratio" if "/" in name else "optical density",
        )
        for name in maps
    ]
    panels.append(
        partial(
            draw_rgb,
            images=[images[name] for name in rgb],
            names=[_in_words(name) for name in rgb],
            extent_um=spectra.extent_um,
        )
    )
    rows = [
        (name, *(float(v) for v in np.nanpercentile(image, [5, 50, 95])))
        for name, image in images.items()
    ]
    table = Table(("map", "percentile_5", "median", "percentile_95"), rows)
    return Plate("maps", _sheet(exploration, "Energies, bands and ratios", panels), table)


def unidentified_plate(maps: PhaseMaps) -> Plate:
    """Return the picture ``unidentified``: the pixels that no reference describes."""
    from matplotlib.colors import to_rgb

    found = maps.unidentified_spectrum
    assert found is not None
    panels: list[_Draw] = [
        partial(
            draw_phase_map,
            index=np.where(maps.phase_index >= 0, maps.unidentified.astype(np.int8), -1),
            extent_um=maps.extent_um,
            phase_names=("described", "not identified"),
            colors=np.array([to_rgb(SPECIMEN), to_rgb(UNIDENTIFIED)]),
            title="Pixels that no reference describes",
            subtitle="nor a mixture of two references",
        ),
        partial(draw_spectra_of_maps, maps=maps),
    ]
    table = Table(
        ("energy_ev", "od", "od_std", "od_scatter"),
        np.vstack([maps.energies_ev, found.od, found.od_std, found.od_scatter]).T.tolist(),
    )
    detail = f"{found.n_pixels} pixels, {100 * found.share:.1f} % of the specimen"
    aspect = field_of_view(maps.extent_um, maps.specimen.shape).aspect
    figure = sheet(
        f"{maps.key}: unidentified spectra",
        detail,
        panels,
        len(panels),
        aspect=aspect,
        identity=maps.identity,
    )
    return Plate("unidentified", figure, table)


def _in_words(name: str) -> str:
    return name if name.startswith(("pca", "nmf")) else f"{_spaced(name)} eV"


def _spaced(name: str) -> str:
    """Return the name of a band, a difference or a ratio with signs and spaces."""
    above, is_ratio, below = name.replace(":", " to ").replace("-", " − ").partition("/")
    parts = [f"({part})" if "−" in part else part for part in (above, below)]
    return " / ".join(parts) if is_ratio else above


def _meaning(name: str) -> str:
    if "/" in name:
        return f"left out where the second is below {THINNEST_OD:g} OD"
    if "-" in name:
        return "difference of the two optical densities"
    if name.startswith(("pca", "nmf")):
        return "component"
    return "mean optical density"


def _sheet(exploration: Exploration, title: str, panels: Sequence[_Draw], detail: str = "") -> Any:
    spectra = exploration.spectra
    n_pixels, n_energies = spectra.od.shape
    about = f"{n_pixels} specimen pixels, {n_energies} energies"
    aspect = field_of_view(spectra.extent_um, spectra.pixels.shape).aspect
    made_by = {"recipe": exploration.recipe.name, "version": version("stxm-live")}
    return sheet(
        f"{spectra.key}: {title}",
        f"{about}; {detail}" if detail else about,
        panels,
        min(3, len(panels)),
        aspect=aspect,
        identity=identity(made_by, dwell_ms=None),
    )
