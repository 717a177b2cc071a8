"""Files of arrays in a catalogue's folder that are gone.

Zarr keeps no file for a piece of an array that is all zeros, and gives back zeros for a piece
whose file is gone. An array of zeros without any file is no measurement.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

_MOST_NAMED = 3

_PIECES = "c"

_IN_THIS_PROCESS = "http://local-tiled-app/"
"""Beginning of addresses in a catalogue that Tiled serves within this process."""


def without_files(node: Any) -> tuple[list[Path], bool]:
    """Return the pieces of an array that have no file, and whether no piece has one.

    Both are empty for arrays that are not kept as Zarr in a folder of this machine.

    Parameters
    ----------
    node : tiled.client.array.ArrayClient
    """
    folder = _folder(node)
    if folder is None:
        return [], False
    pieces = [
        folder.joinpath(_PIECES, *map(str, index))
        for index in product(*(range(len(sizes)) for sizes in node.chunks))
    ]
    gone = [piece for piece in pieces if not piece.exists()]
    return gone, len(gone) == len(pieces)


def require_folders(node: Any) -> None:
    """Raise FileNotFoundError for a folder or file of an array that is gone from this machine."""
    for path in _paths(node):
        # where there was none, to read from it makes a folder without pieces
        if not path.exists() or (path.is_dir() and not (path / _PIECES).exists()):
            raise FileNotFoundError(f"there is nothing in {path}")


def named(paths: list[Path]) -> str:
    """Return the first of these paths as text, and the number of the others."""
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(map(str, paths[:_MOST_NAMED])) + more


def _folder(node: Any) -> Path | None:
    """Return the folder of an array's pieces; None if there is none on this machine."""
    return next((path for path in _paths(node) if (path / "zarr.json").is_file()), None)


def _paths(node: Any) -> list[Path]:
    """Return the files and folders of an array; none for a catalogue on a server."""
    if not node.uri.startswith(_IN_THIS_PROCESS):
        return []
    uris = [asset.data_uri for source in node.data_sources() or () for asset in source.assets]
    return [Path(unquote(urlparse(uri).path)) for uri in uris if uri.startswith("file:")]
