"""Types of scans that make a stack, and messages for those that do not."""

from __future__ import annotations

from pathlib import Path

_OTHERS = {
    "focus": "a focus scan: it has positions of the zone plate, no energies",
    "line": "a line scan: spectra along a line, no images",
    "point": "a point scan: a spectrum, no images; --i0 and read_spectrum take it",
    "osa": "a scan of the order-sorting aperture",
    "detector": "a scan of the detector",
    "ptycho": "a ptychography scan: its diffraction images are to be reconstructed first",
    "motor": "a scan of motors",
    "generic": "a generic scan",
}

_WAYS = ("line", "point", "motor", "generic")
"""Words that also say how an image was scanned, such as "image (point by point)"."""


def check_is_stack(path: Path, scan_type: str, *, where: str = "") -> None:
    """Raise an error unless a scan is a stack of images.

    Parameters
    ----------
    path : Path
    scan_type : str
        Type in the file, in upper or lower case; empty if the file has none.
    where : str
        Part of the file, for the message.

    Raises
    ------
    ValueError
        If the scan is of another type; the message says which.
    """
    other = _other(scan_type)
    if other:
        raise ValueError(f"{path}{where}: {scan_type!r} is {other}; expected an image stack")


def is_stack(scan_type: str) -> bool:
    """Return True for a stack of images, and for a type that says nothing."""
    return not _other(scan_type)


def _other(scan_type: str) -> str:
    """Return what a scan is that makes no stack; empty for one that does."""
    words = scan_type.lower()
    is_image = "image" in words
    return next(
        (
            what
            for word, what in _OTHERS.items()
            if word in words and not (is_image and word in _WAYS)
        ),
        "",
    )
