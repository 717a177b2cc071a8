import copy
import itertools
import os
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from catalog_fixtures import (
    EnergyImageDevice,
    image_scan,
    line_documents,
    stack_images,
    stack_plan,
)
from event_model import compose_run

from stxm_live.core.worker import ITEM_BYTES, Limits
from stxm_live.io.catalog import (
    RawWriter,
    delete_run,
    read_backup,
    restore_run,
    store_documents,
)
from stxm_live.io.catalog.backup import BackupFile
from stxm_live.io.catalog.folder import catalog_folder
from stxm_live.io.catalog.reading import documents
from stxm_live.io.catalog.run_store import RunStore

pytestmark = pytest.mark.slow


class DatabaseGoneError(Exception):
    """What a broken catalogue raises in these tests."""


@pytest.fixture
def reported():
    return []


@pytest.fixture
def writer(broker, tmp_path, reported):
    made = RawWriter(broker, backup_folder=tmp_path, on_error=lambda *args: reported.append(args))
    yield made
    made.close(120)


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


@pytest.fixture
def held(monkeypatch):
    """Hold a function of a class until the returned event is set."""

    def hold(owner, name="__call__"):
        may_go_on, call = threading.Event(), getattr(owner, name)

        def later(self, *arguments):
            assert may_go_on.wait(120)
            return call(self, *arguments)

        monkeypatch.setattr(owner, name, later)
        return may_go_on

    return hold


def stored_images(broker, uid):
    return np.stack([d["data"]["counts"] for n, d in documents(broker.v2[uid]) if n == "event"])


def test_a_reused_buffer_is_stored_as_it_was_read_in_its_dtype_whatever_was_declared(
    RE, broker, writer, tmp_path
):
    images = stack_images(dtype=np.uint16)
    scan = image_scan()
    RE.subscribe(writer)

    (uid,) = RE(stack_plan(EnergyImageDevice(images, scan.energies_ev, dtype_numpy="<f4"), scan))
    writer.wait(uid, 120)

    stored = stored_images(broker, uid)
    np.testing.assert_array_equal(stored, images)
    assert stored.dtype == np.uint16
    assert list(tmp_path.iterdir()) == []  # no backup file any more


def test_the_scan_does_not_wait_for_the_catalogue(RE, broker, writer, held):
    may_write = held(RunStore)
    images, scan = stack_images(), image_scan()
    RE.subscribe(writer)

    (uid,) = RE(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))

    with pytest.raises(TimeoutError, match=f"run {uid[:8]} is not stored after 0 s"):
        writer.wait(uid, 0)
    may_write.set()
    writer.wait(uid, 120)
    np.testing.assert_array_equal(stored_images(broker, uid), images)


def small_limits(images):
    return Limits(waiting_bytes=2 * (4 * ITEM_BYTES + images[0].nbytes))


@pytest.mark.parametrize("stalled", ["__init__", "__call__"])
def test_a_run_that_waits_with_more_than_the_limit_is_given_up_and_the_next_one_is_stored(
    RE, broker, held, monkeypatch, reported, tmp_path, stalled
):
    may_write = held(BackupFile, stalled)
    images, scan = stack_images(), image_scan()
    device = EnergyImageDevice(images, scan.energies_ev)
    writer = RawWriter(
        broker,
        backup_folder=tmp_path,
        on_error=lambda *args: reported.append(args),
        limits=small_limits(images),
    )
    RE.subscribe(writer)
    writer.guard(RE)

    (lost,) = RE(stack_plan(device, scan))
    with pytest.raises(RuntimeError, match="some of its images were dropped"):
        RE(stack_plan(device, scan))  # told at once, while the disk is stalled
    may_write.set()
    with pytest.raises(
        RuntimeError, match="MiB wait to be stored; some of its images were dropped"
    ):
        writer.wait(lost, 120)
    writer.flush(120)
    assert {uid for uid, _ in reported} == {lost}
    with pytest.raises(RuntimeError, match=r"backup file .* ends early"):
        RE(stack_plan(device, scan))
    writer.acknowledge()
    monkeypatch.setattr(writer._worker, "limits", Limits())
    monkeypatch.setattr(writer._storing, "limits", Limits())
    (uid,) = RE(stack_plan(device, scan))
    writer.wait(uid, 120)
    writer.close(120)

    np.testing.assert_array_equal(stored_images(broker, uid), images)
    assert len(list(read_backup(tmp_path / f"{lost}.jsonl"))) < len(images) + 3


def test_a_catalogue_that_is_too_slow_leaves_a_whole_backup_that_is_stored_later(
    RE, broker, held, reported, tmp_path
):
    may_write = held(RunStore)
    images, scan = stack_images(), image_scan()
    writer = RawWriter(
        broker,
        backup_folder=tmp_path,
        on_error=lambda *args: reported.append(args),
        limits=small_limits(images),
    )
    writer._worker.limits = Limits()  # the backup file is not slow
    RE.subscribe(writer)

    (uid,) = RE(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))
    with pytest.raises(RuntimeError, match="too slow"):
        writer.wait(uid, 120)
    may_write.set()
    writer.flush(120)
    writer.retry()
    writer.preflight()
    writer.close(120)

    np.testing.assert_array_equal(stored_images(broker, uid), images)
    assert list(tmp_path.iterdir()) == []


def test_documents_are_left_as_they_are_for_others_and_stored_as_they_came(
    RE, broker, writer, held
):
    may_write = held(RunStore)
    images, scan = stack_images(), image_scan()
    before, after = [], []

    def mutate(name, doc):
        doc["data_keys"]["energy"]["source"] = "Stream"

    RE.subscribe(lambda name, doc: before.append((name, copy.deepcopy(doc))))
    RE.subscribe(writer)
    RE.subscribe(lambda name, doc: after.append((name, copy.deepcopy(doc))))
    RE.subscribe(mutate, "descriptor")
    RE.md["data"] = "of a battery"  # a start document may hold anything under the name data

    (uid,) = RE(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))
    may_write.set()
    writer.wait(uid, 120)

    for (name, old), (_, new) in zip(before, after, strict=True):
        if name != "event":  # the device itself writes into the events' array
            assert old == new
        assert set(old) == set(new)
    assert broker.v2[uid].start["data"] == "of a battery"
    (descriptor,) = [doc for name, doc in documents(broker.v2[uid]) if name == "descriptor"]
    assert descriptor["data_keys"]["energy"]["source"] == "test"


def a_run(metadata=None):
    """The start document, one descriptor, one event and the stop of a run."""
    run = compose_run(metadata=metadata)
    keys = {"counts": {"source": "t", "dtype": "array", "shape": [2]}}
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    event = stream.compose_event(data={"counts": np.ones(2)}, timestamps={"counts": 0.0})
    yield from (("start", run.start_doc), ("descriptor", stream.descriptor_doc), ("event", event))
    yield "stop", run.compose_stop()


def test_a_stop_that_names_no_run_ends_the_one_that_is_open(broker, writer, reported):
    (_, start), *others, (_, stop) = a_run()
    writer("start", start)
    for name, doc in others:
        writer(name, doc)
    writer("stop", {key: value for key, value in stop.items() if key != "run_start"})
    writer.wait(start["uid"], 60)
    assert broker.v2[start["uid"]].stop["run_start"] == start["uid"]
    assert "taken as the end" in str(reported[0][1])


def test_a_stop_that_may_end_several_runs_ends_none_and_is_reported(broker, writer, reported):
    one, other = list(a_run()), list(a_run())
    for name, doc in [*one[:-1], *other[:-1]]:
        writer(name, doc)
    writer("stop", {"uid": "s", "time": 0.0, "exit_status": "success"})
    for name, doc in (one[-1], other[-1]):
        writer(name, doc)
    writer.wait(one[0][1]["uid"], 60)
    writer.wait(other[0][1]["uid"], 60)
    assert "while 2 were open" in str(reported[0][1])
    writer.preflight()


def test_a_failed_write_lets_the_scan_finish_stops_the_next_run_and_is_stored_by_retry(
    RE, broker, writer, reported, broken_catalog, tmp_path
):
    images, scan = stack_images(), image_scan()
    device = EnergyImageDevice(images, scan.energies_ev)
    stops = []
    RE.subscribe(writer)
    RE.subscribe(lambda name, doc: stops.append(doc), "stop")
    writer.guard(RE)

    (uid,) = RE(stack_plan(device, scan))

    assert [stop["exit_status"] for stop in stops] == ["success"]
    with pytest.raises(RuntimeError, match="could not be stored: database or disk is full"):
        writer.wait(uid, 120)
    writer.flush(120)
    assert [(failed, type(error)) for failed, error in reported] == [(uid, DatabaseGoneError)]
    with pytest.raises(RuntimeError, match=rf"run {uid[:8]} could not be stored.*retry\(\)"):
        RE(stack_plan(device, scan))
    assert device.reads == len(images)  # the second run never began
    assert len(stops) == 1

    kept = list(read_backup(tmp_path / f"{uid}.jsonl"))
    assert [name for name, _ in kept] == ["start", "descriptor", *["event"] * 4, "stop"]

    broken_catalog.set()
    writer.retry()

    np.testing.assert_array_equal(stored_images(broker, uid), images)
    assert list(tmp_path.iterdir()) == []
    writer.wait(uid, 0)
    writer.preflight()


def test_scans_may_go_on_after_a_failure_is_acknowledged(RE, writer, broken_catalog, tmp_path):
    images, scan = stack_images(), image_scan()
    RE.subscribe(writer)
    writer.guard(RE)
    (failed,) = RE(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))
    writer.flush(120)
    broken_catalog.set()

    writer.acknowledge()
    (uid,) = RE(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))

    writer.wait(uid, 120)
    assert [path.stem for path in tmp_path.iterdir()] == [failed]


def test_the_guard_still_asks_the_validator_that_was_there(RE, writer):
    def refuse(md):
        raise ValueError("no sample named")

    RE.md_validator = refuse
    writer.guard(RE)
    scan = image_scan()

    with pytest.raises(ValueError, match="no sample named"):
        RE(stack_plan(EnergyImageDevice(stack_images(), scan.energies_ev), scan))


def test_a_backup_folder_that_cannot_be_written_is_told_and_the_run_is_stored(
    RE, broker, tmp_path, reported
):
    (tmp_path / "file").touch()
    images, scan = stack_images(), image_scan()
    writer = RawWriter(
        broker, backup_folder=tmp_path / "file", on_error=lambda *args: reported.append(args)
    )
    RE.subscribe(writer)

    (uid,) = RE(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))
    writer.wait(uid, 120)
    writer.close(120)

    np.testing.assert_array_equal(stored_images(broker, uid), images)
    assert [uid for uid, _ in reported] == [uid]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it asks Linux for names")
def test_all_files_of_a_run_are_on_the_disk_before_its_backup_is_removed(
    broker, writer, tmp_path, monkeypatch
):
    steps, fsync, unlink = [], os.fsync, Path.unlink

    def sync(descriptor):
        steps.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    def remove(path, **options):
        steps.extend(["removed"] * (path.parent == tmp_path))
        unlink(path, **options)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "unlink", remove)
    run = list(line_documents(stack_images(3, 4, 5), image_scan(3, 4, 5)))
    for name, doc in run:
        writer(name, doc)
    uid = run[0][1]["uid"]
    writer.wait(uid, 120)
    synced = steps[: steps.index("removed")]
    data = catalog_folder(broker) / "data"
    assert {data, data / uid, *(data / uid).rglob("*")} <= set(synced)
    assert {tmp_path, tmp_path / f"{uid}.jsonl"} <= set(synced)


def test_two_runs_whose_documents_interleave_are_stored_each_for_itself(broker, writer):
    scan = image_scan(2, 3, 5)
    stacks = [stack_images(2, 3, 5, seed=seed) for seed in (1, 2)]
    runs = [list(line_documents(images, scan)) for images in stacks]

    for pair in itertools.chain(*zip(*runs, strict=True)):
        writer(*pair)

    for images, run in zip(stacks, runs, strict=True):
        uid = run[0][1]["uid"]
        writer.wait(uid, 120)
        np.testing.assert_array_equal(stored_images(broker, uid), images.reshape(-1, 5))


def test_lines_are_written_an_image_at_a_time(broker, writer, monkeypatch):
    from stxm_live.io.catalog import run_store

    sizes = []
    make = run_store._tiled_writer
    monkeypatch.setattr(
        run_store, "_tiled_writer", lambda client, n: sizes.append(n) or make(client, n)
    )
    images, scan = stack_images(3, 6, 4), image_scan(3, 6, 4)
    n_lines = 7  # of 18: an image and a line

    uid = ""
    for name, doc in line_documents(images, scan, lines=range(n_lines)):
        uid = uid or doc["uid"]
        writer(name, doc)
    writer.wait(uid, 120)

    assert sizes == [6]
    np.testing.assert_array_equal(stored_images(broker, uid), images.reshape(-1, 4)[:n_lines])


def test_an_image_of_another_shape_or_dtype_leaves_the_others_as_they_are(broker, writer):
    from event_model import compose_run

    images = [
        np.full((3, 5), 1, np.float32),
        np.full((5, 3), 2, np.float32),
        np.full((3, 5), 1e9 + 0.5, np.float64),
        np.full((3, 5), 4, np.float32),
        np.full(15, 5, np.float32),
    ]
    run = compose_run(metadata=image_scan(5, 3, 5).metadata())
    key = {"source": "test", "dtype": "array", "shape": [3, 5], "dtype_numpy": "<f4"}
    stream = run.compose_descriptor(name="primary", data_keys={"counts": key})
    writer("start", run.start_doc)
    writer("descriptor", stream.descriptor_doc)
    for image in images:
        writer("event", stream.compose_event(data={"counts": image}, timestamps={"counts": 1.0}))
    writer("stop", run.compose_stop())
    writer.wait(run.start_doc["uid"], 120)

    stored = [doc for name, doc in documents(broker.v2[run.start_doc["uid"]]) if name == "event"]
    by_number = {event["seq_num"]: event["data"]["counts"] for event in stored}
    for number, image in enumerate(images, start=1):
        np.testing.assert_array_equal(by_number[number], image, strict=True)
    assert set(broker.v2[run.start_doc["uid"]]) == {
        "primary",
        "primary_2",
        "primary_3",
        "primary_4",
    }


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
    writer.wait(uid, 120)

    np.testing.assert_array_equal(stored_images(broker, uid), images.reshape(-1, 5))


def test_a_run_that_is_no_stack_is_stored_too(RE, broker, writer):
    import bluesky.plans as bp
    from ophyd.sim import det

    RE.subscribe(writer)

    (uid,) = RE(bp.count([det], 3))
    writer.wait(uid, 120)

    assert [name for name, _ in documents(broker.v2[uid])].count("event") == 3


def test_a_run_without_any_event_is_stored_too(RE, broker, writer):
    import bluesky.plan_stubs as bps
    import bluesky.preprocessors as bpp

    RE.subscribe(writer)

    (uid,) = RE(bpp.run_wrapper(bps.null(), md=image_scan().metadata()))
    writer.wait(uid, 120)

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
    writer.close(120)
    writer.close(120)

    writer("start", {"uid": "late"})

    with pytest.raises(RuntimeError, match="the raw writer is closed"):
        writer.preflight()


def test_waiting_for_a_run_that_never_ended_does_not_hang_on_a_closed_writer(broker, tmp_path):
    writer = RawWriter(broker, backup_folder=tmp_path)
    run = list(line_documents(stack_images(2, 3, 5), image_scan(2, 3, 5), exit_status=None))
    uid = run[0][1]["uid"]
    for pair in run:
        writer(*pair)
    writer.close(120)

    with pytest.raises(RuntimeError, match=f"run {uid[:8]} was not over when"):
        writer.wait(uid)
    writer.flush()
    assert len(list(read_backup(tmp_path / f"{uid}.jsonl"))) == len(run)


def test_runs_left_behind_by_an_earlier_session_are_named(broker, tmp_path, caplog):
    (tmp_path / "left.jsonl").touch()

    writer = RawWriter(broker, backup_folder=tmp_path)
    writer.close(120)

    assert writer.leftovers == [tmp_path / "left.jsonl"]
    assert "restore_run" in caplog.text


def test_an_error_callback_that_raises_does_not_keep_later_runs_from_being_stored(
    broker, tmp_path, broken_catalog
):
    def raising(uid, error):
        raise ValueError("no such window")

    writer = RawWriter(broker, backup_folder=tmp_path, on_error=raising)
    scan = image_scan(2, 3, 5)
    uids = []
    for seed in range(2):
        images = stack_images(2, 3, 5, seed=seed)
        run = list(line_documents(images, scan))
        uids.append(run[0][1]["uid"])
        for pair in run:
            writer(*pair)
        writer.flush(120)
        broken_catalog.set()
    writer.wait(uids[1], 120)
    writer.close(120)

    np.testing.assert_array_equal(stored_images(broker, uids[1]), images.reshape(-1, 5))


def test_a_catalogue_on_a_server_needs_a_folder_for_backups():
    with pytest.raises(ValueError, match="needs backup_folder="):
        RawWriter(object())


def test_a_hostile_uid_does_not_lead_the_backup_out_of_its_folder(tmp_path):
    from stxm_live.io.catalog.backup import BackupFile, backup_name

    for uid in (
        "../../escaped",
        "/etc/escaped",
        "a/b",
        "..",
        "",
        ".hidden",
        "x" * 300,
        "\x00",
        "ö",
    ):
        path = tmp_path / "backup" / backup_name(uid)
        assert path.parent == tmp_path / "backup"
        backup = BackupFile(path)
        backup("start", {"uid": uid})
        backup.close()
        assert path.resolve().parent == (tmp_path / "backup").resolve()
    assert len(list(tmp_path.rglob("*.jsonl"))) == 9
    assert backup_name("3f2a91bb-77d0-4c6e") == "3f2a91bb-77d0-4c6e.jsonl"


def test_a_run_that_the_catalogue_does_not_give_back_stays_in_its_backup(
    RE, broker, writer, reported, monkeypatch, tmp_path
):
    from stxm_live.io.catalog import restore

    images, scan = stack_images(), image_scan()
    RE.subscribe(writer)
    digests = restore.stored_digests
    with monkeypatch.context() as patch:
        patch.setattr(restore, "stored_digests", lambda run: dict.fromkeys(digests(run), 0))
        (uid,) = RE(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))
        with pytest.raises(RuntimeError, match="does not give back 4 of 4 events"):
            writer.wait(uid, 120)
    writer.flush(120)
    assert len(list(read_backup(tmp_path / f"{uid}.jsonl"))) == len(images) + 3
    assert [of for of, _ in reported] == [uid]
    writer.retry()
    assert list(tmp_path.iterdir()) == []


def test_two_writers_in_a_session_store_a_run_once_and_refuse_none(RE, broker, writer, tmp_path):
    images, scan = stack_images(), image_scan()
    second = RawWriter(broker, backup_folder=tmp_path)
    RE.subscribe(writer)
    RE.subscribe(second)
    second.guard(RE)

    (uid,) = RE(stack_plan(EnergyImageDevice(images, scan.energies_ev), scan))
    writer.wait(uid, 120)
    second.wait(uid, 120)
    second.preflight()
    np.testing.assert_array_equal(stored_images(broker, uid), images)
    second.close(120)
    assert list(tmp_path.iterdir()) == []


def test_a_shorter_stream_never_replaces_a_stored_run(broker, writer, tmp_path):
    images, scan = stack_images(2, 3, 5), image_scan(2, 3, 5)
    run = list(line_documents(images, scan))
    uid = run[0][1]["uid"]
    store_documents(broker, run)
    for pair in [*run[:4], run[-1]]:
        writer(*pair)
    writer.wait(uid, 120)  # all of it is stored

    path = tmp_path / "shorter.jsonl"
    backup = BackupFile(path)
    for name, doc in run[:4]:
        changed = {**doc, "data": {**doc["data"], "energy": 1.0}} if name == "event" else doc
        backup(name, changed)
    backup.close()
    with pytest.raises(ValueError, match="events in the catalogue that are not in the backup"):
        restore_run(broker, path)

    np.testing.assert_array_equal(stored_images(broker, uid), images.reshape(-1, 5))
    assert list(tmp_path.iterdir()) == [path]


def test_arrays_that_the_catalogue_would_change_are_refused_by_name(broker, writer, tmp_path):
    images, scan = stack_images(2, 3, 5), image_scan(2, 3, 5)
    run = list(line_documents(images, scan))
    uid = run[0][1]["uid"]
    masked = np.ma.masked_array(run[2][1]["data"]["counts"], mask=[1, 0, 0, 0, 0])
    run[2][1]["data"]["counts"] = masked
    for pair in run:
        writer(*pair)
    with pytest.raises(RuntimeError, match="'counts' is a masked array"):
        writer.wait(uid, 120)
    writer.flush(120)
    kept = list(read_backup(tmp_path / f"{uid}.jsonl"))[2][1]["data"]["counts"]
    np.testing.assert_array_equal(kept.mask, masked.mask)


@pytest.mark.parametrize("descriptor", ["of-no-stream", None, 5])
def test_an_event_of_an_unknown_stream_is_reported_and_in_the_backup(writer, descriptor):
    run = list(line_documents(stack_images(2, 3, 5), image_scan(2, 3, 5)))
    uid = run[0][1]["uid"]
    run[4][1]["descriptor"] = descriptor
    for pair in run:
        writer(*pair)
    with pytest.raises(RuntimeError, match="not sent yet"):
        writer.wait(uid, 120)
    writer.flush(120)
    kept = list(read_backup(writer.backup_folder / f"{uid}.jsonl"))
    assert [name for name, _ in kept] == [name for name, _ in run]
    writer.acknowledge()


def test_arrays_that_a_killed_program_left_unlisted_are_replaced(broker, tmp_path):
    images, scan = stack_images(2, 3, 5), image_scan(2, 3, 5)
    backup = BackupFile(tmp_path / "run.jsonl")
    run = list(line_documents(images, scan))
    for pair in run:
        backup(*pair)
    backup.close()
    uid = store_documents(broker, run)
    arrays = catalog_folder(broker) / "data" / uid
    shutil.copytree(arrays, tmp_path / "kept")
    delete_run(broker, uid)
    shutil.copytree(tmp_path / "kept", arrays)

    restore_run(broker, backup.path)

    np.testing.assert_array_equal(stored_images(broker, uid), images.reshape(-1, 5))


def test_whole_numbers_and_floats_in_one_key_are_stored(broker, writer):
    motors = {"source": "test", "dtype": "integer", "shape": [], "object_name": "energy"}
    run = compose_run(metadata={"motors": ["energy"]})
    stream = run.compose_descriptor(
        name="primary", data_keys={"energy": motors, "n": motors | {"object_name": "det"}}
    )
    writer("start", run.start_doc)
    writer("descriptor", stream.descriptor_doc)
    measured = [(505, 1), (513.2, 2), (515.6, 2.5), (516, 3)]
    for energy, n in measured:
        data = {"energy": energy, "n": n}
        writer("event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, 1.0)))
    writer("stop", run.compose_stop())
    uid = run.start_doc["uid"]
    writer.wait(uid, 60)
    stored = [doc["data"] for name, doc in documents(broker[uid]) if name == "event"]
    assert sorted((data["energy"], data["n"]) for data in stored) == measured
