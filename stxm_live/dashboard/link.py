"""The view of a page as the query of its link, so that a reload or a colleague sees the same.

A link may come from anybody: every value is checked against the stack that is shown, and one that
does not fit it is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stxm_live.dashboard.pins import LOOKS

if TYPE_CHECKING:
    from bokeh.models import Select

    from stxm_live.core.stack import StackKey
    from stxm_live.dashboard.drawing import Drawn
    from stxm_live.dashboard.maps_panel import MapsPanel
    from stxm_live.dashboard.scene import Scene
    from stxm_live.dashboard.state import Snapshot
    from stxm_live.dashboard.view import View

MOST_CORNERS = 200
"""Corners of an outline in a link; of one with more, some are left out."""

MOST_LETTERS = 4000
"""Longest value that is read."""

_BETWEEN = "_"

_CONTRASTS = "od", "doubt"

_ENERGIES = "first", "second", "third"
_COLORS = "red", "green", "blue"

Corners = list[tuple[float, float]]


@dataclass(frozen=True)
class Link:
    """The values of a link, as they came.

    Parameters
    ----------
    values : mapping of str to str
        "run", or "was" for the run of a page that followed the newest stack and lost its
        connection; "result", "tab", and the parts of the view.
    """

    values: Mapping[str, str]

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, list[bytes]]) -> Link | None:
        """Return the link of a request; None if it names no view."""
        values = {
            name: given[-1].decode("utf-8", "replace")
            for name, given in arguments.items()
            if given and len(given[-1]) <= MOST_LETTERS
        }
        return cls(values) if values.get("run") or values.get("was") else None

    @property
    def run(self) -> str:
        """Return the uid of the run."""
        return self.values.get("run") or self.values.get("was", "")

    def number_in(self, now: Snapshot) -> int:
        """Return the number of the result that is meant; 0 for the newest."""
        if not self.values.get("run"):
            return 0
        fitting = [r for r in now.results if self.is_of(r.maps.key)]
        asked = [r for r in fitting if str(r.number) == self.values.get("result")]
        shown = now.view.key if now.view is not None and now.is_scanning else None
        newest = now.newest.maps.key if shown is None and now.newest is not None else shown
        if not asked and (not fitting or (newest is not None and self.is_of(newest))):
            return 0
        return (asked or fitting)[-1].number

    def is_of(self, key: StackKey) -> bool:
        """Return True if the link is of a stack."""
        names = ("region", "polarization")
        given = {name: self.values[name] for name in names if self.values.get(name)}
        return _stack_values(key) == {"run": self.run, **given}


def _stack_values(key: StackKey) -> dict[str, str]:
    """Return the values that name a stack; further runs may join it later."""
    values = {
        "run": _run_of(key),
        "region": key.region,
        "polarization": key.polarization,
    }
    return {name: value for name, value in values.items() if value}


def _run_of(key: StackKey) -> str:
    return key.run_uids[0] if key.run_uids else key.source


def values_of(view: View) -> dict[str, str]:
    """Return the values of a link to what a page shows; empty if it shows nothing."""
    scene, maps = view.scene, view.maps
    if scene is None:
        return {}
    values = _stack_values(scene.key)
    if view.show.value != "0":
        values["result"] = view.show.value
    beside = view.compare.shown
    if beside is not None:
        values["beside"] = f"{beside.number}{_BETWEEN}{_run_of(beside.maps.key)}"
    for name, choice in _choices(view).items():
        is_meant = choice.value != choice.options[0][0]
        if name in _ENERGIES:
            is_meant = maps.of_energies.visible
        elif name in _COLORS:
            is_meant = maps.of_maps.visible
        if is_meant:
            values[name] = choice.value
    if not maps.follow.active:
        values["energy"] = str(int(maps.energy.value))
    if view.tabs.active:
        values["tab"] = view.tab
    return values | _marks(maps)


def _marks(maps: MapsPanel) -> dict[str, str]:
    """Return the values of what is kept and drawn on the maps, and of the part that is shown."""
    values = {}
    for name in _CONTRASTS:
        limits = maps.limits(name)
        if limits is not None:
            values[f"contrast-{name}"] = _BETWEEN.join(f"{end:.7g}" for end in limits)
    pins = [f"{pin.row}.{pin.column}" for pin in maps.pins]
    if pins:
        values["pins"] = _BETWEEN.join(pins)
    if maps.drawn.box_um is not None:
        values["box"] = _written(_ends(*maps.drawn.box_um))
    elif maps.drawn.outline_um is not None:
        values["outline"] = _written(_thinned(maps.drawn.outline_um))
    if maps.line.ends is not None:
        values["line"] = _written(list(maps.line.ends))
    if maps.part_um is not None:
        values["part"] = _written(_ends(*maps.part_um))
    return values


def restore(view: View, link: Link) -> str:
    """Show what a link means, as far as it fits; return a sentence if its stack is not there."""
    scene, given = view.scene, link.values
    if scene is None or not link.is_of(scene.key):
        if "was" in given:
            return ""
        return (
            f"The link is of run {link.run[:8]}, which this dashboard does not have. The newest is "
            "shown; earlier runs are in the tab Earlier runs."
        )
    for name, choice in _choices(view).items():
        if given.get(name) in dict(choice.options):
            choice.value = given[name]
    for result in view.board.now.results:
        if given.get("beside") == f"{result.number}{_BETWEEN}{_run_of(result.maps.key)}":
            view.compare.choice.value = str(result.number)
    energy = _whole(given.get("energy", ""), len(scene.energies_ev))
    if energy is not None:
        view.maps.follow.active, view.maps.energy.value = False, energy
    view.open_tab(given.get("tab", ""))
    _mark(view.maps, scene, given)
    return ""


def _mark(maps: MapsPanel, scene: Scene, given: Mapping[str, str]) -> None:
    """Keep pixels, draw, and show the part of the field and the contrast of a link."""
    for place in given.get("pins", "").split(_BETWEEN)[: len(LOOKS)]:
        row, _, column = place.partition(".")
        pixel = [_whole(row, scene.specimen.shape[0]), _whole(column, scene.specimen.shape[1])]
        if None not in pixel and pixel not in [[p.row, p.column] for p in maps.pins]:
            maps.pins.toggle((int(row), int(column)))
    _draw(maps.drawn, scene, given)
    for name in _CONTRASTS:
        limits = _numbers(given.get(f"contrast-{name}", ""))
        if len(limits) == 2:
            maps.set_limits(name, (limits[0], limits[1]))
    line = _corners(given.get("line", ""), scene)
    if len(line) == 2:
        maps.line.show(*line)
    part = _corners(given.get("part", ""), scene)
    if len(part) == 2:
        maps.show_part(*_limits(part))


def _choices(view: View) -> dict[str, Select]:
    maps = view.maps
    return {
        "phases": maps.phases,
        "doubt": maps.doubt,
        "first": maps.first,
        "second": maps.second,
        "third": maps.third,
        "share": maps.share_of,
        "mean": view.pixel.mean_of,
        **dict(zip(_COLORS, maps.colors, strict=True)),
    }


def _draw(drawn: Drawn, scene: Scene, given: Mapping[str, str]) -> None:
    box, outline = (_corners(given.get(name, ""), scene) for name in ("box", "outline"))
    if len(box) == 2:
        drawn.show_box(*_limits(box))
    elif outline:
        drawn.take({"type": "poly", "x": [x for x, _ in outline], "y": [y for _, y in outline]})


def _ends(x0: float, x1: float, y0: float, y1: float) -> Corners:
    return [(x0, y0), (x1, y1)]


def _limits(ends: Corners) -> tuple[float, float, float, float]:
    (x0, x1), (y0, y1) = (sorted(values) for values in zip(*ends, strict=True))
    return x0, x1, y0, y1


def _written(corners: Corners) -> str:
    return _BETWEEN.join(f"{value:.7g}" for corner in corners for value in corner)


def _whole(text: str, end: int) -> int | None:
    """Return a whole number from 0 to below ``end``, else None."""
    is_one = text.isascii() and text.isdecimal() and len(text) < 8
    return int(text) if is_one and int(text) < end else None


def _numbers(text: str) -> list[float]:
    """Return the numbers of a value; none if one of them is no number."""
    try:
        return [float(part) for part in text.split(_BETWEEN)]
    except ValueError:
        return []


def _corners(text: str, scene: Scene) -> Corners:
    """Return corners x, y in the image or beside it; nothing if one is elsewhere or no number."""
    numbers, field = _numbers(text), scene.field
    for values, (first, last) in zip(
        (numbers[::2], numbers[1::2]), (field[:2], field[2:4]), strict=True
    ):
        middle, reach = (first + last) / 2, abs(last - first)
        if not all(abs(value - middle) <= reach for value in values):  # nan and inf, too
            return []
    corners = list(zip(numbers[::2], numbers[1::2], strict=False))
    return corners if len(numbers) % 2 == 0 and len(corners) <= MOST_CORNERS else []


def _thinned(corners: Corners) -> Corners:
    """Return an outline with at most `MOST_CORNERS` corners."""
    kept = np.linspace(0, len(corners), min(len(corners), MOST_CORNERS), endpoint=False)
    return [corners[int(k)] for k in kept]
