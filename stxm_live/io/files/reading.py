"""Which reader a file needs: one of ours by its suffix, else one of another package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from stxm_live.core.plugins import Plugin, ask, plugins
from stxm_live.core.stack import Stack
from stxm_live.io.files.mapped import mapped_files, read_mapped
from stxm_live.io.files.ncb import ncb_files, read_ncb
from stxm_live.io.files.nexus_stxm import read_nexus_stxm
from stxm_live.io.files.sdf import read_sdf, sdf_files


class Reader(Protocol):
    """Reads a file; plug-ins of the group ``stxm_live.readers`` do the same.

    A plug-in's name ends with the suffix of its files, as in ``ourlab.xrm``. It returns None for
    a file of another layout, and raises ValueError for one that is damaged.
    """

    def __call__(self, path: Path, *, region: str | None, detector: str | None) -> Stack | None:
        """Read one region and one detector; None stands for the only one there is."""


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

OWN_SUFFIXES = tuple(sorted(_KINDS))
"""Of the files that are read without any plug-in."""


class StackFile(NamedTuple):
    """A stack, and all the files it was read from."""

    stack: Stack
    files: list[Path]


def read_stack(
    path: str | Path, *, region: str | None = None, detector: str | None = None
) -> Stack:
    """Read a stack from a file; the suffix tells how.

    Plug-ins are asked about files that stxm_live cannot read itself.

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
        Naming what can be read, if no reader knows the suffix; or what is wrong in the file, or
        in the plug-in that should read it (`PluginError`).
    """
    return read_stack_file(path, region=region, detector=detector).stack


def read_stack_file(
    path: str | Path, *, region: str | None = None, detector: str | None = None
) -> StackFile:
    """Read a stack and name its files, of a plug-in's only the one it was given.

    Arguments and errors as for `read_stack`.
    """
    path = stack_file(path)
    own, failure = _KINDS.get(path.suffix.lower()), None
    if own is not None:
        try:
            return StackFile(own.read(path, region=region, detector=detector), own.files(path))
        except ValueError as error:
            failure = error
    asked = _plugins_for(path.suffix)
    answer = ask(
        str(path), asked, Stack, path, region=region, detector=detector, own_failure=failure
    )
    if answer is None:
        raise ValueError(f"{path}: not recognised by {', '.join(map(str, asked))}")
    return StackFile(answer.value, [path])


def stack_file(path: str | Path) -> Path:
    """The file that a reader is given; errors as for `read_stack`."""
    path = Path(path)
    if path.is_dir():
        return _only_stack(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix.lower() not in _KINDS and not _plugins_for(path.suffix):
        known = ", ".join([*OWN_SUFFIXES, *map(str, plugins("reader").values())])
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
    found = found or [p for p in files if p.is_file() and _plugins_for(p.suffix)]
    if not found:
        raise FileNotFoundError(f"{folder}: no stack in this folder")
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise ValueError(f"{folder}: has {len(found)} stacks: {names}; name one")
    return found[0]


def _plugins_for(suffix: str) -> list[Plugin]:
    """The plug-ins for files with this suffix, in any case."""
    return [p for p in plugins("reader").values() if _suffix(p) == suffix.lower()]


def _suffix(plugin: Plugin) -> str:
    """Of the files a plug-in reads: ".xrm" for "ourlab.xrm" or ".xrm", empty for "ourlab"."""
    _, dot, end = plugin.name.lower().rpartition(".")
    return f".{end}" if dot else ""
