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
        folder.joinpath("c", *map(str, index))
        for index in product(*(range(len(sizes)) for sizes in node.chunks))
    ]
    gone = [piece for piece in pieces if not piece.exists()]
    return gone, len(gone) == len(pieces)


def named(paths: list[Path]) -> str:
    """Return the first of these paths as text, and the number of the others."""
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(map(str, paths[:_MOST_NAMED])) + more


def _folder(node: Any) -> Path | None:
    """Return the folder of an array's pieces."""
    for source in node.data_sources() or ():
        for asset in source.assets:
            folder = Path(unquote(urlparse(asset.data_uri).path))
            if (folder / "zarr.json").is_file():
                return folder
    return None
