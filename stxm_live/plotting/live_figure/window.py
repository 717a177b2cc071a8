"""A window that follows a scan; it is drawn on the thread that opened it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stxm_live.core.harmless import Harmless
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.plotting.live_figure.energy_slider import EnergySlider
from stxm_live.plotting.live_figure.header import TIME_LEFT, time_left_in_words
from stxm_live.plotting.live_figure.layout import cleared, slider_boxes

if TYPE_CHECKING:
    from matplotlib.text import Text

    from stxm_live.plotting.live_figure.energy_image import EnergyImage
    from stxm_live.plotting.live_figure.moment import Moment

_CLOCK_S = 10.0
"""Seconds between two updates of the time left, because each one redraws the figure."""

_REST = 0.5
"""Pause after a redraw, in units of the processor time the redraw took. Only a result or the image
alone is drawn during it, so that a scan in the same process is not slowed down by fast images."""


class Window:
    """A pyplot window and the timer that redraws it when there is something new.

    Parameters
    ----------
    newest : callable
        The moment to show.
    size_in : (float, float)
    dpi : int
    interval_ms : int
        Time between two checks for something new.

    Attributes
    ----------
    is_closed : bool
    n_drawn : int
        Number of moments that were drawn.

    Raises
    ------
    RuntimeError
        If matplotlib cannot open a window.
    """

    def __init__(
        self,
        newest: Callable[[], Moment],
        size_in: tuple[float, float],
        dpi: int,
        interval_ms: int,
    ) -> None:
        import matplotlib.pyplot as plt
        from matplotlib.backend_bases import TimerBase

        self._newest = newest
        self._shown: tuple[Moment, float, float] | None = None
        self._image: EnergyImage | None = None
        self._slider: EnergySlider | None = None
        self._time_left: Text | None = None
        self._began_s: float | None = None
        self._rests_until_s = 0.0
        self.is_closed = False
        self.n_drawn = 0
        self.figure = plt.figure(figsize=size_in, dpi=dpi, facecolor="white")
        self._timer = self.figure.canvas.new_timer(interval=interval_ms)
        if type(self._timer) is TimerBase:
            plt.close(self.figure)
            raise RuntimeError(
                f"matplotlib backend {plt.get_backend()!r} has no window; choose another before "
                "(%matplotlib qt, or MPLBACKEND=QtAgg), or give LiveFigure a folder for pictures"
            )
        if self.figure.canvas.manager is not None:
            self.figure.canvas.manager.set_window_title("stxm_live")
        self.figure.canvas.mpl_connect("close_event", self._on_close)
        self.figure.canvas.mpl_connect("draw_event", self._on_drawn)
        self._timer.add_callback(self.poll)
        self.poll()
        self._timer.start()
        plt.show(block=False)

    def poll(self) -> None:
        """Redraw after a new moment, a new size of the window, or a new time left; never raises.

        A RunEngine calls it in `block`, and a window's event loop, which an error may end.
        """
        with Harmless("the window could not be drawn (picture %s)", self.n_drawn + 1):
            if not self.is_closed:
                self._redraw()

    def _redraw(self) -> None:
        moment = self._newest()
        rests = moment.progress is not None and time.monotonic() < self._rests_until_s
        now = (moment, self.figure.get_figwidth(), self.figure.get_figheight())
        if self._shown is not None and now[1:] == self._shown[1:]:
            self._draw_image_first(moment)
        if now != self._shown and not rests:
            self._shown = now
            self._draw(moment)
        elif now == self._shown and moment.progress is not None and self._time_left is not None:
            waited_s = _CLOCK_S * (moment.waited_s // _CLOCK_S)
            words = time_left_in_words(moment.progress, waited_s)
            if words != self._time_left.get_text():
                self._time_left.set_text(words)
                self.figure.canvas.draw_idle()

    def flush_events(self) -> None:
        """Let the window react to the mouse where no event loop runs."""
        self.poll()
        with Harmless("the window did not react (picture %s)", self.n_drawn):
            if not self.is_closed:
                self.figure.canvas.flush_events()

    def close(self) -> None:
        """Close the window."""
        import matplotlib.pyplot as plt

        plt.close(self.figure)

    def _draw_image_first(self, moment: Moment) -> None:
        """Draw the newest image first: people wait for it, and the other panels are slower."""
        image, view, slider = self._image, moment.shown, self._slider
        if image is None or view is None or isinstance(view, PhaseMaps) or moment.progress is None:
            return
        is_followed = slider is not None and slider.chosen_ev is None
        if is_followed and self.figure.canvas.supports_blit and image.follow(view):
            image.draw_alone()

    def _draw(self, moment: Moment) -> None:
        self._began_s = time.thread_time()
        cleared(self.figure)
        self._image = moment.draw(self.figure)
        self._time_left = next(
            (text for text in self.figure.texts if text.get_gid() == TIME_LEFT), None
        )
        self._place_slider()
        self.figure.canvas.draw_idle()
        self.n_drawn += 1

    def _place_slider(self) -> None:
        """Put the slider below the image of this moment; it keeps the chosen energy."""
        if self._image is None:
            if self._slider is not None:
                self._slider.hide()
            return
        boxes = slider_boxes(self._image.ax)
        if self._slider is None:
            self._slider = EnergySlider(self.figure, boxes, self._choose)
        self._slider.follow(self._image, boxes)
        self._image.show(self._slider.chosen_ev)

    def _choose(self, energy_ev: float | None) -> None:
        if self._image is not None:
            self._image.show(energy_ev)
            self.figure.canvas.draw_idle()

    def _on_drawn(self, _event: Any) -> None:
        """Pause after a redraw."""
        if self._began_s is not None:
            spent_s = time.thread_time() - self._began_s
            self._rests_until_s = time.monotonic() + _REST * spent_s
            self._began_s = None

    def _on_close(self, _event: Any) -> None:
        self.is_closed = True
        self._timer.stop()
        if self._slider is not None:
            self._slider.disconnect()
