"""The stream of a run that its stack is taken from."""

from __future__ import annotations

from collections.abc import Mapping


class StreamChoice:
    """Choose "primary", or else the first stream with the counts.

    A catalogue keeps events of another shape or type in a stream "primary_2", which is the same
    stream; names come without that number.

    Attributes
    ----------
    name : str or None
        The stream that is chosen so far.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._others: set[str] = set()

    def take(self, name: str) -> str | None:
        """Take a stream with the counts; return the one that is left out for it, if any."""
        known = self.name
        self.name = name if name == "primary" else known or name
        left_out = known if name == self.name else name
        if left_out in (None, self.name):
            return None
        self._others.add(left_out)
        return left_out

    def contradiction(self, n_events: object, n_images: int) -> str:
        """Return a reason to refuse if only another stream has as many events as images, or ""."""
        counted = n_events if isinstance(n_events, Mapping) else {}
        if counted.get(self.name) == n_images:
            return ""
        better = [name for name in sorted(self._others) if counted.get(name) == n_images]
        if not better:
            return ""
        return (
            f"the images were taken from stream {self.name!r}, but {better[0]!r} has as many as "
            'were announced; name it in the stxm_live block: "stream"'
        )
