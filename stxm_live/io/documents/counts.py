"""Counts of an image, a line or a pixel, from the values of an event."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, SupportsInt

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.scan import StackScan

MAX_CHANNELS = 64
"""Most channels for one pixel; a longer axis is not one of channels."""


PieceKind = Literal["image", "line", "pixel"]
"""Content of each event of a stream."""


class Counts(NamedTuple):
    """Counts of shape (ny, nx), (nx,) or (); ``note`` says how they were changed, if at all."""

    values: NDArray[np.float32]
    note: str = ""

    @property
    def kind(self) -> PieceKind:
        """Return the kind of the values: image, line or pixel."""
        kinds: tuple[PieceKind, ...] = ("pixel", "line", "image")
        return kinds[self.values.ndim]


def kind_of_shape(
    shape: Sequence[int], scan: StackScan, channel: int | None = None
) -> Literal["image", "line"] | None:
    """Return "image" or "line" for values of this shape, or None for neither.

    Examples
    --------
    >>> scan = StackScan(shape=(1, 3, 4), energies_ev=(520.0,), data_field="counts",
    ...                  x_extent_um=(0, 3), y_extent_um=(0, 2))
    >>> [kind_of_shape(shape, scan) for shape in ((3, 4), (12,), (4,), (1, 4), (3, 3))]
    ['image', 'image', 'line', 'line', None]
    """
    ny, nx = scan.image_shape
    rest, size = tuple(shape), math.prod(shape)
    n_channels = size // nx
    is_flat = bool(rest) and rest[-1] == size == n_channels * nx
    if channel is not None and is_flat and channel < n_channels:
        return "line"
    while len(rest) > 2 and rest[0] == 1:
        rest = rest[1:]
    if rest[-2:] == (ny, nx) and len(rest) in (2, 3):
        return "image"
    if rest == (ny * nx,):
        return "image"
    if rest in ((nx,), (1, nx)):
        return "line"
    is_of_channels = len(rest) == 1 and nx > 1 and size == n_channels * nx
    return "line" if is_of_channels and 1 < n_channels <= MAX_CHANNELS else None


def read_counts(
    value: Any, scan: StackScan, field: str, *, is_scalar: bool = False, channel: int | None = None
) -> Counts:
    """Return the counts of an event.

    An image may come as an array, flat, as nested lists, or as several frames, which are added.
    A line may hold several channels, with the values of each pixel side by side.

    Parameters
    ----------
    value : object
        Value of the event's data key ``field``.
    scan : StackScan
    is_scalar : bool
        True if the data key is described as a number, so that each event is a pixel.
    channel : int, optional
        Index of the channel if there are several; default is the first, with a note.

    Raises
    ------
    ValueError
        If the value is neither an image, a line nor a pixel; the message gives the shapes.
    """
    ny, nx = scan.image_shape
    if np.iscomplexobj(value):
        raise ValueError(f"{field!r} holds complex numbers")
    try:
        with np.errstate(over="ignore"):  # more than float32 holds is infinite, and not usable
            counts = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{field!r} does not hold numbers") from None
    shape = counts.shape
    if is_scalar and counts.size == 1:
        return Counts(counts.reshape(()))
    kind = kind_of_shape(shape, scan, channel)
    if kind == "image":
        return Counts(_added(counts, (ny, nx)))
    if kind != "line":
        raise ValueError(f"image has shape {shape}, the start document announced {(ny, nx)}")
    channels = counts.reshape(nx, -1)
    if channel is not None and channel < channels.shape[1]:
        return Counts(channels[:, channel])
    if channels.shape[1] == 1:
        return Counts(channels[:, 0])
    note = (
        f"{field!r} holds {channels.shape[1]} values for each of {nx} pixels: the first channel is "
        "taken; [fields] channel in the recipe names another one"
    )
    return Counts(channels[:, 0], note)


def _added(counts: NDArray[np.float32], image_shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return an image, or the sum of several frames of it."""
    frames = counts.reshape(-1, *image_shape)
    if len(frames) == 1:
        return counts.reshape(image_shape)
    return np.asarray(frames.sum(axis=0, dtype=np.float64), dtype=np.float32)


def finite_number(value: Any) -> float | None:
    """Return a scalar, or the mean of an array with one monitor value per pixel."""
    if np.iscomplexobj(value):
        return None
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    known = numbers[np.isfinite(numbers)]
    return float(known.mean()) if known.size else None


def whole_number(value: Any) -> int:
    """Return the number of an event.

    Raises
    ------
    ValueError
        If it is not a whole number: 1.5 would be mistaken for another event.
    """
    if isinstance(value, bool) or not isinstance(value, SupportsInt) or int(value) != value:
        raise ValueError(f"seq_num is {value!r:.40}, expected a whole number")
    return int(value)
