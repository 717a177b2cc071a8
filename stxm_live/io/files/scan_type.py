"""Which scans make a stack, and what is said of those that do not."""

from __future__ import annotations

from pathlib import Path

_OTHERS = {
    "focus": "a focus scan: it has positions of the zone plate, no energies",
    "line": "a line scan: spectra along a line, no images",
    "point": "a point scan: a spectrum, no images; read_spectrum takes it, as I0 for example",
    "osa": "a scan of the order-sorting aperture",
    "detector": "a scan of the detector",
    "ptycho": "a ptychography scan: its diffraction images are to be reconstructed first",
    "motor": "a scan of motors",
    "generic": "a generic scan",
}


def check_is_stack(path: Path, scan_type: str, *, where: str = "") -> None:
    """Refuse what is no stack of images.

    Parameters
    ----------
    path : Path
    scan_type : str
        As the file calls it, in any case; empty if it does not say.
    where : str
        Which part of the file.

    Raises
    ------
    ValueError
        Saying what it is instead.
    """
    words = scan_type.lower()
    for word, what in _OTHERS.items():
        if word in words:
            raise ValueError(f"{path}{where}: {scan_type!r} is {what}; expected an image stack")
