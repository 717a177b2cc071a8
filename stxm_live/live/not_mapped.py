"""The log's lines on runs that are not mapped."""

from __future__ import annotations

import logging

from stxm_live.io.documents import NoStackError

logger = logging.getLogger("stxm_live")


class NotMapped:
    """Say why a run is not mapped: as a warning, once, if it looks like a stack."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, error: Exception | None) -> None:
        """Log the reason; the same reason for another run is no warning."""
        reason = str(error).partition(": ")[2]
        is_alike = isinstance(error, NoStackError) and error.is_alike
        level = logging.WARNING if is_alike and reason not in self._said else logging.INFO
        if is_alike:
            self._said.add(reason)
        logger.log(level, "not mapped: %s", error)
