"""The rule for functions that a RunEngine calls: they never raise into the scan."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import Any

logger = logging.getLogger("stxm_live")

_MOST_ITEMS = 10_000
"""Items of a subclass of dict that are taken; fewer are copied."""

_NAMES = ("uid", "run_start", "descriptor", "resource", "stream_resource")
"""Fields by which the run of a document is looked up."""


class Harmless:
    """Log every error of the block under it, and let none out.

    The one exception is Ctrl-C: a KeyboardInterrupt on the main thread goes on to the user's
    program, after ``failed`` was called. A RunEngine calls its subscribers on another thread and
    handles Ctrl-C itself.

    Parameters
    ----------
    what : str
        Text for the log, with %s in place of ``name``.
    name : object
    failed : callable, optional
        Called with the error, for instance to note that a document is lost.

    Examples
    --------
    >>> with Harmless("a %s document could not be taken", "start"):
    ...     raise MemoryError  # doctest: +SKIP
    """

    def __init__(
        self,
        what: str,
        name: object,
        failed: Callable[[BaseException], object] | None = None,
    ) -> None:
        self._what = what
        self._name = name
        self._failed = failed

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None:
            return False
        if self._failed is not None:
            with suppress(BaseException):
                self._failed(error)
        with suppress(BaseException):  # a log's handler may raise, too
            logger.error(self._what, self._name, exc_info=error)
        is_main = threading.current_thread() is threading.main_thread()
        return not (is_main and isinstance(error, KeyboardInterrupt))


def plain(doc: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a document as a dict with plain names, so that no method of a subclass is called."""
    same: Any = doc
    if not issubclass(type(same), dict):
        return doc
    if type(same) is not dict:  # dict(doc) would ask the subclass
        same = dict(islice(dict.items(same), _MOST_ITEMS))
    names = {key: same[key] for key in _NAMES if key in same}
    odd = {k: str.__str__(v) for k, v in names.items() if type(v) is not str and _is_text(v)}
    return {**same, **odd} if odd else same


def _is_text(value: object) -> bool:
    return issubclass(type(value), str)


class SessionEndsError(RuntimeError):
    """Something cannot be done because the session ends; a sentence says it, and no traceback."""


def as_error(error: BaseException) -> Exception:
    """Return an error of a user's function as an exception that is reported like any other.

    Nothing that such a function raises may end a thread of ours, also not SystemExit. Ctrl-C on
    the main thread is raised again.
    """
    if isinstance(error, Exception):
        return error
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and isinstance(error, KeyboardInterrupt):
        raise error
    other = RuntimeError(f"{type(error).__name__} was raised")
    other.__cause__ = error
    return other
