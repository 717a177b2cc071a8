"""A matplotlib backend with windows that nobody sees and timers that ring when they are told to."""

from matplotlib.backend_bases import FigureManagerBase, TimerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

TIMERS = []


class Timer(TimerBase):
    running = False

    def _timer_start(self):
        self.running = True
        TIMERS.append(self)

    def _timer_stop(self):
        self.running = False


class FigureCanvas(FigureCanvasAgg):
    _timer_cls = Timer

    def draw_idle(self):
        """Nobody sees the pixels, and they take their time."""


FigureCanvas.manager_class = FigureManager = FigureManagerBase


def ring():
    """What an event loop does when time has passed."""
    for timer in TIMERS:
        if timer.running:
            timer._on_timer()
