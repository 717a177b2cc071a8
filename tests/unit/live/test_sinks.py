import logging
import threading
from types import SimpleNamespace

from stxm_live.core.harmless import SessionEndsError
from stxm_live.core.stack import StackKey
from stxm_live.live.sinks import KEPT_STACKS, Callbacks, Sinks


def result(name, revision=1):
    return SimpleNamespace(key=StackKey((name,)), revision=revision)


class Hanging:
    """A sink that does not come back before `release` is set."""

    def __init__(self):
        self.release, self.busy = threading.Event(), threading.Event()
        self.cubes, self.maps = [], []
        self.sinks = Sinks()
        self.sinks.add(Callbacks(self.on_cube, self.on_maps), own_thread=True)

    def on_cube(self, view):
        self.busy.set()
        self.release.wait(120)
        self.cubes.append(view)

    def on_maps(self, maps):
        self.busy.set()
        self.release.wait(120)
        self.maps.append(maps)

    def let_go(self):
        self.release.set()
        self.sinks.close(120)


def test_a_hanging_sink_is_shown_what_it_was_busy_with_and_the_newest_cube():
    sink = Hanging()
    views = [result("a") for _ in range(10)]
    sink.sinks.cube(views[0])
    assert sink.busy.wait(120)
    for view in views[1:]:
        sink.sinks.cube(view)
    sink.let_go()
    assert sink.cubes == [views[0], views[9]]


def test_a_hanging_sink_gets_the_last_revision_of_every_stack():
    sink = Hanging()
    sink.sinks.result(result("busy"))
    assert sink.busy.wait(120)
    for name in "abc":
        for revision in (1, 2, 3):
            sink.sinks.result(result(name, revision))
    sink.let_go()
    assert [(m.key.run_uids[0], m.revision) for m in sink.maps[1:]] == [
        ("a", 3),
        ("b", 3),
        ("c", 3),
    ]


def test_what_a_hanging_sink_keeps_does_not_grow_and_what_it_misses_is_logged(caplog):
    sink = Hanging()
    sink.sinks.result(result("busy"))
    assert sink.busy.wait(120)
    with caplog.at_level(logging.ERROR, "stxm_live"):
        for k in range(20):
            sink.sinks.result(result(f"run{k}"))
    sink.let_go()
    assert [m.key.run_uids[0] for m in sink.maps[1:]] == [
        f"run{k}" for k in range(20 - KEPT_STACKS, 20)
    ]
    assert caplog.text.count("a sink hangs") == 20 - KEPT_STACKS


def test_an_error_whose_text_cannot_be_made_is_told_to_the_other_sinks(caplog):
    class Unspeakable(BaseException):
        def __repr__(self):
            raise SystemExit

        __str__ = __repr__

    def fails(maps):
        raise Unspeakable

    sinks, told = Sinks(), []
    sinks.add(Callbacks(on_maps=fails))
    sinks.add(Callbacks(on_maps=told.append, on_error=lambda uid, error: told.append(str(error))))
    maps = result("a")
    with caplog.at_level(logging.CRITICAL):
        sinks.result(maps)
    assert told == ["Unspeakable was raised", maps]


def test_a_result_that_comes_too_late_to_be_stored_is_a_sentence(caplog):
    def store(maps):
        raise SessionEndsError("the catalogue is closed")

    sinks = Sinks()
    sinks.add(Callbacks(on_maps=store))
    sinks.result(result("a"))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.exc_info is None
    assert "came too late for a sink: the catalogue is closed" in record.getMessage()
