"""`map_run`: maps of past runs, by the same steps as live."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.recipe import Recipe
from stxm_live.core.recipe_options import FieldOptions
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Stack, the_one
from stxm_live.io.catalog.reading import documents
from stxm_live.io.documents import (
    NoStackError,
    OpenStacks,
    Roots,
    RunFrames,
    StackFrames,
    snapshot,
)
from stxm_live.io.large_stacks import check_past_size, with_images_in_files
from stxm_live.phase_mapping.latent_space.model import LatentModel
from stxm_live.phase_mapping.steps import DEFAULT, Steps
from stxm_live.phase_mapping.workflow import map_phases

_RETRY_S = 0.1


def map_run(
    run: Any,
    recipe: Recipe,
    *,
    region: str | None = None,
    polarization: str | None = None,
    scan: StackScan | None = None,
    steps: Steps = DEFAULT,
    model: LatentModel | None = None,
    roots: Sequence[str | Path] = (),
    patience_s: float = 0.0,
) -> PhaseMaps:
    """Return the maps of a stack, bit for bit identical to those made during the scan.

    Parameters
    ----------
    run : BlueskyRun, databroker Header, iterable of (name, document), or a list of these
        Several runs if every energy is a run of its own.
    recipe : Recipe
    region, polarization : str, optional
        Choice of the stack, if there are several.
    scan : StackScan, optional
        Description of the run, for a start document without one.
    steps, model : optional
        See `map_phases`.
    roots : sequence of path
        Folders from which images outside the documents may be read.
    patience_s : float
        Longest wait for image files.

    Raises
    ------
    ValueError
        If the run is not a stack, if it holds several and none is chosen, or if no map can be
        made from it.
    """
    stack = stack_of_run(
        run,
        region=region,
        polarization=polarization,
        scan=scan,
        fields=recipe.fields,
        roots=roots,
        patience_s=patience_s,
    )
    return map_phases(stack, recipe, steps=steps, model=model)


def stack_of_run(
    run: Any,
    *,
    region: str | None = None,
    polarization: str | None = None,
    scan: StackScan | None = None,
    fields: FieldOptions | None = None,
    roots: Sequence[str | Path] = (),
    patience_s: float = 0.0,
) -> Stack:
    """Return the frames of a stack; arguments and errors as for `map_run`."""
    stacks = stacks_of_runs(run, scan=scan, fields=fields, roots=roots, patience_s=patience_s)
    return the_one(stacks, region, polarization)


def stacks_of_runs(
    run: Any,
    *,
    scan: StackScan | None = None,
    fields: FieldOptions | None = None,
    roots: Sequence[str | Path] = (),
    patience_s: float = 0.0,
) -> list[Stack]:
    """Return every stack of one or several runs; arguments and errors as for `map_run`."""
    open_stacks, found = OpenStacks(large_in_files=True), dict[StackFrames, None]()
    folders, why_not = Roots(roots), list[NoStackError]()
    for stream in _streams(run):
        frames: RunFrames | None = None
        for name, doc in stream:
            if name == "start":
                _check_first(frames, doc)
                copied = snapshot(name, doc)
                frames = RunFrames(
                    copied, scan, fields=fields, roots=folders, open_stacks=open_stacks
                )
                for announced in frames.stacks:
                    check_past_size(announced.scan)
            elif frames is None:
                raise ValueError(f"the first document is a {name}, expected a start document")
            else:
                frames(name, snapshot(name, doc))
        if frames is not None:
            if frames.why_no_stack is not None:
                why_not.append(frames.why_no_stack)
            _read_late_files(frames, patience_s)
            found |= dict.fromkeys(frames.stacks)
    if not found:
        raise why_not[0] if why_not else ValueError("the run has no documents")
    return [with_images_in_files(frames.stack()) for frames in found]


def _read_late_files(frames: RunFrames, patience_s: float) -> None:
    """Wait for files, up to a time limit."""
    deadline = time.monotonic() + patience_s
    while frames.n_waiting and time.monotonic() < deadline:
        time.sleep(_RETRY_S)
        frames.retry()
    frames.give_up()


def _check_first(frames: RunFrames | None, start: Any) -> None:
    if frames is not None:
        raise ValueError(
            f"run {frames.uid[:8]} is followed by run {str(start['uid'])[:8]}; "
            "give several runs as a list, [run, run]"
        )


def _streams(run: Any) -> list[Iterator[tuple[str, Any]]]:
    """Return the documents of every run, in the order in which the runs began."""
    if not isinstance(run, list) or not run or isinstance(run[0], tuple):
        return [iter(documents(run))]
    streams: list[Iterable[tuple[str, Any]]] = [documents(one) for one in run]
    begun: list[tuple[float, Iterator[tuple[str, Any]]]] = []
    for stream in streams:
        rest = iter(stream)
        first = next(rest, None)
        if first is None:
            raise ValueError("one of the runs has no documents")
        begun.append((float(first[1].get("time", 0.0)), chain([first], rest)))
    return [stream for _, stream in sorted(begun, key=lambda entry: entry[0])]
