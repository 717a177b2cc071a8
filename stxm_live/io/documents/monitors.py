"""Readings of I0 beside the images: of a monitor, of the baseline, or in the column of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.documents.counts import finite_number
from stxm_live.io.documents.external import Block, ExternalImages
from stxm_live.io.documents.streams import Stream, data_key

MAX_READINGS = 1_000_000
"""Most readings, and most events of images, that are kept."""


class Monitors:
    """The readings of one I0 monitor in a run, to be given to its images when the run ends."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}
        self._readings: list[tuple[float, float]] = []
        self._event_s: dict[int, float] = {}
        self._columns: list[Block] = []

    def descriptor(self, doc: Mapping[str, Any], i0_field: str | None) -> None:
        """Take a stream that has the monitor."""
        key = data_key(i0_field or "", doc)
        if key is not None:
            self._keys[str(doc["uid"])] = key

    def reading(self, doc: Mapping[str, Any]) -> None:
        """Take an event of another stream than that of the images, if it has the monitor."""
        key = self._keys.get(str(doc.get("descriptor")))
        value = None if key is None else finite_number(doc["data"].get(key))
        time_s = finite_number(doc.get("time"))
        if value is not None and time_s is not None and len(self._readings) < MAX_READINGS:
            self._readings.append((time_s, value))

    def image(self, doc: Mapping[str, Any]) -> None:
        """Take the time of an event of the images."""
        number, time_s = doc.get("seq_num"), finite_number(doc.get("time"))
        if isinstance(number, int) and time_s is not None and len(self._event_s) < MAX_READINGS:
            self._event_s[number] = time_s

    def column(self, doc: Mapping[str, Any], external: ExternalImages) -> None:
        """Take rows of a file that hold the monitor, one for each event of the images."""
        key = self._keys.get(str(doc.get("descriptor")))
        if key is not None and external.field_of(doc) == key:
            self._columns += external.blocks_of_stream_datum(doc)

    def of_images(self, stream: Stream, n_exposures: int) -> dict[int, dict[int, float]]:
        """Return the readings of the parts of each image, 0 is the first, as far as there are any.

        Of readings at any time, those between an event and the one before count for it, or the two
        beside it if there are none. Those of exposures are added, like their counts.

        Raises
        ------
        OSError, ValueError
            If a file cannot be read.
        """
        numbers, values = self._of_columns() if self._columns else self._of_times()
        found: dict[int, dict[int, float]] = {}
        for k in np.argsort(numbers, kind="stable"):
            if np.isfinite(values[k]):
                image, part = _place(stream, int(numbers[k]), n_exposures)
                found.setdefault(image, {})[part] = float(values[k])
        if stream.kind not in ("pixel", "line"):
            return {image: {0: float(np.sum(list(of.values())))} for image, of in found.items()}
        return found

    def _of_columns(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the numbers of events and their readings in files."""
        numbers = [np.arange(b.number, b.number + b.n_rows) for b in self._columns]
        rows = [b.rows.read().reshape(b.n_rows, -1).mean(axis=1) for b in self._columns]
        return np.concatenate(numbers), np.concatenate(rows).astype(np.float64)

    def _of_times(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the numbers of events and the readings at their times."""
        events = sorted(self._event_s.items(), key=lambda event: (event[1], event[0]))
        numbers = np.array([number for number, _ in events], dtype=np.intp)
        if not self._readings or not events:
            return numbers, np.full(len(numbers), np.nan)
        end_s = np.array([time_s for _, time_s in events])
        usual_s = float(np.median(np.diff(end_s))) if len(end_s) > 1 else 0.0
        begin_s = np.concatenate([[end_s[0] - usual_s], end_s[:-1]])
        return numbers, means_between(begin_s, end_s, sorted(self._readings))


def means_between(
    begin_s: NDArray[np.float64],
    end_s: NDArray[np.float64],
    readings: Sequence[tuple[float, float]],
) -> NDArray[np.float64]:
    """Return the mean reading in each interval, or the interpolated one at its end.

    Examples
    --------
    >>> readings = [(0.0, 10.0), (1.0, 12.0), (2.0, 14.0), (9.0, 28.0)]
    >>> means_between(np.array([0.0, 4.0]), np.array([2.0, 5.0]), readings)
    array([13., 20.])
    """
    times_s, values = np.array(readings, dtype=np.float64).T
    low = np.searchsorted(times_s, begin_s, side="right")
    high = np.searchsorted(times_s, end_s, side="right")
    before = np.concatenate([[0.0], np.cumsum(values - values[0])])
    n = high - low
    means = values[0] + (before[high] - before[low]) / np.maximum(n, 1)
    return np.asarray(np.where(n > 0, means, np.interp(end_s, times_s, values)))


def _place(stream: Stream, number: int, n_exposures: int) -> tuple[int, int]:
    """Return the image that an event belongs to, and its part there, as those of its counts."""
    order = stream.members[0].announced.order
    if stream.kind == "pixel":
        image, row, column = order.pixel(number - 1)
        return image, row * order.shape[2] + column
    if stream.kind == "line":
        image, row, _ = order.line(number - 1)
        return image, row
    return divmod(number - 1, n_exposures)
