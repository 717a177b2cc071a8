"""Locking, so that one process at a time writes to a catalogue in a folder."""

from __future__ import annotations

import errno
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from stxm_live.io.file_lock import only_one

TIMEOUT_S = 60.0
"""Seconds that a write waits for another process to finish writing."""

_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
_ADVICE = {
    errno.ENOTDIR: "; name another one",
    **dict.fromkeys(_NO_RIGHT, "; name another one, or ask for the right to write there"),
}
"""What helps where a folder cannot be written, by the number of the error."""


def prepare_tables(path: Path) -> None:
    """Let others read the tables while they are written; the file keeps this setting."""
    with tables(path, writable=True) as cursor:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.fetchall()


@contextmanager
def tables(path: Path, *, writable: bool = False) -> Iterator[Any]:
    """Open the tables of a catalogue with the library that Tiled opens them with.

    Python's own SQLite is another one, and two of them in one process do not know of each other:
    when one closes the file, the system forgets the other's locks, and nobody seems to use it any
    more. Its log of changes is removed then, and what is written afterwards is seen by no other
    process, and lost if this one is killed.

    Yields
    ------
    cursor
        Of the database; every statement is a transaction.

    Raises
    ------
    sqlite3.DatabaseError
        If they cannot be read.
    """
    from adbc_driver_sqlite import dbapi

    address = f"{path.absolute().as_uri()}?mode={'rwc' if writable else 'ro'}"
    try:
        with (
            closing(dbapi.connect(address, autocommit=True)) as connection,
            closing(connection.cursor()) as cursor,
        ):
            cursor.execute(f"PRAGMA busy_timeout = {1000 * TIMEOUT_S:.0f}")
            cursor.fetchall()
            yield cursor
    except dbapi.Error as error:
        raise sqlite3.DatabaseError(str(error).splitlines()[0]) from error


def require_writable(folder: Path) -> None:
    """Make the folder if there is none; raise OSError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "")
        what = f"the catalogue's folder cannot be written ({error.strerror}){advice}"
        raise type(error)(error.errno, what, str(folder)) from error


@contextmanager
def sole_writer(folder: Path | None, timeout_s: float | None = None) -> Iterator[None]:
    """Hold off writes by other processes; does nothing for a catalogue on a server.

    Tiled's table driver fails at once when another process writes, and the data are lost.
    Here the later process waits. The lock is a transaction on a file of its own: it ends with the
    process that held it.

    Raises
    ------
    TimeoutError
        If another process is still writing after ``timeout_s``, by default `TIMEOUT_S`.
    OSError
        If the folder cannot be written, for example because the disk is full.
    """
    if folder is None:
        yield
        return
    require_writable(folder)
    wait_s = TIMEOUT_S if timeout_s is None else timeout_s
    with only_one(folder / "write.lock", f"the catalogue in {folder}", wait_s):
        yield
