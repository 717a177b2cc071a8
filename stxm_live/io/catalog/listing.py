"""Lists of the runs in a catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stxm_live.core.scan import StackScan
from stxm_live.io.documents.announced import announced

if TYPE_CHECKING:
    import databroker


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
    """

    uid: str
    scan_id: int | None
    time_s: float
    plan_name: str
    scan: StackScan | None
    exit_status: str
    has_maps: bool


def list_runs(broker: databroker.Broker, *, limit: int | None = None) -> list[RunSummary]:
    """Return the raw runs of a catalogue, the latest first.

    Parameters
    ----------
    limit : int, optional
        Number of runs; default is all.
    """
    from tiled.queries import Eq

    derived = broker.v2.search(Eq("purpose", "analysis")).values()
    mapped = {uid for run in derived for uid in run.metadata["start"].get("parent_uids", ())}
    runs: list[RunSummary] = []
    for run in reversed(broker.v2.values()):
        start = run.metadata["start"]
        if start.get("purpose") == "analysis":
            continue
        if len(runs) == limit:
            break
        runs.append(
            RunSummary(
                uid=start["uid"],
                scan_id=start.get("scan_id"),
                time_s=start["time"],
                plan_name=start.get("plan_name", ""),
                scan=_scan(start),
                exit_status=(run.metadata.get("stop") or {}).get("exit_status", ""),
                has_maps=start["uid"] in mapped,
            )
        )
    return runs


def _scan(start: Mapping[str, Any]) -> StackScan | None:
    try:
        return announced(start).stacks[0].scan
    except ValueError:
        return None
