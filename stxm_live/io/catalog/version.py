"""The version of a catalogue's folder, in a file beside its database."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from stxm_live.core.text_files import read_text
from stxm_live.core.whole_file import whole_file

NAME = "stxm_live.json"

VERSION = 1
"""Raised when an older stxm_live could not read what a newer one stores in the folder."""


def folder_version(folder: Path) -> int:
    """Return the version of a catalogue's folder; those of before 0.1.0 have none and are 1.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    path = folder / NAME
    try:
        found = json.loads(read_text(path))["version"]
    except (FileNotFoundError, NotADirectoryError):
        return VERSION
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected a version ({error}); delete the file") from error
    if not isinstance(found, int):
        raise ValueError(f"{path}: version {found!r} is no number; delete the file")
    return found


def require_version(folder: Path) -> None:
    """Raise an OSError for a catalogue that a later stxm_live has written."""
    try:
        found = folder_version(folder)
    except ValueError as error:
        raise OSError(str(error)) from error
    if found > VERSION:
        raise OSError(
            f"the catalogue in {folder} has version {found}, and this stxm_live reads up to "
            f"{VERSION}; install a later stxm_live"
        )


def write_version(folder: Path) -> None:
    """Write the version, if there is none yet."""
    if not (folder / NAME).exists():
        note = {"version": VERSION, "written_by": f"stxm_live {version('stxm-live')}"}
        with whole_file(folder / NAME) as unfinished:
            unfinished.write_text(json.dumps(note) + "\n", encoding="utf-8")
