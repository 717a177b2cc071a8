"""The drawing of the house: packages in their layers and who imports whom, from the code itself."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import grimp

PACKAGE = "stxm_live"
WIDTH, ROW, BOX, HEIGHT, MARGIN = 940, 96, 190, 54, 20
"""Sizes in pixels: of the drawing, from row to row, of a box, and to the edge."""


@dataclass(frozen=True)
class Room:
    """A package and where it is drawn."""

    name: str
    says: str
    n_modules: int
    n_lines: int
    x: float
    y: float


def write(root: Path, folder: Path) -> None:
    """Write ``architecture.svg`` and ``architecture.inc.md``; unchanged files are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    rooms = {room.name: room for room in _rooms(root, _layers(root))}
    parts = {
        "architecture.svg": _drawing(rooms, _imports(rooms)),
        "architecture.inc.md": _table(rooms.values()),
    }
    for name, text in parts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _layers(root: Path) -> list[list[str]]:
    """Names of the packages, top row first, as import-linter checks them."""
    linter = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]
    (rows,) = [c["layers"] for c in linter["contracts"] if c["type"] == "layers"]
    return [[name.strip() for name in row.split("|")] for row in rows]


def _rooms(root: Path, layers: list[list[str]]) -> Iterator[Room]:
    for k, row in enumerate(layers):
        gap = (WIDTH - 2 * MARGIN - len(row) * BOX) / (len(row) + 1)
        for i, name in enumerate(row):
            files = sorted((root / PACKAGE / name).resolve().rglob("*.py"))
            says = ast.get_docstring(ast.parse(files[0].read_text(encoding="utf-8"))) or ""
            n_lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
            x = MARGIN + gap + i * (BOX + gap)
            first = " ".join(says.split("\n\n")[0].split())
            yield Room(name, first, len(files), n_lines, x, MARGIN + k * ROW)


def _imports(rooms: dict[str, Room]) -> set[tuple[str, str]]:
    """Pairs of packages of which the first imports the second and no third stands between them."""
    graph = grimp.build_graph(PACKAGE)
    for name in rooms:
        graph.squash_module(f"{PACKAGE}.{name}")
    pairs = {
        (above, below)
        for above in rooms
        for below in rooms
        if graph.direct_import_exists(importer=f"{PACKAGE}.{above}", imported=f"{PACKAGE}.{below}")
        and rooms[above].y < rooms[below].y  # a result that shows itself is the only one upwards
    }
    return {(a, b) for a, b in pairs if not any((a, c) in pairs and (c, b) in pairs for c in rooms)}


def _drawing(rooms: dict[str, Room], imports: set[tuple[str, str]]) -> str:
    height = max(room.y for room in rooms.values()) + HEIGHT + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            'font-family="sans-serif" role="img" aria-label="Packages in their layers">',
            *(_arrow(rooms[a], rooms[b]) for a, b in sorted(imports)),
            *(_box(room) for room in rooms.values()),
            "</svg>\n",
        ]
    )


def _arrow(above: Room, below: Room) -> str:
    x0, y0 = above.x + BOX / 2, above.y + HEIGHT
    x1, y1 = below.x + BOX / 2, below.y
    bend = (y1 - y0) / 2
    return (
        f'<path d="M{x0:.0f} {y0:.0f} C{x0:.0f} {y0 + bend:.0f} {x1:.0f} {y1 - bend:.0f} '
        f'{x1:.0f} {y1:.0f}" fill="none" stroke="#8899aa" stroke-width="1.4"/>'
    )


def _box(room: Room) -> str:
    middle = room.x + BOX / 2
    return (
        f'<rect x="{room.x:.0f}" y="{room.y:.0f}" width="{BOX}" height="{HEIGHT}" rx="6" '
        'fill="#f4f7fa" stroke="#456"/>'
        f'<text x="{middle:.0f}" y="{room.y + 23:.0f}" text-anchor="middle" font-size="16" '
        f'fill="#123">{escape(room.name)}</text>'
        f'<text x="{middle:.0f}" y="{room.y + 42:.0f}" text-anchor="middle" font-size="12" '
        f'fill="#456">{room.n_modules} modules, {room.n_lines} lines</text>'
    )


def _table(rooms: Iterable[Room]) -> str:
    rows = [
        f"| `{room.name}` | {room.says} | {room.n_modules} | {room.n_lines} |" for room in rooms
    ]
    head = ["| package | what it holds | modules | lines |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows]) + "\n"
