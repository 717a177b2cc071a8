"""The catalogue of raw and derived runs: an embedded Tiled catalogue in a folder, no server."""

from typing import TYPE_CHECKING

from stxm_live.io.catalog.backup import read_backup
from stxm_live.io.catalog.derived import derived_uids, load_maps, store_maps
from stxm_live.io.catalog.folder import close_catalog, default_folder, open_catalog
from stxm_live.io.catalog.listing import (
    RunSummary,
    last_scan_id,
    list_runs,
    raw_runs,
    start_documents,
)
from stxm_live.io.catalog.raw_writer import RawWriter
from stxm_live.io.catalog.restore import restore_run
from stxm_live.io.catalog.run_store import delete_run, store_documents

if TYPE_CHECKING:
    from databroker import Broker as Broker  # for the annotations of other packages

__all__ = [
    "RawWriter",
    "RunSummary",
    "close_catalog",
    "default_folder",
    "delete_run",
    "derived_uids",
    "last_scan_id",
    "list_runs",
    "load_maps",
    "open_catalog",
    "raw_runs",
    "read_backup",
    "restore_run",
    "start_documents",
    "store_documents",
    "store_maps",
]
