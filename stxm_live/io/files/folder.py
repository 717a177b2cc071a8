"""Files that belong together, and the choice of one of their contents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


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
