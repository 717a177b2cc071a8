"""Files that a recipe names: masks drawn by hand, and spectra of two columns."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.number_tables import read_table
from stxm_live.core.text_files import read_bytes


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Return a specimen mask (ny, nx) from ``.npy``, ``.png`` or a ``.msk`` text file.

    In a ``.msk`` file each line is an image row in order, and any character except a blank is
    specimen. In a picture, pixels brighter than half are specimen.

    Raises
    ------
    ValueError
        If the file is empty, damaged, not an image, or of another kind; the message names it.
    """
    reader = _MASK_READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            f"{path}: a mask is a .msk, .npy or .png file, not {path.suffix or 'without suffix'}"
        )
    content = read_bytes(path)
    try:
        mask = reader(content)
    except _DAMAGED_MASK as error:
        raise ValueError(f"{path}: cannot be read as a mask ({error})") from error
    if mask.size == 0:
        raise ValueError(f"{path}: the mask is empty")
    if mask.ndim != 2:
        raise ValueError(f"{path}: the mask has shape {mask.shape}, expected (rows, columns)")
    return mask


def _array_mask(content: bytes) -> NDArray[np.bool_]:
    array: NDArray[Any] = np.lib.format.read_array(BytesIO(content), allow_pickle=False)
    return array.astype(bool)


def _picture_mask(content: bytes) -> NDArray[np.bool_]:
    from skimage.io import imread

    if not content.startswith(b"\x89PNG"):  # imread would try every format it knows
        raise ValueError("not a PNG file")
    picture = np.asarray(imread(BytesIO(content), as_gray=True), dtype=np.float64)
    return np.asarray(picture > picture.max() / 2)


def _text_mask(content: bytes) -> NDArray[np.bool_]:
    lines = content.decode("latin-1").splitlines()
    width = max((len(line) for line in lines), default=0)
    return np.array([[c != " " for c in line.ljust(width)] for line in lines], dtype=bool)


_MASK_READERS = {".npy": _array_mask, ".png": _picture_mask, ".msk": _text_mask}

_HDF5 = (".h5", ".hdf", ".hdf5", ".nxs")

_DAMAGED_MASK = (ValueError, OSError, EOFError, SyntaxError, TokenError)
"""Errors of numpy and the picture readers for a file that is incomplete or of another kind."""


def read_two_columns(path: str | Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read a spectrum of two columns, energy in eV and value, separated by blanks or commas.

    aXis2000, the ALS beamlines (``.xsp``, ``.t``) and plain CSV files have this form. Lines
    before the first number are taken as a header.

    Returns
    -------
    energies_ev, values : ndarray of shape (n_energies,)
        Ascending energies.

    Raises
    ------
    ValueError
        If a line is wrong, or there are more columns; the message names the file.
    """
    if Path(path).suffix.lower() in _HDF5:
        raise ValueError(
            f"{path}: a point scan in HDF5 is read by the option --i0 of stxm-live map, which "
            "writes it as i0.csv; name that file"
        )
    _, table = read_table(Path(path))
    if table.shape[1] > 2:
        raise ValueError(
            f"{path}: has {table.shape[1] - 1} columns beside the energy; add @NAME or @NUMBER on "
            "the command line, or keep the two that are meant in a file of their own"
        )
    return table[:, 0], table[:, 1]
