"""Stacks of aXis2000: numbers in ``.ncb``, their description in a ``.dat`` of the same name.

The ``.dat`` has lines of: columns, rows and scale; first and last x; first and last y; the
number of energies; each energy; and for each image a name, its energy and its dwell. The
``.ncb`` holds images one after the other, x fastest: float32 where the scale is negative, else
int16 to be divided by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import empty
from stxm_live.core.stack import Stack
from stxm_live.core.whole_file import whole_file
from stxm_live.io.files.assembly import ScanGrid, assembled
from stxm_live.io.files.folder import check_inside, check_size, chosen
from stxm_live.io.files.number_table import notes_on_last


def read_ncb(path: str | Path, *, region: str | None = None, detector: str | None = None) -> Stack:
    """Read a stack of aXis2000; the ``.dat`` is beside the ``.ncb``.

    Raises
    ------
    FileNotFoundError
        If there is no ``.dat``.
    ValueError
        If the ``.dat`` cannot be read or the ``.ncb`` has another number of values than announced;
        the message names the file and the line.
    """
    path = Path(path)
    chosen(path, "region", ["1"], region)
    chosen(path, "detector", ["counts"], detector)
    dat = path.with_suffix(".dat")
    if not dat.exists():
        raise FileNotFoundError(f"{dat}: missing; an .ncb file cannot be read without its .dat")
    stack = _read_dat(check_inside(dat, path.parent))
    images = _read_images(path, stack)
    return assembled(path, images, np.array(stack.energies_ev), stack.grid, notes=stack.notes)


def write_ncb(path: str | Path, stack: Stack) -> None:
    """Write a stack, or an aligned cube (`Stack.from_arrays`), for aXis2000 and MANTiS.

    The counts are float32; the ``.dat`` goes beside them. The format has ascending axes that begin
    with 0 and no missing images. So descending axes are reversed, the origin is lost, and
    missing images are left out; a missing pixel is NaN.

    Parameters
    ----------
    path : path-like
        The ``.ncb`` file.
    stack : Stack
    """
    path = Path(path).with_suffix(".ncb")
    images = stack.intensity().astype("<f4")
    x0, x1, y0, y1 = stack.scan.extent_um
    images = images[:, :: 1 if y1 >= y0 else -1, :: 1 if x1 >= x0 else -1]
    n_energies, ny, nx = images.shape
    lines = [f"{nx} {ny} -1.0", f"0.0 {abs(x1 - x0):.6f}", f"0.0 {abs(y1 - y0):.6f}"]
    lines += [str(n_energies), *(f"{e:.6f}" for e in stack.energies_ev)]
    lines += [
        f"image{k} {e:.6f} {stack.scan.dwell_ms:.6f}"
        for k, e in enumerate(stack.energies_ev, start=1)
    ]
    with whole_file(path.with_suffix(".dat")) as dat, whole_file(path) as ncb:
        dat.write_text("\n".join(lines) + "\n", encoding="ascii")
        images.tofile(ncb)


def ncb_files(path: Path) -> list[Path]:
    """Return the ``.ncb`` and its ``.dat``."""
    return [path, path.with_suffix(".dat")]


class _Described(NamedTuple):
    """Contents of a ``.dat`` file; a negative scale stands for float32."""

    scale: float
    grid: ScanGrid
    energies_ev: list[float]
    notes: list[str]


def _read_dat(dat: Path) -> _Described:
    text = dat.read_text(encoding="latin-1")
    lines = text.splitlines()
    nx, ny, scale = _numbers(dat, lines, 1, 3)
    (x0, x1), (y0, y1) = _numbers(dat, lines, 2, 2), _numbers(dat, lines, 3, 2)
    (n_energies,) = _numbers(dat, lines, 4, 1)
    for what, count in (("columns", nx), ("rows", ny), ("energies", n_energies)):
        if not (1 <= count < 1e6 and count == int(count)):
            raise ValueError(f"{dat}: {count:g} {what}")
    if not np.isfinite(scale) or scale == 0:
        raise ValueError(f"{dat}, line 1: a scale of {scale:g}")
    last = 5 + int(n_energies)
    energies_ev = [_numbers(dat, lines, number, 1)[0] for number in range(5, last)]
    notes = []
    if len(lines) < last:
        notes = notes_on_last(dat, text, [line.strip() for line in lines[4:]], energies_ev)
    described = [line.split() for line in lines[last - 1 : last - 1 + int(n_energies)]]
    whole = [words for words in described if len(words) == len(described[0])]
    if len(whole) < n_energies:
        notes.append(
            f"{dat.name}: describes {len(whole)} of its {n_energies:.0f} images; it may be cut"
        )
    grid = ScanGrid(
        x_um=tuple(np.linspace(x0, x1, int(nx))),
        y_um=tuple(np.linspace(y0, y1, int(ny))),
        dwell_ms=_dwell_ms(whole),
    )
    return _Described(scale, grid, energies_ev, notes)


def _read_images(path: Path, stack: _Described) -> NDArray[np.floating]:
    """Return the counts, shape (n_energies, ny, nx)."""
    dtype = np.dtype("<f4" if stack.scale < 0 else "<i2")
    shape = len(stack.energies_ev), len(stack.grid.y_um), len(stack.grid.x_um)
    n_bytes, announced = path.stat().st_size, int(np.prod(shape)) * dtype.itemsize
    if n_bytes != announced:
        n_whole = n_bytes * shape[0] // announced
        ends = f"; it ends after image {n_whole} of {shape[0]}" if n_whole < shape[0] else ""
        raise ValueError(
            f"{path}: {n_bytes} bytes, its .dat announces {announced}: {shape} of "
            f"{dtype.name}{ends}"
        )
    if not check_size(path, shape):
        return _scaled(np.fromfile(path, dtype).reshape(shape), stack.scale)
    images: NDArray[np.floating] = empty(shape)
    with path.open("rb") as file:
        for image in images:
            counts = np.fromfile(file, dtype, image.size).reshape(image.shape)
            image[...] = _scaled(counts, stack.scale)
    return images


def _scaled(counts: NDArray[Any], scale: float) -> NDArray[np.float64]:
    values = counts.astype(np.float64)
    return values if scale < 0 else values / scale


def _numbers(dat: Path, lines: Sequence[str], number: int, n_expected: int) -> list[float]:
    """Return the first numbers on a line, counted from 1."""
    if number > len(lines):
        raise ValueError(f"{dat}: ends after line {len(lines)}, expected more")
    # "52, 40" is two numbers; what is left of "505,0" has a decimal comma, and is refused
    words = [word.rstrip(",") for word in lines[number - 1].split()[:n_expected]]
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = []
    if len(found) != n_expected:
        raise ValueError(
            f"{dat}, line {number}: expected {n_expected} number(s) with decimal points, found "
            f"{lines[number - 1].strip()!r}"
        )
    return found


def _dwell_ms(described: Sequence[Sequence[str]]) -> float:
    """Return the median dwell of the words that describe each image; 0 if they have none."""
    found = []
    for words in described:
        try:
            found.append(float(words[-1]))
        except (ValueError, IndexError):
            return 0.0
    return float(np.median(found)) if found else 0.0
