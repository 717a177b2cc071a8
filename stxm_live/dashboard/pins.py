"""Pixels that a user keeps, to compare their spectra."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from bokeh.models import ColumnDataSource

from stxm_live.plotting.style.palette import AMBIGUOUS, GROUND

if TYPE_CHECKING:
    from stxm_live.dashboard.scene import Scene

LOOKS = ((AMBIGUOUS, "circle"), ("#8ce99a", "square"), ("#d9a3ff", "triangle"))
"""Color and marker of the first, second and third pin."""


class Pin(NamedTuple):
    """A kept pixel: its number from 1 on, row and column."""

    number: int
    row: int
    column: int

    @property
    def color(self) -> str:
        """Return the color of its mark and spectrum."""
        return LOOKS[self.number - 1][0]

    @property
    def marker(self) -> str:
        """Return the shape of the points of its spectrum."""
        return LOOKS[self.number - 1][1]


class Pins:
    """Up to three kept pixels, each with a number that stays with it.

    Attributes
    ----------
    source : ColumnDataSource
        Positions, numbers and colors on the maps.

    Examples
    --------
    >>> pins = Pins()
    >>> for place in ((0, 0), (5, 1), (7, 2), (9, 3)):
    ...     pins.toggle(place)
    >>> pins.toggle((5, 1))  # kept already: released
    >>> [tuple(pin) for pin in pins]
    [(1, 9, 3), (3, 7, 2)]
    """

    def __init__(self) -> None:
        self._places: dict[int, tuple[int, int]] = {}
        self._calls: list[Callable[[], None]] = []
        self.source = no_pins()

    def __iter__(self) -> Any:
        """Iterate over the kept pixels by number."""
        return iter(Pin(number, *place) for number, place in sorted(self._places.items()))

    @property
    def newest(self) -> Pin | None:
        """Return the pixel that was kept last."""
        number = next(reversed(self._places), None)
        return None if number is None else Pin(number, *self._places[number])

    def toggle(self, place: tuple[int, int]) -> None:
        """Keep a pixel, in place of the oldest if there are three; release it if it is kept."""
        kept = [number for number, other in self._places.items() if other == place]
        if kept:
            del self._places[kept[0]]
        else:
            free = [n for n in range(1, len(LOOKS) + 1) if n not in self._places]
            number = free[0] if free else next(iter(self._places))
            self._places.pop(number, None)  # the newest is the last one
            self._places[number] = place
        self._tell()

    def clear(self) -> None:
        """Release all."""
        if self._places:
            self._places.clear()
            self._tell()

    def on_change(self, call: Callable[[], None]) -> None:
        """Call a function when a pixel is kept or released."""
        self._calls.append(call)

    def mark(self, scene: Scene | None) -> None:
        """Mark them on the maps of a scene."""
        pins = [] if scene is None else list(self)
        where = [scene.centre_of(pin.row, pin.column) for pin in pins] if scene is not None else []
        data = {
            "x": [x for x, _ in where],
            "y": [y for _, y in where],
            "number": [str(pin.number) for pin in pins],
            "color": [pin.color for pin in pins],
        }
        if data != self.source.data:
            self.source.data = data

    def _tell(self) -> None:
        for call in self._calls:
            call()


def no_pins() -> ColumnDataSource:
    """Return a source without pins."""
    return ColumnDataSource({"x": [], "y": [], "number": [], "color": []}, name="pins")


def number_pins(plot: Any, source: ColumnDataSource) -> None:
    """Show pins with their numbers on a map: bright lines on wider dark ones, on any color."""
    for color, width in ((GROUND, 5.0), ("color", 2.0)):
        plot.scatter(
            "x",
            "y",
            source=source,
            size=13,
            marker="circle_cross",
            fill_alpha=0,
            line_color=color,
            line_width=width,
        )
    plot.text(
        x="x",
        y="y",
        text="number",
        source=source,
        text_color="color",
        text_font_size="12px",
        text_font_style="bold",
        background_fill_color=GROUND,
        background_fill_alpha=0.75,
        text_baseline="bottom",
        x_offset=8,
        y_offset=-4,
    )
