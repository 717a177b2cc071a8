"""Faults in the raw writer's files and threads, with a catalogue that is only a list."""

import errno
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from catalog_fixtures import image_scan, line_documents, stack_images

from stxm_live.core.worker import Limits
from stxm_live.io.catalog import RawWriter, backup, raw_writer, read_backup, restore_run
from stxm_live.io.catalog.backup import BackupFile, is_being_written, second_folder


@pytest.fixture
def stored(monkeypatch):
    """Documents by run, as they came to the catalogue."""
    runs = {}

    class ListStore:
        def __init__(self, broker):
            self.uid, self.sent = "", {}

        def __call__(self, name, doc):
            self.uid = self.uid or doc["uid"]
            runs.setdefault(self.uid, []).append((name, doc))

    monkeypatch.setattr(raw_writer, "RunStore", ListStore)
    monkeypatch.setattr(raw_writer, "require_stored", lambda broker, uid, sent: None)
    return runs


@pytest.fixture
def told():
    return []


@pytest.fixture
def writer(stored, tmp_path, told):
    made = RawWriter(object(), backup_folder=tmp_path, on_error=lambda *args: told.append(args))
    yield made
    made.close(120)


def a_run():
    return list(line_documents(stack_images(2, 3, 5), image_scan(2, 3, 5)))


def send(writer, documents):
    for pair in documents:
        writer(*pair)
    return documents[0][1]["uid"]


def is_whole(writer, stored, uid, documents):
    writer.wait(uid, 120)
    return [name for name, _ in stored[uid]] == [name for name, _ in documents]


FAULTS = {
    "disk full": OSError(errno.ENOSPC, "No space left on device"),
    "memory": MemoryError(),
    "exit": SystemExit(1),
    "recursion": RecursionError(),
}
PLACES = {
    "write": (BackupFile, "__call__"),
    "sync": (BackupFile, "sync"),
    "close": (BackupFile, "close"),
    "delete": (BackupFile, "delete"),
    "name": (raw_writer, "backup_name"),
    "store": (raw_writer, "require_stored"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", PLACES)
def test_a_fault_of_the_writer_is_told_and_the_next_run_is_stored(
    writer, stored, told, monkeypatch, caplog, place, fault
):
    call = getattr(*PLACES[place])

    def fail(*arguments):
        if place in ("close", "delete"):  # no file stays open
            call(*arguments)
        raise FAULTS[fault]

    with monkeypatch.context() as patch:
        patch.setattr(*PLACES[place], fail)
        uid = send(writer, a_run())
        writer.flush(120)
    if place != "close":  # the file of a stored run is closed in delete, too
        assert [of for of, _ in told] == [uid]
    writer.acknowledge()
    documents = a_run()
    assert is_whole(writer, stored, send(writer, documents), documents)


def test_a_run_that_failed_keeps_no_image_in_memory(writer, told, stored, monkeypatch):
    class BrokenStore(raw_writer.RunStore):
        def __call__(self, name, doc):
            if name == "event":
                try:
                    doc["data"]["absent"]
                except KeyError as error:
                    raise OSError(errno.ENOSPC, "No space left on device") from error
            super().__call__(name, doc)

    monkeypatch.setattr(raw_writer, "RunStore", BrokenStore)
    send(writer, a_run())
    writer.flush(120)
    ((_, error),) = told
    assert error.__traceback__ is error.__cause__.__traceback__ is None


def test_a_backup_that_cannot_be_removed_is_told_until_it_is_gone(
    writer, told, monkeypatch, tmp_path, caplog
):
    def refused(self, **_):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        uid = send(writer, a_run())
        writer.wait(uid, 120)
        writer.flush(120)
    with pytest.raises(RuntimeError, match=r"is stored, but its backup file cannot be removed"):
        writer.preflight()
    (tmp_path / f"{uid}.jsonl").unlink()
    writer.retry()
    writer.preflight()


def test_a_value_without_a_copy_is_told_and_the_rest_is_in_the_backup(
    writer, told, tmp_path, caplog
):
    documents = a_run()
    documents[1][1]["configuration"] = {"det": {"data": {"lock": threading.Lock(), "gain": 3}}}
    uid = send(writer, documents)
    writer.flush(120)
    with pytest.raises(RuntimeError, match=r"kept without 'lock' \(a lock cannot be copied\)"):
        writer.preflight()
    kept = list(read_backup(tmp_path / f"{uid}.jsonl"))
    assert len(kept) == len(documents)
    assert kept[1][1]["configuration"]["det"]["data"] == {"lock": None, "gain": 3}


def test_a_stalled_disk_is_told_while_it_stalls_and_refuses_the_next_run(
    writer, stored, told, monkeypatch, caplog
):
    may_write, reported = threading.Event(), threading.Event()
    write = BackupFile.__call__
    monkeypatch.setattr(
        BackupFile, "__call__", lambda *args: may_write.wait(60) and write(*args) and None
    )
    monkeypatch.setattr(raw_writer, "STALLED_S", 0.0)
    writer._failures._on_error = lambda uid, error: reported.set()
    documents = a_run()
    uid = send(writer, documents)
    assert reported.wait(120)
    with pytest.raises(
        RuntimeError, match=r"wait to be written to backup files in .*, and nothing"
    ):
        writer.preflight()
    may_write.set()
    assert is_whole(writer, stored, uid, documents)
    writer.flush(120)
    writer.preflight()


def test_memory_on_a_stalled_disk_is_bounded(stored, tmp_path, monkeypatch, caplog):
    may_write = threading.Event()
    monkeypatch.setattr(BackupFile, "__call__", lambda *args: may_write.wait(60) and None)
    limits = Limits(waiting_bytes=2**17)
    writer = RawWriter(object(), backup_folder=tmp_path, limits=limits)
    send(writer, list(line_documents(stack_images(13, 20, 5), image_scan(13, 20, 5))))
    assert writer._worker.waiting_bytes < limits.waiting_bytes
    may_write.set()
    writer.close(120)


def test_a_run_that_is_only_read_back_counts_as_stored(writer, monkeypatch):
    begun, may_go_on = threading.Event(), threading.Event()

    def require_stored(broker, uid, sent):
        begun.set()
        assert may_go_on.wait(60)

    monkeypatch.setattr(raw_writer, "require_stored", require_stored)
    docs = list(line_documents(stack_images(), image_scan()))
    for name, doc in docs:
        writer(name, doc)
    assert begun.wait(60)
    assert writer.is_stored
    writer(*docs[0])
    assert not writer.is_stored
    may_go_on.set()
    writer.wait(docs[0][1]["uid"], 60)


def test_a_start_that_comes_twice_takes_nothing_from_the_backup(writer, stored, caplog):
    documents = a_run()
    send(writer, documents[:4])
    uid = send(writer, documents[:1])
    send(writer, documents[4:])
    assert is_whole(writer, stored, uid, documents)


def test_an_older_backup_is_never_written_over(writer, told, tmp_path, monkeypatch, caplog):
    documents = a_run()
    uid = documents[0][1]["uid"]
    (tmp_path / f"{uid}.jsonl").write_text("of somebody else")
    monkeypatch.setattr(raw_writer, "require_stored", lambda *_: 1 / 0)
    send(writer, documents)
    writer.flush(120)
    with pytest.raises(RuntimeError, match=rf"{uid}\.2\.jsonl"):
        writer.preflight()
    assert (tmp_path / f"{uid}.jsonl").read_text() == "of somebody else"
    assert len(list(read_backup(tmp_path / f"{uid}.2.jsonl"))) == len(documents)


def test_a_backup_that_is_being_written_is_no_leftover_and_is_not_restored(writer, tmp_path):
    uid = send(writer, a_run()[:-1])
    writer.flush(120)
    path = tmp_path / f"{uid}.jsonl"
    assert is_being_written(path)
    other = RawWriter(object(), backup_folder=tmp_path)
    assert other.leftovers == []
    other.close(120)
    with pytest.raises(RuntimeError, match="a session is still writing this file"):
        restore_run(object(), path)


CHILD = """
import os, signal, sys
sys.path[:0] = sys.argv[3:]
from test_raw_writer_faults import RawWriter, a_run, send
writer = RawWriter(object(), backup_folder=sys.argv[1])
documents = a_run()
send(writer, documents[: len(documents) - 2])
if sys.argv[2] == "kill":
    writer._worker.submit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    signal.pause()
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", ["kill", "exit"])
def test_a_program_that_ends_in_a_run_leaves_a_whole_backup(tmp_path, end):
    subprocess.run([sys.executable, "-c", CHILD, tmp_path, end, *sys.path], check=False)
    (path,) = tmp_path.iterdir()
    assert not is_being_written(path)
    expected = a_run()[:-2]
    kept = list(read_backup(path))
    assert [name for name, _ in kept] == [name for name, _ in expected]
    for (_, doc), (_, wanted) in zip(kept[2:], expected[2:], strict=True):
        np.testing.assert_array_equal(doc["data"]["counts"], wanted["data"]["counts"])


def test_the_catalogue_stays_open_for_a_writer_that_is_behind_until_nothing_moves(
    stored, tmp_path, monkeypatch
):
    begun, go_on = threading.Event(), threading.Event()
    write = BackupFile.__call__

    def held(self, name, doc):
        begun.set()
        go_on.wait(60)
        write(self, name, doc)

    monkeypatch.setattr(BackupFile, "__call__", held)
    writer = RawWriter(object(), backup_folder=tmp_path, limits=Limits(waiting_bytes=2**18))
    documents = a_run()
    send(writer, documents)
    for _ in range(40):  # more than half of what may wait
        writer("event", documents[2][1])
    assert begun.wait(60)
    with pytest.raises(RuntimeError, match="more than half"):
        writer.preflight()
    assert not writer._is_done()
    monkeypatch.setattr(raw_writer, "STALLED_S", -1.0)
    assert writer._is_done()
    go_on.set()
    writer.close(60)


@pytest.fixture
def second(tmp_path, monkeypatch):
    """The second folder of a backup folder that is a file."""
    monkeypatch.setattr(backup, "SPARE_BYTES", 0)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "file").touch()
    return second_folder(tmp_path / "file")


def test_a_run_is_kept_in_the_second_folder_where_the_first_cannot_be_written(
    stored, told, second, tmp_path, monkeypatch, caplog
):
    def fail(broker, uid, sent):
        raise OSError("no catalogue")

    monkeypatch.setattr(raw_writer, "require_stored", fail)
    writer = RawWriter(None, backup_folder=tmp_path / "file", on_error=lambda *a: told.append(a))
    documents = a_run()
    uid = send(writer, documents)
    writer.flush(120)

    (kept,) = second.iterdir()
    assert [name for name, _ in read_backup(kept)] == [name for name, _ in documents]
    assert [of for of, _ in told] == [uid, uid]
    assert f"is now kept in {kept}" in caplog.text
    with pytest.raises(RuntimeError, match=rf"no catalogue.*kept in {kept}.*retry"):
        writer.preflight()
    writer.close(120)
    assert RawWriter(None, backup_folder=tmp_path / "file").leftovers == [kept]


def test_a_stored_run_leaves_nothing_in_the_second_folder(stored, second, tmp_path, caplog):
    writer = RawWriter(None, backup_folder=tmp_path / "file")
    documents = a_run()

    assert is_whole(writer, stored, send(writer, documents), documents)
    assert list(second.iterdir()) == []
    writer.close(120)


@pytest.mark.parametrize("has_room", [True, False])
def test_a_backup_goes_on_in_the_second_folder_with_all_that_it_has(
    second, tmp_path, monkeypatch, has_room
):
    documents = a_run()
    n_before = len(documents) - 2
    file = BackupFile(tmp_path / "a" / "run.jsonl", second)
    for pair in documents[:n_before]:
        assert file(*pair) is None
    append = BackupFile._append

    def has_no_room(self, name, doc):
        if self.path.parent != second:
            self._file.write(b"half a line")
            raise FAULTS["disk full"]
        append(self, name, doc)

    monkeypatch.setattr(BackupFile, "_append", has_no_room)
    if not has_room:
        monkeypatch.setattr(backup, "SPARE_BYTES", 2**62)
        with pytest.raises(OSError, match="No space left"):
            file(*documents[n_before])
        file.close()
        assert (file.path, *second.iterdir()) == (tmp_path / "a" / "run.jsonl",)
        return
    assert file(*documents[n_before]) is FAULTS["disk full"]
    for pair in documents[n_before + 1 :]:
        file(*pair)
    file.close()

    assert file.path == second / "run.jsonl"
    assert list((tmp_path / "a").iterdir()) == []
    kept = list(read_backup(file.path))
    assert [name for name, _ in kept] == [name for name, _ in documents]
    for (_, doc), (_, sent) in zip(kept, documents, strict=True):
        np.testing.assert_equal(doc, sent)


def test_a_backup_that_fails_after_the_catalogue_does_not_count_as_whole(
    writer, stored, monkeypatch, caplog
):
    append = BackupFile.__call__

    def no_store(broker):
        raise FAULTS["disk full"]

    def no_more(self, name, doc):
        if name == "stop":
            raise FAULTS["disk full"]
        append(self, name, doc)

    monkeypatch.setattr(raw_writer, "RunStore", no_store)
    monkeypatch.setattr(BackupFile, "__call__", no_more)
    *documents, stop = a_run()
    send(writer, documents)
    writer.flush(120)  # the catalogue has failed by now
    writer(*stop)
    writer.flush(120)
    with pytest.raises(RuntimeError, match=r"its backup file .* ends early"):
        writer.retry()
