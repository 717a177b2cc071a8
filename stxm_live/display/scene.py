"""What the live figure is to show at a moment, and how it is drawn."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from stxm_live.display.palette import Palette
from stxm_live.display.six_panels import draw_failure, draw_final, draw_growing, draw_waiting
from stxm_live.progress import Progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stxm_live.cube import CubeView
    from stxm_live.display.energy_image import EnergyImage
    from stxm_live.phase_maps import PhaseMaps


@dataclass(frozen=True, eq=False)
class Scene:
    """A moment of a stack.

    Parameters
    ----------
    draw : callable
        Draws it on an empty figure; the image of an energy in it, if there is one.
    view : CubeView, optional
        The newest image, for a scene that shows it.
    progress : Progress, optional
        How far the scan was, if it still goes on.
    came_s : float
        When it was made, by the monotonic clock.
    """

    draw: Callable[[Figure], EnergyImage | None]
    view: CubeView | None = None
    progress: Progress | None = None
    came_s: float = field(default_factory=time.monotonic)

    @property
    def waited_s(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self.came_s


def waiting() -> Scene:
    """Before the first image."""
    return Scene(draw_waiting)


def growing(view: CubeView, palette: Palette) -> Scene:
    """A stack that is being measured."""
    return Scene(partial(draw_growing, view=view, palette=palette), view, view.progress)


def final(maps: PhaseMaps, palette: Palette) -> Scene:
    """A result."""
    return Scene(partial(draw_final, maps=maps, palette=palette))


def failure(uid: str, error: BaseException, view: CubeView | None, palette: Palette) -> Scene:
    """What went wrong, over the last image of that run."""
    draw = partial(draw_failure, uid=uid, error=error, view=view, palette=palette)
    return Scene(draw, view)
