"""Check, repair and export of a catalogue in a folder, whose faults are made by hand."""

import json
import os
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from catalog_fixtures import image_scan, line_documents, stack_images

from stxm_live.io.catalog import close_catalog, open_catalog, store_documents
from stxm_live.io.catalog.backup import BackupFile
from stxm_live.io.catalog.document_files import runs_in_file
from stxm_live.io.catalog.reading import documents
from stxm_live.io.catalog.upkeep import check, repair
from stxm_live.io.files import read_stack
from stxm_live.live.replay import stack_of_run


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A closed catalogue of two runs, one without an end, and their uids."""
    folder = tmp_path_factory.mktemp("upkeep") / "runs"
    broker = open_catalog(folder)
    whole = store_documents(broker, line_documents(stack_images(), image_scan()))
    cut_off = line_documents(stack_images(), image_scan(), exit_status="")
    other = store_documents(broker, [*cut_off])
    close_catalog(broker)
    return folder, whole, other


def kinds(folder):
    return sorted(finding.kind for finding in check(folder))


@pytest.fixture
def folder(original, tmp_path):
    """A copy at another place."""
    return shutil.copytree(original[0], tmp_path / "copy")


def test_a_catalogue_without_faults_has_a_run_without_an_end(original, run):
    folder, whole, other = original

    [finding] = check(folder)
    code, text = run("catalog", "check", "--catalog", folder)

    assert (finding.kind, finding.what) == ("no end", f"run {other[:8]} has no end")
    assert code == 1
    assert other[:8] in text
    assert whole[:8] not in text


def test_a_moved_folder_is_told_and_repair_gives_its_addresses(original, folder):
    assert kinds(folder) == ["moved", "no end"]

    done, left = repair(folder)

    assert any("moved" in line for line in done)
    assert [finding.kind for finding in left] == ["no end"]
    assert kinds(original[0]) == ["no end"]


def test_images_that_were_left_behind_are_told_after_the_repair(original, folder, run):
    shutil.rmtree(folder / "data" / original[1])

    code, text = run("catalog", "repair", "--catalog", folder)

    assert code == 1
    assert [f.kind for f in check(folder)] == ["images", "no end"]
    assert "is not in this folder" in check(folder)[0].what
    assert "--root" in text


def test_images_that_are_gone_or_empty_are_told(original, folder):
    repair(folder)
    arrays = sorted((folder / "data" / original[1]).rglob("zarr.json"))
    pieces = [p for p in (arrays[0].parent / "c").rglob("*") if p.is_file()]
    pieces[0].write_bytes(b"")
    assert [f.what for f in check(folder) if f.kind == "images" and "empty" in f.what]

    shutil.rmtree(arrays[0].parent / "c")
    assert [f.what for f in check(folder) if f.kind == "images" and "no files" in f.what]


def test_whole_backup_files_are_stored_and_cut_off_ones_are_left_alone(folder):
    runs = [[*line_documents(stack_images(seed=k), image_scan())] for k in (7, 8)]
    runs[1].pop()
    for documents_of_run in runs:
        backup = BackupFile(folder / "backup" / f"{documents_of_run[0][1]['uid']}.jsonl")
        for name, document in documents_of_run:
            backup(name, document)
        backup.close()
    (folder / "backup" / "damaged.jsonl").write_text("{\n{\n")
    (folder / "data" / "nobody").mkdir()

    done, left = repair(folder)

    assert [line for line in done if line.startswith(f"run {runs[0][0][1]['uid'][:8]} was stored")]
    assert sorted(f.kind for f in left) == ["backup", "backup", "left over", "no end"]
    assert (folder / "backup" / f"{runs[1][0][1]['uid']}.jsonl").exists()
    assert (folder / "data" / "nobody").is_dir()


def test_a_damaged_database_is_told_and_nothing_is_touched(folder, run):
    (folder / "catalog.db").write_bytes(b"SQLite format 3\0" + bytes(5000))

    def content():
        files = (p for p in folder.rglob("*") if p.is_file())
        return {p: p.read_bytes() for p in files if not p.name.endswith(("-shm", "-wal"))}

    before = content()

    code, text = run("catalog", "repair", "--catalog", folder)

    assert code == 1
    assert "catalog.db" in text
    assert content() == before


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("UPDATE nodes SET metadata = '{' WHERE parent = 0", "are no JSON"),
        ("DROP TABLE nodes", "no such table"),
    ],
)
def test_a_database_that_sqlite_reads_and_tiled_does_not_is_an_error_in_one_line(
    folder, run, spoil, says
):
    with closing(sqlite3.connect(folder / "catalog.db")) as database:
        database.execute(spoil)
        database.commit()
    for command in (["catalog", "check"], ["replay", "-1", "--no-store"], ["runs"]):
        code, text = run(*command, "--catalog", folder)
        assert code == 1
        assert "put back a copy of catalog.db" in text
    assert says in check(folder)[0].what


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x", f"file:///data/{'x' * 9999}"])
def test_one_array_at_an_odd_address_does_not_close_the_catalogue(original, folder, address):
    _, whole, other = original
    with closing(sqlite3.connect(folder / "catalog.db")) as database, database:
        database.execute(
            "UPDATE assets SET data_uri = ? WHERE data_uri LIKE ?", [address, f"%/{other}/%"]
        )
    broker = open_catalog(folder)
    assert len([*documents(broker[whole])]) > 3
    close_catalog(broker)
    assert kinds(folder).count("database") == 0


def test_a_pipe_in_place_of_the_version_is_an_error_and_not_waited_for(folder):
    (folder / "stxm_live.json").unlink()
    os.mkfifo(folder / "stxm_live.json")
    with pytest.raises(OSError, match="not a regular file"):
        open_catalog(folder)
    assert "version" in kinds(folder)


def test_odd_backup_files_are_each_named_and_not_waited_for(folder):
    backup = folder / "backup"
    backup.mkdir(exist_ok=True)
    os.mkfifo(backup / "pipe.jsonl")
    (backup / "folder.jsonl").mkdir()
    (backup / "device.jsonl").symlink_to("/dev/zero")
    (backup / "version.jsonl").write_text('{"stxm_live_backup": [9]}\n')
    (backup / "deep.jsonl").write_text("[" * 10**5 + "\n")
    (backup / "number.jsonl").write_text("3\n")
    named = [finding.what for finding in check(folder) if finding.kind == "backup"]
    assert len([what for what in named if "is damaged" in what]) == 6


def test_runs_are_written_as_files_that_are_opened_again(original, run, tmp_path):
    folder, whole, other = original

    code, text = run("catalog", "export", "--all", "--catalog", folder, "--out", "out")
    assert code == 0, text
    broker = open_catalog(folder)
    stored = [*documents(broker[whole])]
    close_catalog(broker)
    [read] = runs_in_file(tmp_path / "out" / f"{whole}.jsonl")

    assert sorted(p.stem for p in (tmp_path / "out").iterdir()) == sorted([whole, other])
    assert [name for name, _ in read] == [name for name, _ in stored]
    np.testing.assert_array_equal(stack_of_run(read).intensity(), stack_images())

    run("catalog", "export", whole, "--catalog", folder, "--out", "nx", "--format", "nxstxm")
    stack = read_stack(tmp_path / "nx" / f"{whole}.hdf5")
    np.testing.assert_array_equal(stack.intensity(), stack_images())


def test_a_run_that_cannot_be_read_is_named_as_that_and_the_others_are_written(
    original, folder, run, tmp_path
):
    _, whole, other = original
    for piece in (folder / "data" / whole).rglob("*"):
        if piece.is_file():
            piece.unlink()
    code, text = run("catalog", "export", "--all", "--catalog", folder, "--out", "out")
    assert code == 1
    assert f"{whole}: not written" in text
    assert "choose another folder" not in text
    assert [p.stem for p in (tmp_path / "out").iterdir()] == [other]


def test_a_catalogue_of_before_versions_is_opened_and_gets_one(original, folder):
    """As 0.1.0 wrote it before there was a file of the version; the tables are the same."""
    note = folder / "stxm_live.json"
    note.unlink()
    assert "version" in kinds(folder)

    broker = open_catalog(folder)
    images = stack_of_run(broker[original[1]]).intensity()
    close_catalog(broker)

    assert json.loads(note.read_text())["version"] == 1
    np.testing.assert_array_equal(images, stack_images())


def test_a_catalogue_of_a_later_version_is_not_opened(folder):
    (folder / "stxm_live.json").write_text('{"version": 99}')

    with pytest.raises(OSError, match="version 99"):
        open_catalog(folder)
    with closing(sqlite3.connect(folder / "catalog.db")) as database:
        assert database.execute(
            "SELECT count(*) FROM assets WHERE data_uri LIKE '%copy%'"
        ).fetchone() == (0,)
