"""Faults of a catalogue in a folder, found without Tiled, and the repair of what is safe."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from stxm_live.io.catalog.array_files import named
from stxm_live.io.catalog.backup import backup_files, is_being_written, read_backup
from stxm_live.io.catalog.folder import close_catalog, open_catalog
from stxm_live.io.catalog.index import DATABASE, TABLES
from stxm_live.io.catalog.locking import tables
from stxm_live.io.catalog.version import NAME, folder_version

_ARRAYS = """
    SELECT runs.key, streams.key, nodes.key, structures.structure, assets.data_uri,
        sources.management, sources.mimetype
    FROM nodes JOIN nodes AS streams ON nodes.parent = streams.id
    JOIN nodes AS runs ON streams.parent = runs.id AND runs.parent = 0
    JOIN data_sources AS sources ON sources.node_id = nodes.id
    JOIN structures ON structures.id = sources.structure_id
    JOIN data_source_asset_association AS link ON link.data_source_id = sources.id
    JOIN assets ON assets.id = link.asset_id
    WHERE sources.structure_family = 'array'
"""

_OPEN_RUNS = """
    SELECT key FROM nodes WHERE parent = 0
    AND json_extract(metadata, '$.stop') IS NULL
    AND json_extract(metadata, '$.start.purpose') IS NOT 'analysis'
"""

_NO_JSON = "SELECT key FROM nodes WHERE NOT json_valid(metadata) LIMIT 1"

_ZARR = "application/x-zarr"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong in a catalogue.

    Parameters
    ----------
    kind : str
        "database", "version", "moved", "no end", "images", "backup" or "left over".
    what : str
        The run or file, and what is wrong with it.
    advice : str
        What to do.
    path : Path or None
        The backup file that `repair` can store.
    repairable : bool
        True if `repair` mends it.
    """

    kind: str
    what: str
    advice: str
    path: Path | None = None
    repairable: bool = False


def check(folder: Path) -> list[Finding]:
    """Return what is wrong with the catalogue in a folder; nothing is written.

    Parameters
    ----------
    folder : Path
        With a database of Tiled.

    Raises
    ------
    FileNotFoundError
        If there is no catalogue.
    """
    if not (folder / DATABASE).is_file():
        raise FileNotFoundError(f"no catalogue in {folder}")
    damaged = [f for name in (DATABASE, TABLES) for f in _database(folder, folder / name)]
    if damaged:
        return damaged
    found = list(_version(folder))
    with closing(_read_only(folder / DATABASE)) as database:
        arrays = database.execute(_ARRAYS).fetchall()
        open_runs = [key for (key,) in database.execute(_OPEN_RUNS)]
        runs = {key for (key,) in database.execute("SELECT key FROM nodes WHERE parent = 0")}
    moved = [a for a in arrays if a[5] == "writable" and not _is_within(a[4], folder)]
    found += _moved(moved)
    found += [] if moved else [*_elsewhere(folder, arrays), *_images(arrays)]
    backups = list(_backups(folder, runs))
    waiting = {f.path.name.partition(".")[0] for f in backups if f.path is not None}
    found += [
        Finding("no end", f"run {key[:8]} has no end", _NO_END)
        for key in open_runs
        if key not in waiting
    ]
    return [*found, *backups, *_left_over(folder, runs, waiting)]


_NO_END = (
    "it is being measured, or its program was ended: what it has is mapped as incomplete; if there "
    "is a backup file of it, repair stores that"
)


def repair(folder: Path) -> tuple[list[str], list[Finding]]:
    """Mend what can be mended without a loss, and check again.

    A moved folder gets its new addresses, runs are stored from whole backup files that no program
    writes to, and the version is written. Nothing is deleted but backup files whose runs the
    catalogue has given back.

    Returns
    -------
    done : list of str
        What was done.
    left : list of Finding
        What `check` finds afterwards.
    """
    from stxm_live.io.catalog.restore import restore_run

    before = check(folder)
    if any(finding.kind == "database" for finding in before):
        return [], before
    done = [f"{f.what}: mended" for f in before if f.repairable and f.path is None]
    broker = open_catalog(folder, create=False)  # which writes addresses and version
    try:
        for finding in before:
            if finding.path is not None and finding.repairable:
                try:
                    uid = restore_run(broker, finding.path)
                    done.append(f"run {uid[:8]} was stored from {finding.path.name}")
                except (ValueError, OSError, RuntimeError) as error:
                    done.append(f"{finding.path.name} was left alone: {error}")
    finally:
        close_catalog(broker)
    return done, check(folder)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30.0)


def _database(folder: Path, path: Path) -> Iterator[Finding]:
    """Yield what SQLite finds wrong with one of its files."""
    advice = f"put back a copy of {DATABASE} and {TABLES}, and then repair"
    try:
        if not path.is_file():
            raise sqlite3.DatabaseError("it is not there")
        if path.name == TABLES:
            with tables(path) as cursor:
                cursor.execute("PRAGMA quick_check(1)")
                (answer,) = cursor.fetchone()
        else:
            with closing(_read_only(path)) as database:
                (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
                database.execute(_ARRAYS + " LIMIT 1").fetchall()
                odd = [key for (key,) in database.execute(_NO_JSON)]
                if odd:
                    raise sqlite3.DatabaseError(f"the metadata of {odd[0]!r:.40} are no JSON")
    except sqlite3.Error as error:
        answer = str(error)
    if answer != "ok":
        yield Finding("database", f"{path.name} in {folder} is damaged ({answer})", advice)


def _version(folder: Path) -> Iterator[Finding]:
    try:
        folder_version(folder)
    except ValueError as error:
        yield Finding("version", str(error), "delete it; opening the catalogue writes a new one")
        return
    if not (folder / NAME).exists():
        what = "the folder does not say its version, as those of before 0.1.0"
        yield Finding("version", what, "repair writes it", repairable=True)


def _is_within(uri: str, folder: Path) -> bool:
    data = (folder / "data").resolve()
    return _path(uri).is_relative_to(data) or _path(uri).resolve().is_relative_to(data)


def _path(uri: str) -> Path:
    return Path(unquote(urlparse(uri).path))


def _moved(moved: list[Any]) -> Iterator[Finding]:
    if moved:
        old = _path(moved[0][4])
        yield Finding(
            "moved",
            f"{len(moved)} arrays have the addresses of another folder, as {old}: the folder was "
            "moved or copied",
            "repair writes the new ones, and so does opening it",
            repairable=True,
        )


def _elsewhere(folder: Path, arrays: list[Any]) -> Iterator[Finding]:
    """Yield images that were not there when a moved folder got its new addresses."""
    for run, stream, name, _, uri, *_ in arrays:
        path = _path(uri)
        own = path.parts[-4:] == ("data", run, stream, name) and not _is_within(uri, folder)
        if own and path.exists():
            what = f"run {run[:8]}: {name} of {stream} is not in this folder, but in {path}"
            advice = "name that folder with --root; or export the run there, and import it here"
            yield Finding("images", what, advice)


def _images(arrays: list[Any]) -> Iterator[Finding]:
    """Yield arrays whose files are gone or empty."""
    advice = "put back a copy of these files, or restore the run from a backup file"
    for run, stream, name, structure, uri, _, mimetype in arrays:
        if not mimetype.startswith(_ZARR) or not uri.startswith("file:"):
            if uri.startswith("file:") and not _path(uri).exists():
                what = f"run {run[:8]}: {name} of {stream}: there is no file {_path(uri)}"
                yield Finding("images", what, "put it back, or name its folder with --root")
            continue
        folder, chunks = _path(uri), json.loads(structure)["chunks"]
        pieces = [
            folder.joinpath("c", *map(str, index))
            for index in product(*(range(len(sizes)) for sizes in chunks))
        ]
        gone = [piece for piece in pieces if not piece.exists()]
        short = [piece for piece in pieces if piece.exists() and piece.stat().st_size == 0]
        which = f"run {run[:8]}: {name} of {stream}"
        if not (folder / "zarr.json").is_file() or (len(gone) == len(pieces) and pieces):
            yield Finding("images", f"{which}: there are no files in {folder}", advice)
        elif short:
            yield Finding("images", f"{which}: empty: {named(short)}", advice)
        elif gone:
            what = f"{which}: {len(gone)} of {len(pieces)} pieces have no file and read as zeros"
            yield Finding("images", what, "right for images of zeros; else put back a copy")


def _backups(folder: Path, runs: set[str]) -> Iterator[Finding]:
    """Yield backup files that wait to be stored."""
    for path in backup_files(folder / "backup"):
        if is_being_written(path):
            yield Finding("backup", f"{path.name} is being written", "wait for its program", path)
            continue
        try:
            names = [(name, doc.get("uid")) for name, doc in read_backup(path)]
            whole = bool(names) and names[0][0] == "start" and names[-1][0] == "stop"
        except (ValueError, OSError) as error:
            yield Finding("backup", f"{path.name} is damaged: {error}", "keep it", path)
            continue
        there = "in part or whole" if names and names[0][1] in runs else "not yet"
        if whole:
            what = f"{path.name} waits; the catalogue has the run {there}"
            yield Finding("backup", what, "repair stores it", path, repairable=True)
        else:
            what = f"{path.name} ends before its run does; the catalogue has the run {there}"
            advice = "in Python, stxm_live.io.catalog.restore_run stores what it has, as aborted"
            yield Finding("backup", what, advice, path)


def _left_over(folder: Path, runs: set[str], waiting: set[str]) -> Iterator[Finding]:
    """Yield folders of arrays that no run has: of a program that was killed while it stored one."""
    data = folder / "data"
    for path in sorted(data.iterdir()) if data.is_dir() else ():
        if path.is_dir() and path.name not in runs | waiting:
            n_bytes = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
            what = f"{path} ({n_bytes / 2**20:.1f} MiB) belongs to no run of the catalogue"
            advice = "restoring the run from its backup replaces it; if there is none, delete it"
            yield Finding("left over", what, advice)
