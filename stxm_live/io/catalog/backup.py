"""Backup files of runs, with one JSON object per document and bit-exact arrays."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from stxm_live.core.text_files import check_regular
from stxm_live.io.catalog.backup_values import (
    array_pieces,
    decoded,
    decoded_version_1,
    encoded,
    is_large,
)

try:
    import fcntl
except ModuleNotFoundError:  # on Windows
    fcntl = None  # type: ignore[assignment]

VERSION = 2
"""Version of the files, in their first line; files of version 1 have none."""

_PLACE = uuid.uuid4().hex
"""The word in place of a large array, which no document has."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")

_MOST_FILES = 1000
"""Backup files of one run."""


def backup_name(uid: str) -> str:
    """Return the name of a run's backup file: its uid, or a hash if the uid is unsafe.

    Examples
    --------
    >>> backup_name("3f2a91bb-77d0")
    '3f2a91bb-77d0.jsonl'
    >>> backup_name("../../etc/passwd")
    '3754d6cb3a38e118.jsonl'
    """
    if not _PLAIN_NAME.fullmatch(uid):
        uid = hashlib.sha256(uid.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{uid}.jsonl"


class BackupFile:
    """Append documents to a new file as they come.

    A program that is killed loses nothing of what was written; a machine without power keeps
    what was synced.

    Parameters
    ----------
    path : Path
        The file, created when the first document comes. If there is one of this name, it stays
        and the new one gets a number: ``3f2a91bb.2.jsonl``.

    Attributes
    ----------
    path : Path
        The name that the file got.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._is_synced = True

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Append one document.

        Raises
        ------
        OSError
            If it cannot be written.
        TypeError
            If it holds a value that could not be read back.
        """
        small, large = _apart(doc)
        line = json.dumps({"name": name, "doc": encoded(small)}) + "\n"
        first, *others = line.split(f'"{_PLACE}"') if large else [line]
        if self._file is None:
            self._file = self._opened()
        self._file.write(first.encode("ascii"))
        for array, text in zip(large, others, strict=True):
            self._file.writelines(array_pieces(array))
            self._file.write(text.encode("ascii"))
        self._file.flush()
        self._is_synced = False

    def sync(self) -> None:
        """Wait until the file is on the disk; it may be written to meanwhile."""
        if self._file is not None and not (self._is_synced or self._file.closed):
            self._is_synced = True
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file and keep it."""
        if self._file is not None:
            self._file.close()

    def delete(self) -> None:
        """Close the file and remove it, because the run is stored elsewhere."""
        self.close()
        if self._file is not None:
            self.path.unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(2):
            try:
                file = self.path.open("xb")
                break
            except FileExistsError:
                if number > _MOST_FILES:
                    raise
                uid = self.path.name.partition(".")[0]
                self.path = self.path.with_name(f"{uid}.{number}.jsonl")
        if fcntl is not None:
            with suppress(OSError):  # on a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(json.dumps({"stxm_live_backup": VERSION}).encode("ascii") + b"\n")
        file.flush()
        sync_file(self.path.parent)
        return file


def _apart(doc: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[NDArray[Any]]]:
    """Return a document without its large readings, and these; a word of our own is in their place.

    Large ones are written in pieces: in one piece the interpreter would stand still for each step.
    """
    data = doc.get("data")
    if type(data) is not dict:
        return doc, []
    large = {key: value for key, value in data.items() if is_large(value)}
    return {**doc, "data": data | dict.fromkeys(large, _PLACE)} if large else doc, [*large.values()]


def is_being_written(path: Path) -> bool:
    """Return True if a session, this one or another, writes to this backup file."""
    if fcntl is None or not path.is_file():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False


def sync_file(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name != "posix":  # other systems open no folder
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_backup(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the documents in a backup file, with real ndarrays.

    An incomplete last line is left out; it means that the program died while writing.

    Raises
    ------
    ValueError
        If a line cannot be read, or the file is of a later version.
    """
    version = 1
    with check_regular(Path(path)).open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                item = json.loads(line, object_hook=decoded_version_1 if version == 1 else None)
                if number == 1 and "stxm_live_backup" in item:
                    version = int(item["stxm_live_backup"])
                    continue
                doc = decoded(item["doc"]) if version == VERSION else item["doc"]
                pair = item["name"], doc
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise ValueError(f"{path}: line {number} is damaged ({error})") from error
            if version > VERSION:
                raise ValueError(f"{path}: version {version}, written by a later stxm_live")
            yield pair
