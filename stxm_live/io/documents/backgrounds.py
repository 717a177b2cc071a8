"""Dark and flat images, which a run keeps in streams of their own."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Background = Literal["dark", "flat"]

_NAME = re.compile(r"(?:^|_)(dark|bias|flat|white)(?:s|_?fields?|_?frames?)?(?:_|$)", re.IGNORECASE)


def background_of(stream: str) -> Background | None:
    """Return the kind of background that a stream holds, by its name; else None.

    Examples
    --------
    >>> [background_of(name) for name in ("dark", "flat_field", "darks", "primary", "darkroom")]
    ['dark', 'flat', 'dark', None, None]
    """
    found = _NAME.search(stream)
    if found is None:
        return None
    return "dark" if found[1].lower() in ("dark", "bias") else "flat"


class Backgrounds:
    """The latest dark image and the mean of the flat images, both of one frame.

    Backgrounds that come after the first image are not used, unless there were some before:
    images of one stack must not differ in their correction.
    """

    def __init__(self) -> None:
        self._dark: NDArray[np.float64] | None = None
        self._flats: list[NDArray[np.float64]] = []
        self._is_late = False

    def add(self, kind: Background, counts: NDArray[np.float32], n_frames: int) -> bool:
        """Take a background of several frames; return False if it is too late for it."""
        if self._is_late:
            return False
        one = counts.astype(np.float64) / n_frames
        if kind == "dark":
            self._dark = one
        else:
            self._flats.append(one)
        return True

    def corrected(self, counts: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
        """Return the counts of several frames less the dark ones, divided by the relative flat."""
        if self._dark is None and not self._flats:
            self._is_late = True
            return counts
        values = counts.astype(np.float64)
        dark = np.zeros(counts.shape) if self._dark is None else self._dark
        if dark.shape == counts.shape:
            values -= dark * n_frames
        flats = [flat for flat in self._flats if flat.shape == counts.shape]
        if flats and dark.shape == counts.shape:
            flat = np.mean(flats, axis=0) - dark
            with np.errstate(divide="ignore", invalid="ignore"):
                values *= np.where(flat > 0, flat[flat > 0].mean() / flat, np.nan)
        return values.astype(np.float32)
