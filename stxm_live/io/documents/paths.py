"""Checks of the files that images may be read from."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

MAX_PATH_CHARACTERS = 4096


class Roots:
    """Folders that images outside the documents may be read from.

    Parameters
    ----------
    folders : iterable of path
        Without any, no file is opened.

    Raises
    ------
    ValueError
        If one is not a folder.
    """

    def __init__(self, folders: Iterable[str | Path] = ()) -> None:
        self.folders = tuple(Path(folder).expanduser().resolve() for folder in folders)
        for folder in self.folders:
            if not folder.is_dir():
                raise ValueError(f"roots: {folder} is not a folder")

    def confined(self, path: str | Path) -> Path:
        """Return the path without links, if it lies within one of the folders.

        Raises
        ------
        ValueError
            If it does not, is relative, or has parts ``..``. The message does not reveal
            whether the file exists.
        """
        text = self.checked(path)
        real = Path(text).resolve()
        if not any(real.is_relative_to(folder) for folder in self.folders):
            allowed = ", ".join(map(str, self.folders))
            raise ValueError(
                f"{_shown(text)} lies outside {allowed}, the folders that images may be read from"
            )
        return real

    def checked(self, path: str | Path) -> str:
        """Return the path as text, if its text alone does not refuse it; errors as above.

        The file system is not asked: it may not answer.
        """
        text = str(path)
        if "\0" in text or len(text) > MAX_PATH_CHARACTERS:
            raise ValueError("the path of an image file is not valid")
        if not self.folders:
            raise ValueError(
                f"the images are in {_shown(text)}; name the folder they may be read from: "
                "roots=[...] in Python, --root on the command line"
            )
        if ".." in PurePosixPath(text).parts or ".." in PureWindowsPath(text).parts:
            raise ValueError(f"{_shown(text)} has parts '..', which are not followed")
        if not PurePosixPath(text).is_absolute():
            raise ValueError(f"{_shown(text)} is not an absolute path")
        return text

    def opened(self, path: str | Path) -> BinaryIO:
        """Open a regular file within the folders for reading; nothing is waited for.

        What was opened is checked, not only its name: a link may be put in its place meanwhile.

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            As for `confined`, and for a pipe, a device, a socket or a folder.
        """
        real = self.confined(path)
        _check_regular(real, real.stat().st_mode)  # to open a device may already do something
        file = open(real, "rb", opener=_open_at_once)  # noqa: SIM115  for the caller to close
        try:
            _check_regular(real, os.fstat(file.fileno()).st_mode)
            found = Path(f"/proc/self/fd/{file.fileno()}")  # Linux
            if found.is_symlink():
                self.confined(found.readlink())
        except BaseException:
            file.close()
            raise
        return file


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting for the other end of a pipe, and no link."""
    more = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    return os.open(path, flags | more)


def _check_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path.name} is not a regular file; images are read from no other")


def path_of_uri(uri: str) -> str:
    """Return the path of a ``file:`` address on this computer.

    Raises
    ------
    ValueError
        If the address is of another kind or of another computer.

    Examples
    --------
    >>> path_of_uri("file://localhost/data/a%20b.h5")
    '/data/a b.h5'
    """
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or parts.query:
        raise ValueError(f"{_shown(uri)}: images are read from file://localhost/... only")
    return unquote(parts.path)


def _shown(text: str) -> str:
    """Return the text in a form for messages: printable and not too long."""
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return repr(clean if len(clean) <= 200 else clean[:200] + "...")
