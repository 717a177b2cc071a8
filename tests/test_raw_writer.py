import copy
import itertools
import threading

import numpy as np
import pytest
from catalog_fixtures import (
    EnergyImageDevice,
    image_scan,
    line_documents,
    stack_images,
    stack_plan,
)
from run_engines import a_run_engine

from stxm_live.catalog import RawWriter, read_backup, restore_run
from stxm_live.catalog.backup import BackupFile
from stxm_live.catalog.run_store import RunStore
from stxm_live.replay import documents

pytestmark = pytest.mark.slow


class DatabaseGoneError(Exception):
    """What a broken catalogue raises in these tests."""


@pytest.fixture
def engine():
    with a_run_engine() as opened:
        yield opened


@pytest.fixture
def reported():
    return []


@pytest.fixture
def writer(broker, tmp_path, reported):
    made = RawWriter(broker, backup_folder=tmp_path, on_error=lambda *args: reported.append(args))
    yield made
    made.close(30)


@pytest.fixture
def broken_catalog(monkeypatch):
    """Writing fails from the second event on, until the returned event is set."""
    mended = threading.Event()
    numbers = itertools.count()
    store = RunStore.__call__

    def store_or_fail(self, name, doc):
        if name == "event" and next(numbers) and not mended.is_set():
            raise DatabaseGoneError("database or disk is full")
        store(self, name, doc)

    monkeypatch.setattr(RunStore, "__call__", store_or_fail)
    return mended


def stored_images(broker, uid):
    return np.stack([d["data"]["counts"] for n, d in documents(broker.v2[uid]) if n == "event"])


def test_a_detector_that_reuses_its_buffer_is_stored_as_it_was_read(
    engine, broker, writer, tmp_path
):
    images, scan = stack_images(), image_scan()
    engine.subscribe(writer)

    (uid,) = engine(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))
    writer.wait(uid, 30)

    stored = stored_images(broker, uid)
    np.testing.assert_array_equal(stored, images)
    assert stored.dtype == np.float32
    assert list(tmp_path.iterdir()) == []  # no backup file any more


def test_arrays_keep_the_dtype_they_came_in_whatever_was_declared(engine, broker, writer):
    images = stack_images(dtype=np.uint16)
    scan = image_scan()
    engine.subscribe(writer)

    (uid,) = engine(
        stack_plan(EnergyImageDevice(images, scan.energies_ev, dtype_numpy="<f4"), scan)
    )
    writer.wait(uid, 30)

    stored = stored_images(broker, uid)
    np.testing.assert_array_equal(stored, images)
    assert stored.dtype == np.uint16


def test_the_scan_does_not_wait_for_the_catalogue(engine, broker, writer, monkeypatch):
    may_write = threading.Event()
    store = RunStore.__call__

    def store_later(self, name, doc):
        assert may_write.wait(30)
        store(self, name, doc)

    monkeypatch.setattr(RunStore, "__call__", store_later)
    images, scan = stack_images(), image_scan()
    engine.subscribe(writer)

    (uid,) = engine(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))

    with pytest.raises(TimeoutError, match=f"run {uid[:8]} is not stored after 0 s"):
        writer.wait(uid, 0)
    may_write.set()
    writer.wait(uid, 30)
    np.testing.assert_array_equal(stored_images(broker, uid), images)


def test_documents_are_left_as_they_are_for_other_subscribers(engine, writer):
    images, scan = stack_images(), image_scan()
    before, after = [], []
    engine.subscribe(lambda name, doc: before.append((name, copy.deepcopy(doc))))
    engine.subscribe(writer)
    engine.subscribe(lambda name, doc: after.append((name, doc)))

    (uid,) = engine(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))
    writer.wait(uid, 30)

    for (name, old), (_, new) in zip(before, after, strict=True):
        if name != "event":  # the device itself writes into the events' array
            assert old == new
        assert set(old) == set(new)


def test_a_failed_write_lets_the_scan_finish_is_told_and_stops_the_next_run(
    engine, broker, writer, reported, broken_catalog, tmp_path
):
    images, scan = stack_images(), image_scan()
    device = EnergyImageDevice(images, scan.energies_ev)
    stops = []
    engine.subscribe(writer)
    engine.subscribe(lambda name, doc: stops.append(doc), "stop")
    writer.guard(engine)

    (uid,) = engine(stack_plan(device, scan))

    assert [stop["exit_status"] for stop in stops] == ["success"]
    with pytest.raises(RuntimeError, match="could not be stored: database or disk is full"):
        writer.wait(uid, 30)
    writer.flush(30)
    assert [(failed, type(error)) for failed, error in reported] == [(uid, DatabaseGoneError)]
    with pytest.raises(RuntimeError, match=rf"run {uid[:8]} could not be stored.*retry\(\)"):
        engine(stack_plan(device, scan))
    assert device.reads == len(images)  # the second run never began
    assert len(stops) == 1

    kept = list(read_backup(tmp_path / f"{uid}.jsonl"))
    assert [name for name, _ in kept] == ["start", "descriptor", *["event"] * 4, "stop"]


def test_a_failed_run_can_be_stored_again_from_its_backup(
    engine, broker, writer, broken_catalog, tmp_path
):
    images, scan = stack_images(), image_scan()
    engine.subscribe(writer)
    writer.guard(engine)
    (failed,) = engine(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))
    writer.flush(30)

    broken_catalog.set()
    writer.retry()

    np.testing.assert_array_equal(stored_images(broker, failed), images)
    assert list(tmp_path.iterdir()) == []
    (uid,) = engine(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))
    writer.wait(uid, 30)
    writer.wait(failed, 0)


def test_scans_may_go_on_after_a_failure_is_acknowledged(engine, writer, broken_catalog, tmp_path):
    images, scan = stack_images(), image_scan()
    engine.subscribe(writer)
    writer.guard(engine)
    (failed,) = engine(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))
    writer.flush(30)
    broken_catalog.set()

    writer.acknowledge()
    (uid,) = engine(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))

    writer.wait(uid, 30)
    assert [path.stem for path in tmp_path.iterdir()] == [failed]


def test_the_guard_still_asks_the_validator_that_was_there(engine, writer):
    def refuse(md):
        raise ValueError("no sample named")

    engine.md_validator = refuse
    writer.guard(engine)
    scan = image_scan()

    with pytest.raises(ValueError, match="no sample named"):
        engine(stack_plan(EnergyImageDevice(stack_images(), scan.energies_ev), scan))


def test_a_backup_folder_that_cannot_be_written_is_told_and_the_run_is_stored(
    engine, broker, tmp_path, reported
):
    (tmp_path / "file").touch()
    images, scan = stack_images(), image_scan()
    writer = RawWriter(
        broker, backup_folder=tmp_path / "file", on_error=lambda *args: reported.append(args)
    )
    engine.subscribe(writer)

    (uid,) = engine(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))
    writer.wait(uid, 30)
    writer.close(30)

    np.testing.assert_array_equal(stored_images(broker, uid), images)
    assert [uid for uid, _ in reported] == [uid]


def test_two_runs_whose_documents_interleave_are_stored_each_for_itself(broker, writer):
    scan = image_scan(2, 3, 5)
    stacks = [stack_images(2, 3, 5, seed=seed) for seed in (1, 2)]
    runs = [list(line_documents(images, scan)) for images in stacks]

    for pair in itertools.chain(*zip(*runs, strict=True)):
        writer(*pair)

    for images, run in zip(stacks, runs, strict=True):
        uid = run[0][1]["uid"]
        writer.wait(uid, 30)
        np.testing.assert_array_equal(stored_images(broker, uid), images.reshape(-1, 5))


@pytest.mark.parametrize("n_lines", [None, 7])
def test_lines_are_written_an_image_at_a_time(broker, writer, monkeypatch, n_lines):
    from stxm_live.catalog import run_store

    sizes = []
    make = run_store._tiled_writer
    monkeypatch.setattr(
        run_store, "_tiled_writer", lambda client, n: sizes.append(n) or make(client, n)
    )
    images, scan = stack_images(3, 6, 4), image_scan(3, 6, 4)
    lines = None if n_lines is None else range(n_lines)

    uid = ""
    for name, doc in line_documents(images, scan, lines=lines):
        uid = uid or doc["uid"]
        writer(name, doc)
    writer.wait(uid, 30)

    assert sizes == [6]
    np.testing.assert_array_equal(stored_images(broker, uid), images.reshape(-1, 4)[:n_lines])


def test_pages_of_events_are_stored_like_single_events(broker, writer):
    from event_model import pack_event_page

    images, scan = stack_images(2, 3, 5), image_scan(2, 3, 5)
    run = list(line_documents(images, scan))
    uid = run[0][1]["uid"]

    for name, doc in run:
        if name == "event":
            writer("event_page", pack_event_page(doc))
        else:
            writer(name, doc)
    writer.wait(uid, 30)

    np.testing.assert_array_equal(stored_images(broker, uid), images.reshape(-1, 5))


def test_a_run_that_is_no_stack_is_stored_too(engine, broker, writer):
    import bluesky.plans as bp
    from ophyd.sim import det

    engine.subscribe(writer)

    (uid,) = engine(bp.count([det], 3))
    writer.wait(uid, 30)

    assert [name for name, _ in documents(broker.v2[uid])].count("event") == 3


def test_a_run_without_any_event_is_stored_too(engine, broker, writer):
    import bluesky.plan_stubs as bps
    import bluesky.preprocessors as bpp

    engine.subscribe(writer)

    (uid,) = engine(bpp.run_wrapper(bps.null(), md=image_scan().metadata()))
    writer.wait(uid, 30)

    assert [name for name, _ in documents(broker.v2[uid])] == ["start", "stop"]


def test_a_program_that_died_leaves_a_backup_that_can_be_stored(broker, tmp_path):
    images, scan = stack_images(2, 3, 5), image_scan(2, 3, 5)
    path = tmp_path / "run.jsonl"
    backup = BackupFile(path)
    for pair in line_documents(images, scan, lines=range(4), exit_status=None):
        backup(*pair)
    backup.close()
    path.write_text(path.read_text() + '{"name": "event", "doc": {"da')

    uid = restore_run(broker, path)

    np.testing.assert_array_equal(stored_images(broker, uid), images.reshape(-1, 5)[:4])
    stop = broker.v2[uid].stop
    assert stop["exit_status"] == "abort"
    assert not path.exists()


@pytest.mark.parametrize(
    "value",
    [
        np.array([[1.5, np.nan, -0.0, np.inf]], np.float32),
        np.arange(6, dtype=np.uint16).reshape(2, 3)[:, ::-1],
        np.array([True, False]),
        np.array(["Na3VPF", "µ"]),
        np.zeros((0, 3)),
        np.float32(0.1),
        0.1,
        [1, "a", None],
    ],
)
def test_a_backup_file_gives_values_back_exactly(tmp_path, value):
    backup = BackupFile(tmp_path / "run.jsonl")
    backup("event", {"data": {"counts": value}})
    backup.close()

    ((name, doc),) = read_backup(backup.path)

    got = doc["data"]["counts"]
    assert name == "event"
    assert type(got) is type(value)
    if isinstance(value, np.ndarray | np.generic):
        assert got.dtype == value.dtype
        assert got.tobytes() == np.ascontiguousarray(value).tobytes()
        assert got.shape == value.shape
    else:
        assert got == value


def test_a_closed_writer_refuses_the_next_run_and_does_not_raise_on_documents(broker, tmp_path):
    writer = RawWriter(broker, backup_folder=tmp_path)
    writer.close(30)
    writer.close(30)

    writer("start", {"uid": "late"})

    with pytest.raises(RuntimeError, match="the raw writer is closed"):
        writer.preflight()


def test_a_catalogue_on_a_server_needs_a_folder_for_backups():
    with pytest.raises(ValueError, match="needs backup_folder="):
        RawWriter(object())
