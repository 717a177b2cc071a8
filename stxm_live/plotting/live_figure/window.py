"""A window that follows a scan: all of it happens on the thread that opened it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.plotting.live_figure.energy_slider import EnergySlider
from stxm_live.plotting.live_figure.header import TIME_LEFT, time_left_in_words
from stxm_live.plotting.live_figure.layout import cleared, slider_boxes

if TYPE_CHECKING:
    from matplotlib.text import Text

    from stxm_live.plotting.live_figure.energy_image import EnergyImage
    from stxm_live.plotting.live_figure.moment import Moment

_CLOCK_S = 10.0
"""How often the time that is left is written anew: a redraw for one line of text."""

_REST = 0.5
"""After a redraw so many times the processor time it took nothing but a result, or the image alone,
is drawn: whoever scans in the same process is to get on, also with images that come quickly."""


class Window:
    """A pyplot window and the timer that redraws it when there is something new.

    Parameters
    ----------
    newest : callable
        The moment to show.
    size_in : (float, float)
    dpi : int
    interval_ms : int
        How often the timer looks for something new.

    Attributes
    ----------
    is_closed : bool
    n_drawn : int
        How many moments were drawn.

    Raises
    ------
    RuntimeError
        If matplotlib has no window to draw in.
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
                f"matplotlib backend {plt.get_backend()!r} has no window; choose one before "
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
        """Draw what is new: a moment, the size of the window, or the time that is left."""
        if self.is_closed:
            return
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
        """Let the window react, where no event loop runs."""
        if not self.is_closed:
            self.poll()
            self.figure.canvas.flush_events()

    def close(self) -> None:
        """Close the window."""
        import matplotlib.pyplot as plt

        plt.close(self.figure)

    def _draw_image_first(self, moment: Moment) -> None:
        """The newest image alone, for which people wait; the other panels take longer."""
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
        """Below the image of this moment; it keeps what was chosen."""
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
        """Rest after a redraw."""
        if self._began_s is not None:
            spent_s = time.thread_time() - self._began_s
            self._rests_until_s = time.monotonic() + _REST * spent_s
            self._began_s = None

    def _on_close(self, _event: Any) -> None:
        self.is_closed = True
        self._timer.stop()
        if self._slider is not None:
            self._slider.disconnect()
