"""`LiveFigure`: a sink of the live mapper that draws each image and each result."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.live.cube import ODCube
from stxm_live.plotting.live_figure.layout import SIZE_IN
from stxm_live.plotting.live_figure.moment import Moment, failure, final, growing, waiting
from stxm_live.plotting.live_figure.notebook import NotebookPicture, draws_inline
from stxm_live.plotting.live_figure.window import Window
from stxm_live.plotting.pictures import agg_figure, folder_for_pictures, safe_name, save_png
from stxm_live.plotting.style.palette import Palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.core.stack import StackKey
    from stxm_live.phase_mapping.exploration import Exploration

_LOOK_S = 0.05
"""Seconds between two checks for a new image where no event loop runs."""


class LiveFigure:
    """Six panels that follow a stack, and show its maps when they are ready.

    The image at one energy; the phase map; the ambiguous pixels; the mean spectrum over the
    references; drift, incident intensity and counts; the phases that the energies so far can
    distinguish, and after the scan the offset of its energy axis. The verdict and the time left
    are written above the panels. With a recipe without references, clusters and scree plot come
    in place of phases.

    Connect it with ``live.add_sink(figure, own_thread=True)``. With a ``folder`` it writes a
    picture per energy and one of the result, drawn on the thread that calls; `write_pictures`
    makes one of each product. `show` opens a window as well (or instead).

    Parameters
    ----------
    folder : path, optional
        Made if it is missing. The pictures of the first stack are written there, those of every
        other stack to a subfolder named after the stack.
    palette : {"roma", "paper"}
    size_in : (float, float), optional
        Width and height in inches. On a small figure the text is smaller, too.
    dpi : int

    Attributes
    ----------
    written : list of Path
        The pictures written so far.

    Raises
    ------
    OSError
        If the folder cannot be made or written.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        palette: Palette = "roma",
        size_in: tuple[float, float] | None = None,
        dpi: int = 100,
    ) -> None:
        self.folder = None if folder is None else folder_for_pictures(folder)
        self.written: list[Path] = []
        self._n_pictures = 0
        self._palette = palette
        self._size_in, self._dpi = size_in or SIZE_IN, dpi
        self._newest = waiting()
        self._exploration: Exploration | None = None
        self._first_key: StackKey | None = None
        self._window: Window | None = None
        self._notebook: NotebookPicture | None = None

    @property
    def n_drawn(self) -> int:
        """Number of times it was drawn."""
        return self._n_pictures + (0 if self._window is None else self._window.n_drawn)

    def on_cube(self, view: ODCube) -> None:
        """Show the newest image."""
        digits = max(2, len(str(len(view.energies_ev))))
        energy_ev = view.energies_ev[view.latest]
        name = f"energy-{view.latest + 1:0{digits}d}-{energy_ev:.2f}eV.png"
        moment = growing(view, self._palette, self._exploration)
        if not self._newest.outdates(view):
            self._newest = moment
        self._draw(moment, self._folder_of(view.key), name)
        if self._exploration is not None and self._exploration.key == view.key:
            self.on_exploration(self._exploration)  # it came before the last image

    def on_maps(self, maps: PhaseMaps) -> None:
        """Show a result."""
        name = "maps.png" if maps.revision == 1 else f"maps-revision-{maps.revision}.png"
        self._newest = final(maps, self._palette)
        self._draw(self._newest, self._folder_of(maps.key), name)

    def on_exploration(self, exploration: Exploration) -> None:
        """Show what was found without references, on the newest image of that stack."""
        self._exploration, view = exploration, self._newest.shown
        if isinstance(view, ODCube) and view.key == exploration.key:
            self._newest = growing(view, self._palette, exploration)
            self._draw(self._newest, self._folder_of(exploration.key), "clusters.png")

    def on_error(self, uid: str, error: BaseException) -> None:
        """Show that the analysis of a run failed, and why."""
        self._newest = failure(uid, error, self._newest, self._palette)
        self._draw(self._newest, self.folder, f"error-{safe_name(uid[:8])}.png")

    def image(self) -> NDArray[np.uint8]:
        """Return the newest picture, of shape (height, width, 4): red, green, blue, alpha."""
        figure = self._drawn(self._newest)
        canvas: Any = figure.canvas
        canvas.draw()
        return np.asarray(canvas.buffer_rgba()).copy()

    def show(self, interval_ms: int = 50) -> None:
        """Open a window that follows the scan; call it in the main thread.

        It is drawn on that thread only, from the newest snapshot. It may be closed at any time;
        pictures are still written, and `show` opens it again. A slider chooses the energy of the
        image; with "follow" switched on it is the newest one.

        While a RunEngine occupies the main thread, Bluesky keeps windows of matplotlib's Qt
        backends alive. For other backends, such as Tk, use ``RunEngine(during_task=figure)``;
        otherwise the window is updated only when the scan ends (with ``%matplotlib widget``,
        when the cell ends). With ``%matplotlib inline`` there is no window: each image replaces
        the picture below the cell, without a slider.

        Raises
        ------
        RuntimeError
            If matplotlib can draw neither in a window nor in a notebook.
        """
        if draws_inline():
            self._notebook = NotebookPicture()
            self._notebook.show(self._drawn(self._newest))
        elif self._window is None or self._window.is_closed:
            drawn_before = 0 if self._window is None else self._window.n_drawn
            self._window = Window(lambda: self._newest, self._size_in, self._dpi, interval_ms)
            self._n_pictures += drawn_before

    def block(self, blocking_event: Event) -> None:
        """Keep the window alive until an event is set, as ``during_task`` of the RunEngine."""
        while not blocking_event.wait(_LOOK_S):
            if self._window is not None:
                self._window.flush_events()

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()

    def _folder_of(self, key: StackKey) -> Path | None:
        if self.folder is None:
            return None
        self._first_key = self._first_key or key
        if key == self._first_key:
            return self.folder
        return folder_for_pictures(self.folder / safe_name(str(key)))

    def _drawn(self, moment: Moment) -> Figure:
        figure = agg_figure(self._size_in, self._dpi)
        moment.draw(figure)
        return figure

    def _draw(self, moment: Moment, folder: Path | None, name: str) -> None:
        """Write a picture, drawn on the calling thread; a window draws itself."""
        show = self._notebook is not None and moment is self._newest
        if folder is None and not show:
            return
        figure = self._drawn(moment)
        if folder is not None:
            save_png(figure, folder / name)
            self.written.append(folder / name)
        if self._notebook is not None and show:
            self._notebook.show(figure)
        self._n_pictures += 1
