"""Backup files of runs, with one JSON object per document and bit-exact arrays."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import re
import shutil
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

SPARE_BYTES = 2 * 2**30
"""Room that backup files leave free in the second folder, which is the user's own."""

_HEADER = json.dumps({"stxm_live_backup": VERSION}).encode("ascii") + b"\n"

_BLOCK_BYTES = 2**20


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


def second_folder(first: Path) -> Path:
    """Return the folder for backup files that cannot be written to the first one.

    It is in the user's state directory, which often is on another disk, and belongs to this first
    folder only.
    """
    from platformdirs import user_state_path

    digest = hashlib.sha256(os.fsencode(first.resolve())).hexdigest()[:16]
    return user_state_path("stxm_live") / "backup" / digest


def backup_files(first: Path) -> list[Path]:
    """Return the backup files in a folder and in its second one."""
    folders = (first, second_folder(first))
    return [path for folder in folders for path in sorted(folder.glob("*.jsonl"))]


class BackupFile:
    """Append documents to a new file as they come.

    A program that is killed loses nothing of what was written; a machine without power keeps
    what was synced.

    Parameters
    ----------
    path : Path
        The file, created when the first document comes. If there is one of this name, it stays
        and the new one gets a number: ``3f2a91bb.2.jsonl``.
    second : Path, optional
        Folder in which the file goes on, with all that it has so far, where it cannot be written;
        `SPARE_BYTES` are left free there.

    Attributes
    ----------
    path : Path
        The name that the file got.
    """

    def __init__(self, path: Path, second: Path | None = None) -> None:
        self.path = path
        self._second, self._is_moved = second, False
        self._file: BinaryIO | None = None
        self._n_whole = 0
        self._is_synced = True

    def __call__(self, name: str, doc: Mapping[str, Any]) -> OSError | None:
        """Append one document; returns the error because of which the file has moved just now.

        Raises
        ------
        OSError
            If it cannot be written.
        TypeError
            If it holds a value that could not be read back.
        """
        try:
            self._append(name, doc)
        except OSError as error:
            if self._second is None:
                raise
            self._move(self._second, error)
            self._append(name, doc)
            return error
        return None

    def _append(self, name: str, doc: Mapping[str, Any]) -> None:
        small, large = _apart(doc)
        line = json.dumps({"name": name, "doc": encoded(small)}) + "\n"
        first, *others = line.split(f'"{_PLACE}"') if large else [line]
        if self._file is None:
            self._file = self._opened()
        if self._is_moved:
            _check_room(self.path.parent)
        self._file.write(first.encode("ascii"))
        for array, text in zip(large, others, strict=True):
            self._file.writelines(array_pieces(array))
            self._file.write(text.encode("ascii"))
        self._file.flush()
        self._n_whole = self._file.tell()
        self._is_synced = False

    def _move(self, folder: Path, why: OSError) -> None:
        """Go on in another folder, with the documents so far; raises ``why`` if that fails."""
        path, file = self.path, self._file
        self._second, new = None, BackupFile(folder / path.name)
        try:
            _check_room(folder)
            new._file = new._opened()
            if file is not None:
                _copy(path, file, self._n_whole, new._file)
        except OSError:
            _remove(new.path, new._file)
            raise why from None
        self.path, self._file, self._is_moved = new.path, new._file, True
        _remove(path, file)

    def sync(self) -> None:
        """Wait until the file is on the disk; it may be written to meanwhile."""
        file = self._file
        if file is not None and not (self._is_synced or file.closed):
            self._is_synced = True
            os.fsync(file.fileno())

    def close(self) -> None:
        """Close the file and keep it."""
        if self._file is not None:
            self._file.close()

    def delete(self) -> None:
        """Close the file and remove it, because the run is stored elsewhere."""
        with suppress(OSError):  # what is left to write finds no room
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
        try:
            file.write(_HEADER)
            file.flush()
            sync_file(self.path.parent)
        except OSError:
            _remove(self.path, file)
            raise
        return file


def _remove(path: Path, file: BinaryIO | None) -> None:
    """Close and remove a file of ours, if it was opened, whatever is left to write."""
    if file is not None:
        for act in (file.close, path.unlink):
            with suppress(OSError):
                act()


def _check_room(folder: Path) -> None:
    """Raise OSError if a second folder has no room left."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < SPARE_BYTES:
        raise OSError(errno.ENOSPC, f"less than {SPARE_BYTES / 2**30:.0f} GiB free", str(folder))


def _copy(path: Path, file: BinaryIO, n_bytes: int, new: BinaryIO) -> None:
    """Copy the whole documents of an open file, and wait until they are on the disk."""
    with path.open("rb") as old:
        if not os.path.sameopenfile(old.fileno(), file.fileno()):
            raise FileNotFoundError(errno.ENOENT, "another file has its name", str(path))
        old.seek(len(_HEADER))
        while block := old.read(min(_BLOCK_BYTES, n_bytes - old.tell())):
            new.write(block)
        if old.tell() < n_bytes:
            raise OSError(errno.EIO, "it has become shorter", str(path))
    new.flush()
    os.fsync(new.fileno())


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
