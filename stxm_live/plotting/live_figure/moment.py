"""What the live figure is to show at a moment, and how it is drawn."""

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
    from stxm_live.plotting.live_figure.energy_image import EnergyImage


@dataclass(frozen=True, eq=False)
class Moment:
    """A moment of a stack.

    Parameters
    ----------
    draw : callable
        Draws it on an empty figure; the image of an energy in it, if there is one.
    shown : ODCube or PhaseMaps, optional
        The newest image or result.
    progress : Progress, optional
        How far the scan was, if it still goes on.
    came_s : float
        When it was made, by the monotonic clock.
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
        """Whether it shows the maps of this whole stack: they are told before its last image."""
        progress = view.progress
        is_whole = bool(view.measured.all()) if progress is None else progress.n_left == 0
        return is_whole and isinstance(self.shown, PhaseMaps) and view.key == self.shown.key


def waiting() -> Moment:
    """Before the first image."""
    return Moment(draw_waiting)


def growing(view: ODCube, palette: Palette) -> Moment:
    """A stack that is being measured."""
    return Moment(partial(draw_growing, view=view, palette=palette), view, view.progress)


def final(maps: PhaseMaps, palette: Palette) -> Moment:
    """A result."""
    return Moment(partial(draw_final, maps=maps, palette=palette), maps)


def failure(uid: str, error: BaseException, before: Moment, palette: Palette) -> Moment:
    """What went wrong, over what was shown of that run before."""
    shown = before.shown if before.shown is not None and uid in before.shown.key.run_uids else None
    return Moment(partial(draw_failure, uid=uid, error=error, shown=shown, palette=palette), shown)
