"""Files that belong together, checks before they are read, and the choice of a content."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from stxm_live.core.file_arrays import check_disk, too_large_for_memory
from stxm_live.core.machine_memory import LARGEST_STACK_BYTES
from stxm_live.core.scan import MAX_IMAGE_PIXELS


def check_size(path: Path, shape: Sequence[int]) -> bool:
    """Check the size of the images of a file before they are read.

    Returns
    -------
    bool
        True if they are too large to be mapped in memory, and there is the disk space for files.

    Raises
    ------
    ValueError
        If they are larger than any stack that is mapped.
    """
    n_bytes = 4 * math.prod(shape)
    if math.prod(sorted(shape)[-2:]) > MAX_IMAGE_PIXELS:
        raise ValueError(
            f"{path}: images of shape {tuple(shape)}; at most {MAX_IMAGE_PIXELS} pixels are read"
        )
    if n_bytes > LARGEST_STACK_BYTES:
        raise ValueError(
            f"{path}: images of {n_bytes / 2**30:.3g} GiB (shape {tuple(shape)}); at most "
            f"{LARGEST_STACK_BYTES / 2**30:.3g} GiB are read"
        )
    if not too_large_for_memory(n_bytes):
        return False
    try:
        check_disk(n_bytes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return True


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
