"""A RunEngine that leaves neither thread nor event loop behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import bluesky.utils
from bluesky import RunEngine
from bluesky.preprocessors import msg_mutator

# A plan that nobody iterated is still an error, without the place where it was made: to write
# down the stack of every message takes half of a RunEngine's time.
bluesky.utils.traceback = SimpleNamespace(format_stack=lambda: ["", "", ""])


@contextmanager
def a_run_engine(**options) -> Iterator[RunEngine]:
    """Open one for a test; bluesky itself never closes the loop it makes."""
    engine = RunEngine({}, context_managers=[], **options)
    try:
        yield engine
    finally:
        if engine.state not in ("idle", "panicked"):
            engine.halt()
        engine.loop.call_soon_threadsafe(engine.loop.stop)
        engine._th.join(60)
        engine.loop.close()


def pause_soon(engine: RunEngine) -> None:
    """Ask for a pause on the RunEngine's own thread: it comes before the next message.

    ``engine.request_pause`` waits there for itself, and on another thread it comes when it may.
    """
    asyncio.run_coroutine_threadsafe(engine._request_pause_coro(), engine.loop)


def with_rare_checkpoints(plan, every: int):
    """The plan with only every n-th checkpoint: a pause goes further back and repeats events."""
    count = 0

    def thinned(message):
        nonlocal count
        if message.command != "checkpoint":
            return message
        count += 1
        return message if (count - 1) % every == 0 else None

    return msg_mutator(plan, thinned)
