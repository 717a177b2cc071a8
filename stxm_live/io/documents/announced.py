"""Stacks that a start document announces, in the form of stxm_live, of others or of a plug-in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Protocol

from stxm_live.core.plugins import ask, plugins
from stxm_live.core.recipe_options import FieldOptions
from stxm_live.core.scan import StackScan, scans_of_start
from stxm_live.io.documents.cls import cls_stack, is_cls
from stxm_live.io.documents.counts import PieceKind
from stxm_live.io.documents.grid import grid_stack, is_grid
from stxm_live.io.documents.run_axes import run_order
from stxm_live.io.documents.scan_order import ScanOrder


@dataclass(frozen=True)
class Announced:
    """One stack of a run.

    Parameters
    ----------
    scan : StackScan
        The whole stack, even if this run holds only a part of it.
    order : ScanOrder
    first_index : int
        Index of the energy with which the run begins.
    stack_id : str or None
        Identical in all runs of the stack; None if the stack is one run.
    repeats_begin_anew : bool
        True if an energy that the stack already has begins a new stack, because ids repeat.
    kind : "image", "line", "pixel" or None
        Content of each event, if the motors that the run steps say so.
    grows : bool
        True if the energies are not known before they are measured.
    """

    scan: StackScan
    order: ScanOrder
    first_index: int = 0
    stack_id: str | None = None
    repeats_begin_anew: bool = False
    kind: PieceKind | None = None
    grows: bool = False


@dataclass(frozen=True)
class RunShape:
    """The stacks that a run announces, and a description of the form of its start document.

    ``needs_units`` if its positions are in the units of the motors, which descriptors give.
    """

    name: str
    stacks: tuple[Announced, ...]
    needs_units: bool = False


class DocumentShape(Protocol):
    """Recognizer of runs, as provided by plug-ins of the group ``stxm_live.document_shapes``."""

    def __call__(self, start: dict[str, Any]) -> RunShape | None:
        """Return the stacks that a start document announces, or None if it is of another kind.

        It may raise ValueError if a start document of its kind contradicts itself.
        """


class UndescribedError(ValueError):
    """A start document alone does not describe a stack."""


def announced(
    start: Mapping[str, Any], scan: StackScan | None = None, fields: FieldOptions | None = None
) -> RunShape:
    """Return the stacks that a run announces.

    A ``stxm`` block is used first, then ``scan``, then the forms that stxm_live knows; plug-ins
    are asked last.

    Parameters
    ----------
    start : dict
        The start document.
    scan : StackScan, optional
        Description of the run, for start documents without one.
    fields : FieldOptions, optional
        Data keys that take precedence over those in the start document.

    Raises
    ------
    UndescribedError
        If nothing describes a stack.
    ValueError
        If the start document contradicts itself; a `PluginError` if the plug-in that should read
        it fails.
    """
    fields = fields or FieldOptions()
    if scan is not None and "stxm" not in start:
        return RunShape("described by hand", (_of_block(_with_fields(scan, fields), start),))
    try:
        for shape in OWN_SHAPES.values():
            found = shape(start, fields)
            if found is not None:
                return found
        # says what is missing
        return RunShape("stxm block", (_of_block(StackScan.from_start(start), start),))
    except ValueError as error:
        own = error if "stxm" in start or is_cls(start) else UndescribedError(str(error))
        return _of_plugin(start, fields, own)


def _in_block(start: Mapping[str, Any], fields: FieldOptions) -> RunShape | None:
    if "stxm" not in start:
        return None
    scans = [_with_fields(s, fields) for s in scans_of_start(start)]
    name = "stxm block" if len(scans) == 1 else f"stxm block, {len(scans)} stacks in one run"
    if any(s.stack_id for s in scans):
        name += ", one of several runs"
    return RunShape(name, tuple(_of_block(s, start) for s in scans))


def _of_cls(start: Mapping[str, Any], fields: FieldOptions) -> RunShape | None:
    if not is_cls(start):
        return None
    found = cls_stack(start, fields)
    stack = Announced(
        found.scan, ScanOrder(found.scan.shape), found.energy_index, found.stack_id, True
    )
    return RunShape("one run per energy image (CLS pyStxm)", (stack,))


def _of_grid(start: Mapping[str, Any], fields: FieldOptions) -> RunShape | None:
    if not is_grid(start):
        return None
    grid = grid_stack(start, fields)
    return RunShape(
        f"{grid.plan_name} of Bluesky", (Announced(grid.scan, grid.order, kind="pixel"),)
    )


OWN_SHAPES: Mapping[str, Callable[[Mapping[str, Any], FieldOptions], RunShape | None]] = {
    "stxm block": _in_block,
    "CLS pyStxm": _of_cls,
    "grid scan": _of_grid,
}
"""The forms that are read without a plug-in, in the order in which they are tried."""


def _of_plugin(start: Mapping[str, Any], fields: FieldOptions, own_failure: ValueError) -> RunShape:
    """Return the form that a plug-in recognizes; if none does, raise the given error."""
    run = f"run {str(start.get('uid', '?'))[:8]}"
    known = plugins("document shape").values()
    answer = ask(run, known, RunShape, deepcopy(dict(start)), own_failure=own_failure)
    if answer is None:
        raise own_failure
    stacks = tuple(replace(s, scan=_with_fields(s.scan, fields)) for s in answer.value.stacks)
    return RunShape(f"{answer.value.name} ({answer.plugin})", stacks)


def _of_block(scan: StackScan, start: Mapping[str, Any]) -> Announced:
    own = run_order(start, scan)
    whole = own.scan.model_copy(update={"energy_index": None})
    index = scan.energy_index or 0
    return Announced(whole, own.order, index, scan.stack_id, kind=own.kind, grows=scan.grows)


def _with_fields(scan: StackScan, fields: FieldOptions) -> StackScan:
    named = {
        "data_field": fields.image,
        "energy_motor": fields.energy,
        "x_motor": fields.x,
        "y_motor": fields.y,
        "i0_field": fields.i0,
    }
    return scan.model_copy(update={key: name for key, name in named.items() if name is not None})
