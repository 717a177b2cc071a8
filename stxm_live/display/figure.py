"""`LiveFigure`: a sink of the live mapper that draws each image and each result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.display.layout import figure_size_in
from stxm_live.display.palette import Palette
from stxm_live.display.pictures import (
    agg_figure,
    folder_for_pictures,
    safe_name,
    save_png,
)
from stxm_live.display.raster import field_of
from stxm_live.display.result_panels import draw_failure, draw_final, draw_growing, draw_waiting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stxm_live.cube import CubeView
    from stxm_live.phase_maps import PhaseMaps
    from stxm_live.stack import StackKey


class _Scene(NamedTuple):
    """What is to be seen: how to draw it on an empty figure, and the shape of its maps."""

    draw: Callable[[Figure], None]
    aspect: float = 1.0


class LiveFigure:
    """Four panels that follow a stack: OD image, spectra, phase map, ambiguity.

    Have it told with ``live.add_sink(figure)``. With a ``folder`` it writes a picture per energy
    and one of the result, drawn on the thread that calls; `write_pictures` makes one of each
    product. `show` opens a window as well (or instead): that is drawn on the thread that
    called `show`, from the newest snapshot, and may be closed at any time.

    Parameters
    ----------
    folder : path, optional
        Made if it is not there. The first stack's pictures lie in it, those of every other
        stack in a subfolder named after the stack.
    palette : {"roma", "paper"}
    size_in : (float, float), optional
        Width and height in inches; by default what suits the shape of the field.
    dpi : int

    Attributes
    ----------
    n_drawn : int
        How often it was drawn.
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
        self.n_drawn = 0
        self._palette = palette
        self._size_in, self._dpi = size_in, dpi
        self._newest = _Scene(draw_waiting)
        self._view: CubeView | None = None
        self._first_key: StackKey | None = None
        self._window: _Window | None = None

    def on_cube(self, view: CubeView) -> None:
        """Show the newest image."""
        self._view = view
        digits = max(2, len(str(len(view.energies_ev))))
        energy_ev = view.energies_ev[view.latest]
        self._newest = _Scene(
            partial(draw_growing, view=view, palette=self._palette),
            field_of(view.scan.extent_um, view.specimen.shape).aspect,
        )
        self._draw(
            self._folder_of(view.key), f"energy-{view.latest + 1:0{digits}d}-{energy_ev:.2f}eV.png"
        )

    def on_maps(self, maps: PhaseMaps) -> None:
        """Show a result."""
        self._newest = _Scene(
            partial(draw_final, maps=maps, palette=self._palette),
            field_of(maps.extent_um, maps.specimen.shape).aspect,
        )
        self._draw(
            self._folder_of(maps.key),
            "maps.png" if maps.revision == 1 else f"maps-revision-{maps.revision}.png",
        )

    def on_error(self, uid: str, error: BaseException) -> None:
        """Show that the analysis of a run failed, and why."""
        view = self._view if self._view is not None and uid in self._view.key.run_uids else None
        self._newest = _Scene(
            partial(draw_failure, uid=uid, error=error, view=view, palette=self._palette),
            self._newest.aspect,
        )
        self._draw(self.folder, f"error-{safe_name(uid[:8])}.png")

    def image(self) -> NDArray[np.uint8]:
        """The newest picture, of shape (height, width, 4): red, green, blue, alpha."""
        figure = self._drawn(self._newest)
        canvas: Any = figure.canvas
        canvas.draw()
        return np.asarray(canvas.buffer_rgba()).copy()

    def show(self, interval_ms: int = 250) -> None:
        """Open a window that follows the scan; call it in the main thread.

        While a RunEngine occupies the main thread, only matplotlib's Qt backends keep a window
        alive (``%matplotlib qt``); with others it catches up when the scan ends.

        Raises
        ------
        RuntimeError
            If matplotlib has no window to draw in.
        """
        if not self._has_window:
            self._window = _Window(self, interval_ms)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()

    @property
    def _has_window(self) -> bool:
        return self._window is not None and not self._window.is_closed

    def _folder_of(self, key: StackKey) -> Path | None:
        if self.folder is None:
            return None
        self._first_key = self._first_key or key
        if key == self._first_key:
            return self.folder
        return folder_for_pictures(self.folder / safe_name(str(key)))

    def _size_of(self, scene: _Scene) -> tuple[float, float]:
        return self._size_in or figure_size_in(2, 2, scene.aspect)

    def _drawn(self, scene: _Scene) -> Figure:
        figure = agg_figure(self._size_of(scene), self._dpi)
        scene.draw(figure)
        return figure

    def _draw(self, folder: Path | None, name: str) -> None:
        """Write the newest picture, drawn on the calling thread; a window draws itself."""
        if folder is not None:
            save_png(self._drawn(self._newest), folder / name)
            self.written.append(folder / name)
            self.n_drawn += 1


class _Window:
    """A pyplot window and the timer that redraws it when there is something new."""

    def __init__(self, source: LiveFigure, interval_ms: int) -> None:
        import matplotlib.pyplot as plt
        from matplotlib.backend_bases import TimerBase

        self._source = source
        self._shown: _Scene | None = None
        self.is_closed = False
        size_in = source._size_of(source._newest)
        self.figure = plt.figure(figsize=size_in, dpi=source._dpi, facecolor="white")
        self._timer = self.figure.canvas.new_timer(interval=interval_ms)
        if type(self._timer) is TimerBase:
            plt.close(self.figure)
            raise RuntimeError(
                f"matplotlib backend {plt.get_backend()!r} has no window; choose one before "
                "(%matplotlib qt, or MPLBACKEND=QtAgg), or give LiveFigure a folder for pictures"
            )
        self.figure.canvas.mpl_connect("close_event", self._on_close)
        self._timer.add_callback(self.poll)
        self.poll()
        self._timer.start()
        plt.show(block=False)

    def poll(self) -> None:
        """Redraw if a newer snapshot has come; runs in the window's own thread."""
        newest = self._source._newest
        if self.is_closed or newest is self._shown:
            return
        self._shown = newest
        self.figure.clear()
        newest.draw(self.figure)
        self.figure.canvas.draw_idle()
        self._source.n_drawn += 1

    def close(self) -> None:
        import matplotlib.pyplot as plt

        plt.close(self.figure)

    def _on_close(self, _event: Any) -> None:
        self.is_closed = True
        self._timer.stop()
