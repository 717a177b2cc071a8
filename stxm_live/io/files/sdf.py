"""Stacks in SDF files of the ALS, MAXYMUS, UVSOR and PolLux: ``.hdr``, ``.xim``, ``.xsp``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from glob import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import to_file
from stxm_live.core.origin import Origin, iso_time
from stxm_live.core.references import listed_ev
from stxm_live.core.stack import Frame, Stack, StackKey
from stxm_live.io.files.assembly import announced_scan, monitor_of, stack_of_frames
from stxm_live.io.files.folder import check_inside, check_size
from stxm_live.io.files.number_table import ends_whole, read_numbers
from stxm_live.io.files.sdf_header import read_header
from stxm_live.io.files.sdf_scan import SDFRegion, chosen_region


def read_sdf(
    hdr_path: str | Path,
    *,
    region: str | None = None,
    detector: str | None = None,
    known: Collection[int] = (),
) -> Stack:
    """Read an image stack; the images are beside the header.

    Row 0 of an image is the first line of its ``.xim`` file and belongs to the first point of
    the header's QAxis. The authors' masks agree with this, and y ascends with the row for
    ``Dir = 1``. Energies are announced by the StackAxis; if the header notes the energy of an
    image (``Image000_0 = {Energy = ...}``), the frame carries that. Missing images, as in a stack
    that was stopped, are left out, and missing lines are NaN; both are noted and leave the stack
    unfinished. The ring current noted with an image is the frame's monitor.

    Parameters
    ----------
    hdr_path : path-like
        The ``.hdr`` file.
    region : str, optional
        Number of the region, starting at "1", if there are several.
    detector : str, optional
        Name of the channel, if there are several.
    known : collection of int
        Places of images in the list of energies (0 is the first) that are complete and need not
        be read again; they are left out, without a note.

    Raises
    ------
    ValueError
        If the file is not a stack or cannot be read, or if there are several regions or channels
        and none is chosen. The message names the file and line, or the choices.
    FileNotFoundError
        If there is no header or no image.
    """
    path = Path(hdr_path)
    header = read_header(path)
    taken = chosen_region(path, header, region, detector)
    scan, notes = announced_scan(path, taken.energies_ev, taken.grid, taken.ring_current_ma)
    notes = [*taken.notes, *notes]
    is_large = check_size(path, scan.shape)
    frames: list[Frame] = []
    cut: list[str] = []
    not_noted: list[float] = []
    finished = True
    for index, announced_ev in enumerate(scan.energies_ev):
        if index in known:
            continue
        image = image_path(path, index, taken)
        if not image.exists() or (image.is_file() and image.stat().st_size == 0):
            notes.append(f"{image.name}: no image of {announced_ev:g} eV")
            finished = False
            continue
        intensity, n_lines = _read_image(image, scan.image_shape)
        if n_lines and np.isnan(intensity[n_lines - 1, -1]) and not ends_whole(image):
            cut.append(image.name)
        intensity = to_file(intensity) if is_large else intensity
        is_whole = n_lines == scan.image_shape[0]
        if not is_whole:
            finished = False
            notes.append(
                f"{image.name}: {n_lines} of {scan.image_shape[0]} lines of the image at "
                f"{announced_ev:g} eV"
            )
        energy_ev = float(taken.noted_ev[index])
        if not energy_ev > 0:
            not_noted.append(energy_ev := announced_ev)
        monitor = monitor_of(taken.ring_current_ma, index)
        frames.append(Frame(energy_ev, intensity, announced_ev, is_whole, monitor))
    if not frames and not known:
        raise FileNotFoundError(
            f"{image_path(path, 0, taken)}: none of the stack's images is there"
        )
    if len(not_noted) == len(frames):  # such headers note none
        not_noted = []
    notes += _cut_notes(path, cut, not_noted)
    stack = stack_of_frames(StackKey((), scan.region), scan, frames, notes, finished=finished)
    return replace(stack, origin=Origin(measured=iso_time(str(header.get("Time", "")))))


def _cut_notes(header: Path, cut: list[str], not_noted: list[float]) -> Iterator[str]:
    """Yield notes on images and a header that may be cut."""
    if cut:
        more = f" and {len(cut) - 1} more" if len(cut) > 1 else ""
        yield f"{cut[0]}{more}: the last number does not end; it is left out"
    if not_noted:
        yield (
            f"{header.name}: the energy is not noted with the images at {listed_ev(not_noted)} eV; "
            "the announced one is taken"
        )


def image_path(hdr_path: Path, index: int, region: SDFRegion) -> Path:
    """Return the path of the image of the stack's ``index``-th energy."""
    if region.is_single:
        single = hdr_path.with_name(f"{hdr_path.stem}_{region.letter}{region.suffix}.xim")
        if single.exists():
            return single
    return hdr_path.with_name(f"{hdr_path.stem}_{region.letter}{index:03d}{region.suffix}.xim")


def sdf_files(hdr_path: Path) -> list[Path]:
    """Return the header and the existing images, in order, of all regions and channels."""
    images = hdr_path.parent.glob(f"{escape(hdr_path.stem)}_[a-z]*.xim")
    named = re.compile(re.escape(hdr_path.stem) + r"_[a-z]\d*\.xim")
    return [hdr_path, *sorted(image for image in images if named.fullmatch(image.name))]


def _read_image(path: Path, shape: tuple[int, int]) -> tuple[NDArray[np.float32], int]:
    """Return an image with NaN in missing lines at its end, and the number of its lines."""
    values = read_numbers(check_inside(path, path.parent), may_be_cut=True)
    if len(values) == 1 and values.size < shape[1]:  # writing was interrupted in the first line
        values = np.empty((0, shape[1]))
    n_lines = len(values)
    if values.ndim != 2 or values.shape[1] != shape[1] or n_lines > shape[0]:
        raise ValueError(
            f"{path}: {n_lines} lines of {values.shape[-1]} numbers, the header announces "
            f"{shape[0]} of {shape[1]}"
        )
    image = np.full(shape, np.nan, dtype=np.float32)
    image[:n_lines] = values
    return image, n_lines
