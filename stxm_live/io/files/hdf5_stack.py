"""Stacks in HDF5 files: the layout is found in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stxm_live.core.stack import Stack
from stxm_live.io.files.data_exchange import is_data_exchange, read_data_exchange
from stxm_live.io.files.hdf5 import opened_hdf5
from stxm_live.io.files.nexus_stxm import nexus_entries, read_nexus_stxm
from stxm_live.io.files.ssrf import is_ssrf, read_ssrf

_MOST_LISTED = 12
"""Data sets of an unknown file that are listed."""

PTYCHOGRAPHY = (
    "diffraction images of a ptychography scan (CXI), which are to be reconstructed first; map the "
    "reconstructed images as TIFF"
)


def read_hdf5(path: Path, *, region: str | None = None, detector: str | None = None) -> Stack:
    """Read a stack, or a single image, in one of the known layouts.

    Raises
    ------
    ValueError
        If the file has none of them; the message lists its data sets.
    """
    with opened_hdf5(path) as file:
        if not nexus_entries(file):
            if is_data_exchange(file):
                return read_data_exchange(path, file, region=region, detector=detector)
            if is_ssrf(file):
                return read_ssrf(path, file, region=region, detector=detector)
            raise ValueError(f"{path}: {_no_stack(file)}")
    return read_nexus_stxm(path, region=region, detector=detector)


def _no_stack(file: Any) -> str:
    """Return why an HDF5 file is none of ours, with the data sets that it has."""
    import h5py

    if "cxi_version" in file:
        return PTYCHOGRAPHY
    gone = [
        link.filename
        for name in file
        if isinstance(link := file.get(name, getlink=True), h5py.ExternalLink)
        and file.get(name) is None
    ]
    if gone:
        return f"it is a link to {', '.join(gone)}, which is not there; copy that file beside it"
    found: list[str] = []

    def look(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.ndim in (1, 2, 3) and len(found) < _MOST_LISTED:
            found.append(f"/{name} {node.shape}")

    file.visititems(look)
    listed = f"; it has {', '.join(found)}" if found else ""
    return (
        "no stack of a known layout (NXstxm, pystxmcontrol, Data Exchange, SSRF); write a mapping "
        f"file (.toml) that names its data sets, and read that{listed}"
    )
