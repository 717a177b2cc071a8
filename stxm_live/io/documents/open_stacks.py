"""Stacks that are spread over several runs, from their first run to their last."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from stxm_live.core.scan import StackScan
from stxm_live.io.documents.announced import Announced
from stxm_live.io.documents.stack_frames import StackFrames
from stxm_live.io.large_stacks import is_large

MAX_OPEN = 64
"""Most unfinished stacks that wait for another run; beyond this, the oldest are ended."""


@dataclass(eq=False)
class _Joined:
    frames: StackFrames
    repeats_begin_anew: bool
    open_runs: set[str] = field(default_factory=set)
    indices: set[int] = field(default_factory=set)
    used_s: float = field(default_factory=time.monotonic)


_Id = tuple[str, str, str]


class OpenStacks:
    """Join runs of the same stack.

    A stack ends when every announced energy is complete and no run of it is open. It also ends when
    a run of it fails or is aborted, or when another stack replaces it. A replacement has other
    extents or energies under the same id; if ids are made from metadata, it scans an energy again.

    Parameters
    ----------
    large_in_files : bool
        Put images into temporary files where the map of the stack does not fit into memory.
    """

    def __init__(self, *, large_in_files: bool = False) -> None:
        self._large_in_files = large_in_files
        self._open: dict[_Id, _Joined] = {}
        self._ended: list[StackFrames] = []

    def join(self, uid: str, announced: Announced) -> StackFrames:
        """Return the frames to which a run adds."""
        scan = announced.scan
        if announced.stack_id is None:
            alone = self._frames_of(scan)
            alone.run_uids.append(uid)
            return alone
        joined_id = (announced.stack_id, scan.region, scan.polarization)
        self._end_replaced(joined_id, announced)
        known = self._open.get(joined_id)
        if known is None:
            known = _Joined(self._frames_of(scan), announced.repeats_begin_anew)
            self._open[joined_id] = known
            while len(self._open) > MAX_OPEN:
                self.end(next(iter(self._open.values())).frames)
        if uid not in known.frames.run_uids:
            known.frames.run_uids.append(uid)
        known.open_runs.add(uid)
        known.used_s = time.monotonic()
        known.indices.add(announced.first_index)
        return known.frames

    def leave(self, uid: str, frames: StackFrames, *, is_failed: bool) -> None:
        """Record that a run of the stack has ended."""
        joined = next((j for j in self._open.values() if j.frames is frames), None)
        if joined is None:
            frames.is_closed = True
            return
        joined.open_runs.discard(uid)
        joined.used_s = time.monotonic()
        if is_failed or (not joined.open_runs and frames.is_whole):
            self.end(frames)

    def end(self, frames: StackFrames) -> None:
        """End all stacks."""
        self._open = {key: j for key, j in self._open.items() if j.frames is not frames}
        if not frames.is_closed:
            frames.is_closed = True
            self._ended.append(frames)

    def end_idle(self, idle_s: float) -> None:
        """End stacks that no run has joined or left for this long; 0 ends all."""
        for joined in list(self._open.values()):
            if not joined.open_runs and time.monotonic() - joined.used_s >= idle_s:
                self.end(joined.frames)

    def is_open(self, frames: StackFrames) -> bool:
        """Return True if another run may join."""
        return any(joined.frames is frames for joined in self._open.values())

    def take_ended(self) -> list[StackFrames]:
        """Return the stacks that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def _frames_of(self, scan: StackScan) -> StackFrames:
        return StackFrames(scan, in_files=self._large_in_files and is_large(scan))

    def _end_replaced(self, joined_id: _Id, announced: Announced) -> None:
        """End stacks that another one replaces."""
        for known_id, joined in list(self._open.items()):
            other_scan = known_id == joined_id and joined.frames.scan != announced.scan
            again = (
                known_id == joined_id
                and joined.repeats_begin_anew
                and announced.first_index in joined.indices
            )
            in_its_place = (
                known_id != joined_id
                and known_id[1:] == joined_id[1:]
                and joined.repeats_begin_anew
                and announced.repeats_begin_anew
            )
            if other_scan or again or in_its_place:
                self.end(joined.frames)
