"""Files that a user names, read in a process that is ended if a library never comes back.

HDF5 and tifffile read some damaged files without end, and h5py holds the interpreter meanwhile.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import NoFileSpaceError, empty, too_large_for_memory
from stxm_live.core.machine_memory import LARGEST_STACK_BYTES
from stxm_live.core.origin import Origin
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Frame, Stack, StackKey
from stxm_live.io.other_process import OtherProcess

PATIENCE_S = 8.0
"""Longest wait for a small file."""

_BYTES_PER_S = 5e6
"""Rate of a slow storage, by which larger files are waited for."""

_process = OtherProcess("stxm_live.io.files.reading_process")


class Parts(NamedTuple):
    """What a reader returns, as it goes from one process to another: JSON and arrays."""

    header: dict[str, Any]
    arrays: list[NDArray[Any]]


def read_apart(
    what: str, path: Path, files: Iterable[Path], *, region: str | None, detector: str | None
) -> Parts:
    """Return what another process reads from a file.

    Parameters
    ----------
    what : {"stack", "nexus", "mapped", "spectrum"}
    path : Path
        The file that a reader is given.
    files : iterable of Path
        All files that belong to it; time and memory are limited by their size.
    region, detector : str, optional
        For the reader.

    Raises
    ------
    ValueError, FileNotFoundError
        Errors of the reader.
    OSError
        If the file is not read in time, or ends the process, or the disk has no space.
    """
    n_bytes = sum(file.stat().st_size for file in files if file.is_file())
    patience_s = PATIENCE_S + n_bytes / _BYTES_PER_S
    request = {
        "what": what,
        "path": str(path),
        "folder": _folder(),
        "options": {"region": region, "detector": detector},
        "n_bytes": n_bytes,
    }
    with _process.lock:
        try:
            parts = _answer(request, patience_s)
        except BaseException as error:
            was_ready = _process.is_ready
            _process.end()
            if isinstance(error, TimeoutError):
                why = (
                    f"not read within {patience_s:.0f} s; it is damaged or its disk does not answer"
                )
                raise TimeoutError(f"{path}: {why}") from None
            if isinstance(error, NoFileSpaceError) or not isinstance(error, EOFError | OSError):
                raise
            if was_ready:
                why = "it ended the process that read it; it is damaged"
            else:
                why = f"the process that reads files does not start ({error})"
            raise OSError(f"{path}: {why}") from None
    if "problem" in parts.header:
        kind = FileNotFoundError if parts.header["is_missing"] else ValueError
        raise kind(str(parts.header["problem"]))
    return parts


def _folder() -> str:
    """Return the folder of this process, or the root where that was removed."""
    try:
        return str(Path.cwd())
    except OSError:
        return "/"


def _answer(request: dict[str, Any], patience_s: float) -> Parts:
    header = _process.asked(request, patience_s)
    if "other_files_bytes" in header:
        patience_s += header["other_files_bytes"] / _BYTES_PER_S
        header = _process.header(patience_s)
    end_s = time.monotonic() + patience_s
    arrays: list[NDArray[Any]] = []
    n_bytes = sum(4 * math.prod(shape) for _, shape in header.get("arrays", ()))
    make = empty if too_large_for_memory(n_bytes) else np.empty
    left_bytes = 2 * LARGEST_STACK_BYTES
    for dtype, shape in header.get("arrays", ()):
        left_bytes -= math.prod(shape) * np.dtype(dtype).itemsize
        if left_bytes < 0:
            raise OSError("it sends more than the largest stack")
        arrays.append(make(shape, np.dtype(dtype)))
        connection = _process.answering(end_s - time.monotonic())
        connection.recv_bytes_into(arrays[-1].data.cast("B"))
    return Parts(header, arrays)


def parts_of_stack(stack: Stack) -> Parts:
    """Return a stack as it is sent; `stack_of_parts` makes it again."""
    frames = (*stack.frames, *stack.checks)
    header = {
        "key": stack.key,
        "scan": stack.scan.model_dump(),
        "frames": [(f.energy_ev, f.announced_ev, bool(f.is_whole), f.monitor) for f in frames],
        "n_frames": len(stack.frames),
        "finished": bool(stack.finished),
        "notes": stack.notes,
        "ended_early": bool(stack.ended_early),
        "origin": asdict(stack.origin),
    }
    return Parts(header, [frame.intensity for frame in frames])


def stack_of_parts(parts: Parts) -> Stack:
    """Return the stack that `parts_of_stack` took apart."""
    header = parts.header
    frames = tuple(
        Frame(energy_ev, intensity, announced_ev, is_whole, monitor)
        for (energy_ev, announced_ev, is_whole, monitor), intensity in zip(
            header["frames"], parts.arrays, strict=True
        )
    )
    run_uids, *others = header["key"]
    return Stack(
        StackKey(tuple(run_uids), *others),
        StackScan.model_validate(header["scan"]),
        frames[: header["n_frames"]],
        header["finished"],
        tuple(header["notes"]),
        header["ended_early"],
        frames[header["n_frames"] :],
        origin=Origin.from_values(header["origin"]),
    )
