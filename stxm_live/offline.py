"""`map_run`: the maps of a past run, by the same road as live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stxm_live.bundle import BundleError
from stxm_live.frames import RunFrames, snapshot
from stxm_live.latent import LatentModel
from stxm_live.phase_map import map_phases
from stxm_live.phase_maps import PhaseMaps
from stxm_live.recipe import Recipe
from stxm_live.replay import documents
from stxm_live.scan import StackScan
from stxm_live.stack import Stack


def map_run(
    run: Any,
    recipe: Recipe,
    *,
    scan: StackScan | None = None,
    model: LatentModel | BundleError | None = None,
) -> PhaseMaps:
    """The maps of a run, identical bit for bit to those made while it was measured.

    Parameters
    ----------
    run : BlueskyRun, databroker Header, or iterable of (name, document)
        A list with a single run is taken too.
    recipe : Recipe
    scan : StackScan, optional
        What the run is, for a start document without an ``stxm`` block.
    model : LatentModel or BundleError, optional
        See `map_phases`.

    Raises
    ------
    ValueError
        If the run is no stack, or if no map can be made of it.
    """
    return map_phases(stack_of_run(run, scan=scan), recipe, model=model)


def stack_of_run(run: Any, *, scan: StackScan | None = None) -> Stack:
    """The frames of a run; arguments and errors as for `map_run`."""
    frames: RunFrames | None = None
    for name, doc in _documents(run):
        if name == "start":
            if frames is not None:
                raise ValueError(
                    f"run {frames.uid[:8]} is followed by run {str(doc['uid'])[:8]}; "
                    "map one run at a time"
                )
            frames = RunFrames(doc, scan)
        elif frames is None:
            raise ValueError(f"the first document is a {name}, expected a start document")
        else:
            frames(name, snapshot(name, doc))
    if frames is None:
        raise ValueError("the run has no documents")
    return frames.stack()


def _documents(run: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(run, list) and len(run) == 1 and not isinstance(run[0], tuple):
        run = run[0]
    return documents(run)
