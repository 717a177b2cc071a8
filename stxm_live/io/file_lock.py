"""A lock that another process waits for, and that ends with the process that holds it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def only_one(path: Path, what: str, wait_s: float) -> Iterator[None]:
    """Hold a lock: a transaction on a database file of its own.

    Parameters
    ----------
    path : Path
        The file, in a folder that exists; it is made, and stays.
    what : str
        What is locked, for messages.
    wait_s : float
        Seconds to wait for another process.

    Raises
    ------
    TimeoutError
        If another process still holds the lock after ``wait_s``.
    OSError
        If the file cannot be written, for example because the disk is full.
    """
    with closing(sqlite3.connect(path, timeout=wait_s, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise OSError(f"{what} cannot be written ({error})") from error
            raise TimeoutError(
                f"{what} is locked by another process for more than {wait_s:g} s ({error})"
            ) from error
        yield
