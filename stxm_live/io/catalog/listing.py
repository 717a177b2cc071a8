"""Lists of the runs in a catalogue."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stxm_live.core.origin import Origin, origin_of_start
from stxm_live.core.scan import StackScan
from stxm_live.io.catalog.anywhere import bluesky_catalog
from stxm_live.io.catalog.folder import (
    catalog_folder,
    close_catalog,
    damage_named,
    open_catalog,
)
from stxm_live.io.catalog.index import IndexedRun, StoredResult, indexed_runs, stored_result
from stxm_live.io.catalog.plan_runs import scan_of_streams, streams_of
from stxm_live.io.catalog.reading import plain
from stxm_live.io.documents.announced import UndescribedError, announced

if TYPE_CHECKING:
    import databroker

logger = logging.getLogger("stxm_live")


@dataclass(frozen=True)
class RunSummary:
    """One raw run in one line.

    Parameters
    ----------
    time_s : float
        Start of the run, seconds since 1970.
    scan : StackScan or None
        The first stack of the run; None if the start document does not describe a stack.
    exit_status : str
        "success", "abort", "fail", or "" for a run without an end.
    has_maps : bool
        True if a result is stored, or the analysis failed.
    verdict : str
        Of the newest result; empty if there is none, or if the analysis failed.
    fractions : dict
        Share of each phase in it; empty for results that were stored without.
    unreadable : str
        Why the start document cannot be read; empty if it can, or if it describes no stack.
    origin : Origin
        Sample, time and file of the measurement.
    """

    uid: str
    scan_id: int | None
    time_s: float
    plan_name: str
    scan: StackScan | None
    exit_status: str
    has_maps: bool
    unreadable: str = ""
    origin: Origin = field(default=Origin())
    verdict: str = ""
    fractions: dict[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        shape = "no stack" if self.scan is None else " x ".join(map(str, self.scan.shape))
        named = self.origin.sample or self.origin.file
        parts = (self.uid[:8], self.origin.when, named, shape, self.exit_status, self.verdict)
        return f"<run {', '.join(filter(None, parts))}>"


def list_runs(catalog: databroker.Broker | Path, *, limit: int | None = None) -> list[RunSummary]:
    """Return the raw runs of a catalogue, the latest first.

    Parameters
    ----------
    catalog : databroker.Broker or Path
        An open catalogue, or the folder of one, which is then read without Tiled's packages.
    limit : int, optional
        Number of runs; default is all.

    Raises
    ------
    OSError
        If the folder's catalogue is damaged or was written by another version of Tiled.
    """
    with raw_runs(catalog, limit=limit) as (runs, mapped):
        return [_summary(run, mapped.get(run.start.get("uid", run.key))) for run in runs]


@contextmanager
def raw_runs(
    catalog: databroker.Broker | Path, *, limit: int | None = None
) -> Iterator[tuple[list[IndexedRun], dict[str, StoredResult]]]:
    """Yield the documents of the raw runs, the latest first, and the results of those with maps.

    Within the block their streams can be read. Arguments and errors are those of `list_runs`.
    """
    folder = catalog if isinstance(catalog, Path) else catalog_folder(catalog)
    if folder is not None:
        try:
            found = indexed_runs(folder, limit=limit)
        except sqlite3.Error as error:
            logger.debug("the database in %s is not read directly (%r)", folder, error)
        else:
            yield found
            return
    broker = open_catalog(catalog, create=False) if isinstance(catalog, Path) else catalog
    try:
        with damage_named(folder):
            listed = _listed_by_tiled(broker, limit)
        yield listed
    finally:
        if isinstance(catalog, Path):
            close_catalog(broker)


def _listed_by_tiled(
    broker: databroker.Broker, limit: int | None
) -> tuple[list[IndexedRun], dict[str, StoredResult]]:
    """Return the raw runs of any catalogue; each of them is asked for."""
    from tiled.queries import Eq

    catalog = bluesky_catalog(broker.v2)
    starts = [run.metadata["start"] for run in catalog.search(Eq("purpose", "analysis")).values()]
    mapped = {uid: _result(start) for start in starts for uid in _texts(start.get("parent_uids"))}
    runs: list[IndexedRun] = []
    for key, run in reversed(catalog.items()):
        start = run.metadata["start"]
        if start.get("purpose") == "analysis":
            continue
        if len(runs) == limit:
            break
        stop = run.metadata.get("stop") or {}
        runs.append(IndexedRun(key, plain(start), plain(stop), partial(streams_of, run)))
    return runs, mapped


def _result(start: Mapping[str, Any]) -> StoredResult:
    analysis = start.get("analysis") or {}
    quality = (analysis.get("attributes") or {}).get("quality")
    return stored_result(analysis.get("verdict"), analysis.get("fractions"), quality)


def _summary(run: IndexedRun, result: StoredResult | None) -> RunSummary:
    scan, reason = _scan(run)
    return RunSummary(
        uid=run.start.get("uid", run.key),
        scan_id=run.start.get("scan_id"),
        time_s=run.start.get("time", float("nan")),
        plan_name=str(run.start.get("plan_name", "")),
        scan=scan,
        exit_status=run.stop.get("exit_status", ""),
        has_maps=result is not None,
        unreadable=reason,
        origin=origin_of_start(run.start),
        verdict="" if result is None else result.verdict,
        fractions={} if result is None else result.fractions,
    )


def start_documents(broker: databroker.Broker, name: str, value: str) -> list[dict[str, Any]]:
    """Return the start documents in which a text has this value."""
    return [dict(run.metadata["start"]) for run in _search(broker, name, value)]


def _search(broker: databroker.Broker, name: str, value: str) -> Any:
    from tiled.queries import Eq

    return bluesky_catalog(broker.v2).search(Eq(name, value)).values()


def last_scan_id(broker: databroker.Broker) -> int:
    """Return the number of the latest run; 0 if it has none, or if it cannot be read."""
    try:
        return max((int(run.scan_id or 0) for run in list_runs(broker, limit=1)), default=0)
    except Exception as error:  # noqa: BLE001  a scan must not depend on the run of another program
        logger.warning("scan_id begins at 1, because the last run cannot be read (%r)", error)
        return 0


def _texts(value: Any) -> list[str]:
    """Return the texts of a list that anyone may have written into a start document."""
    return [v for v in value if isinstance(v, str)] if isinstance(value, Sequence) else []


def _scan(run: IndexedRun) -> tuple[StackScan | None, str]:
    """Return the first stack of a run, and why there is none although the run seems to be one."""
    try:
        return announced(run.start).stacks[0].scan, ""
    except UndescribedError:
        return _scan_of_streams(run)
    except ValueError:
        return None, ""
    except Exception as error:  # noqa: BLE001  start documents come from anywhere
        return None, f"{type(error).__name__}: {error}"


def _scan_of_streams(run: IndexedRun) -> tuple[StackScan | None, str]:
    """Return the stack of a run by a plan without a block, if it is one."""
    try:
        return scan_of_streams(run.start, run.streams()), ""
    except Exception as error:  # noqa: BLE001  it may be damaged; others are listed all the same
        logger.info("the streams of run %s cannot be read (%r)", run.key, error)
        return None, ""
