"""HDF5 files as they come from microscopes: odd texts, links, files cut off or still open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.files.folder import check_inside


@contextmanager
def opened_hdf5(path: Path) -> Iterator[Any]:
    """An ``h5py.File`` for reading, also one that is still being written with SWMR.

    Raises
    ------
    ValueError
        Naming the file, if it is empty, cut off or no HDF5, also where that shows only later.
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
            file = h5py.File(path, "r", swmr=True, locking=False)
        with file:
            yield file
    except MemoryError as error:
        raise ValueError(f"{path}: larger than the memory ({error})") from error
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path}: cannot be read, cut off or damaged ({error})") from error


def attribute(node: Any, name: str) -> Any:
    """An attribute as text, list of texts, or number; None where there is none.

    Some files say that a text is UTF-8 where it is latin-1 (0xB5 of µm); what cannot be read
    counts as not there.
    """
    try:
        value = node.attrs.get(name)
    except (UnicodeDecodeError, OSError):
        return None
    if isinstance(value, np.ndarray) and value.dtype.kind in "SOU":
        return [text(item) for item in value.ravel()]
    return text(value) if isinstance(value, str | bytes) else value


def text(value: Any) -> str:
    """A text from what h5py gives for one: bytes, str, or an array with one of them."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value).encode("utf-8", "surrogateescape").decode("latin-1")


def text_of(group: Any, name: str) -> str:
    """The text in a data set, scalar or of length 1; empty where there is none."""
    return text(group[name][()]) if name in group else ""


def numbers(path: Path, group: Any, name: str) -> NDArray[np.float64]:
    """A data set as float64 of its own shape.

    Raises
    ------
    ValueError
        If there is none, if it is no numbers, or if it lies in a file out of this one's folder.
    """
    return np.asarray(_dataset_of_numbers(path, group, name)[()], dtype=np.float64)


def counts(path: Path, group: Any, name: str) -> NDArray[np.float32]:
    """A data set as float32 of its own shape; errors as for `numbers`."""
    return np.asarray(_dataset_of_numbers(path, group, name).astype(np.float32)[()])


def dataset_in(path: Path, group: Any, name: str) -> Any:
    """A data set of a group; errors as for `numbers`."""
    import h5py

    dataset = group.get(name)
    if not isinstance(dataset, h5py.Dataset):
        where = f"{group.name.rstrip('/')}/{name.strip('/')}"
        raise ValueError(f"{path}: there is no data set {where}")
    file = Path(dataset.file.filename)  # not this one's if a link leads elsewhere
    others = [file.parent / name for name, *_ in dataset.external or ()]
    if dataset.is_virtual:
        sources = {source.file_name for source in dataset.virtual_sources()} - {"."}
        others += [file.parent / name for name in sources]
    if file != path:
        others.append(file)
    for other in others:
        check_inside(other, path.parent)
    return dataset


def _dataset_of_numbers(path: Path, group: Any, name: str) -> Any:
    dataset = dataset_in(path, group, name)
    if dataset.dtype.kind not in "fiub":
        raise ValueError(f"{path}: {dataset.name} holds {dataset.dtype}, expected numbers")
    return dataset
