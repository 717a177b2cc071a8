"""Wait for PVs, and name those that do not answer."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

_POLL_S = 0.02
_SHOWN = 10


def connect(devices: Iterable[Any], *, timeout_s: float) -> None:
    """Wait until every PV of these ophyd devices answers.

    Raises
    ------
    ConnectionError
        Naming the PVs that do not, and where they were searched.
    """
    devices = list(devices)
    deadline = time.monotonic() + timeout_s
    while missing := list(_silent_pvs(devices)):
        if time.monotonic() > deadline:
            raise ConnectionError(_in_words(missing, timeout_s))
        time.sleep(_POLL_S)


def _silent_pvs(devices: Iterable[Any]) -> Iterator[str]:
    for device in devices:
        for walked in device.walk_signals():
            if not walked.item.connected:
                yield str(walked.item.pvname)


def _in_words(missing: list[str], timeout_s: float) -> str:
    shown = ", ".join(missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    where = os.environ.get("EPICS_CA_ADDR_LIST") or "the local network"
    port = os.environ.get("EPICS_CA_SERVER_PORT", "5064")
    return (
        f"{len(missing)} PVs do not answer within {timeout_s:g} s: {shown}{more}; searched in "
        f"{where}, port {port}. Is the IOC running, and are EPICS_CA_ADDR_LIST and the names right?"
    )
