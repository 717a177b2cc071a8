"""The numbers of a page: whole numbers times a step, stored as compressed differences."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.plotting.style.value_range import value_range

if TYPE_CHECKING:
    import xarray

_LARGEST_CODE = 65535

_PEARSON_STEP = 0.001
_R_STEP = 0.02
_PROBABILITY_STEP = 0.005
_SHARE_STEP = 0.01

_MAPS_LADDER = ((1, 1), (1, 4), (4, 4), (4, 0))
"""Widths of the steps of maps, and of those of amounts (0: no composition); the first that fits is
used."""

_SPECTRA_LADDER = (
    (1, 0.002, 0.002),
    (1, 0.01, 0.01),
    (1, 0.01, 0.08),
    (1, 0.02, 0.08),
    (1, 0.04, 0.08),
    (2, 0.01, 0.08),
    (4, 0.01, 0.08),
    (8, 0.02, 0.08),
    (16, 0.02, 0.08),
    (32, 0.02, 0.08),
)
"""Block size and steps of a `Precision`, from fine to coarse; the first that fits is used.

Most of the bytes are noise, which nobody needs beside the specimen.
"""

_MOST_VALUES = 4
"""Values for each byte of text beyond which no precision makes them fit."""


class Precision(NamedTuple):
    """Precision of the spectra: means of ``block_px`` x ``block_px`` pixels, in steps of OD."""

    block_px: int
    step_od: float
    step_beside_od: float

    def __str__(self) -> str:
        side = f"{self.block_px} x {self.block_px}"
        whose = "of each pixel" if self.block_px == 1 else f"of blocks of {side} pixels"
        beside = f" (±{self.step_beside_od / 2:g} beside the specimen)"
        return (
            f"spectra {whose}, OD to ±{self.step_od / 2:g}"
            f"{beside if self.step_beside_od > self.step_od else ''}"
        )


@dataclass(frozen=True, eq=False)
class Packed:
    """An array as text for a page.

    A value is ``start + (code - 1) * step``; code 0 is NaN. The differences of the codes along
    a row are stored, first all low bytes and then all high bytes, zlib, base64.
    """

    shape: tuple[int, ...]
    start: float
    step: float
    text: str

    def describe(self) -> dict[str, Any]:
        """Return what the page's script needs besides the text."""
        return {"shape": self.shape, "start": self.start, "step": self.step}


def packed(values: NDArray[Any], step: float) -> Packed:
    """Pack numbers to within half a step; a range of more than 65534 steps gets a larger step.

    Examples
    --------
    >>> packed(np.array([[0.5, np.nan], [-1.0, 2.26]]), 0.5).describe()
    {'shape': (2, 2), 'start': -1.0, 'step': 0.5}
    """
    images = values if values.ndim > 2 else values[None]  # one at a time: they may be many
    ends = [
        (some.min(), some.max()) for image in images if (some := image[np.isfinite(image)]).size
    ]
    low = float(min((low for low, _ in ends), default=0.0))
    high = float(max((high for _, high in ends), default=0.0))
    step = max(step, (high - low) / (_LARGEST_CODE - 2))
    start = float(np.floor(low / step) * step)
    codes = np.zeros(images.shape, dtype=np.uint16)
    for image, code in zip(images, codes, strict=True):
        finite = np.isfinite(image)
        code[finite] = np.rint((image[finite].astype(np.float64) - start) / step) + 1
        differences = np.diff(code, axis=-1, prepend=np.uint16(0)).view(np.int16)
        code[...] = ((differences << 1) ^ (differences >> 15)).view(np.uint16)
    packer = zlib.compressobj(6)
    data = [packer.compress((code & 255).astype(np.uint8).tobytes()) for code in codes]
    data += [packer.compress((code >> 8).astype(np.uint8).tobytes()) for code in codes]
    text = b64encode(b"".join(data) + packer.flush()).decode("ascii")
    return Packed(values.shape, start, step, text)


def packed_maps(dataset: xarray.Dataset, most_bytes: int) -> tuple[dict[str, Packed], str]:
    """Return all that a page shows of each pixel apart from its spectrum.

    Returns
    -------
    arrays : dict of str to Packed
    precision : str
        In words. If ``most_bytes`` are exceeded, as by pure noise, the steps of all quantities
        are four times as wide, and then composition is left out.
    """
    for factor, of_amounts in _MAPS_LADDER:
        arrays = {
            name: packed(dataset[name].values, step)
            for name, step in _steps(dataset, factor, of_amounts)
            if name in dataset
        }
        if sum(len(data.text) for data in arrays.values()) <= most_bytes:
            break
    words = (
        f"coefficients to ±{_PEARSON_STEP / 2 * factor:g}, R to ±{_R_STEP / 2 * factor:g}, "
        f"probabilities to ±{_PROBABILITY_STEP / 2 * factor:g}"
        f"{f', shares to ±{_SHARE_STEP / 2 * of_amounts:g}' if 'composition' in arrays else ''}"
    )
    return arrays, words


def _steps(dataset: xarray.Dataset, factor: int, of_amounts: int) -> Iterator[tuple[str, float]]:
    for name in ("specimen", "valid", "phase_index", "resolved_index", "corrected_index"):
        yield name, 1.0
    for name in ("ambiguous", "unidentified", "ambiguous_pair"):
        yield name, 1.0
    counts = dataset["counts"].values
    median = float(np.nanmedian(counts)) if np.isfinite(counts).any() else 1.0
    yield "counts", factor * max(1.0, median / 500)
    yield "correlation", factor * _PEARSON_STEP
    yield "reliability", factor * _R_STEP
    yield "probability", factor * _PROBABILITY_STEP
    yield "wrong_probability", factor * _PROBABILITY_STEP
    yield "corrected_wrong_probability", factor * _PROBABILITY_STEP
    if of_amounts:
        yield "composition", of_amounts * _SHARE_STEP
        yield "composition_std", 2 * of_amounts * _SHARE_STEP
    for name in ("thickness", "value"):
        if name in dataset:
            low, high = value_range(name, dataset[name].values)
            yield name, factor * (high - low) / 200
            yield f"{name}_std", factor * (high - low) / 200


def packed_spectra(
    od: NDArray[np.floating], specimen: NDArray[np.bool_], most_bytes: int
) -> tuple[Packed, Precision]:
    """Pack OD of shape (n_energies, ny, nx) as precisely as fits, or at the coarsest step.

    What is hopelessly too much is not tried.
    """
    for precision in (Precision(*rung) for rung in _SPECTRA_LADDER):
        is_last = precision == _SPECTRA_LADDER[-1]
        if not is_last and od.size / precision.block_px**2 > _MOST_VALUES * most_bytes:
            continue
        means = np.stack([_rounded(image, specimen, precision) for image in od])
        data = packed(means, precision.step_od)
        if len(data.text) <= most_bytes:
            break
    return data, precision


def _rounded(
    image: NDArray[np.floating], specimen: NDArray[np.bool_], precision: Precision
) -> NDArray[np.floating]:
    """Return the OD of one energy in blocks, rounded beside the specimen."""
    step = precision.step_beside_od
    beside = image if step == precision.step_od else np.rint(image / step) * step
    return block_means(np.where(specimen, image, beside), precision.block_px)


def block_means(od: NDArray[np.floating], block_px: int) -> NDArray[np.floating]:
    """Return means over square blocks of the last two axes, without NaN; last blocks are smaller.

    Examples
    --------
    >>> block_means(np.array([[[1.0, 3.0, 5.0]]]), 2)
    array([[[2., 5.]]])
    """
    if block_px == 1:
        return od
    finite = np.isfinite(od)
    rows, columns = (np.arange(0, n, block_px) for n in od.shape[-2:])

    def sums(values: NDArray[Any]) -> NDArray[Any]:
        lines = np.add.reduceat(values, rows, axis=-2)
        return np.asarray(np.add.reduceat(lines, columns, axis=-1))

    total = sums(np.where(finite, od, 0.0).astype(np.float64))
    number = sums(finite.astype(np.int64))
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
