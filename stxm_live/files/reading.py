"""Which reader a file needs."""

from __future__ import annotations

from pathlib import Path

from stxm_live.files.sdf import read_sdf, sdf_files
from stxm_live.stack import Stack

_READERS = {".hdr": (read_sdf, sdf_files)}


def read_stack(path: str | Path) -> Stack:
    """Read a stack from a file; the suffix tells how.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        Naming what can be read, if no reader knows the suffix; or what is wrong in the file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix.lower() not in _READERS:
        known = ", ".join(sorted(_READERS))
        raise ValueError(f"{path}: cannot read {path.suffix or 'this file'}; known are {known}")
    reader, _ = _READERS[path.suffix.lower()]
    return reader(path)


def stack_files(path: str | Path) -> list[Path]:
    """All the files a stack consists of that are there, the named one first."""
    path = Path(path)
    _, files = _READERS[path.suffix.lower()]
    return files(path)
