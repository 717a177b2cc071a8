"""Runs that another process stores, read from its backup files and its catalogue."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.io.catalog.reading import Document

if TYPE_CHECKING:
    from stxm_live.io.catalog import Broker, RunSummary

logger = logging.getLogger("stxm_live")

RECENT_S = 24 * 3600.0
"""Backup files and runs older than this are not taken up automatically."""

RECENT_RUNS = 8

_PAUSES_S = (0.0, 1.0, 5.0, 20.0)
"""Pause in seconds before each attempt to store a result."""


class StoredRuns:
    """The runs in a catalogue's folder.

    A run under way is read from the backup file of `RawWriter`, which has every document on disk
    and is never locked. The catalogue itself takes seconds to open, so it is opened on a thread,
    for runs that have ended and for results.

    Parameters
    ----------
    folder : Path
        Folder for `open_catalog`.
    image_roots : sequence of path
        Folders of image files that runs refer to.
    """

    def __init__(self, folder: Path, image_roots: Sequence[str | Path] = ()) -> None:
        self._backups = folder / "backup"
        self._folder = folder
        self._image_roots = image_roots
        self._lock = threading.Lock()
        self._broker: Broker | None = None
        self._is_open = threading.Event()
        self._seen: dict[str, tuple[int, int]] = {}
        threading.Thread(target=self._open, name="stxm-live-catalog", daemon=True).start()

    def open_runs(self) -> list[str]:
        """Return recent runs without an end, or with a backup file; the oldest first."""
        unfinished = [run.uid for run in self._recent() if not run.exit_status]
        return list(dict.fromkeys([*unfinished, *_recent_backups(self._backups)]))

    def unmapped(self) -> list[str]:
        """Return recent runs in the catalogue that ended without a result, the oldest first."""
        return [run.uid for run in self._recent() if run.exit_status and not run.has_maps]

    def read(self, uid: str) -> Sequence[Document] | None:
        """Return the stored documents of a run; None if there are none, or no new ones."""
        from stxm_live.io.catalog import read_backup
        from stxm_live.io.catalog.backup import backup_name

        path = self._backups / backup_name(uid)
        try:
            stat = path.stat()
            state = (stat.st_size, stat.st_mtime_ns)
            if self._seen.get(uid) == state:
                return None
            docs = list(read_backup(path))
        except FileNotFoundError:  # the run has just been stored
            return self._read_catalog(uid)
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s cannot be read now (%s)", path, error)
            return None
        self._seen[uid] = state
        return docs

    def store(self, maps: PhaseMaps, documents: Sequence[Document]) -> None:
        """Store a result, trying again while the catalogue is busy; a failure is logged."""
        from stxm_live.io.catalog import store_documents
        from stxm_live.io.catalog.packed_results import packed

        self._is_open.wait()
        for pause_s in _PAUSES_S:
            time.sleep(pause_s)
            try:
                with self._lock:
                    if self._broker is None:
                        return
                    store_documents(self._broker, packed(documents))
                return
            except Exception as error:  # noqa: BLE001  whatever Tiled and its libraries raise
                logger.warning("the maps of %s could not be stored (%r)", maps.key, error)
        logger.error("the maps of %s are not in the catalogue; replay the run", maps.key)

    def wait_until_open(self, timeout_s: float | None = None) -> bool:
        """Wait for the catalogue; return True if it was opened, or failed, in time."""
        return self._is_open.wait(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Close the catalogue, unless it is being opened, or still written after this time."""
        from stxm_live.io.catalog import close_catalog

        if self._is_open.is_set() and self._lock.acquire(timeout=timeout_s):
            try:
                if self._broker is not None:
                    close_catalog(self._broker)
                self._broker = None
            finally:
                self._lock.release()

    def _recent(self) -> list[RunSummary]:
        """Return the last stacks in the catalogue, if it is open, the oldest first."""
        from stxm_live.io.catalog import list_runs

        with self._lock:
            if self._broker is None:
                return []
            try:
                runs = list_runs(self._broker, limit=RECENT_RUNS)
            except Exception as error:  # noqa: BLE001  locked, or broken
                logger.warning("the catalogue cannot be listed now (%r)", error)
                return []
        wanted = [r for r in runs if r.scan is not None and time.time() - r.time_s < RECENT_S]
        return wanted[::-1]

    def _open(self) -> None:
        from stxm_live.io.catalog import open_catalog

        try:
            broker = open_catalog(self._folder, image_roots=self._image_roots)
            with self._lock:
                self._broker = broker
        except Exception:
            logger.exception("the catalogue in %s cannot be opened", self._folder)
        finally:
            self._is_open.set()

    def _read_catalog(self, uid: str) -> Sequence[Document] | None:
        from stxm_live.io.catalog.names import check_names
        from stxm_live.io.catalog.reading import documents

        with self._lock:
            if self._broker is None:
                return None
            try:
                check_names("uid", [uid])
                return list(documents(self._broker[uid])) if uid in self._broker.v2 else None
            except Exception as error:  # noqa: BLE001  half written, locked, or broken
                logger.warning("run %s cannot be read now (%r)", uid[:8], error)
                return None


def _recent_backups(folder: Path) -> list[str]:
    """Return runs by the age of their backup files, the oldest first."""
    ages = []
    for path in folder.glob("*.jsonl"):
        with suppress(FileNotFoundError):  # its run has just been stored
            ages.append((path.stat().st_mtime, path.stem))
    return [uid for mtime, uid in sorted(ages) if time.time() - mtime < RECENT_S]
