"""Connection to PVs: wait for them, name those that do not answer, and write to them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

_log = logging.getLogger("stxm_live")

PUT_S = 1.0
"""Longest wait in seconds to write to a PV.

ophyd asks pyepics to wait ten years. pyepics notices a lost PV a moment before ophyd does; a put
in that moment would block its thread, and the scan, until the IOC is back.
"""

_POLL_S = 0.02
_SHOWN = 10


def connect(devices: Iterable[Any], *, timeout_s: float) -> None:
    """Wait until every PV of these ophyd devices answers.

    Raises
    ------
    ConnectionError
        If PVs do not answer; the message names them and where they were searched.
    """
    devices = list(devices)
    deadline = time.monotonic() + timeout_s
    while missing := list(_silent_pvs(devices)):
        if time.monotonic() > deadline:
            raise ConnectionError(_in_words(missing, timeout_s))
        time.sleep(_POLL_S)


def put(signal: Any, value: float, **options: Any) -> None:
    """Write to a PV without waiting until it has taken the value.

    Raises
    ------
    ConnectionError
        If it was lost.
    """
    from epics.ca import ChannelAccessException

    try:
        signal.put(value, timeout=PUT_S, **options)
    except (TimeoutError, ChannelAccessException) as error:
        raise ConnectionError(
            f"{signal.setpoint_pvname} was disconnected and was not set to {value:g}"
        ) from error


def get(signal: Any) -> Any:
    """Return the value of a PV.

    Raises
    ------
    ConnectionError
        If it was lost.
    """
    from epics.ca import CASeverityException, ChannelAccessException, ChannelAccessGetFailure

    lost = (TimeoutError, CASeverityException, ChannelAccessException, ChannelAccessGetFailure)
    try:
        return signal.get()
    except lost as error:
        owner = signal.parent or signal
        raise ConnectionError(
            f"{owner.name}: {signal.pvname} was disconnected; is its IOC running?"
        ) from error


def put_if_connected(signal: Any, value: float) -> None:
    """Write to a PV after another error; a disconnected PV is only logged."""
    if signal.connected:
        try:
            put(signal, value)
        except ConnectionError as error:
            _log.warning("%s", error)
    else:
        _log.warning("%s was disconnected and was not set to %g", signal.setpoint_pvname, value)


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
