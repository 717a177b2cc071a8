"""Other files that an HDF5 dataset is read from: links, external storage, virtual sources.

HDF5 follows all of them by itself, each by rules of its own, and relative names through the
folder of the process as well. So links are followed here, and of every other file each place is
checked in which HDF5 would look for it, through all files of a chain.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from stxm_live.io.documents.paths import Roots

if TYPE_CHECKING:
    import h5py

MAX_HOPS = 32
"""Most links, or virtual datasets of virtual datasets, one after the other."""

MAX_FILES = 128
"""Most files that are open at a time; more than those of the longest chain."""

MAX_CHUNK_BYTES = 2**29
"""Largest chunk, which HDF5 unpacks as a whole."""

_PREFIXES = ("HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX", "HDF5_EXTFILE_PREFIX")


class Hdf5Files:
    """The HDF5 files that belong together, opened the same way and confined to folders.

    Parameters
    ----------
    roots : Roots
    swmr : bool
        True if the files are opened as those that may still grow.
    locking : bool or None
        As for ``h5py.File``.
    """

    def __init__(self, roots: Roots, *, swmr: bool, locking: bool | None) -> None:
        self._roots = roots
        self._options = {"swmr": swmr, "locking": locking}
        self._files: dict[Path, h5py.File] = {}

    def opened(self, path: str | Path) -> h5py.File:
        """Open a file, or return it if it is open.

        Raises
        ------
        OSError
            If it cannot be opened yet.
        ValueError
            If it is no regular file in the folders.
        """
        import h5py

        real = self._roots.confined(path)
        if real in self._files:
            self._files[real] = self._files.pop(real)  # the last one used is the last one closed
            return self._files[real]
        if len(self._files) >= MAX_FILES:
            self._files.pop(next(iter(self._files))).close()
        with self._roots.opened(real) as checked:
            file = h5py.File(real, "r", driver="sec2", **self._options)
            seen = os.fstat(checked.fileno()), os.fstat(file.id.get_vfd_handle())
        if not os.path.samestat(*seen):
            file.close()
            raise OSError(f"{real.name} was replaced while it was opened")
        self._files[real] = file
        return file

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def dataset(self, path: str | Path, name: str) -> h5py.Dataset:
        """Return a dataset of a file, following links.

        Raises
        ------
        KeyError
            If there is none.
        ValueError
            If a link leads out of the folders, or is none that is followed.
        """
        import h5py

        file, parts = self.opened(path), deque(name.split("/"))
        node, n_hops = file["/"], 0
        while parts:
            part = parts.popleft()
            if part in ("", "."):
                continue
            if not isinstance(node, h5py.Group):
                raise KeyError(name)
            link = _link(node, part)
            if isinstance(link, h5py.HardLink):
                node = node[part]
                continue
            n_hops += 1
            if n_hops > MAX_HOPS:
                raise ValueError(f"{name} has more than {MAX_HOPS} links one after the other")
            if isinstance(link, h5py.ExternalLink):
                file = self.opened(self._found(file, link.filename))
                node = file["/"]
            elif link.path.startswith("/"):
                node = file["/"]
            parts.extendleft(reversed(link.path.split("/")))
        if not isinstance(node, h5py.Dataset):
            raise ValueError(f"{Path(path).name}: {name} is not a dataset")
        return node

    def check(
        self, data: h5py.Dataset, rows: tuple[int, int] | None = None, depth: int = 0
    ) -> None:
        """Check the other files that rows of a dataset are read from, through all of them.

        Raises
        ------
        OSError
            If one is not there yet.
        ValueError
            If one is no regular file in the folders, or if a chunk is too large.
        """
        if depth > MAX_HOPS:
            raise ValueError(f"{data.name} is virtual more than {MAX_HOPS} times over")
        size = data.dtype.itemsize
        for n in data.chunks or ():
            size *= n
        if data.chunks and size > MAX_CHUNK_BYTES:
            raise ValueError(f"{data.name} has chunks of more than {MAX_CHUNK_BYTES} bytes")
        for name, *_ in data.external or ():
            _check_name(name)
            self._roots.opened(Path.cwd() / name).close()  # HDF5 takes the process's folder
        if not data.is_virtual:
            return
        sources = {
            (source.file_name, source.dset_name)
            for source in data.virtual_sources()
            if _has_rows(source.vspace, rows)
        }
        for file_name, name in sources:
            _check_name(file_name + name)
            own = Path(data.file.filename).absolute()
            path = own if file_name == "." else self._found(data.file, file_name)
            self.check(self.dataset(path, name), depth=depth + 1)

    def _found(self, file: h5py.File, name: str) -> Path:
        """Return the file that HDF5 would take for this name; every place it looks is checked."""
        _check_name(name)
        folders = dict.fromkeys((Path(file.filename).absolute().parent, Path.cwd()))
        places = [folder / n for n in (name, Path(name).name) for folder in folders]
        found = [self._roots.confined(place) for place in places if os.path.lexists(place)]
        if not found:
            raise OSError(f"{Path(name).name} is not there yet")
        return found[0]


def _link(group: h5py.Group, name: str) -> h5py.HardLink | h5py.SoftLink | h5py.ExternalLink:
    try:
        link = group.get(name, getlink=True)
    except TypeError as error:
        raise ValueError(f"{name} is a link of an unknown kind") from error
    if link is None:
        raise KeyError(name)
    return link


def _check_name(name: str) -> None:
    """Refuse names whose file depends on more than the name."""
    if "%" in name:
        raise ValueError(f"{name[:200]!r} is a pattern of names, which is not followed")
    for prefix in _PREFIXES:
        if os.environ.get(prefix):
            raise ValueError(
                f"{name[:200]!r} is read from where {prefix} says, which is not followed"
            )


def _has_rows(space: h5py.h5s.SpaceID, rows: tuple[int, int] | None) -> bool:
    """Return True if a selection may have some of these rows, counted as for a slice."""
    if rows is None:
        return True
    try:
        first, last = space.get_select_bounds()
    except (RuntimeError, ValueError):  # without an end
        return True
    return bool(first[0] < rows[1] and last[0] >= rows[0])
