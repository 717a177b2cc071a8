"""Stacks that are larger than memory with what is computed of them: their images go into files."""

from __future__ import annotations

import math
from dataclasses import replace

from stxm_live.core.file_arrays import check_disk, to_file, too_large_for_memory
from stxm_live.core.machine_memory import LARGEST_STACK_BYTES, largest_stack_bytes
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Stack


def stack_bytes(scan: StackScan) -> int:
    """Return the size of the images of a stack as float32."""
    return 4 * math.prod(scan.shape)


def is_large(scan: StackScan) -> bool:
    """Return True if the map of a stack does not fit into memory."""
    return too_large_for_memory(stack_bytes(scan))


def with_images_in_files(stack: Stack, n_stacks: int = 1) -> Stack:
    """Return a stack whose images are in files if its map does not fit into memory.

    Parameters
    ----------
    stack : Stack
    n_stacks : int
        Number of such stacks that are mapped as one.

    Raises
    ------
    ValueError
        If the disk has no space for it.
    """
    n_bytes = n_stacks * stack_bytes(stack.scan)
    if not too_large_for_memory(n_bytes):
        return stack
    check_disk(n_bytes)
    frames = tuple(replace(f, intensity=to_file(f.intensity)) for f in stack.frames)
    checks = tuple(replace(f, intensity=to_file(f.intensity)) for f in stack.checks)
    return replace(stack, frames=frames, checks=checks)


def check_announced_size(scan: StackScan) -> None:
    """Check the size of the images of a scan, which stay in memory, before they come.

    Raises
    ------
    ValueError
        If they take more than half of the memory available, or more than 8 GiB.
    """
    _check_size(scan, largest_stack_bytes(), "half of the memory available, and no more than 8 GiB")


def check_past_size(scan: StackScan) -> None:
    """Check the size of the images of a past run, which may go into files, before they are read.

    Raises
    ------
    ValueError
        If they take more than 8 GiB, or if the disk has no space for what memory does not hold.
    """
    _check_size(scan, LARGEST_STACK_BYTES, "of a past run")
    if is_large(scan):
        check_disk(stack_bytes(scan))


def _check_size(scan: StackScan, most_bytes: int, why: str) -> None:
    n_bytes = stack_bytes(scan)
    if n_bytes > most_bytes:
        raise ValueError(
            f"the start document announces images of {n_bytes / 2**30:.3g} GiB (shape "
            f"{scan.shape}); at most {most_bytes / 2**30:.3g} GiB are mapped ({why})"
        )
