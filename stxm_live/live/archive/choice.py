"""The sources that a user asks for: runs of a catalogue, or files of folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stxm_live.core.origin import origin_of_start
from stxm_live.io.documents.announced import announced
from stxm_live.live.archive.source import Source

_MOST_SCAN_ID = 2**63
"""Parquet has no larger numbers."""


def sources_of_runs(
    runs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], catalog: str, **options: Any
) -> list[Source]:
    """Return a source for each stack of some runs, in the order in which they began.

    Parameters
    ----------
    runs : iterable of (start, stop)
        Documents of the runs; an empty stop for a run without an end.
    catalog : str
        Where the runs are.
    options
        ``region``, ``polarization`` and ``roots`` of every `Source`.
    """
    begun = sorted(runs, key=lambda documents: _time_s(documents[0]))
    stacks: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for start, stop in begun:
        stacks.setdefault(_stack_id(start), []).append((start, stop))
    return [
        Source(
            tuple(str(start["uid"]) for start, _ in members),
            catalog,
            state=" ".join(_end(stop) for _, stop in members),
            facts=_facts(members[0][0]),
            **options,
        )
        for members in stacks.values()
    ]


def sources_of_files(paths: Iterable[str | Path], **options: Any) -> list[Source]:
    """Return a source for each file, and for each stack in the folders among them.

    Raises
    ------
    FileNotFoundError
        If there is nothing of that name, or no stack in a folder.
    """
    files = dict.fromkeys(file for path in paths for file in _files(Path(path)))
    return [
        Source(
            (str(path.absolute()),),
            state=_state(path),
            facts={"is_file": True},
            **options,
        )
        for path in files
    ]


def _files(path: Path) -> Iterator[Path]:
    from stxm_live.io.catalog.document_files import is_document_file
    from stxm_live.io.files.reading import stack_files

    if not path.is_dir():
        path.stat()
        yield path
        return
    documents = {p for p in path.iterdir() if is_document_file(p) and p.suffix.lower() != ".json"}
    found = sorted({*stack_files(path), *documents})
    if not found:
        raise FileNotFoundError(f"{path}: no stack in this folder")
    yield from found


def _state(path: Path) -> str:
    """Return sizes and times of a file and of those that belong to it."""
    from stxm_live.io.files.reading import files_of

    stats = [(p.name, p.stat()) for p in files_of(path) if p.is_file()]
    return " ".join(f"{name}:{s.st_size}:{s.st_mtime_ns}" for name, s in stats)


def _stack_id(start: Mapping[str, Any]) -> str:
    """Return what all runs of a stack have in common: the uid if it is one run."""
    uid = str(start["uid"])
    try:
        ids: Sequence[str | None] = [one.stack_id for one in announced(start).stacks]
    except Exception:  # noqa: BLE001  its own task says what is wrong with it
        return uid
    return uid if not ids or ids[0] is None else f"stack {ids[0]}"


def _end(stop: Mapping[str, Any]) -> str:
    return f"{stop.get('exit_status', 'open')} {stop.get('num_events', '')}"


def _time_s(start: Mapping[str, Any]) -> float:
    time_s = start.get("time", 0.0)
    return float(time_s) if isinstance(time_s, int | float) else 0.0


def _facts(start: Mapping[str, Any]) -> dict[str, Any]:
    """Return sample, time, number and imported file of a run for the table."""
    origin, number = origin_of_start(start), start.get("scan_id")
    return {
        "sample": origin.sample or None,
        "measured": origin.measured or None,
        "file": origin.file or None,
        "scan_id": number if type(number) is int and abs(number) < _MOST_SCAN_ID else None,
    }
