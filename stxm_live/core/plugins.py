"""Plug-ins: functions of other packages, found by the entry points they declare."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, NamedTuple, TypeVar

from stxm_live.core.harmless import as_error

logger = logging.getLogger("stxm_live")

Kind = Literal["reader", "document shape", "criterion"]

GROUPS: Mapping[Kind, str] = {
    "reader": "stxm_live.readers",
    "document shape": "stxm_live.document_shapes",
    "criterion": "stxm_live.criteria",
}
"""Group of entry points for each kind of plug-in."""

_T = TypeVar("_T")


class PluginError(ValueError):
    """A plug-in failed; the message names it, its package, and what to do."""


@dataclass(frozen=True)
class Plugin:
    """A function of another package, imported when it is called for the first time.

    Parameters
    ----------
    kind : {"reader", "document shape", "criterion"}
    name : str
        Name of the entry point.
    entry_points : tuple of EntryPoint
        One entry point; several if packages use the same name, and then none is called.
    """

    kind: Kind
    name: str
    entry_points: tuple[EntryPoint, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of {self.package}"

    @property
    def package(self) -> str:
        """Return the package and its version, or all of them: "package stxm-ourlab 0.1"."""
        found = [
            f"{p.dist.name} {p.dist.version}" if p.dist else p.value for p in self.entry_points
        ]
        return f"package{'s' * (len(found) > 1)} {' and '.join(sorted(found))}"

    def call(self, expected: type[_T], *args: Any, **options: Any) -> _T | None:
        """Call the function, which may return None or a value of the expected type.

        Raises
        ------
        PluginError
            If the package cannot be imported, the function raises or returns something else, or
            packages share the name.
        """
        function = self.function()
        try:
            found = function(*args, **options)
        except BaseException as caught:  # noqa: BLE001  of another package
            error = as_error(caught)
            raise PluginError(
                f"{self} failed ({type(error).__name__}: {error}); if the data are sound, tell "
                "the authors of the package"
            ) from error
        if found is None or isinstance(found, expected):
            return found
        raise PluginError(
            f"{self} returned {type(found).__name__}, expected {expected.__name__} or None; "
            "tell the authors of the package"
        )

    def function(self) -> Callable[..., Any]:
        """Return the function itself; errors as for `call`."""
        found = _imported(self)
        if isinstance(found, str):
            raise PluginError(found)
        return found


class Answer(NamedTuple):
    """Value that a plug-in returned, and the plug-in."""

    plugin: Plugin
    value: Any


@cache
def plugins(kind: Kind) -> Mapping[str, Plugin]:
    """Return the plug-ins of one kind by name, in the order of their names.

    Installed packages are searched once; none is imported.
    """
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUPS[kind]):
        found.setdefault(point.name, []).append(point)
    return {name: Plugin(kind, name, tuple(found[name])) for name in sorted(found)}


def ask(
    subject: str,
    asked: Iterable[Plugin],
    expected: type[_T],
    *args: Any,
    own_failure: ValueError | None = None,
    **options: Any,
) -> Answer | None:
    """Call all plug-ins; return the answer of the one that knows the subject, or None.

    A failure is logged if another plug-in returns something.

    Parameters
    ----------
    subject : str
        The file or the run, for messages.
    asked : iterable of Plugin
    expected : type
        Type of the value, unless it is None.
    *args, **options
        Arguments for the plug-ins.
    own_failure : ValueError, optional
        Error of stxm_live's own attempt; raised if no plug-in can read the subject.

    Raises
    ------
    PluginError
        If several return something, or none does and some fail.
    """
    answers: list[Answer] = []
    failures: list[PluginError] = []
    for plugin in asked:
        try:
            found = plugin.call(expected, *args, **options)
        except PluginError as error:
            failures.append(error)
            continue
        if found is not None:
            answers.append(Answer(plugin, found))
    if len(answers) > 1:
        both = " and ".join(str(answer.plugin) for answer in answers)
        raise PluginError(f"{subject}: recognised by {both}; uninstall the one that is wrong")
    if not answers and failures:
        said = "; ".join(map(str, failures))
        before = f"{subject}: " if own_failure is None else f"{own_failure}; "
        raise PluginError(before + said) from failures[0]
    if not answers and own_failure is not None:
        raise own_failure
    for failure in failures:
        logger.warning("%s: %s", subject, failure)
    return answers[0] if answers else None


@cache
def _imported(plugin: Plugin) -> Callable[..., Any] | str:
    """Return the function of a plug-in, or the reason why there is none."""
    if len(plugin.entry_points) > 1:
        return f"{plugin.kind} {plugin.name!r} is in {plugin.package}; uninstall one of them"
    try:
        found = plugin.entry_points[0].load()
    except BaseException as caught:
        error = as_error(caught)
        logger.warning("%s cannot be imported", plugin, exc_info=error)
        return (
            f"{plugin} cannot be imported ({type(error).__name__}: {error}); update or uninstall it"
        )
    if not callable(found):
        return f"{plugin} is not a function but {found!r}; update or uninstall it"
    function: Callable[..., Any] = found
    return function
