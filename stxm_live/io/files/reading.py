"""Choice of the reader of a file: one of ours by its suffix, or one of another package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

from stxm_live.core.plain_text import printable
from stxm_live.core.plugins import Plugin, ask, plugins
from stxm_live.core.stack import Stack
from stxm_live.io.files import mapped
from stxm_live.io.files.hdf5_stack import PTYCHOGRAPHY, read_hdf5
from stxm_live.io.files.joined import joined
from stxm_live.io.files.mapped import mapped_files
from stxm_live.io.files.ncb import ncb_files, read_ncb
from stxm_live.io.files.quantity import with_quantity
from stxm_live.io.files.reading_apart import read_apart, stack_of_parts
from stxm_live.io.files.sdf import read_sdf, sdf_files
from stxm_live.io.files.tiff import TIFF, read_tiff, tiff_files
from stxm_live.io.large_stacks import with_images_in_files


class Reader(Protocol):
    """Read a file; plug-ins of the group ``stxm_live.readers`` have the same signature.

    A plug-in's name ends with the suffix of its files, as in ``ourlab.xrm``. It returns None for
    a file of another layout, and raises ValueError for one that is damaged.
    """

    def __call__(self, path: Path, *, region: str | None, detector: str | None) -> Stack | None:
        """Read one region and one detector; None means the only one."""


def _alone(path: Path) -> list[Path]:
    return [path]


class _Kind(NamedTuple):
    """Reader of one kind of file, and the files that belong to it."""

    read: Callable[..., Stack]
    files: Callable[[Path], list[Path]] = _alone
    is_apart: bool = False
    """True if a library parses it that may never come back."""


_NEXUS = _Kind(read_hdf5, is_apart=True)
_KINDS = {
    ".toml": _Kind(mapped.read_mapped, mapped_files, is_apart=True),
    ".ncb": _Kind(read_ncb, ncb_files),
    ".hdr": _Kind(read_sdf, sdf_files),
    **dict.fromkeys((".h5", ".hdf", ".hdf5", ".nxs", ".stxm"), _NEXUS),
    **dict.fromkeys(TIFF, _Kind(read_tiff, tiff_files, is_apart=True)),
}

_REFUSED = {".cxi": PTYCHOGRAPHY, ".xim": "an image of an SDF stack; open its header (.hdr)"}
"""Files that are not read, and why."""

_MOST_LETTERS = 60
"""Longest name of a file in titles."""

OWN_SUFFIXES = tuple(sorted(_KINDS))
"""Suffixes of the files that are read without a plug-in."""


class _StackFile(NamedTuple):
    """A stack, and all the files it was read from."""

    stack: Stack
    files: list[Path]


def read_stack(
    path: str | Path | Sequence[str | Path],
    *,
    region: str | None = None,
    detector: str | None = None,
    quantity: str | None = None,
) -> Stack:
    """Read a stack from a file; the suffix decides on the reader.

    Plug-ins are asked to read files that stxm_live cannot read itself.

    Parameters
    ----------
    path : path-like, or sequence of them
        The file, or a folder with the file of one stack. Several files are joined: each has the
        image of one energy, or of several.
    region, detector : str, optional
        Choice in a file of several; without it, the error names them.
    quantity : {"counts", "rate", "transmission", "od", "yield"}, optional
        What the numbers are; by default what the file or the numbers say.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If no reader knows the suffix, or the file is wrong; a `PluginError` if the plug-in that
        should read it fails.
    TimeoutError
        If an HDF5 or TIFF file is not read in time; these are read in another process, because a
        damaged one may keep its library busy for ever.
    OSError
        If such a file ends that process.
    """
    if not isinstance(path, str | Path):
        paths = [Path(one) for one in path]
        found = []
        for place in paths:
            read = _read_images(place, region, detector, quantity)
            found.append(read._replace(stack=with_images_in_files(read.stack, len(paths))))
        stack = joined(paths, [one.stack for one in found])
        _check_is_stack(", ".join(map(str, paths)), stack)
        name = f"{paths[0].name} and {len(paths) - 1} more"
        return _named(stack, name, [file for one in found for file in one.files])
    one = _read_images(Path(path), region, detector, quantity)
    _check_is_stack(str(path), one.stack)
    return _named(one.stack, Path(path).name, one.files)


def _named(stack: Stack, name: str, files: Sequence[Path]) -> Stack:
    """Return a stack that is called by the name of its file in titles and results."""
    shown = printable(name).replace("\n", " ")[:_MOST_LETTERS]
    origin = replace(stack.origin, file=name, sha256=_sha256(files))
    return replace(stack, key=stack.key._replace(source=shown), origin=origin)


def _sha256(paths: Sequence[Path]) -> str:
    """Return the hash of the contents of the files, one after the other."""
    total = sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(2**20):
                total.update(block)
    return total.hexdigest()


def _check_is_stack(name: str, stack: Stack) -> None:
    """Raise an error if there is one energy only."""
    energies_ev = stack.scan.energies_ev
    if len(set(energies_ev)) > 1:
        return
    n = len(energies_ev)
    what = "a single image, at" if n == 1 else f"{n} images, all at"
    raise ValueError(
        f"{name}: {what} {energies_ev[0]:g} eV; a stack has two energies or more: give the files "
        "of the others too (stxm-live map A B ..., import --join A B ...)"
    )


def read_images(
    path: str | Path,
    *,
    region: str | None = None,
    detector: str | None = None,
    quantity: str | None = None,
) -> Stack:
    """Read a file as `read_stack` does; it may hold a single image."""
    return _read_images(Path(path), region, detector, quantity).stack


def _read_images(
    path: Path, region: str | None, detector: str | None, quantity: str | None
) -> _StackFile:
    """Read a file of one image or more."""
    path = stack_file(path)
    found = _read_file(path, region, detector)
    return found._replace(stack=with_quantity(path, found.stack, quantity))


def _read_file(path: Path, region: str | None, detector: str | None) -> _StackFile:
    own, failure = _KINDS.get(path.suffix.lower()), None
    if own is not None:
        try:
            files = own.files(path)
            if own.is_apart:
                parts = read_apart("stack", path, files, region=region, detector=detector)
                return _StackFile(stack_of_parts(parts), files)
            return _StackFile(own.read(path, region=region, detector=detector), files)
        except ValueError as error:
            failure = error
        except (MemoryError, RecursionError, LookupError) as error:
            failure = ValueError(f"{path}: cannot be read; {_damage(error)} ({error})")
    asked = _plugins_for(path.suffix)
    answer = ask(
        str(path), asked, Stack, path, region=region, detector=detector, own_failure=failure
    )
    if answer is None:
        raise ValueError(f"{path}: not recognised by {', '.join(map(str, asked))}")
    return _StackFile(answer.value, [path])


def read_nexus_stxm(
    path: str | Path, *, region: str | None = None, detector: str | None = None
) -> Stack:
    """Read an image stack from an NXstxm file, of the final definition or of earlier ones.

    Parameters
    ----------
    path : path-like
    region : str, optional
        The entry, such as ``entry0``, if there are several.
    detector : str, optional
        The NXdata group, such as ``counter0``, if there are several.

    Returns
    -------
    Stack
        Counts in the order (energy, y, x), for any order in the file; missing pixels are NaN. An
        energy without any counts, as in a stack that was stopped, is a missing frame. The mean
        ring current (``control``) during an image is the frame's monitor.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is incomplete or not NXstxm, if there are several regions or detectors and
        none is chosen, or if it is a line, point or focus scan; the message names the file.
    TimeoutError, OSError
        As for `read_stack`.
    """
    path = Path(path)
    return stack_of_parts(read_apart("nexus", path, [path], region=region, detector=detector))


def read_mapped(
    path: str | Path, *, region: str | None = None, detector: str | None = None
) -> Stack:
    """Read the stack that a mapping file describes; arguments and errors as for `read_stack`."""
    path, files = Path(path), mapped_files(Path(path))
    return stack_of_parts(read_apart("mapped", path, files, region=region, detector=detector))


def read_here(path: Path, *, region: str | None = None, detector: str | None = None) -> Stack:
    """Read a stack in this process with the reader of its suffix, which must be one of ours."""
    return _KINDS[path.suffix.lower()].read(path, region=region, detector=detector)


def files_of(path: Path) -> list[Path]:
    """Return a file and those that belong to it; errors of a mapping file leave only itself."""
    kind = _KINDS.get(path.suffix.lower())
    try:
        return [path] if kind is None else kind.files(path)
    except (ValueError, OSError):
        return [path]


def stack_files(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the files in a folder that our readers and those of plug-ins are for."""
    return sorted(
        path
        for path in folder.glob(pattern)
        if not path.name.startswith(".")
        and (has_reader(path) or _plugins_for(path.suffix))
        and path.is_file()
    )


def has_reader(path: Path) -> bool:
    """Return True if one of our readers is for files of this suffix."""
    return path.suffix.lower() in _KINDS


def stack_file(path: str | Path) -> Path:
    """Return the file that a reader is given; errors as for `read_stack`."""
    path = Path(path)
    if path.is_dir():
        return _only_stack(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix.lower() in _REFUSED and not _plugins_for(path.suffix):
        raise ValueError(f"{path}: {_REFUSED[path.suffix.lower()]}")
    if path.suffix.lower() not in _KINDS and not _plugins_for(path.suffix):
        known = ", ".join([*OWN_SUFFIXES, *map(str, plugins("reader").values())])
        raise ValueError(
            f"{path}: cannot read {path.suffix or 'this file'}; known suffixes are {known}"
        )
    return path


def _damage(error: Exception) -> str:
    """Return what an error says of a file that a reader of ours stumbled over."""
    if isinstance(error, MemoryError):
        return "it is larger than the memory"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it is damaged, or of another layout"


def is_nexus(path: Path) -> bool:
    """Return True if a file of this name is one for the NXstxm reader."""
    return _KINDS.get(path.suffix.lower()) is _NEXUS


def _only_stack(folder: Path) -> Path:
    """Return the only stack of a folder; a mapping file takes precedence over data files."""
    files = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    found = [p for p in files if p.suffix.lower() == ".toml"]
    found = found or [p for p in files if p.suffix.lower() in _KINDS.keys() - set(TIFF)]
    found = found or [p for p in files if p.suffix.lower() in TIFF]
    found = found or [p for p in files if p.is_file() and _plugins_for(p.suffix)]
    if not found:
        raise FileNotFoundError(f"{folder}: no stack in this folder")
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise ValueError(f"{folder}: has {len(found)} stacks: {names}; name one")
    return found[0]


def _plugins_for(suffix: str) -> list[Plugin]:
    """Return the plug-ins for files with this suffix, in upper or lower case."""
    return [p for p in plugins("reader").values() if _suffix(p) == suffix.lower()]


def _suffix(plugin: Plugin) -> str:
    """Return the suffix of a plug-in's files: ".xrm" for "ourlab.xrm", empty for "ourlab"."""
    _, dot, end = plugin.name.lower().rpartition(".")
    return f".{end}" if dot else ""
