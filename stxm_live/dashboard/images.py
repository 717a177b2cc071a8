"""Maps as red, green, blue and alpha with row 0 at the bottom, as sent to a browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.plotting.style.palette import (
    AMBIGUOUS,
    GROUND,
    INVALID,
    NO_DATA,
    SPECIMEN,
    UNIDENTIFIED,
    crameri,
    heat,
)
from stxm_live.plotting.style.raster import FieldOfView

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps

MAX_SHOWN_PIXELS = 2**20
"""Larger images are shown with every second, third ... pixel."""

_COUNTED = 2**18
"""Values whose percentiles are as good as those of all."""

Limits = tuple[float, float]
"""Values shown darkest and brightest."""

Rgba = NDArray[np.uint8]
"""Red, green, blue and alpha of each pixel, shape (ny, nx, 4)."""


def rgba_of(color: str) -> Rgba:
    """Return a color ``#rrggbb`` as opaque RGBA of shape (4,).

    Examples
    --------
    >>> rgba_of("#1b1e23").tolist()
    [27, 30, 35, 255]
    """
    return np.frombuffer(bytes.fromhex(color[1:]) + b"\xff", dtype=np.uint8)


def phase_image(index: NDArray[np.integer], colors: NDArray[np.float64]) -> Rgba:
    """Return each pixel in the color of its phase; background where the index is -1.

    Parameters
    ----------
    index : ndarray of shape (ny, nx)
    colors : ndarray of shape (n_phases, 3)
        0 to 1.
    """
    table = np.empty((len(colors) + 1, 4), dtype=np.uint8)
    table[:-1, :3], table[:-1, 3] = np.rint(255 * colors), 255
    table[-1] = rgba_of(GROUND)
    return np.asarray(table[index])


def grey_image(od: NDArray[np.floating], limits: Limits | None = None) -> tuple[Rgba, float, float]:
    """Return the optical density in grey, and the values shown black and white.

    Without limits grey runs from the 0.5th to the 99.5th percentile; pixels without a value are
    blue.
    """
    low, high = limits or _span(od, 0.5, 99.5)
    share = np.clip((np.nan_to_num(od, nan=low) - low) / (high - low), 0.0, 1.0)
    grey = np.rint(255 * share).astype(np.uint8)
    image = np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=-1)
    image[~np.isfinite(od)] = rgba_of(NO_DATA)
    return image, low, high


def heat_image(values: NDArray[np.floating], low: float, high: float) -> Rgba:
    """Return values from low to high as dim to bright; background where there are none."""
    return _mapped(values, low, high, heat(), GROUND)


def difference_image(
    difference: NDArray[Any], limits: Limits | None = None
) -> tuple[Rgba, float, float]:
    """Return a difference from blue over white to red, and the values shown darkest."""
    finite = np.abs(difference[np.isfinite(difference)])
    top = max(float(np.percentile(finite, 99.5)), 1e-6) if finite.size else 1.0
    low, high = limits or (-top, top)
    return _mapped(difference, low, high, crameri("vik"), NO_DATA), low, high


def rgb_image(planes: Sequence[NDArray[np.floating]]) -> tuple[Rgba, list[Limits]]:
    """Return three images as red, green and blue, and the values shown dark and bright."""
    limits = [_span(plane, 0.5, 99.5) for plane in planes]
    grey = [grey_image(plane, ends)[0] for plane, ends in zip(planes, limits, strict=True)]
    image = np.stack([*(each[..., 0] for each in grey), grey[0][..., 3]], axis=-1)
    image[~np.isfinite(np.stack(planes)).all(axis=0)] = rgba_of(NO_DATA)
    return image, limits


def channel_image(
    channels: Sequence[tuple[NDArray[np.floating] | None, Limits]], specimen: NDArray[np.bool_]
) -> Rgba:
    """Return three maps as red, green and blue between their limits; ground beside the specimen.

    A map that is None, and a pixel without a value, is dark.
    """
    image = np.zeros((*specimen.shape, 4), dtype=np.uint8)
    image[..., 3] = 255
    for k, (values, (low, high)) in enumerate(channels):
        if values is not None:
            share = (np.nan_to_num(values, nan=low) - low) / (high - low)
            image[..., k] = np.rint(255 * np.clip(share, 0.0, 1.0))
    image[~specimen] = rgba_of(GROUND)
    return image


def ambiguity_image(maps: PhaseMaps) -> Rgba:
    """Return an image of clear, ambiguous, unidentified and invalid specimen pixels."""
    image = np.empty((*maps.specimen.shape, 4), dtype=np.uint8)
    image[:] = rgba_of(GROUND)
    for mask, color in (
        (maps.specimen, SPECIMEN),
        (maps.unidentified, UNIDENTIFIED),
        (maps.ambiguous, AMBIGUOUS),
        (maps.specimen & ~maps.valid, INVALID),
    ):
        image[mask] = rgba_of(color)
    return image


def specimen_image(specimen: NDArray[np.bool_]) -> Rgba:
    """Return an image of the specimen's outline, before there are phases."""
    return np.where(specimen[..., None], rgba_of(SPECIMEN), rgba_of(GROUND))


def for_screen(image: Rgba, field: FieldOfView) -> NDArray[np.uint32]:
    """Return an image for Bokeh: first row at the bottom, first column left, 1 Mpx at most."""
    stride = 1
    while (image.shape[0] // stride) * (image.shape[1] // stride) > MAX_SHOWN_PIXELS:
        stride += 1
    rows = -stride if field.y_last < field.y_first else stride
    columns = -stride if field.x_last < field.x_first else stride
    turned = np.ascontiguousarray(image[::rows, ::columns])
    return turned.view(np.uint32)[..., 0]


def hex_colors(color_map: Any, n: int = 9) -> list[str]:
    """Return colors for the ramp of a legend, low to high."""
    rgb = np.rint(255 * color_map(np.linspace(0.0, 1.0, n))[:, :3]).astype(int)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in rgb]


def _mapped(values: NDArray[Any], low: float, high: float, color_map: Any, nothing: str) -> Rgba:
    # a table of 256 colors: matplotlib's own call takes eight times as long
    table = np.rint(255 * color_map(np.arange(256))).astype(np.uint8)
    share = (np.nan_to_num(values, nan=low) - low) / (high - low)
    image = table[np.clip(256 * share, 0, 255).astype(np.uint8)]
    image[~np.isfinite(values)] = rgba_of(nothing)
    return np.asarray(image)


def _span(values: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    finite = finite[at_most(_COUNTED, finite.size)]
    bottom, top = np.percentile(finite, [low, high]) if finite.size else (0.0, 1.0)
    return float(bottom), float(top if top > bottom else bottom + 1.0)
