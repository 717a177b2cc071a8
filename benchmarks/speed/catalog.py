"""A catalogue of thousands of runs beside one of ten, and what it takes to read a stack from it.

    python -m benchmarks.speed.catalog [--runs 5000] [--side 512] [--repeats 3]

One small run and its maps are stored by the package's own writer (synthetic counts), and its rows
in the database are copied under other uids, numbers and times: the copies share the files of
images. Commands run in processes of their own, with the start of Python, one catalogue after the
other; the least time counts, and the note has that of the processor.
"""

from __future__ import annotations

import json
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from uuid import uuid4

from benchmarks.common.documents import image_run, simulated_counts
from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report
from stxm_live.core.recipe import Recipe
from stxm_live.io.catalog import close_catalog, open_catalog, store_documents, store_maps
from stxm_live.io.catalog.index import DATABASE
from stxm_live.io.catalog.reading import documents
from stxm_live.live.replay import map_run

_SIDE = 64
"""Pixels along each side of the small run."""

_FEW = 10
_MAPPED = 8
_NO_SLOWER = 1.1


class Taken(NamedTuple):
    """Seconds of a command, by the clock and of the processor."""

    clock_s: float
    processor_s: float


def main() -> None:
    """Make the catalogues and print what commands take in them."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--runs", type=int, default=5000, help="in the large catalogue")
    parser.add_argument("--side", type=int, default=512, help="pixels of the stack that is read")
    parser.add_argument("--repeats", type=int, default=3, help="the least counts")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        catalogs = catalogs_of(Path(folder), sorted({_FEW, options.runs // 10, options.runs}))
        figures = [
            *list_figures(catalogs, options.repeats),
            *run_figures(catalogs, options.repeats),
            *store_figures(catalogs, options.repeats),
            *read_figures(Path(folder) / "one", options.side, options.repeats),
        ]
    report("catalogues of many runs", figures, options.figures)


def list_figures(catalogs: Mapping[int, Path], repeats: int) -> Iterator[Figure]:
    """List all runs."""
    taken = in_turn(["runs", "--limit", str(max(catalogs))], catalogs, repeats)
    few, many = taken[min(taken)], taken[max(taken)]
    yield Figure(
        f"list {max(taken)} runs, with the start of Python",
        many.clock_s,
        "s",
        Beside(f"{min(taken)} runs", few.clock_s),
        Target(3.0),
        note=_processor(taken),
    )


def run_figures(catalogs: Mapping[int, Path], repeats: int) -> Iterator[Figure]:
    """Map the last run again, and several into a table."""
    with TemporaryDirectory() as out:
        several = ["--where", f"scan_id<{_MAPPED}", "--recipe", "nvpf", "--out", f"{out}/{{}}"]
        for what, words in (
            ("replay -1", ["replay", "--no-store", "--", "-1"]),
            (f"replay {_MAPPED} runs into a table", ["replay", *several]),
        ):
            taken = in_turn(words, catalogs, repeats)
            yield beside_few(f"{what}, of {max(taken)}", taken)


def store_figures(catalogs: Mapping[int, Path], repeats: int) -> Iterator[Figure]:
    """Store one more run in an open catalogue."""
    cube = simulated_counts(recipe := Recipe.load("nvpf"), _SIDE)
    found: dict[int, list[Taken]] = {n: [] for n in catalogs}
    for n, catalog in catalogs.items():
        with opened(catalog) as broker:
            for _ in range(repeats + 1):
                with taking(found[n], resource.RUSAGE_SELF):
                    store_documents(broker, image_run(recipe, cube))
    taken = {n: Taken(*map(min, zip(*times[1:], strict=True))) for n, times in found.items()}
    yield beside_few(f"store a run, beside {max(taken)}", taken)


def beside_few(name: str, taken: Mapping[int, Taken]) -> Figure:
    """Return the figure of what should take no longer in the largest catalogue."""
    few, many = taken[min(taken)], taken[max(taken)]
    beside = Beside(f"of {min(taken)}", few.clock_s)
    target = Target(_NO_SLOWER, of="ratio")
    return Figure(name, many.clock_s, "s", beside, target, note=_processor(taken))


def read_figures(catalog: Path, side: int, repeats: int) -> Iterator[Figure]:
    """Read the documents of a stack in turn by our reader and by the client of the catalogue."""
    recipe = Recipe.load("nvpf")
    start, *rest = image_run(recipe, simulated_counts(recipe, side))
    ours: list[Taken] = []
    theirs: list[Taken] = []
    with opened(catalog) as broker:
        store_documents(broker, [start, *rest])
        run = broker.v2[start[1]["uid"]]
        for _ in range(repeats + 1):  # the first one of ours imports what reads tables
            with taking(ours, resource.RUSAGE_SELF):
                n_ours = len(list(documents(run)))
            with taking(theirs, resource.RUSAGE_SELF):
                n_theirs = len(list(run.documents()))
            assert n_ours == n_theirs == len(rest) + 1, (n_ours, n_theirs)
    reading, by_client = min(ours[1:]).clock_s, min(theirs[1:]).clock_s
    name = f"read a run of 13 x {side} x {side}"
    first = f"the first time in a process {ours[0].clock_s:.2g}"
    yield Figure(name, reading, "s", target=Target(1.0), note=first)
    beside, target = Beside("by our reader", reading), Target(3.0, of="ratio")
    yield Figure(f"{name}, run.documents()", by_client, "s", beside, target, larger_is_better=True)


def in_turn(words: Sequence[str], catalogs: Mapping[int, Path], repeats: int) -> dict[int, Taken]:
    """Return the least times of a command for each catalogue; ``{}`` in a word is a new name."""
    found: dict[int, list[Taken]] = {n: [] for n in catalogs}
    for _ in range(repeats):
        for n, catalog in catalogs.items():
            command = [word.format(uuid4()) for word in words]
            place = ["--catalog", str(catalog)]
            with taking(found[n], resource.RUSAGE_CHILDREN):
                done = subprocess.run(
                    [sys.executable, "-m", "stxm_live", command[0], *place, *command[1:]],
                    capture_output=True,
                    text=True,
                )
            # 3: the map of a small synthetic particle may be poor
            assert done.returncode in (0, 3), done.stderr
    return {n: Taken(*map(min, zip(*times, strict=True))) for n, times in found.items()}


@contextmanager
def taking(found: list[Taken], whose: int) -> Iterator[None]:
    """Add what is taken within, by this process or by those that it waited for."""
    begun_s, before = time.monotonic(), resource.getrusage(whose)
    yield
    after = resource.getrusage(whose)
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found.append(Taken(time.monotonic() - begun_s, processor_s))


@contextmanager
def opened(catalog: Path) -> Iterator[Any]:
    """Open a catalogue, and close it at the end."""
    broker = open_catalog(catalog)
    try:
        yield broker
    finally:
        close_catalog(broker)


def catalogs_of(folder: Path, sizes: Sequence[int]) -> dict[int, Path]:
    """Return catalogues with so many runs, each with a stored result."""
    recipe = Recipe.load("nvpf")
    (name, start), *rest = image_run(recipe, simulated_counts(recipe, _SIDE))
    start |= {"scan_id": 1, "sample": "SYNTHETIC"}
    with opened(folder / "one") as broker:
        store_documents(broker, [(name, start), *rest])
        store_maps(broker, map_run(broker.v2[start["uid"]], recipe))
    catalogs = {n: folder / f"runs{n}" for n in sizes}
    for n, catalog in catalogs.items():
        shutil.copytree(folder / "one", catalog)
        with opened(catalog):  # the addresses of its arrays are written again
            pass
        with closing(sqlite3.connect(catalog / DATABASE)) as database, database:
            copy_run(database, n - 1)
    return catalogs


def copy_run(database: sqlite3.Connection, n_copies: int) -> None:
    """Copy the rows of a run and of its result so many times."""
    nodes = database.execute(
        "SELECT id, parent, key, structure_family, metadata, specs FROM nodes WHERE id ORDER BY id"
    ).fetchall()
    roots = [key for _, parent, key, *_ in nodes if parent == 0]
    for k in range(n_copies):
        uids = {old: str(uuid4()) for old in roots}
        copied = {0: 0}
        for number, parent, key, family, metadata, specs in nodes:
            for old, new in uids.items():
                metadata = metadata.replace(old, new)
            if parent == 0:
                metadata = _later(metadata, k + 1)
            row = (copied[parent], uids.get(key, key), family, metadata, specs)
            copied[number] = _inserted(
                database, "nodes (parent, key, structure_family, metadata, specs)", row
            )
            _copy_sources(database, number, copied[number])


def _later(metadata: str, k: int) -> str:
    """Return the metadata of the k-th run after one, a minute for each."""
    values = json.loads(metadata)
    values["start"]["time"] += 60 * k
    if "scan_id" in values["start"]:
        values["start"]["scan_id"] += k
    return json.dumps(values)


def _copy_sources(database: sqlite3.Connection, node: int, copy: int) -> None:
    columns = "structure_id, mimetype, parameters, properties, management, structure_family"
    query = f"SELECT id, {columns} FROM data_sources WHERE node_id = ?"
    for number, *row in database.execute(query, [node]).fetchall():
        source = _inserted(database, f"data_sources (node_id, {columns})", (copy, *row))
        database.execute(
            "INSERT INTO data_source_asset_association SELECT ?, asset_id, parameter, num "
            "FROM data_source_asset_association WHERE data_source_id = ?",
            [source, number],
        )


def _inserted(database: sqlite3.Connection, into: str, row: Sequence[Any]) -> int:
    places = ", ".join("?" * len(row))
    number = database.execute(f"INSERT INTO {into} VALUES ({places})", row).lastrowid
    assert number is not None
    return number


def _processor(taken: Mapping[int, Taken]) -> str:
    """Return the processor's times in words."""
    times = ", ".join(f"{one.processor_s:.2g} s of {n}" for n, one in taken.items())
    return f"processor {times}"


if __name__ == "__main__":
    main()
