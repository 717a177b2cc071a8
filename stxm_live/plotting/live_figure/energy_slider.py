"""The slider below the image: it chooses an energy, or follows the newest image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from stxm_live.plotting.live_figure.layout import CONTROL, AxesBounds, text_scale
from stxm_live.plotting.style.lettering import PLAIN
from stxm_live.plotting.style.palette import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stxm_live.plotting.live_figure.energy_image import EnergyImage


class EnergySlider:
    """A slider over the measured energies, evenly spaced, and a box "follow".

    Moving the slider switches follow off; switching it on shows the newest image again, and each
    one that comes.

    Parameters
    ----------
    figure : Figure
    boxes : (AxesBounds, AxesBounds)
        Positions of the slider and the box.
    choose : callable
        Called with the energy that was chosen, in eV; with None to follow.

    Attributes
    ----------
    chosen_ev : float or None
        None while it follows.
    """

    def __init__(
        self,
        figure: Figure,
        boxes: tuple[AxesBounds, AxesBounds],
        choose: Callable[[float | None], None],
    ) -> None:
        from matplotlib.widgets import CheckButtons, Slider

        self.chosen_ev: float | None = None
        self._figure = figure
        self._choose = choose
        self._image: EnergyImage | None = None
        slider_ax, follow_ax = (figure.add_axes(box, gid=CONTROL) for box in boxes)
        follow_ax.set_axis_off()
        self._axes: tuple[Axes, Axes] = (slider_ax, follow_ax)
        self._slider = Slider(slider_ax, "", 0, 1, valstep=[0], color="#2f6f9f", initcolor="none")
        self._slider.valtext.set_visible(False)
        area = {"s": (8.5 * text_scale(figure)) ** 2}
        self._follow = CheckButtons(
            follow_ax, [" follow"], [True], frame_props=area, check_props=area
        )
        (label,) = self._follow.labels
        label.update({"color": INK, **PLAIN})
        self._slider.on_changed(self._moved)
        self._follow.on_clicked(self._clicked)

    def follow(self, image: EnergyImage, boxes: tuple[AxesBounds, AxesBounds]) -> None:
        """Slide over the energies of this image from now on."""
        self._image = image
        for ax, box in zip(self._axes, boxes, strict=True):
            ax.set_position(box)
            ax.set_visible(True)
        self._follow.labels[0].set_fontsize(8.5 * text_scale(self._figure))
        n_energies = len(image.energies_ev)
        self._slider.valmin, self._slider.valmax = 0, max(1, n_energies - 1)
        self._slider.ax.set_xlim(0, max(1, n_energies - 1))
        known = np.flatnonzero(image.measured)
        self._slider.valstep = known if known.size else np.array([image.followed])
        self._put(image.nearest(self.chosen_ev))

    def hide(self) -> None:
        """Hide the slider while there is no image."""
        for ax in self._axes:
            ax.set_visible(False)

    def disconnect(self) -> None:
        """Stop reacting to the mouse, after the window was closed."""
        self._slider.disconnect_events()
        self._follow.disconnect_events()

    def _put(self, k: int) -> None:
        """Move to an energy that the user has not chosen."""
        self._slider.eventson = False
        self._slider.set_val(k)
        self._slider.eventson = True

    def _moved(self, k: float) -> None:
        if self._image is None:
            return
        self.chosen_ev = self._image.energies_ev[int(k)]
        if self._follow.get_status()[0]:
            self._follow.eventson = False
            self._follow.set_active(0)
            self._follow.eventson = True
        self._choose(self.chosen_ev)

    def _clicked(self, _label: str | None) -> None:
        if self._image is None:
            return
        on = self._follow.get_status()[0]
        self.chosen_ev = None if on else self._image.energies_ev[self._image.shown]
        if on:
            self._put(self._image.followed)
        self._choose(self.chosen_ev)
