"""Analysis of stacks from frames to maps or a first look, on the worker's thread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from stxm_live.core.harmless import as_error
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.recipe import Recipe
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Frame, Stack, StackKey
from stxm_live.io.documents import StackFrames
from stxm_live.live.cube import ODCube, cube_view
from stxm_live.live.progress import Pace
from stxm_live.phase_mapping.exploration import Exploration, explore_stack
from stxm_live.phase_mapping.latent_space.model import LatentModel
from stxm_live.phase_mapping.steps import DEFAULT, Steps
from stxm_live.phase_mapping.workflow import align_images, map_phases, takes_longer
from stxm_live.preprocessing.stack_images import ImageCache

_HELD_PER_IMAGE = 6
"""Memory of a stack per size of its images: aligned, smoothed and mapped ones are kept as well."""

State = Literal[
    "waiting", "scanning", "mapped", "explored", "overview", "failed", "ignored", "given up"
]

Found = PhaseMaps | Exploration
"""Result of a stack: maps, or what was found without references."""

Show = Callable[[ODCube], None]
"""Function that receives the growing cube."""


@dataclass(frozen=True)
class StackStatus:
    """State of a run.

    ``is_done``: the run has ended and nothing more will come. ``problems`` lists faults on the way,
    ``error`` is the reason if no maps could be made. An ``overview`` has one energy: it has no
    maps, and this is not a fault. A stack is ``explored`` if the recipe has no references.
    """

    state: State
    n_images: int = 0
    n_announced: int = 0
    is_done: bool = False
    problems: tuple[str, ...] = ()
    error: Exception | None = None


class StackAnalysis:
    """Cube and maps of one stack, from one run or several.

    Parameters
    ----------
    frames : StackFrames
    recipe : Recipe
        Without references the stack is explored when it would be mapped.
    model : LatentModel or None
        Result of `load_model`, if any.
    pace : Pace
    steps : Steps, optional
        As for `map_phases`.
    """

    def __init__(
        self,
        frames: StackFrames,
        recipe: Recipe,
        model: LatentModel | None,
        pace: Pace,
        steps: Steps = DEFAULT,
    ) -> None:
        self._scan = frames.scan
        self.maps: PhaseMaps | None = None
        self.exploration: Exploration | None = None
        self.error: Exception | None = None
        self.no_phases = ""
        self.problems: list[str] = []
        self.hidden: Exception | None = None
        self.n_images = 0
        self.is_done = False
        self._frames: StackFrames | None = frames
        self._key = frames.key
        self._recipe = recipe
        self._model = model
        self._steps = steps
        self._seen: ImageCache | None = ImageCache(recipe)
        self._has_new = False
        self._pace = pace

    @property
    def key(self) -> StackKey:
        """Return the key of the stack; it grows with every run that joins."""
        return self._key if self._frames is None else self._frames.key

    @property
    def scan(self) -> StackScan:
        """Return the scan, which grows if energies are not known before they are measured."""
        return self._scan if self._frames is None else self._frames.scan

    @property
    def why_no_maps(self) -> str:
        """Return the reason why an ended stack has no maps, in words."""
        if self.exploration is not None:
            return (
                "no maps were made, because the recipe has no references yet; explored(uid, "
                "timeout_s=...) returns the clusters, to name and save as references"
            )
        return self.no_phases or "no maps were made"

    @property
    def held_bytes(self) -> int:
        """Return about how much memory the stack takes, from the images that it has."""
        _, ny, nx = self.scan.shape
        return _HELD_PER_IMAGE * 4 * self.n_images * ny * nx

    def take(
        self,
        whole: Sequence[Frame],
        show: Show | None,
        *,
        is_last: bool,
        time_s: float = math.nan,
    ) -> Iterator[Found]:
        """Take new frames; yield maps if they completed or changed the stack.

        ``time_s`` is their time, from the event that made them complete.

        The quick maps come first, then those with refined alignment and the energy axis. Frames
        that replace others are mapped when no more documents are waiting (``is_last``). A display
        error is kept in ``problems`` and does not prevent maps; a mapping error is kept in
        ``error``. Frames are kept in any case.
        """
        if self._frames is None:
            return
        if self._frames.refusal:
            self.error = self.error or ValueError(self._frames.refusal)
            self._has_new = False
            return
        self._has_new |= bool(whole)
        self._pace.came([frame.announced_ev for frame in whole], time_s)
        if self._has_new and (self._has_no_result or is_last) and self._frames.is_whole:
            yield from self._map()
        for frame in whole:
            self._look(frame, show)
        if whole:
            self.n_images = self._frames.n_whole

    def end(self) -> Iterator[Found]:
        """Map what is not mapped yet, and release the frames, because nothing more will come."""
        if self._frames is None:
            return
        if self._has_new or self._has_no_result:
            yield from self._map()
        self.problems.extend(self._frames.notes)
        self._key, self._scan = self._frames.key, self._frames.scan
        self._frames = self._seen = None
        self.is_done = True

    def status(self) -> StackStatus:
        """Return the state of the stack."""
        state: State = "scanning" if self.n_images else "waiting"
        if self.error is not None:
            state = "failed"
        elif self.maps is not None:
            state = "mapped"
        elif self.exploration is not None:
            state = "explored"
        elif self.no_phases:
            state = "overview"
        return StackStatus(
            state,
            self.n_images,
            self.scan.shape[0],
            self.is_done,
            tuple(self.problems),
            self.error,
        )

    @property
    def _has_no_result(self) -> bool:
        return self.maps is None and self.exploration is None and self.error is None

    def _map(self) -> Iterator[Found]:
        """Yield maps of the frames so far; none if they failed."""
        assert self._frames is not None
        self._has_new = False
        stack = self._frames.stack()
        if self._is_overview(stack):
            return
        if self._recipe.references is None:
            yield from self._explore(stack)
            return
        passes = (True, False) if takes_longer(self._recipe) else (False,)
        for quick in passes:
            revision = 1 if self.maps is None else self.maps.revision + 1
            try:
                self.maps = map_phases(
                    stack,
                    self._recipe,
                    steps=self._steps,
                    model=self._model,
                    seen=self._seen,
                    revision=revision,
                    quick=quick,
                )
            except BaseException as caught:  # noqa: BLE001  the scan goes on; wait() raises the cause
                error = as_error(caught)
                if quick or len(passes) == 1:
                    self.error = error
                else:  # the maps that are there are as good as they were
                    self.hidden = self.hidden or error
                    self.problems.append(f"the maps could not be refined: {error}")
                return
            self.error = None
            yield self.maps

    def _explore(self, stack: Stack) -> Iterator[Exploration]:
        """Yield what the frames show without references; nothing if it failed."""
        try:
            self.exploration = explore_stack(
                stack, self._recipe, steps=self._steps, seen=self._seen
            )
        except BaseException as caught:  # noqa: BLE001  the scan goes on; the cause is reported
            self.error = as_error(caught)
            return
        self.error = None
        yield self.exploration

    def _is_overview(self, stack: Stack) -> bool:
        """Return True if there are images of only one energy; add it to ``problems``."""
        selected = self._recipe.selected(self.scan.energies_ev)
        if len(selected) != 1 or not stack.frames:
            return False
        if not self.no_phases:
            self.no_phases = (
                f"maps cannot be made from one energy: the recipe selects only {selected[0]:g} eV "
                "of the announced energies; record and select at least two"
            )
            self.problems.append(self.no_phases)
        return True

    def _look(self, frame: Frame, show: Show | None) -> None:
        """Show the cube with a new frame, or at least register it before the last one comes."""
        assert self._frames is not None
        assert self._seen is not None
        stack = self._frames.stack()
        stack = replace(stack, frames=tuple(f for f in stack.frames if f.is_whole))
        try:
            if show is None:
                align_images(self._seen.usable(stack), self._recipe, self._steps)
                return
            progress = self._pace.progress(
                self._frames.n_whole,
                self._frames.n_announced,
                may_skip=self.scan.skipping != "no",
            )
            view = cube_view(
                stack, frame, self._recipe, seen=self._seen, steps=self._steps, progress=progress
            )
            if view is not None:
                show(view)
        except BaseException as caught:  # noqa: BLE001  what cannot be shown must not stop the maps
            error = as_error(caught)
            self.hidden = self.hidden or error
            self.problems.append(f"image at {frame.energy_ev:g} eV cannot be shown: {error}")
