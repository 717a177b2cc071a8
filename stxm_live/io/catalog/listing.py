"""Lists of the runs in a catalogue."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stxm_live.core.scan import StackScan
from stxm_live.io.catalog.anywhere import bluesky_catalog
from stxm_live.io.catalog.plan_runs import scan_of_streams
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
        True if a result is stored.
    unreadable : str
        Why the start document cannot be read; empty if it can, or if it describes no stack.
    """

    uid: str
    scan_id: int | None
    time_s: float
    plan_name: str
    scan: StackScan | None
    exit_status: str
    has_maps: bool
    unreadable: str = ""


def list_runs(broker: databroker.Broker, *, limit: int | None = None) -> list[RunSummary]:
    """Return the raw runs of a catalogue, the latest first.

    Parameters
    ----------
    limit : int, optional
        Number of runs; default is all.
    """
    from tiled.queries import Eq

    catalog = bluesky_catalog(broker.v2)
    derived = catalog.search(Eq("purpose", "analysis")).values()
    mapped = {uid for run in derived for uid in _texts(run.metadata["start"].get("parent_uids"))}
    runs: list[RunSummary] = []
    for run in reversed(catalog.values()):
        start = run.metadata["start"]
        if start.get("purpose") == "analysis":
            continue
        if len(runs) == limit:
            break
        scan, reason = _scan(run)
        runs.append(
            RunSummary(
                uid=start["uid"],
                scan_id=start.get("scan_id"),
                time_s=start["time"],
                plan_name=str(start.get("plan_name", "")),
                scan=scan,
                exit_status=(run.metadata.get("stop") or {}).get("exit_status", ""),
                has_maps=start["uid"] in mapped,
                unreadable=reason,
            )
        )
    return runs


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


def when(time_s: float) -> str:
    """Return the local date and time of a run; "?" for a time that no calendar has.

    Examples
    --------
    >>> when(1e300)
    '?'
    """
    try:
        return f"{datetime.fromtimestamp(time_s):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError, TypeError):
        return "?"


def _texts(value: Any) -> list[str]:
    """Return the texts of a list that anyone may have written into a start document."""
    return [v for v in value if isinstance(v, str)] if isinstance(value, Sequence) else []


def _scan(run: Any) -> tuple[StackScan | None, str]:
    """Return the first stack of a run, and why there is none although the run seems to be one."""
    try:
        return announced(run.metadata["start"]).stacks[0].scan, ""
    except UndescribedError:
        return _scan_of_streams(run)
    except ValueError:
        return None, ""
    except Exception as error:  # noqa: BLE001  start documents come from anywhere
        return None, f"{type(error).__name__}: {error}"


def _scan_of_streams(run: Any) -> tuple[StackScan | None, str]:
    """Return the stack of a run by a plan without a block, if it is one."""
    try:
        return scan_of_streams(run), ""
    except Exception as error:  # noqa: BLE001  it may be damaged; others are listed all the same
        logger.info(
            "the streams of run %s cannot be read (%r)", run.metadata["start"]["uid"], error
        )
        return None, ""
