"""Runs that have begun and not ended, and stop documents that do not say which one they end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stxm_live.core.harmless import uid_in

_REMEMBERED = 1000
"""Newest runs whose uids are known."""


class OpenRuns:
    """The runs of a stream of documents, in the order in which they began; for several threads.

    Examples
    --------
    >>> runs = OpenRuns()
    >>> _ = runs.take("start", {"uid": "3f2a91bb"})
    >>> runs.take("stop", {"exit_status": "success"})[0]["run_start"]
    '3f2a91bb'
    """

    def __init__(self) -> None:
        self._is_open: dict[str, bool] = {}

    @property
    def uids(self) -> list[str]:
        """Return the uids of the runs that are open."""
        # a copy is made at once; a list of items makes objects, and others may get their turn then
        return [uid for uid, is_open in self._is_open.copy().items() if is_open]

    def take(self, name: str, doc: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
        """Return a document, and a remark on a stop that does not say which run it ends.

        A stop without ``run_start`` ends the run that is open, if that is one, and gets its uid.
        One of an unknown run ends none: its run may have begun before anyone listened.
        """
        if name == "start":
            self._is_open[uid_in(doc, "uid")] = True
            if len(self._is_open) > _REMEMBERED:
                self._is_open.pop(next(iter(list(self._is_open))), None)
        if name != "stop":
            return doc, ""
        uid, are_open = uid_in(doc, "run_start"), self.uids
        if uid in self._is_open or not are_open:
            if uid in self._is_open:
                self._is_open[uid] = False
            return doc, ""
        if not uid and len(are_open) == 1:
            self._is_open[are_open[0]] = False
            what = (
                f"a stop document that names no run was taken as the end of run {are_open[0][:8]}"
            )
            return {**doc, "run_start": are_open[0]}, f"{what}, the only one that is open"
        which = f"of run {uid[:8]}, which did not begin here," if uid else "that names no run"
        named = ", ".join(one[:8] for one in are_open[-3:])
        return doc, f"a stop document {which} came while {len(are_open)} were open, last {named}"
