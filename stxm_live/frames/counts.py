"""What an event holds, as counts of an image, of a line or of a pixel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.scan import StackScan

MAX_CHANNELS = 64
"""An array of more values for every pixel is none of channels."""


class Counts(NamedTuple):
    """Counts of shape (ny, nx), (nx,) or (); ``note`` says what was done to them."""

    values: NDArray[np.float32]
    note: str = ""


def read_counts(
    value: Any, scan: StackScan, field: str, *, is_scalar: bool = False, channel: int | None = None
) -> Counts:
    """The counts of an event.

    An image may come as an array, flat or as nested lists, also as several frames, which are
    added; a line may hold several channels whose readings take turns.

    Parameters
    ----------
    value : object
        Of the event's data key ``field``.
    scan : StackScan
    is_scalar : bool
        Whether the data key was described as a number: an event is a pixel.
    channel : int, optional
        Which of several channels; the first if not given, with a note.

    Raises
    ------
    ValueError
        If it is neither an image, nor a line, nor a pixel; with the shapes.
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
    n_channels = counts.size // nx
    is_flat = bool(shape) and shape[-1] == counts.size == n_channels * nx
    if channel is not None and is_flat and channel < n_channels:
        return Counts(counts.reshape(nx, n_channels)[:, channel])
    while counts.ndim > 2 and counts.shape[0] == 1:
        counts = counts[0]
    if counts.ndim == 3 and counts.shape[1:] == (ny, nx):
        return Counts(counts.sum(axis=0, dtype=np.float64).astype(np.float32))
    if counts.shape == (ny, nx) or (counts.ndim == 1 and counts.size == ny * nx):
        return Counts(counts.reshape(ny, nx))
    if counts.shape in ((nx,), (1, nx)):
        return Counts(counts.reshape(nx))
    is_whole = counts.ndim == 1 and nx > 1 and counts.size == n_channels * nx
    if is_whole and 1 < n_channels <= MAX_CHANNELS:
        note = (
            f"{field!r} holds {n_channels} values for each of {nx} pixels: the first channel is "
            "taken; [fields] channel in the recipe names another one"
        )
        return Counts(counts.reshape(nx, n_channels)[:, 0], note)
    raise ValueError(f"image has shape {shape}, the start document announced {(ny, nx)}")


def finite_number(value: Any) -> float | None:
    """A scalar, or the mean of an array that a monitor counted pixel by pixel."""
    if np.iscomplexobj(value):
        return None
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    known = numbers[np.isfinite(numbers)]
    return float(known.mean()) if known.size else None
