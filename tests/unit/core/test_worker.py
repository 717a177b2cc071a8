import logging
import threading

import pytest
from particles import documents, image_documents, image_events, particle_scan

from stxm_live import LivePhaseMapper, map_run
from stxm_live.core.worker import ITEM_BYTES, Limits, Timers, Worker
from stxm_live.live.runs import KEPT_UNFINISHED


@pytest.fixture
def held():
    """A worker whose first item keeps it busy until `release` is set."""
    release, done = threading.Event(), []

    def handle(item):
        release.wait(120)
        done.append(item)

    worker = Worker(handle, limits=Limits(behind_bytes=20_000, waiting_bytes=100_000))
    worker.release, worker.done = release, done
    yield worker
    release.set()
    worker.close()


def test_what_does_not_fit_is_refused_at_once_and_the_rest_is_done_in_order(held):
    taken = [k for k in range(20) if held.submit(k, n_bytes=20_000 - ITEM_BYTES)]
    assert taken == [0, 1, 2, 3, 4]
    held.release.set()
    assert held.close()
    assert held.done == taken
    assert held.waiting_bytes == 0


def test_an_item_without_a_size_is_always_taken(held):
    held.submit("image", n_bytes=99_000 - ITEM_BYTES)
    assert not held.submit("image", n_bytes=5_000)
    assert held.submit("stop")


def test_a_worker_that_falls_behind_says_so_once(held, caplog):
    with caplog.at_level(logging.WARNING, "stxm_live"):
        assert not held.is_behind
        for _ in range(3):
            held.submit("image", n_bytes=19_000)
    assert held.is_behind
    assert caplog.text.count("MiB behind") == 1


def test_what_an_item_raises_does_not_end_the_worker(caplog):
    def handle(item):
        done.append(item)
        raise SystemExit(item)

    done = []
    worker = Worker(handle)
    with caplog.at_level(logging.CRITICAL, "stxm_live"):
        for k in range(3):
            worker.submit(k)
        assert worker.close()
    assert done == [0, 1, 2]


def test_a_preparation_that_fails_does_not_end_the_worker(caplog):
    def prepare():
        raise MemoryError

    done = []
    worker = Worker(done.append, prepare=prepare)
    worker.submit(1)
    with caplog.at_level(logging.CRITICAL, "stxm_live"):
        assert worker.close()
    assert done == [1]


def feed(live, stream):
    docs = list(stream)
    for name, doc in docs:
        live(name, doc)
    return docs[0][1]["uid"]


def test_far_behind_the_display_stands_back_and_no_image_is_lost(nvpf):
    release, seen = threading.Event(), []

    def slow(view):
        seen.append(view)
        release.wait(120)

    limits = Limits(behind_bytes=5 * 4 * 60 * 72)
    with LivePhaseMapper(nvpf, limits=limits) as live:
        live.add_sink(on_cube=slow)
        uid = feed(live, image_documents())
        release.set()
        maps = live.wait(uid, timeout_s=120)
    assert maps.identical(map_run(image_documents(), nvpf))
    assert 4 <= len(seen) < 8  # the first, and those for which less than the limit waited


def test_too_far_behind_a_run_is_given_up_and_the_next_one_is_mapped(nvpf, caplog):
    release, errors = threading.Event(), []
    limits = Limits(behind_bytes=2**20, waiting_bytes=6 * 4 * 60 * 72)
    with LivePhaseMapper(nvpf, limits=limits) as live, caplog.at_level(logging.CRITICAL):
        live.add_sink(on_cube=lambda view: release.wait(120))
        live.add_sink(on_error=lambda uid, error: errors.append((uid, str(error))))
        uid = feed(live, image_documents())
        assert live.status(uid).state == "given up"  # known before the worker gets to it
        release.set()
        with pytest.raises(RuntimeError, match=r"given up .*map_run\(catalog\[uid\], recipe\)"):
            live.wait(uid, timeout_s=120)
        again = feed(live, image_documents(skip=range(3, 13)))
        assert live.wait(again, timeout_s=120).status == "incomplete"
    assert [u for u, _ in errors] == [uid]


def test_runs_that_never_end_are_given_up_when_many_more_have_begun(nvpf, caplog):
    with LivePhaseMapper(nvpf) as live, caplog.at_level(logging.CRITICAL):
        uids = [feed(live, list(image_documents())[:3]) for _ in range(KEPT_UNFINISHED + 6)]
        states = [live.status(uid).state for uid in uids if uid in live._runs]
        assert states.count("given up") == 6
        with pytest.raises(RuntimeError, match="no end either"):
            live.wait(uids[0], timeout_s=1)


def test_a_stack_that_no_memory_holds_is_refused_before_its_first_image(nvpf, caplog):
    md = particle_scan().metadata()
    md["stxm"] |= {"shape": [40, 8000, 8000], "energies": list(range(500, 540))}
    with LivePhaseMapper(nvpf) as live, caplog.at_level(logging.CRITICAL):
        uid = feed(live, documents(image_events(), particle_scan(), md=md))
        with pytest.raises(ValueError, match=r"at most .* GiB are mapped .half of the memory"):
            live.wait(uid, timeout_s=120)


def test_a_worker_that_is_stopped_ends_what_it_does_and_leaves_the_rest():
    begun, may_go_on, done = threading.Event(), threading.Event(), []

    def handle(item):
        begun.set()
        assert may_go_on.wait(60)
        done.append(item)

    worker = Worker(handle)
    worker.submit("first")
    worker.submit("second")
    assert begun.wait(60)
    assert not worker.stop(0.0)
    may_go_on.set()
    assert worker.stop(60.0)
    assert done == ["first"]


def test_a_timer_that_finds_no_thread_calls_all_the_same_and_the_next_one_too(monkeypatch):
    timers, called = Timers(), []

    def no_thread(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    for _ in range(2):
        timers.start(0.01, "retry", lambda: called.append(1))
    assert called == [1, 1]
    with pytest.raises(RuntimeError, match="can't start"):
        timers.start(900, "idle", lambda: None)
    monkeypatch.undo()
    over = threading.Event()
    timers.start(0.01, "idle", over.set)
    assert over.wait(60)
