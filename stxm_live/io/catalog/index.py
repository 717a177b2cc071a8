"""Start and stop documents of an embedded catalogue, read from its database without Tiled.

To ask Tiled for each run takes far longer in a large catalogue, and to import it some seconds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from stxm_live.io.catalog.locking import tables
from stxm_live.io.catalog.stored_stream import StoredStream

DATABASE = "catalog.db"
"""Tiled's SQLite file of runs, streams and arrays, in the folder of a catalogue."""

TABLES = "tables.db"
"""Tiled's SQLite file of numbers and texts of events."""

_BUSY_S = 30.0

_RAW_RUNS = """
    SELECT key, json_extract(metadata, '$.start'), json_extract(metadata, '$.stop') FROM nodes
    WHERE parent = 0 AND json_extract(metadata, '$.start.purpose') IS NOT 'analysis'
    ORDER BY id DESC LIMIT ?
"""

_MAPPED = """
    SELECT parents.value, json_extract(nodes.metadata, '$.start.analysis.verdict'),
        json_extract(nodes.metadata, '$.start.analysis.fractions'),
        json_extract(nodes.metadata, '$.start.analysis.attributes.quality')
    FROM nodes, json_each(nodes.metadata, '$.start.parent_uids') AS parents
    WHERE nodes.parent = 0 AND json_extract(nodes.metadata, '$.start.purpose') = 'analysis'
    ORDER BY nodes.id
"""


_STREAMS = """
    SELECT id, key, metadata FROM nodes
    WHERE parent = (SELECT id FROM nodes WHERE parent = 0 AND key = ?) ORDER BY id
"""

_NODES = """
    SELECT nodes.key, json_extract(structures.structure, '$.shape'),
        json_extract(data_sources.parameters, '$.table_name'),
        json_extract(data_sources.parameters, '$.dataset_id')
    FROM nodes
    JOIN data_sources ON data_sources.node_id = nodes.id
    JOIN structures ON structures.id = data_sources.structure_id
    WHERE nodes.parent = ?
"""


@dataclass(frozen=True)
class IndexedRun:
    """The documents of a raw run that the database holds.

    Parameters
    ----------
    key : str
        Name of the run in the catalogue, its uid as a rule.
    start, stop : dict
        Empty if there is none.
    streams : callable
        Returns the streams of the run.
    """

    key: str
    start: dict[str, Any]
    stop: dict[str, Any]
    streams: Callable[[], Iterable[StoredStream]]


class StoredResult(NamedTuple):
    """The newest result of a run, as a list of runs has it: verdict, and share of each phase.

    The verdict is empty where the analysis failed.
    """

    verdict: str
    fractions: dict[str, float]


def stored_result(verdict: Any, fractions: Any, quality: Any) -> StoredResult:
    """Return the result of these values of a start document, of any age.

    Results of before have no verdict of their own, but "limited: ..." as ``quality``.
    """
    pairs = (pair for pair in fractions or () if isinstance(pair, Sequence) and len(pair) == 2)
    known = {str(name): float(v) for name, v in pairs if isinstance(v, int | float)}
    return StoredResult(str(verdict or quality or "").partition(":")[0], known)


def indexed_runs(
    folder: Path, *, limit: int | None = None
) -> tuple[list[IndexedRun], dict[str, StoredResult]]:
    """Return the raw runs of a catalogue, the latest first, and the results of those with maps.

    Parameters
    ----------
    folder : Path
        The catalogue's folder.
    limit : int, optional
        Number of runs; default is all.

    Raises
    ------
    sqlite3.Error
        If the database is not one of the Tiled versions whose tables are known here.
    """
    with _reading(folder / DATABASE) as connection:
        # all rows at once: as long as they are being read, nobody can write
        rows = connection.execute(_RAW_RUNS, [-1 if limit is None else limit]).fetchall()
        parents = connection.execute(_MAPPED).fetchall()
    runs = [
        IndexedRun(key, _document(start), _document(stop), partial(_streams, folder, key))
        for key, start, stop in rows
    ]
    results = {
        uid: stored_result(verdict, _pairs(fractions), quality)
        for uid, verdict, fractions, quality in parents
        if isinstance(uid, str)
    }
    return runs, results


def _streams(folder: Path, run: str) -> Iterator[StoredStream]:
    """Yield the streams of a run."""
    with _reading(folder / DATABASE) as connection:
        streams = connection.execute(_STREAMS, [run]).fetchall()
        nodes = [connection.execute(_NODES, [number]).fetchall() for number, *_ in streams]
    for (_, name, metadata), children in zip(streams, nodes, strict=True):
        shapes = {key: json.loads(shape) for key, shape, _, _ in children if shape is not None}
        places = ((table, dataset) for _, _, table, dataset in children if table is not None)
        table = partial(_table, folder, *next(places, (None, None)))
        yield StoredStream(name, _document(metadata), shapes, table)


def _table(folder: Path, name: str | None, dataset: int | None) -> dict[str, list[Any]]:
    """Return the columns of the table of a stream; empty if it has none."""
    if name is None:
        return {}
    quoted = name.replace('"', '""')
    with tables(folder / TABLES) as cursor:
        query = f'SELECT * FROM "{quoted}" WHERE _dataset_id = ? ORDER BY seq_num'
        cursor.execute(query, [dataset])
        names = [column for column, *_ in cursor.description]
        rows = cursor.fetchall()
    return {name: [row[k] for row in rows] for k, name in enumerate(names)}


@contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    address = f"{database.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as connection:
        yield connection


def _pairs(text: Any) -> list[Any]:
    """Return a list from its JSON; empty where there is another thing in its place."""
    value = json.loads(text) if isinstance(text, str) and text.startswith("[") else None
    return value if isinstance(value, list) else []


def _document(text: str | None) -> dict[str, Any]:
    """Return a document from its JSON; empty where there is another thing in its place."""
    value = json.loads(text) if isinstance(text, str) and text.startswith("{") else None
    return value if isinstance(value, dict) else {}
