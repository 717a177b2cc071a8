"""Waiting inside a plan."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import bluesky.plan_stubs as bps
from bluesky.utils import MsgGenerator

from stxm_live.core.worker import Worker

logger = logging.getLogger("stxm_live")

_T = TypeVar("_T")

_POLL_S = 0.1
_QUICK_S = 0.02


def until(
    is_so: Callable[[], bool],
    timeout_s: float,
    say_left: Callable[[float], None] = lambda left_s: None,
) -> MsgGenerator[bool]:
    """Wait until a condition is met, or for the time; return True if it is met.

    Pausing is allowed at any moment. The time of a pause does not count, and a resumed plan does
    not start its wait again. ``say_left`` is called with the time in seconds that is left.
    """
    for poll in range(math.ceil(timeout_s / _POLL_S)):
        if is_so():
            return True
        say_left(timeout_s - poll * _POLL_S)
        yield from bps.checkpoint()
        yield from bps.sleep(_POLL_S)
    return is_so()


class Asked(Generic[_T]):
    """Answers of a function that may raise or never return, asked on a thread of its own.

    Parameters
    ----------
    ask : callable
        Returns an answer, or None if there is none yet. It is asked once for each `answer`, and
        not again before it has returned.
    """

    def __init__(self, ask: Callable[[], _T | None]) -> None:
        self._ask = ask
        self._answer: _T | None = None
        self._has_returned = threading.Event()
        self._has_returned.set()
        self._is_over = False
        self._problem = ""
        self._worker: Worker[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Return True while the function has not returned."""
        return not self._has_returned.is_set()

    def answer(self) -> _T | None:
        """Return the first answer, once there is one; waits 20 ms at most."""
        if self._answer is None and not self.is_waiting:
            self._has_returned.clear()
            self._worker = self._worker or Worker(self._work, name="stxm-live-asked")
            self._worker.submit(None)
            self._has_returned.wait(_QUICK_S)
        return self._answer

    def close(self) -> None:
        """Ask no more; an answer that comes later is logged and not used."""
        self._is_over = True
        if self._worker is not None:
            self._worker.close(0.0)

    def _work(self, _: None) -> None:
        try:
            self._answer = self._ask()
            if self._is_over and self._answer is not None:
                logger.warning("the answer came too late and is not used: %s", self._answer)
        except BaseException as error:
            if repr(error) != self._problem:  # not ten times a second
                self._problem = repr(error)
                logger.exception("a plan waits for an answer, and asking for it failed")
        finally:
            self._has_returned.set()
