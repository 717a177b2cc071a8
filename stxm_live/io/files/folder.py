"""Files that belong together, checks before they are read, and the choice of a content."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from stxm_live.core.machine_memory import largest_stack_bytes
from stxm_live.core.scan import MAX_IMAGE_PIXELS


def check_regular(path: Path) -> Path:
    """Return the path, or raise an error if it is a pipe, a device, a socket or a folder.

    Raises
    ------
    FileNotFoundError
        If there is nothing of this name.
    ValueError
        If it is not a regular file: reading others may never end.
    """
    if not path.is_file():
        path.stat()
        raise ValueError(f"{path}: not a regular file")
    return path


def check_size(path: Path, shape: Sequence[int]) -> None:
    """Check the size of the images of a file before they are read.

    Raises
    ------
    ValueError
        If they are larger than any stack that is mapped.
    """
    n_bytes, most_bytes = 4 * math.prod(shape), largest_stack_bytes()
    if math.prod(sorted(shape)[-2:]) > MAX_IMAGE_PIXELS:
        raise ValueError(
            f"{path}: images of shape {tuple(shape)}; at most {MAX_IMAGE_PIXELS} pixels are read"
        )
    if n_bytes > most_bytes:
        raise ValueError(
            f"{path}: images of {n_bytes / 2**30:.3g} GiB (shape {tuple(shape)}); at most "
            f"{most_bytes / 2**30:.3g} GiB are read (half of the memory available, "
            "and no more than 8 GiB)"
        )


def check_inside(path: Path, folder: Path) -> Path:
    """Return the path, or raise an error if it leads out of the folder.

    Raises
    ------
    ValueError
        If the name or a link leads out of the folder: a file must not load others from anywhere
        on the disk.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"{path}: leads out of its folder, to {path.resolve()}; copy the file here"
        )
    return path


def chosen(path: Path, what: str, names: Sequence[str], wanted: str | None) -> str:
    """Return the wanted one of several names, or the only one.

    Raises
    ------
    ValueError
        If the wanted one is not there, or none of several is chosen; the message names them.
    """
    choices = ", ".join(names)
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None:
        raise ValueError(f"{path}: has {len(names)} {what}s; choose one with {what}=: {choices}")
    if wanted not in names:
        raise ValueError(f"{path}: has no {what} {wanted}; there are {choices}")
    return wanted
