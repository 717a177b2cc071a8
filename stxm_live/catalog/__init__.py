"""The catalogue of raw and derived runs: an embedded Tiled catalogue in a folder, no server."""

from stxm_live.catalog.backup import read_backup
from stxm_live.catalog.folder import close_catalog, default_folder, open_catalog
from stxm_live.catalog.raw_writer import RawWriter
from stxm_live.catalog.run_store import delete_run, restore_run, store_documents

__all__ = [
    "RawWriter",
    "close_catalog",
    "default_folder",
    "delete_run",
    "open_catalog",
    "read_backup",
    "restore_run",
    "store_documents",
]
