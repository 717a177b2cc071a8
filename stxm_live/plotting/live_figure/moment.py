"""A moment of a stack that the live figure shows, and the function that draws it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.live.progress import Progress
from stxm_live.plotting.live_figure.six_panels import (
    draw_failure,
    draw_final,
    draw_growing,
    draw_waiting,
)
from stxm_live.plotting.style.palette import Palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stxm_live.live.cube import ODCube
    from stxm_live.phase_mapping.exploration import Exploration
    from stxm_live.plotting.live_figure.energy_image import EnergyImage


@dataclass(frozen=True, eq=False)
class Moment:
    """A moment of a stack.

    Parameters
    ----------
    draw : callable
        Draws it on an empty figure and returns the image of one energy, if there is one.
    shown : ODCube or PhaseMaps, optional
        The newest image or result.
    progress : Progress, optional
        Progress of the scan, if it is still running.
    came_s : float
        Time at which it was made, in seconds of the monotonic clock.
    """

    draw: Callable[[Figure], EnergyImage | None]
    shown: ODCube | PhaseMaps | None = None
    progress: Progress | None = None
    came_s: float = field(default_factory=time.monotonic)

    @property
    def waited_s(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self.came_s

    def outdates(self, view: ODCube) -> bool:
        """Return True if it shows this stack's final maps, which come before its last image."""
        progress = view.progress
        is_whole = bool(view.measured.all()) if progress is None else progress.n_left == 0
        return is_whole and isinstance(self.shown, PhaseMaps) and view.key == self.shown.key


def waiting() -> Moment:
    """Return the moment before the first image."""
    return Moment(draw_waiting)


def growing(view: ODCube, palette: Palette, exploration: Exploration | None = None) -> Moment:
    """Return the moment of a stack that is being measured, with its exploration if it has one."""
    found = exploration if exploration is not None and exploration.key == view.key else None
    draw = partial(draw_growing, view=view, exploration=found, palette=palette)
    return Moment(draw, view, view.progress)


def final(maps: PhaseMaps, palette: Palette) -> Moment:
    """Return the moment of a result."""
    return Moment(partial(draw_final, maps=maps, palette=palette), maps)


def failure(uid: str, error: BaseException, before: Moment, palette: Palette) -> Moment:
    """Return the moment of a failure, above the panels that the run had before."""
    shown = before.shown if before.shown is not None and uid in before.shown.key.run_uids else None
    return Moment(partial(draw_failure, uid=uid, error=error, shown=shown, palette=palette), shown)
