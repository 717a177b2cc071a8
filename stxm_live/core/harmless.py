"""The rule for functions that a RunEngine calls: they never raise into the scan."""

from __future__ import annotations

import hashlib
import logging
import threading
from abc import ABCMeta
from collections import ChainMap, UserDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import EnumMeta
from itertools import islice
from types import MappingProxyType, TracebackType
from typing import Any

logger = logging.getLogger("stxm_live")

_MOST_ITEMS = 10_000
"""Items of a subclass of dict that are taken; fewer are copied."""

_LONGEST_UID = 500
"""Letters of a uid that are kept; bluesky's have 36."""

_MAPPINGS = frozenset({ChainMap, MappingProxyType, UserDict})

_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Types of names that are compared by functions of Python."""

_NAMES = ("uid", "run_start", "descriptor", "resource", "stream_resource")
"""Fields by which the run of a document is looked up."""


class AnOddClass:
    """Stands for a class that has functions of its own for being compared or looked into."""


def kind_of(value: object) -> type:
    """Return the class of a value, which can be compared, looked up and asked for its name.

    A metaclass may have functions for that; so `AnOddClass` stands for its classes.

    Examples
    --------
    >>> kind_of(3.0)
    <class 'float'>
    """
    kind = type(value)
    meta = type(kind)
    is_usual = meta is type or meta is ABCMeta or meta is EnumMeta
    return kind if is_usual and type(kind.__name__) is str else AnOddClass


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
    """Return a document as a dict with plain names, so that no method of a subclass is called.

    Raises
    ------
    TypeError
        If it is neither a dict nor a mapping of Python's own.
    """
    same: Any = doc
    if not issubclass(type(same), dict):
        kind = kind_of(same)
        if kind not in _MAPPINGS:
            raise TypeError(f"a document is a dict, not a {kind.__name__}")
        same = dict(same)
    fields = {plain_name(key): value for key, value in islice(dict.items(same), _MOST_ITEMS)}
    odd = {k: str.__str__(fields[k]) for k in _NAMES if k in fields and _is_text(fields[k])}
    return fields | odd


def plain_name(name: object) -> Any:
    """Return the name of a value, to be looked up without a call of its own methods.

    Examples
    --------
    >>> [plain_name(name) for name in ("counts", 3, object())]
    ['counts', 3, 'a name that is a object']
    """
    kind = kind_of(name)
    if kind in _PLAIN:
        return name
    return str.__str__(name) if issubclass(kind, str) else f"a name that is a {kind.__name__}"


def uid_in(doc: Mapping[str, Any], key: str) -> str:
    """Return the uid in a field of a document; empty if there is none, or one that is no text.

    The text of another value may be long, and made by a function of the value. A uid of more than
    `_LONGEST_UID` letters is cut, with its hash: uids are kept as long as their runs, and longer.

    Examples
    --------
    >>> uid_in({"uid": "3f2a91bb"}, "uid")
    '3f2a91bb'
    >>> uid_in({"uid": "x" * 10**6}, "uid")[-20:]
    'x...a54361f3904a047b'
    """
    uid = doc.get(key)
    if type(uid) is not str:
        return ""
    if len(uid) <= _LONGEST_UID:
        return uid
    # not Python's own hash, which is another one in each process
    digest = hashlib.blake2b(uid.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{uid[:_LONGEST_UID]}...{digest}"


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
