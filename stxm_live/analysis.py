"""One run on its way from documents to maps; lives on the worker's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stxm_live.bundle import BundleError
from stxm_live.cube import CubeView, ODCube
from stxm_live.frames import RunFrames
from stxm_live.latent import LatentModel
from stxm_live.phase_map import map_phases, takes_longer
from stxm_live.phase_maps import PhaseMaps
from stxm_live.recipe import Recipe
from stxm_live.registration import Registrar
from stxm_live.scan import StackScan
from stxm_live.stack import Frame, StackKey

State = Literal["waiting", "scanning", "mapped", "failed", "ignored", "given up"]


@dataclass(frozen=True)
class StackStatus:
    """How far a run is.

    ``is_done``: the run has ended and nothing more will come. ``problems`` tells what went wrong
    on the way, ``error`` what made the maps impossible.
    """

    state: State
    n_images: int = 0
    n_announced: int = 0
    is_done: bool = False
    problems: tuple[str, ...] = ()
    error: Exception | None = None


class RunAnalysis:
    """Frames, cube and maps of one run.

    Parameters
    ----------
    start : dict
        The start document.
    recipe : Recipe
    model : LatentModel or BundleError
        What `load_model` returned or raised.
    scan : StackScan, optional
        For start documents without an ``stxm`` block.

    Raises
    ------
    ValueError
        If the run cannot be read as a stack.
    """

    def __init__(
        self,
        start: Mapping[str, Any],
        recipe: Recipe,
        model: LatentModel | BundleError,
        scan: StackScan | None = None,
    ) -> None:
        self._frames: RunFrames | None = RunFrames(start, scan)
        self._recipe = recipe
        self._model = model
        self._registrar: Registrar | None = Registrar(recipe)
        self._cube: ODCube | None = None
        self.key: StackKey = self._frames.key
        self.scan = self._frames.scan
        self.maps: PhaseMaps | None = None
        self.error: Exception | None = None
        self.problems: list[str] = []
        self.hidden: Exception | None = None
        self.n_images = 0
        self.is_done = False

    def take(
        self, name: str, doc: Mapping[str, Any], show: Callable[[CubeView], None] | None
    ) -> Iterator[PhaseMaps]:
        """Take a document; yield new maps if it completed or changed the stack.

        First come the maps that are quickly made, then those with refined registration and the
        energy axis. A failure to show is kept in ``problems`` and does not keep the maps from
        being made; a failure to map is kept in ``error``. Frames stay whatever happens.
        """
        if self._frames is None:
            return
        whole = self._frames(name, doc)
        if (whole and self._frames.is_whole) or name == "stop":
            yield from self._map(renew=bool(whole))
        for frame in whole:
            self._look(frame, show)
        self.n_images = len(self._frames.whole_energies_ev)
        if name == "stop":
            self.is_done = True
            self.problems.extend(self._frames.notes)
            self._frames = self._cube = self._registrar = None

    def status(self) -> StackStatus:
        """How far the run is."""
        state: State = "scanning" if self.n_images else "waiting"
        if self.error is not None:
            state = "failed"
        elif self.maps is not None:
            state = "mapped"
        return StackStatus(
            state,
            self.n_images,
            self.scan.shape[0],
            self.is_done,
            tuple(self.problems),
            self.error,
        )

    def _map(self, *, renew: bool) -> Iterator[PhaseMaps]:
        """Maps of the frames so far; none if they failed or if there is nothing new."""
        assert self._frames is not None
        tried = self.maps is not None or self.error is not None
        if tried and not renew:
            return
        stack = self._frames.stack()
        steps = (True, False) if takes_longer(self._recipe) else (False,)
        for quick in steps:
            revision = 1 if self.maps is None else self.maps.revision + 1
            try:
                self.maps = map_phases(
                    stack,
                    self._recipe,
                    model=self._model,
                    registrar=self._registrar,
                    revision=revision,
                    quick=quick,
                )
            except Exception as error:  # noqa: BLE001  the scan goes on; wait() raises the cause
                if quick or len(steps) == 1:
                    self.error = error
                else:  # the maps that are there are as good as they were
                    self.hidden = self.hidden or error
                    self.problems.append(f"the maps could not be refined: {error}")
                return
            self.error = None
            yield self.maps

    def _look(self, frame: Frame, show: Callable[[CubeView], None] | None) -> None:
        """Show the cube with a new frame, or at least register it before the last one comes."""
        assert self._frames is not None
        assert self._registrar is not None
        stack = self._frames.stack()
        try:
            if show is None:
                self._registrar.prepare(stack)
                return
            self._cube = self._cube or ODCube(self.scan, self._recipe, self._registrar)
            view = self._cube.view(stack, frame)
            if view is not None:
                show(view)
        except Exception as error:  # noqa: BLE001  what cannot be shown must not stop the maps
            self.hidden = self.hidden or error
            self.problems.append(f"image at {frame.energy_ev:g} eV cannot be shown: {error}")
