"""What a start document announces, in whichever words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stxm_live.core.recipe_options import FieldOptions
from stxm_live.core.scan import StackScan, scans_of_start
from stxm_live.io.documents.cls import cls_stack, is_cls
from stxm_live.io.documents.grid import grid_stack, is_grid
from stxm_live.io.documents.raster import Raster


@dataclass(frozen=True)
class Announced:
    """One stack of a run.

    Parameters
    ----------
    scan : StackScan
        Of the whole stack, also where this run holds a part of it.
    raster : Raster
    first_index : int
        Which of the energies the run begins with.
    stack_id : str or None
        The same in all runs of the stack; None if it has one run only.
    repeats_begin_anew : bool
        Whether an energy that a stack has already begins another stack: where ids are not unique.
    """

    scan: StackScan
    raster: Raster
    first_index: int = 0
    stack_id: str | None = None
    repeats_begin_anew: bool = False


@dataclass(frozen=True)
class RunShape:
    """How a run announces its stacks, in words, and the stacks."""

    name: str
    stacks: tuple[Announced, ...]


def announced(
    start: Mapping[str, Any], scan: StackScan | None = None, fields: FieldOptions | None = None
) -> RunShape:
    """The stacks of a run.

    Parameters
    ----------
    start : dict
        The start document.
    scan : StackScan, optional
        What the run is, for start documents that do not say it.
    fields : FieldOptions, optional
        Data keys that count more than those the start document names.

    Raises
    ------
    ValueError
        If neither the start document nor ``scan`` describes a stack, or if the start document
        does but contradicts itself.
    """
    fields = fields or FieldOptions()
    if "stxm" in start:
        scans = [_with_fields(s, fields) for s in scans_of_start(start)]
        name = "stxm block" if len(scans) == 1 else f"stxm block, {len(scans)} stacks in one run"
        if any(s.stack_id for s in scans):
            name += ", one of several runs"
        return RunShape(name, tuple(_of_block(s, start) for s in scans))
    if scan is not None:
        return RunShape("described by hand", (_of_block(_with_fields(scan, fields), start),))
    if is_cls(start):
        found = cls_stack(start, fields)
        raster = Raster(found.scan.shape)
        stack = Announced(found.scan, raster, found.energy_index, found.stack_id, True)
        return RunShape("one run per energy image (CLS pyStxm)", (stack,))
    if is_grid(start):
        grid = grid_stack(start, fields)
        return RunShape(f"{grid.plan_name} of Bluesky", (Announced(grid.scan, grid.raster),))
    # says what is missing
    return RunShape("stxm block", (_of_block(StackScan.from_start(start), start),))


def _of_block(scan: StackScan, start: Mapping[str, Any]) -> Announced:
    raster = Raster(scan.shape, snaking=(False, False, scan.snake))
    if is_grid(start) and tuple(start.get("shape", ())) == scan.shape:
        snaking = tuple(bool(s) for s in start.get("snaking", ())) or raster.snaking
        if len(snaking) == len(raster.snaking):
            raster = Raster(scan.shape, snaking=(snaking[0], snaking[1], snaking[2]), runs_on=True)
    whole = scan.model_copy(update={"energy_index": None})
    return Announced(whole, raster, scan.energy_index or 0, scan.stack_id)


def _with_fields(scan: StackScan, fields: FieldOptions) -> StackScan:
    named = {
        "data_field": fields.image,
        "energy_motor": fields.energy,
        "x_motor": fields.x,
        "y_motor": fields.y,
        "i0_field": fields.i0,
    }
    return scan.model_copy(update={key: name for key, name in named.items() if name is not None})
