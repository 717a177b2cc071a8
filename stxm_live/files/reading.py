"""Which reader a file needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.files.nexus_stxm import nexus_ring_current, read_nexus_stxm
from stxm_live.files.sdf import read_sdf, sdf_files, sdf_ring_current
from stxm_live.stack import Stack


def _alone(path: Path) -> list[Path]:
    return [path]


class _Kind(NamedTuple):
    """How a kind of file is read, which files belong to it, and its ring current if it has one."""

    read: Callable[..., Stack]
    files: Callable[[Path], list[Path]] = _alone
    ring_current: Callable[..., NDArray[np.float64]] | None = None


_NEXUS = _Kind(read_nexus_stxm, ring_current=nexus_ring_current)
_KINDS = {
    ".hdr": _Kind(read_sdf, sdf_files, sdf_ring_current),
    **dict.fromkeys((".h5", ".hdf", ".hdf5", ".nxs", ".stxm"), _NEXUS),
}


def read_stack(
    path: str | Path, *, region: str | None = None, detector: str | None = None
) -> Stack:
    """Read a stack from a file; the suffix tells how.

    Parameters
    ----------
    path : path-like
        The file, or a folder with the file of one stack.
    region, detector : str, optional
        Which one, in a file of several; the error names the choices.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        Naming what can be read, if no reader knows the suffix; or what is wrong in the file.
    """
    path = stack_file(path)
    return _KINDS[path.suffix.lower()].read(path, region=region, detector=detector)


def ring_current(
    path: str | Path, *, region: str | None = None, detector: str | None = None
) -> NDArray[np.float64]:
    """Ring current of each image, shape (n_energies,), in the order it was measured.

    NaN where there is none. 0 is returned as it stands in the file: it means that nobody
    recorded the current. Arguments and errors as for `read_stack`.
    """
    path = stack_file(path)
    found = _KINDS[path.suffix.lower()].ring_current
    if found is None:
        raise ValueError(f"{path}: files of this kind have no ring current")
    return found(path, region=region, detector=detector)


def stack_files(path: str | Path) -> list[Path]:
    """All the files a stack consists of that are there, the named one first."""
    path = stack_file(path)
    return _KINDS[path.suffix.lower()].files(path)


def stack_file(path: str | Path) -> Path:
    """The file that a reader is given; errors as for `read_stack`."""
    path = Path(path)
    if path.is_dir():
        return _only_stack(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix.lower() not in _KINDS:
        known = ", ".join(sorted(_KINDS))
        raise ValueError(f"{path}: cannot read {path.suffix or 'this file'}; known are {known}")
    return path


def _only_stack(folder: Path) -> Path:
    found = sorted(
        p for p in folder.iterdir() if p.suffix.lower() in _KINDS and not p.name.startswith(".")
    )
    if not found:
        raise FileNotFoundError(f"{folder}: no stack in this folder")
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise ValueError(f"{folder}: has {len(found)} stacks: {names}; name one")
    return found[0]
