"""HDF5 files from microscopes: unusual texts, links, incomplete files and open files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import NoFileSpaceError, empty, parts_of
from stxm_live.io.documents.hdf5_sources import Hdf5Files
from stxm_live.io.documents.paths import Roots
from stxm_live.io.files.folder import check_inside, check_size

ADVICE = "correct the file, or name its data sets in a mapping file (.toml)"
"""What to do with a file whose data sets do not fit."""

_MOST_LISTED = 12
"""Names of a group that are listed."""

_MOST_TEXTS = 1000
"""Largest data set that is read as a text; a damaged size may be anything."""


def with_other_files(n_bytes: int) -> None:
    """Take note that so many bytes of other files are read; a process with limits counts them."""


@contextmanager
def opened_hdf5(path: Path) -> Iterator[Any]:
    """Open an ``h5py.File`` for reading, also one that is still being written with SWMR.

    Raises
    ------
    ValueError
        If the file is empty, incomplete or not HDF5, even if this is found only while reading.
    """
    import h5py

    if path.stat().st_size == 0:
        raise ValueError(f"{path}: an empty file (0 bytes)")
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path}: not an HDF5 file, or its beginning is damaged")
    try:
        try:
            file = h5py.File(path, "r", locking=False)
        except OSError:
            if not _is_written_with_swmr(path):  # gaps would be waited for by the minute
                raise
            file = h5py.File(path, "r", swmr=True, locking=False)
        with file:
            yield file
    except NoFileSpaceError:
        raise
    except MemoryError as error:
        raise ValueError(f"{path}: larger than the memory ({error})") from error
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{path}: cannot be read; the file is incomplete or damaged ({error})"
        ) from error


def _is_written_with_swmr(path: Path) -> bool:
    """Return True if the superblock of a file says so: version 3, third bit of the flags."""
    with path.open("rb") as file:
        superblock = file.read(12)
    return superblock[8] == 3 and bool(superblock[11] & 4)


def attribute(node: Any, name: str) -> Any:
    """Return an attribute as text, list of texts, or number; None if there is none.

    Some files call a text UTF-8 although it is latin-1 (0xB5 of µm); a text that cannot be read
    counts as missing, and so does every attribute of a node that is None.
    """
    if node is None:
        return None
    try:
        value = node.attrs.get(name)
    except (UnicodeDecodeError, OSError):
        return None
    if isinstance(value, np.ndarray) and value.dtype.kind in "SOU":
        return [text(item) for item in value.ravel()]
    return text(value) if isinstance(value, str | bytes) else value


def text(value: Any) -> str:
    """Return a text from h5py's bytes, str, or array with one of them; UTF-8, else latin-1."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def text_of(group: Any, name: str) -> str:
    """Return the text in a data set, scalar or of length 1; empty if there is none."""
    node = group.get(name)
    if node is None or not hasattr(node, "size") or (node.size or 0) > _MOST_TEXTS:
        return ""
    return text(node[()])


def numbers(path: Path, group: Any, name: str) -> NDArray[np.float64]:
    """Return a data set as float64 of its own shape.

    Raises
    ------
    ValueError
        If it is missing, does not hold numbers, or is in a file outside this one's folder.
    """
    return np.asarray(_values(path, _dataset_of_numbers(path, group, name)), dtype=np.float64)


def counts(path: Path, group: Any, name: str) -> NDArray[np.float32]:
    """Return a data set as float32 of its own shape; errors as for `numbers`."""
    data = _dataset_of_numbers(path, group, name)
    if not check_size(path, data.shape):
        return np.asarray(_values(path, data.astype(np.float32), of=data))
    images = empty(data.shape)
    for part in parts_of(data.shape):
        images[part] = _values(path, data.astype(np.float32), of=data, part=part)
    return images


def dataset_in(path: Path, group: Any, name: str) -> Any:
    """Return a data set of a group; errors as for `numbers`."""
    import h5py

    dataset = group.get(name)
    if not isinstance(dataset, h5py.Dataset):
        where = f"{group.name.rstrip('/')}/{name.strip('/')}"
        found = ", ".join(sorted(map(text, group))[:_MOST_LISTED]) or "nothing"
        raise ValueError(
            f"{path}: there is no data set {where}; {group.name} has {found}; {ADVICE}"
        )
    file = Path(dataset.file.filename)  # not this one's if a link leads elsewhere
    others = [file.parent / name for name, *_ in dataset.external or ()]
    if dataset.is_virtual:
        sources = {source.file_name for source in dataset.virtual_sources()} - {"."}
        others += [file.parent / name for name in sources]
    if file != path:
        others.append(file)
    for other in others:
        check_inside(other, path.parent)
    chain = Hdf5Files(Roots([path.parent]), swmr=dataset.file.swmr_mode, locking=False)
    try:
        chain.check(dataset)
    except OSError as error:
        raise ValueError(f"{path}: {dataset.name} is not complete ({error})") from error
    finally:
        chain.close()
    if others:
        with_other_files(sum(other.stat().st_size for other in others if other.is_file()))
    return dataset


def _dataset_of_numbers(path: Path, group: Any, name: str) -> Any:
    dataset = dataset_in(path, group, name)
    if dataset.dtype.kind not in "fiub":
        raise ValueError(
            f"{path}: {dataset.name} holds {dataset.dtype}, expected numbers; {ADVICE}"
        )
    return dataset


_FILTERS = {
    307: "bzip2",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32017: "sz",
    32026: "blosc2",
}
"""Names of compression filters that HDF5 itself does not have."""


def _values(path: Path, readable: Any, of: Any = None, part: Any = ()) -> Any:
    """Read a data set or a part of it, with the filters of hdf5plugin if HDF5 itself lacks one.

    Raises
    ------
    ValueError
        If it is compressed with a filter that is not installed; the message names it.
    """
    dataset = readable if of is None else of
    try:
        return readable[part]
    except OSError:
        if not missing_filters(dataset):
            raise
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  registers its filters
    missing = missing_filters(dataset)
    if missing:
        raise ValueError(
            f"{path}: {dataset.name} is compressed with {', '.join(missing)}, which is not "
            "installed; pip install hdf5plugin"
        )
    return readable[part]


def missing_filters(dataset: Any) -> list[str]:
    """Return the compression filters of a data set that are not available."""
    from h5py import h5z

    settings = dataset.id.get_create_plist()
    numbers = [settings.get_filter(k)[0] for k in range(settings.get_nfilters())]
    return [
        f"filter {n} ({_FILTERS[n]})" if n in _FILTERS else f"filter {n}"
        for n in numbers
        if not h5z.filter_avail(n)
    ]
