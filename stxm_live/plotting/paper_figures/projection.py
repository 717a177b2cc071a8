"""Figure S6: the latent space of all particles, and one of them projected into it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.phase_mapping.latent_space.bundle import Bundle
from stxm_live.plotting.paper_figures.latent import (
    LatentView,
    draw_phases,
    draw_points,
    frame,
    view_of_phases,
)
from stxm_live.plotting.paper_figures.maps import colors_of, pixels_of
from stxm_live.plotting.paper_figures.particles import ParticleMaps, any_synthetic, recipes_of
from stxm_live.plotting.paper_figures.plate import Plate, Table, sheet
from stxm_live.plotting.pictures import Panel
from stxm_live.plotting.style.lettering import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_PROJECTED = 8
"""Particles that have a panel of their own; all of them are in the first one."""

_OTHERS = "#3d434b"


class _Cloud(NamedTuple):
    """The clear pixels of all particles in latent space, and the directions to show them along.

    Parameters
    ----------
    latent : ndarray of shape (n_pixels, n_latent)
    phase_index, particle : ndarray of shape (n_pixels,)
        Phase by correlation, and place of the particle in the list.
    view : LatentView
    """

    latent: NDArray[np.float32]
    phase_index: NDArray[np.int8]
    particle: NDArray[np.intp]
    view: LatentView

    @classmethod
    def of(cls, particles: Sequence[ParticleMaps]) -> _Cloud:
        found = [pixels_of(maps) for _, maps in particles]
        clear = [~pixels.ambiguous for pixels in found]
        latent = np.concatenate([p.latent[c] for p, c in zip(found, clear, strict=True)])
        phase_index = np.concatenate([p.phase_index[c] for p, c in zip(found, clear, strict=True)])
        particle = np.repeat(np.arange(len(found)), [int(c.sum()) for c in clear])
        return cls(latent, phase_index, particle, view_of_phases(latent, phase_index))


def figure_s6(particles: Sequence[ParticleMaps], bundle: Bundle) -> Plate:
    """Draw the clear pixels of all particles in latent space, and each particle's among them.

    Raises
    ------
    ValueError
        If a result was made without an encoder.
    """
    cloud = _Cloud.of(particles)
    panels: list[Panel] = [partial(_draw_all, particles=particles, bundle=bundle, cloud=cloud)]
    for k in range(min(len(particles), _MOST_PROJECTED)):
        panels.append(
            partial(_draw_projected, particles=particles, bundle=bundle, cloud=cloud, which=k)
        )
    shown = (
        "one panel for each"
        if len(particles) <= _MOST_PROJECTED
        else f"the first {_MOST_PROJECTED} have a panel each"
    )
    figure = sheet(
        f"Fig. S6: latent space of {len(particles)} particles",
        "Clear pixels, in the color of their phase by correlation. A particle's pixels that lie "
        f"among those of another phase may be false assignments; {shown}.",
        panels,
        3,
        synthetic=any_synthetic(particles),
        identity=recipes_of(particles),
    )
    return Plate("figS6-latent-space", figure, _table(particles, cloud))


def _draw_all(ax: Axes, particles: Sequence[ParticleMaps], bundle: Bundle, cloud: _Cloud) -> None:
    every = np.ones(len(cloud.particle), dtype=bool)
    _draw(ax, particles, bundle, cloud, every, "All particles")


def _draw_projected(
    ax: Axes, particles: Sequence[ParticleMaps], bundle: Bundle, cloud: _Cloud, which: int
) -> None:
    own = cloud.particle == which
    draw_points(ax, cloud.view.of(cloud.latent[~own]), _OTHERS, cloud.view.labels)
    _draw(ax, particles, bundle, cloud, own, plain(particles[which].name, 40))


def _draw(
    ax: Axes,
    particles: Sequence[ParticleMaps],
    bundle: Bundle,
    cloud: _Cloud,
    rows: NDArray[np.bool_],
    title: str,
) -> None:
    first = particles[0].maps
    references = cloud.view.of(bundle.reference_latent)
    draw_phases(
        ax,
        cloud.view.of(cloud.latent[rows]),
        cloud.phase_index[rows],
        references,
        first.phase_names,
        colors_of(first),
        cloud.view,
        title=title,
        subtitle=f"{int(rows.sum())} clear pixels" + ("" if rows.all() else "; grey: the others"),
    )
    frame(ax, np.concatenate([cloud.view.of(cloud.latent), references]))


def _table(particles: Sequence[ParticleMaps], cloud: _Cloud) -> Table:
    """Return the mean position of the clear pixels of each particle and phase."""
    rows = []
    for k, (name, maps) in enumerate(particles):
        for j, phase in enumerate(maps.phase_names):
            members = cloud.latent[(cloud.particle == k) & (cloud.phase_index == j)]
            middle = (
                members.mean(axis=0) if len(members) else np.full(cloud.latent.shape[1], np.nan)
            )
            rows.append((name, str(maps.key), phase, len(members), *middle.tolist()))
    axes = tuple(f"mean_z{k + 1}" for k in range(cloud.latent.shape[1]))
    return Table(("particle", "stack", "phase", "clear_pixels", *axes), rows)
