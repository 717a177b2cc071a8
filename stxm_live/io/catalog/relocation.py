"""Addresses of arrays and tables in a catalogue whose folder was copied, moved or mounted."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

logger = logging.getLogger("stxm_live")

_OWN_ASSETS = """
    SELECT DISTINCT assets.id, assets.data_uri FROM assets
    JOIN data_source_asset_association AS link ON link.asset_id = assets.id
    JOIN data_sources ON data_sources.id = link.data_source_id
    WHERE data_sources.management = 'writable'
    AND assets.data_uri != :tables
    AND (substr(assets.data_uri, 1, length(:data)) != :data OR instr(assets.data_uri, '/..') > 0)
"""

_DISOWN = """
    UPDATE data_sources SET management = 'external' WHERE id IN
    (SELECT data_source_id FROM data_source_asset_association WHERE asset_id = ?)
"""


def relocate(database: Path, *, data: Path, tables: Path) -> None:
    """Write into a catalogue where its arrays and tables are now.

    Tiled keeps absolute addresses. Without this, a copied catalogue lists its runs and can read
    none, and a run that is deleted in the copy loses its files in the original. Arrays that are
    not in the folder are no longer the catalogue's own: they are neither read nor deleted.

    Parameters
    ----------
    database : path
        Tiled's SQLite file.
    data : path
        Folder of the arrays, without symbolic links.
    tables : path
        SQLite file of the tables.
    """
    from tiled.utils import ensure_uri

    addresses = {
        "tables": ensure_uri(f"sqlite:///{tables}"),
        "data": ensure_uri(str(data)).rstrip("/") + "/",
    }
    with closing(sqlite3.connect(database)) as connection, connection:
        moved = connection.execute(_OWN_ASSETS, addresses).fetchall()
        for number, address in moved:
            if address.startswith("sqlite:"):
                new = addresses["tables"] if address.endswith(f"/{tables.name}") else None
            else:
                path = _in_folder(address, data)
                new = None if path is None else ensure_uri(str(path))
            if new is None:
                what = f"{address:.300}"
                logger.warning("%s is not in this catalogue's folder and cannot be read", what)
                connection.execute(_DISOWN, (number,))
            else:
                update = "UPDATE assets SET data_uri = ? WHERE id = ?"
                connection.execute(update, (new, number))


def _in_folder(address: str, data: Path) -> Path | None:
    """Return where an array of a moved catalogue is now: the same way below its data folder."""
    from tiled.utils import path_from_uri

    with suppress(ValueError, OSError):  # an address of no file, or longer than a path may be
        parts = path_from_uri(address).parts
        for k, part in enumerate(parts):
            if part == data.name:
                here = data.joinpath(*parts[k + 1 :])
                if here != data and here.exists() and here.resolve().is_relative_to(data):
                    return here
    return None
