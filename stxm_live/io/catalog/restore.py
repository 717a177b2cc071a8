"""Runs that are read back from the catalogue, or stored from their backup files."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from stxm_live.io.catalog.backup import backup_files, is_being_written, read_backup, sync_file
from stxm_live.io.catalog.folder import catalog_folder, require_same
from stxm_live.io.catalog.read_back import Digests, stored_digests
from stxm_live.io.catalog.run_store import RunStore, delete_run, has_run, store_documents

if TYPE_CHECKING:
    import databroker

logger = logging.getLogger("stxm_live")

_WAIT_FOR_OTHERS_S = 50.0
_POLL_S = 0.1


def require_stored(broker: databroker.Broker, uid: str, sent: Digests) -> None:
    """Read a run back from the catalogue, and wait until its files are on the disk.

    A run that another writer stores has a minute, nearly, for its end.

    Raises
    ------
    RuntimeError
        If the catalogue does not give back the events that were sent, or has no end of the run.
    OSError
        If it gave them back from files that are no longer there.
    """
    deadline_s = time.monotonic() + _WAIT_FOR_OTHERS_S
    while not broker.v2[uid].metadata.get("stop"):
        if time.monotonic() > deadline_s:
            raise RuntimeError("the catalogue has the run without its end")
        time.sleep(_POLL_S)
    stored = stored_digests(broker.v2[uid])
    lost = sorted(sent.items() - stored.items())
    if lost:
        (stream, number), _ = lost[0]
        raise RuntimeError(
            f"the catalogue does not give back {len(lost)} of {len(sent)} events as they were "
            f"measured, the first is {number} of stream {stream!r}"
        )
    require_same(broker)
    folder = catalog_folder(broker)
    arrays = None if folder is None else folder / "data" / uid
    if arrays is not None and arrays.is_dir():
        for path in (arrays.parent, arrays, *arrays.rglob("*")):
            sync_file(path)


def left_behind(folder: Path) -> list[Path]:
    """Return the backup files of runs of earlier sessions; a warning says where they are."""
    found = [path for path in backup_files(folder) if not is_being_written(path)]
    if found:
        logger.warning(
            "%d runs of earlier sessions are only in backup files in %s; store them with "
            "stxm-live catalog repair, or in Python with stxm_live.io.catalog.restore_run",
            len(found),
            " and ".join(sorted({str(path.parent) for path in found})),
        )
    return found


def restore_run(broker: databroker.Broker, path: str | Path) -> str:
    """Store a run from its backup file, and return its uid.

    The part of the run that is in the catalogue already is replaced. The file is removed when
    the catalogue gives the run back. A run without an end is stored as aborted.

    Raises
    ------
    ValueError
        If the file is no backup, or the catalogue has events of the run that the file does not
        have.
    RuntimeError
        If a session is still writing the file, or the catalogue does not give the run back.
    """
    if is_being_written(Path(path)):
        raise RuntimeError(f"{path}: a session is still writing this file; restore it afterwards")
    documents = list(read_backup(path))
    if not documents or documents[0][0] != "start":
        raise ValueError(f"{path}: not a backup of a run: it does not begin with a start document")
    uid = str(documents[0][1]["uid"])
    if documents[-1][0] != "stop":
        documents.append(("stop", _stop_of_cut_off_run(documents)))
    dry = RunStore(broker, writes=False)
    for name, doc in documents:
        dry(name, doc)
    if not _has_all_of(broker, uid, dry.sent):
        delete_run(broker, uid)
        store_documents(broker, documents)
    require_stored(broker, uid, dry.sent)
    Path(path).unlink()
    return uid


def _has_all_of(broker: databroker.Broker, uid: str, sent: Digests) -> bool:
    """Return True if a run is in the catalogue with its end and everything that was sent.

    Raises
    ------
    ValueError
        If it may not be replaced, because it has more than was sent.
    """
    if not has_run(broker, uid):
        return False
    run = broker.v2[uid]
    has_end = bool(run.metadata.get("stop"))
    try:
        stored = stored_digests(run)
    except Exception:
        if has_end:
            raise
        stored = {}  # half of a write
    if has_end and sent.items() <= stored.items():
        return True
    n_more = len(stored.items() - sent.items())
    if n_more:
        raise ValueError(
            f"run {uid[:8]} has {n_more} events in the catalogue that are not in the backup file "
            "and would be lost; compare them, and call delete_run(broker, uid) for the file's"
        )
    return False


def _stop_of_cut_off_run(documents: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    times = [doc["time"] for name, doc in documents if name in ("start", "event")]
    return {
        "uid": str(uuid4()),
        "time": times[-1],
        "run_start": documents[0][1]["uid"],
        "exit_status": "abort",
        "reason": "restored from a backup file that ends before the run does",
    }
