"""Checks of names from documents that become folders in the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MOST_BYTES = 200
_NOT_IN_FOLDERS = re.compile(r"[\x00-\x1f\x7f/\\%?#]")


def check_names(what: str, names: Iterable[str]) -> None:
    """Raise ValueError if a name cannot be the name of one folder or one part of a URL.

    Tiled puts the uid, stream and data key of an array into a path and into a URL; a name such
    as ``..`` would point outside the run's folder.

    Examples
    --------
    >>> check_names("stream", ["primary", "dark field"])
    >>> check_names("stream", [".."])
    Traceback (most recent call last):
    ValueError: the stream '..' cannot be the name of a folder in the catalogue; rename it
    """
    for name in names:
        is_long = len(name.encode("utf-8", "replace")) > _MOST_BYTES
        if not name.strip(". ") or is_long or _NOT_IN_FOLDERS.search(name):
            raise ValueError(
                f"the {what} {name[:60]!r} cannot be the name of a folder in the catalogue; "
                "rename it"
            )
