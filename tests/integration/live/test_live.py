import asyncio
import gc
import logging
import subprocess
import sys
import threading
import time
import weakref
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
from catalog_fixtures import EnergyImageDevice, stack_plan
from particles import (
    NY,
    documents,
    image_documents,
    image_events,
    line_documents,
    particle_counts,
    particle_scan,
)

from stxm_live import LivePhaseMapper, map_run
from stxm_live.core.worker import Limits
from stxm_live.live.analysis import StackAnalysis
from stxm_live.live.runs import KEPT_RESULTS
from stxm_live.phase_mapping.steps import Steps


def feed(live, stream):
    """Hand a run's documents over; its uid."""
    uid = None
    for name, doc in stream:
        uid = doc["uid"] if name == "start" else uid
        live(name, doc)
    return uid


class Recorder:
    """A sink that remembers what it was told, and on which thread."""

    def __init__(self):
        self.cubes, self.maps, self.errors, self.threads = [], [], [], set()

    def on_cube(self, view):
        self.threads.add(threading.current_thread().name)
        self.cubes.append(view)

    def on_maps(self, maps):
        self.maps.append(maps)

    def on_error(self, uid, error):
        self.errors.append((uid, error))


@pytest.fixture
def live(nvpf):
    with LivePhaseMapper(nvpf) as mapper:
        yield mapper


@pytest.fixture
def sink(live):
    recorder = Recorder()
    live.add_sink(recorder)
    return recorder


def test_live_maps_are_those_of_a_replay_bit_for_bit(nvpf_with_axis):
    docs = list(line_documents())
    with LivePhaseMapper(nvpf_with_axis) as live:
        maps = live.wait(feed(live, docs), timeout_s=120)
    assert maps.status == "complete"
    assert maps.energy_axis is not None
    assert maps.identical(map_run(docs, nvpf_with_axis))


def test_energies_in_any_order_give_the_same_maps(live, nvpf):
    order = [7, 0, 12, 3, 1, 2, 4, 6, 5, 11, 8, 10, 9]
    maps = live.wait(feed(live, image_documents(order=order)), timeout_s=120)
    assert maps.identical(map_run(image_documents(), nvpf))


def test_without_a_background_thread_the_result_is_there_at_once(nvpf):
    live = LivePhaseMapper(nvpf, background=False)
    uid = feed(live, image_documents())
    assert live.wait(uid, timeout_s=0).identical(map_run(image_documents(), nvpf))


def test_the_cube_grows_image_by_image_on_the_worker_thread(live, sink):
    live.wait(feed(live, image_documents()), timeout_s=120)
    assert [int(view.measured.sum()) for view in sink.cubes] == list(range(1, 14))
    assert sink.threads == {"stxm-live-worker"}
    first, last = sink.cubes[0], sink.cubes[-1]
    assert np.isnan(first.od[1:]).all()
    assert not np.isnan(last.od[:, 3:-3, 3:-3]).any()
    assert not last.od.flags.writeable


def test_a_provisional_map_appears_when_the_energies_separate_some_references(live, sink, nvpf):
    live.wait(feed(live, image_documents()), timeout_s=120)
    references, threshold = nvpf.reference_spectra, nvpf.ambiguity_threshold
    for n, view in enumerate(sink.cubes, start=1):
        separates = references.smallest_separation(nvpf.energies_ev[:n]) >= threshold
        assert (view.provisional_index is not None) == (view.twins != (view.phase_names,))
        assert bool(view.inseparable) != separates
        assert bool(view.twins) != separates
        for group in view.twins if view.provisional_index is not None else ():
            others = [nvpf.reference_spectra.phase_names.index(name) for name in group[1:]]
            assert not np.isin(view.provisional_index, others).any()
    assert sink.cubes[1].provisional_index is None
    assert sink.cubes[5].provisional_index is not None
    final = sink.maps[0].phase_index
    shown = sink.cubes[-1].provisional_index
    both = (final >= 0) & (shown >= 0)
    # registered on another image, so shifted by a fraction of a pixel
    assert (final[both] == shown[both]).mean() > 0.9


def test_a_replaced_image_gives_the_maps_again_with_the_next_revision(live, sink, nvpf):
    again = list(image_events(skip=range(1, 13), change=lambda k, image: image + 40))
    docs = list(documents([*image_events(), *again], particle_scan()))
    maps = live.wait(feed(live, docs), timeout_s=120)
    assert [m.revision for m in sink.maps] == [1, 2, 3, 4]
    assert maps.revision == 4
    assert not maps.identical(sink.maps[1])
    assert maps.identical(map_run(docs, nvpf))
    assert any("came again" in warning for warning in maps.warnings)


def test_an_aborted_scan_gives_incomplete_maps_that_name_what_is_missing(live):
    uid = feed(live, line_documents(lines=range(6 * NY + 3), exit_status="abort"))
    maps = live.wait(uid, timeout_s=120)
    assert maps.status == "incomplete"
    assert maps.resolved_index is not None
    assert len(maps.energies_ev) == 6
    text = " ".join(maps.warnings)
    assert "519.2" in text
    assert "ended by abort" in text
    assert live.status(uid).n_images == 6


def test_a_scan_aborted_before_the_second_image_says_so(live, sink):
    uid = feed(live, image_documents(skip=range(1, 13)))
    with pytest.raises(ValueError, match="need at least two images"):
        live.wait(uid, timeout_s=120)
    assert live.status(uid).state == "failed"
    assert sink.errors[0][0] == uid


@pytest.mark.parametrize("background", [True, False])
def test_an_overview_of_one_energy_is_drawn_and_is_no_failure(nvpf, caplog, background):
    counts, energies_ev, _ = particle_counts()
    scan = particle_scan(shape=(1, *counts.shape[1:]), energies_ev=energies_ev[9:10])
    sink = Recorder()
    with LivePhaseMapper(nvpf, background=background) as live:
        live.add_sink(sink)
        uid = feed(live, documents(image_events(order=[9]), scan))
        with pytest.raises(ValueError, match=r"from one energy: .* selects only 525 eV"):
            live.wait(uid, timeout_s=120)
        status = live.status(uid)
    (view,) = sink.cubes
    assert np.isfinite(view.od[0]).mean() > 0.9
    assert (status.state, status.is_done, status.error) == ("overview", True, None)
    assert [p for p in status.problems if "cannot be made from one energy" in p] == [
        *status.problems
    ]
    assert not sink.errors
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_runs_in_a_row_and_interleaved_ones_do_not_mix(live, nvpf):
    first = list(image_documents(change=lambda k, image: image * np.float32(0.5)))
    second, third = list(line_documents()), list(image_documents())
    uids = [feed(live, first), second[0][1]["uid"], third[0][1]["uid"]]
    for pairs in zip_longest(second, third):
        for pair in filter(None, pairs):
            live(*pair)
    for uid, docs in zip(uids, (first, second, third), strict=True):
        maps = live.wait(uid, timeout_s=120)
        assert maps.key.run_uids == (uid,)
        assert maps.identical(map_run(docs, nvpf))


def test_under_a_run_engine_a_device_that_reuses_its_buffer_does_no_harm(live, nvpf, RE):
    counts, energies_ev, _ = particle_counts()
    device = EnergyImageDevice(counts, energies_ev)
    RE.subscribe(live)
    RE(stack_plan(device, particle_scan()))
    uid = next(iter(live._runs))
    maps = live.wait(uid, timeout_s=120)
    assert maps.identical(map_run(image_documents(), nvpf))


def test_a_raising_sink_is_reported_and_disturbs_neither_scan_nor_maps(live, RE, caplog):
    heard = Recorder()

    def breaks(_):
        raise OSError("disk full")

    live.add_sink(on_cube=breaks, on_maps=breaks)
    live.add_sink(heard)
    counts, energies_ev, _ = particle_counts()
    RE.subscribe(live)
    with caplog.at_level(logging.CRITICAL, "stxm_live"):
        (uid,) = RE(stack_plan(EnergyImageDevice(counts, energies_ev), particle_scan()))
        maps = live.wait(uid, timeout_s=120)
    assert maps.status == "complete"
    assert len(heard.cubes) == 13
    assert {str(error) for _, error in heard.errors} == {"disk full"}


def test_a_slow_sink_does_not_hold_up_the_scan(live, RE):
    release = threading.Event()
    live.add_sink(on_cube=lambda view: release.wait(120))
    counts, energies_ev, _ = particle_counts()
    RE.subscribe(live)
    (uid,) = RE(stack_plan(EnergyImageDevice(counts, energies_ev), particle_scan()))
    assert not live.status(uid).is_done  # the scan has ended, the sink still holds the worker
    release.set()
    assert live.wait(uid, timeout_s=120).status == "complete"


def test_an_unknown_run_is_an_error_that_names_map_run(live):
    with pytest.raises(KeyError, match=r"map_run\(catalog\[uid\]"):
        live.wait("3f2a91bb", timeout_s=0)


def test_a_run_that_began_before_the_subscription_is_left_alone(live, sink):
    docs = list(image_documents())
    uid = docs[0][1]["uid"]
    for name, doc in docs[1:]:
        live(name, doc)
    with pytest.raises(KeyError):
        live.wait(uid, timeout_s=0)
    assert not sink.errors


def test_a_stop_that_names_no_run_ends_the_one_that_is_open_and_it_is_said(live, caplog):
    *docs, (_, stop) = image_documents()
    nameless = {key: value for key, value in stop.items() if key != "run_start"}
    feed(live, image_documents())
    uid = feed(live, [*docs, ("stop", nameless)])
    assert live.wait(uid, timeout_s=120).status == "complete"
    assert "taken as the end of run" in " ".join(live.status(uid).problems)
    assert "taken as the end of run" in caplog.text


@pytest.mark.parametrize("which", ["unknown", "not named"])
def test_a_stop_that_may_end_several_runs_ends_none_and_the_open_ones_say_so(live, which, caplog):
    *docs, (_, stop) = image_documents()
    one, other = feed(live, docs), feed(live, list(image_documents())[:5])
    live("stop", {"exit_status": "success"} | ({"run_start": "3f2a"} if which == "unknown" else {}))
    for uid in (one, other):
        assert not live.status(uid).is_done
        assert "a stop document" in live._runs[uid].problems[0]
    assert "while 2 were open" in caplog.text
    live("stop", stop)
    assert live.wait(one, timeout_s=120).status == "complete"


def test_waiting_too_short_says_how_far_the_run_is(live):
    feed_part = list(image_documents())[:6]
    uid = feed_part[0][1]["uid"]
    worker_threads = threading.Thread(target=lambda: [live(n, d) for n, d in feed_part])
    worker_threads.start()
    worker_threads.join()
    deadline = time.monotonic() + 120
    while live.status(uid).n_images < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(TimeoutError, match="4 of 13 images are in, the run has not ended"):
        live.wait(uid, timeout_s=0.1)


def test_waiting_inside_the_plan_that_delivers_is_refused(live, RE):
    import bluesky.plan_stubs as bps

    counts, energies_ev, _ = particle_counts()
    seen = []

    def wait_in_plan(k):
        yield from bps.null()
        uid = next(iter(live._runs))
        with pytest.raises(RuntimeError, match="wait_for_maps"):
            live.wait(uid, timeout_s=1)
        seen.append(k)

    RE.subscribe(live)
    RE(
        stack_plan(
            EnergyImageDevice(counts, energies_ev), particle_scan(), before_image=wait_in_plan
        )
    )
    assert len(seen) == 13


def test_a_run_that_is_no_stack_is_ignored_and_wait_says_why(live, sink):
    docs = list(documents(image_events(), particle_scan(), md={"plan_name": "count"}))
    uid = feed(live, docs)
    with pytest.raises(ValueError, match="no stxm block"):
        live.wait(uid, timeout_s=120)
    assert not sink.errors
    assert live.status(uid).state == "ignored"
    assert live.stacks(uid) == []


def test_a_broken_block_is_told_to_the_sinks(live, sink):
    md = particle_scan().metadata()
    md["stxm"]["shape"] = [13, 60]
    uid = feed(live, documents(image_events(), particle_scan(), md=md))
    with pytest.raises(ValueError, match="shape"):
        live.wait(uid, timeout_s=120)
    assert sink.errors


def test_explicit_keywords_stand_in_for_a_missing_block(nvpf):
    with LivePhaseMapper(nvpf, scan=particle_scan()) as live:
        docs = list(documents(image_events(), particle_scan(), md={"plan_name": "count"}))
        maps = live.wait(feed(live, docs), timeout_s=120)
    assert maps.identical(map_run(docs, nvpf, scan=particle_scan()))


def test_wait_refuses_a_region_that_is_not_there(live):
    uid = feed(live, image_documents())
    assert live.wait(uid, region="1", timeout_s=120)
    with pytest.raises(ValueError, match="no stack of region '7'"):
        live.wait(uid, region="7", timeout_s=120)
    assert [str(key) for key in live.stacks(uid)] == [f"run {uid[:8]} region 1"]


def test_what_cannot_be_shown_is_a_problem_and_what_cannot_be_mapped_an_error(nvpf):
    counts = particle_counts()[0]
    filled = np.full_like(counts[0], 500) + counts[3] * 0.9  # nothing is empty
    events = [
        (None, data | {"counts": np.random.default_rng(k).poisson(filled).astype(np.float32)})
        for k, (_, data) in enumerate(image_events())
    ]
    recipe = nvpf.with_changes({"i0.source": "region", "i0.region": (90, 91, 90, 91)})
    recorder = Recorder()
    with LivePhaseMapper(recipe) as live:
        live.add_sink(recorder)
        uid = feed(live, documents(events, particle_scan()))
        with pytest.raises(ValueError, match="is outside the image"):
            live.wait(uid, timeout_s=120)
        status = live.status(uid)
    assert status.n_images == 13
    assert any("cannot be shown" in problem for problem in status.problems)
    assert recorder.errors


def test_after_close_documents_are_ignored_with_a_line_in_the_log(nvpf, caplog):
    live = LivePhaseMapper(nvpf)
    live.close()
    with caplog.at_level(logging.WARNING, "stxm_live"):
        live("start", {"uid": "3f2a91bb"})
    assert "after close()" in caplog.text


def test_a_mangled_document_never_raises(live):
    for name in ("start", "descriptor", "event", "event_page", "stop", "resource", "nonsense"):
        live(name, {})
        live(name, {"uid": None, "data": 7, "run_start": [], "descriptor": {}})
    maps = live.wait(feed(live, image_documents()), timeout_s=120)
    assert maps.status == "complete"


def test_only_the_last_results_stay_in_memory(nvpf):
    with LivePhaseMapper(nvpf) as live:
        uids = [feed(live, image_documents(skip=range(2, 13))) for _ in range(10)]
        for uid in uids[-8:]:
            live.wait(uid, timeout_s=120)
        uids.append(feed(live, image_documents(skip=range(2, 13))))
        live.wait(uids[-1], timeout_s=120)
        with pytest.raises(KeyError, match="no longer in memory"):
            live.wait(uids[0], timeout_s=0)
        kept = [maps.key.run_uids[0] for maps in live.results()]
        assert kept == uids[-KEPT_RESULTS:]


def test_results_that_take_too_much_memory_are_forgotten_but_the_newest(nvpf):
    short = {"skip": range(2, 13)}
    two = 6 * 4 * 2 * 60 * 72 * 2  # as much as two results of two images are said to take
    with LivePhaseMapper(nvpf, limits=Limits(kept_bytes=two)) as live:
        for _ in range(4):
            uid = feed(live, image_documents(**short))
            live.wait(uid, timeout_s=120)
        feed(live, [("start", next(iter(image_documents(**short)))[1])])
        assert len(live.results()) == 2
        assert live.results()[-1].key.run_uids == (uid,)


def test_runs_without_an_end_that_take_too_much_memory_are_given_up(nvpf, caplog):
    with (
        LivePhaseMapper(nvpf, limits=Limits(kept_bytes=1)) as live,
        caplog.at_level(logging.CRITICAL),
    ):
        uids = []
        for _ in range(3):
            uids.append(feed(live, list(image_documents())[:5]))
            while live.status(uids[-1]).n_images == 0:
                time.sleep(0.01)
        assert [live.status(uid).state for uid in uids] == ["given up", "given up", "scanning"]


def test_a_mapper_that_nobody_has_any_more_leaves_no_thread(nvpf):
    live = LivePhaseMapper(nvpf)
    live.add_sink(on_maps=print, own_thread=True)
    live.wait(feed(live, image_documents(skip=range(2, 13))), timeout_s=120)
    gone, threads = weakref.ref(live), [live._worker._thread, live._sinks._workers[0]._thread]
    del live
    gc.collect()
    assert gone() is None
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_a_subscribed_mapper_is_not_forgotten_by_the_run_engine(nvpf, RE):
    counts, energies_ev, _ = particle_counts()
    seen = Recorder()
    mapper = LivePhaseMapper(nvpf)
    mapper.add_sink(seen)
    RE.subscribe(mapper)
    close = mapper.close
    del mapper
    RE(stack_plan(EnergyImageDevice(counts, energies_ev), particle_scan()))
    close()
    assert [maps.revision for maps in seen.maps] == [1, 2]


def test_a_failure_is_told_once_and_maps_it_made_outdated_are_not_returned(nvpf):
    far = list(image_events(skip=range(1, 13), change=lambda k, im: np.roll(im, 20, axis=1)))
    recipe = nvpf.with_changes({"alignment.max_shift_px": 5.0})
    recorder = Recorder()
    with LivePhaseMapper(recipe) as live:
        live.add_sink(on_maps=recorder.on_maps, on_error=recorder.on_error)
        uid = feed(live, documents([*image_events(), *far], particle_scan()))
        with pytest.raises(ValueError, match="image at 505 eV is shifted by"):
            live.wait(uid, timeout_s=120)
    assert len(recorder.maps) == 2  # quick and refined
    assert len(recorder.errors) == 1


def test_a_sink_cannot_change_what_the_maps_are_made_of(nvpf, tmp_path):
    np.save(tmp_path / "mask.npy", particle_counts()[2].specimen)
    (tmp_path / "i0.csv").write_text("400,3000\n600,3000\n")
    recipe = nvpf.with_changes(
        {
            "specimen.mask": tmp_path / "mask.npy",
            "i0.source": "spectrum",
            "i0.spectrum": tmp_path / "i0.csv",
        }
    )
    refused = []

    def meddle(view):
        for name in ("od", "specimen", "measured", "mean_spectrum", "reference_od"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(view, name)[...] = 0
            refused.append(name)

    docs = list(image_documents())
    with LivePhaseMapper(recipe) as live:
        live.add_sink(on_cube=meddle)
        maps = live.wait(feed(live, docs), timeout_s=120)
    assert len(refused) == 5 * 13
    assert maps.identical(map_run(docs, recipe))


def test_a_sink_that_waits_for_maps_is_refused_at_once(live):
    heard = []

    def wait(view):
        with pytest.raises(RuntimeError, match="a sink cannot wait"):
            live.wait(view.key.run_uids[0], timeout_s=60)
        heard.append(view)

    live.add_sink(on_cube=wait)
    live.wait(feed(live, image_documents()), timeout_s=120)
    assert len(heard) == 13


def test_a_sink_with_nothing_to_call_is_refused(live):
    with pytest.raises(TypeError, match=r"add_sink\(on_maps=function\)"):
        live.add_sink([].append)


def test_even_sinks_that_end_the_program_do_not_end_the_maps(live, sink, caplog):
    errors = (SystemExit, KeyboardInterrupt, asyncio.CancelledError)

    def sink_that_raises(error):
        def ends(_):
            raise error

        return ends

    for error in errors:
        live.add_sink(on_maps=sink_that_raises(error))
    with caplog.at_level(logging.CRITICAL, "stxm_live"):
        uid = feed(live, image_documents())
        maps = live.wait(uid, timeout_s=120)
    assert [m.revision for m in sink.maps] == [1, maps.revision] == [1, 2]
    told = [(u, [e.__name__ for e in errors if e.__name__ in str(said)]) for u, said in sink.errors]
    assert told == [(uid, [error.__name__]) for error in errors] * 2


@pytest.mark.parametrize("step", ["align", "i0"])
def test_a_step_that_ends_the_program_is_an_error_of_its_run(nvpf, caplog, step):
    def ends(*_, **__):
        raise SystemExit(2)

    with (
        caplog.at_level(logging.CRITICAL, "stxm_live"),
        LivePhaseMapper(nvpf, steps=Steps(**{step: ends})) as live,
    ):
        uid = feed(live, image_documents())
        with pytest.raises(RuntimeError, match="SystemExit was raised"):
            live.wait(uid, timeout_s=120)


def test_a_sink_on_a_thread_of_its_own_holds_up_nothing_and_skips_what_is_old(nvpf):
    release, seen = threading.Event(), Recorder()

    def slow(view):
        release.wait(120)
        seen.on_cube(view)

    with LivePhaseMapper(nvpf) as live:
        live.add_sink(on_cube=slow, on_maps=seen.on_maps, own_thread=True)
        maps = live.wait(feed(live, image_documents()), timeout_s=120)
        assert not seen.cubes
        release.set()
    assert 1 <= len(seen.cubes) < 13
    assert seen.cubes[-1].measured.all()
    assert seen.maps[-1] is maps
    assert "stxm-live-sink-1" in seen.threads


def test_closing_during_a_run_ends_the_wait_with_the_reason(nvpf):
    live = LivePhaseMapper(nvpf)
    docs = list(image_documents())[:8]
    feeder = threading.Thread(target=lambda: feed(live, docs))
    feeder.start()
    feeder.join()
    closer = threading.Timer(0.3, live.close)
    closer.start()
    with pytest.raises(RuntimeError, match="closed before the run ended"):
        live.wait(docs[0][1]["uid"], timeout_s=120)
    closer.join()


def test_runs_that_are_no_stack_do_not_push_results_out_of_memory(live):
    uid = feed(live, image_documents())
    for _ in range(12):
        feed(live, documents(image_events(), particle_scan(), md={"plan_name": "count"}))
    assert live.wait(uid, timeout_s=120).status == "complete"


def test_an_event_that_cannot_be_read_is_a_problem_of_its_run(live, caplog):
    docs = list(image_documents())
    del docs[4][1]["seq_num"]
    with caplog.at_level(logging.CRITICAL, "stxm_live"):
        uid = feed(live, docs)
        assert live.wait(uid, timeout_s=120).status == "incomplete"
    assert any("event document could not be used" in p for p in live.status(uid).problems)


def test_files_the_recipe_names_are_read_before_the_scan(nvpf, tmp_path):
    missing = {"i0.source": "spectrum", "i0.spectrum": tmp_path / "i0.csv"}
    with pytest.raises(FileNotFoundError, match=r"i0\.csv"):
        LivePhaseMapper(nvpf.with_changes(missing))


def test_bad_images_do_not_disturb_the_scan_and_are_named(live, RE):
    counts, energies_ev, _ = particle_counts()
    bad = np.array(counts)
    bad[2], bad[9] = np.nan, 0
    RE.subscribe(live)
    (uid,) = RE(stack_plan(EnergyImageDevice(bad, energies_ev), particle_scan()))
    maps = live.wait(uid, timeout_s=120)
    text = " ".join(maps.warnings)
    assert maps.status == "incomplete"
    assert "image at 515.6 eV has no usable pixel" in text
    assert "image at 525 eV has no usable pixel" in text


def test_finished_runs_leave_nothing_behind(nvpf):
    counts, energies_ev, _ = particle_counts()
    small = np.ascontiguousarray(counts[:, 12:36, 12:36])
    scan = particle_scan(shape=small.shape)
    recipe = nvpf.with_changes({"alignment.enabled": False, "energy_fit": False})
    with LivePhaseMapper(recipe, background=False) as live:
        for _ in range(KEPT_RESULTS + 5):
            events = [
                (None, {"energy": e, "counts": image})
                for e, image in zip(energies_ev, small, strict=True)
            ]
            feed(live, documents(events, scan))
        gc.collect()
        ours = [
            o
            for o in gc.get_objects()
            if isinstance(o, StackAnalysis) and o.maps is not None and o.scan == scan
        ]
    assert len(ours) <= KEPT_RESULTS + 1


AT_EXIT = """
import atexit
from particles import image_documents
from stxm_live import LivePhaseMapper, Recipe

live = LivePhaseMapper(Recipe.load("nvpf"))
live.add_sink(on_maps=lambda maps: print("maps", maps.revision, flush=True))
atexit.register(live.close)
for name, doc in image_documents():
    live(name, doc)
"""


def test_a_mapper_that_is_closed_when_python_ends_finishes_its_maps():
    support = Path(__file__).parents[2] / "support"
    code = f"import sys; sys.path.insert(0, {str(support)!r})\n{AT_EXIT}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split("\n") == ["maps 1", "maps 2", ""], done.stderr[-3000:]
