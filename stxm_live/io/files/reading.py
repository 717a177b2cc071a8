"""Which reader a file needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from stxm_live.core.stack import Stack
from stxm_live.io.files.mapped import mapped_files, read_mapped
from stxm_live.io.files.ncb import ncb_files, read_ncb
from stxm_live.io.files.nexus_stxm import read_nexus_stxm
from stxm_live.io.files.sdf import read_sdf, sdf_files


def _alone(path: Path) -> list[Path]:
    return [path]


class _Kind(NamedTuple):
    """How a kind of file is read, and which files belong to it."""

    read: Callable[..., Stack]
    files: Callable[[Path], list[Path]] = _alone


_NEXUS = _Kind(read_nexus_stxm)
_KINDS = {
    ".toml": _Kind(read_mapped, mapped_files),
    ".ncb": _Kind(read_ncb, ncb_files),
    ".hdr": _Kind(read_sdf, sdf_files),
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


def is_nexus(path: Path) -> bool:
    """Whether the NXstxm reader is asked about a file of this name."""
    return _KINDS.get(path.suffix.lower()) is _NEXUS


def _only_stack(folder: Path) -> Path:
    """The only stack of a folder; a mapping file goes before the files it may speak of."""
    files = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    found = [p for p in files if p.suffix.lower() == ".toml"]
    found = found or [p for p in files if p.suffix.lower() in _KINDS]
    if not found:
        raise FileNotFoundError(f"{folder}: no stack in this folder")
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise ValueError(f"{folder}: has {len(found)} stacks: {names}; name one")
    return found[0]
