"""The image of one energy; another energy can be shown without drawing the rest again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.plotting.live_figure.layout import panel_box
from stxm_live.plotting.panels.maps import draw_od_image, grey_range, missing_in_words, od_title
from stxm_live.plotting.style.palette import AMBIGUOUS
from stxm_live.plotting.style.raster import Extent, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from stxm_live.live.cube import ODCube


class EnergyImage:
    """The optical density at one energy, and a mark at that energy in the spectra.

    Parameters
    ----------
    ax, spectra_ax : Axes
    od : ndarray of shape (n_energies, ny, nx)
    energies_ev : sequence of float
    measured : ndarray of bool, shape (n_energies,)
        The energies that can be shown.
    extent_um : Extent
    followed : int
        The energy that is shown unless one is chosen.

    Attributes
    ----------
    ax : Axes
    shown : int
        Index of the energy that is shown.
    """

    def __init__(
        self,
        ax: Axes,
        spectra_ax: Axes,
        od: NDArray[np.floating],
        energies_ev: Sequence[float],
        measured: NDArray[np.bool_],
        extent_um: Extent,
        followed: int,
    ) -> None:
        self.energies_ev = tuple(energies_ev)
        self.measured = measured
        self.followed = self.shown = followed
        self.ax = ax
        self._od, self._extent_um = od, extent_um
        self._image = draw_od_image(
            ax, od[followed], extent_um, energies_ev[followed], bar_label=""
        )
        self._titles = {str(text.get_gid()): text for text in ax.texts}
        self._mark = spectra_ax.axvline(
            energies_ev[followed], color=AMBIGUOUS, linewidth=0.9, linestyle=(0, (4, 3))
        )

    def nearest(self, energy_ev: float | None) -> int:
        """Return the index of the nearest measured energy; for None, of the followed one."""
        if energy_ev is None or not self.measured.any():
            return self.followed
        known = np.flatnonzero(self.measured)
        return int(known[np.argmin(np.abs(np.take(self.energies_ev, known) - energy_ev))])

    def show(self, energy_ev: float | None) -> None:
        """Show the measured energy nearest to this one; None: the followed one."""
        k = self.nearest(energy_ev)
        if k != self.shown:
            self._show(k)

    def follow(self, view: ODCube) -> bool:
        """Show the newest image if this cube has grown; return True if it has."""
        here = (self.energies_ev, self._od.shape, self._extent_um)
        if view.od is self._od or (view.energies_ev, view.od.shape, view.scan.extent_um) != here:
            return False
        self._od, self.measured, self.followed = view.od, view.measured, view.latest
        self._show(view.latest)
        return True

    def draw_alone(self) -> None:
        """Draw only this panel again, over the present picture, if the canvas can do so."""
        from matplotlib.patches import Rectangle

        figure = self.ax.get_figure(root=True)
        assert figure is not None
        left, bottom, width, height = panel_box(self.ax)
        ground = Rectangle(
            (left, bottom),
            width,
            height,
            transform=figure.transFigure,
            figure=figure,
            color=figure.get_facecolor(),
        )
        bar = self._image.colorbar
        for artist in (ground, self.ax, *([] if bar is None else [bar.ax])):
            figure.draw_artist(artist)
        figure.canvas.blit(ground.get_window_extent())

    def _show(self, k: int) -> None:
        self.shown = k
        self._image.set_data(thinned(self._od[k]))
        self._image.set_clim(*grey_range(self._od[k]))
        self._titles["title"].set_text(od_title(self.energies_ev[k]))
        self._titles["subtitle"].set_text(missing_in_words(self._od[k]))
        self._mark.set_xdata([self.energies_ev[k]] * 2)
