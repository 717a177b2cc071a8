"""A catalogue that was copied, moved or mounted for reading, and odd runs in it."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from catalog_fixtures import image_scan, line_documents, listed_by_tiled, stack_images
from typer.testing import CliRunner

from stxm_live.cli import app
from stxm_live.cli.output import console
from stxm_live.dashboard.history import CatalogHistory
from stxm_live.io.catalog import (
    close_catalog,
    delete_run,
    list_runs,
    open_catalog,
    store_documents,
)
from stxm_live.io.catalog.reading import documents


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A closed catalogue of two runs, and their uids."""
    folder = tmp_path_factory.mktemp("data") / "data" / "runs"  # the name of Tiled's own folder
    with opened(folder) as broker:
        uids = [store_documents(broker, a_run()) for _ in range(2)]
    return folder, uids


@contextlib.contextmanager
def opened(folder):
    broker = open_catalog(folder)
    yield broker
    close_catalog(broker)


def a_run():
    return line_documents(stack_images(), image_scan())


def counts_of(broker, uid):
    events = [doc for name, doc in documents(broker[uid]) if name == "event"]
    return np.array([doc["data"]["counts"] for doc in events]).reshape(stack_images().shape)


def arrays_in(folder):
    return sorted(p.relative_to(folder) for p in (folder / "data").rglob("*") if p.is_file())


def test_a_run_without_the_files_of_its_images_is_an_error_that_names_them(original, tmp_path):
    folder, (uid, _) = original
    shutil.copytree(folder, tmp_path / "runs")
    with opened(tmp_path / "runs") as broker:
        file = next((tmp_path / "runs" / "data" / uid / "primary" / "counts" / "c").rglob("0"))
        shutil.rmtree(tmp_path / "runs" / "data" / uid / "primary" / "counts" / "c")
        with pytest.raises(
            OSError, match=rf"array 'counts' .*no file .*{uid}.*counts/c/0"
        ) as error:
            counts_of(broker, uid)
        shutil.rmtree(tmp_path / "runs" / "data" / uid)
        with pytest.raises(OSError, match=rf"there is nothing in .*{uid}/primary/counts"):
            counts_of(broker, uid)
    assert str(file)[:40] in str(error.value)


def test_a_run_whose_table_lost_its_events_is_an_error_and_not_a_scan_without_images(
    original, tmp_path
):
    folder, (uid, _) = original
    shutil.copytree(folder, tmp_path / "runs")
    with closing(sqlite3.connect(tmp_path / "runs" / "tables.db")) as tables, tables:
        ((name,),) = tables.execute("SELECT name FROM sqlite_master WHERE name LIKE 'table_%'")
        tables.execute(f'DELETE FROM "{name}"')
    none = pytest.raises(OSError, match=r"ended with \d+ events, and the catalogue gives none")
    with opened(tmp_path / "runs") as broker, none:
        counts_of(broker, uid)


@pytest.mark.slow
def test_a_copy_is_read_written_and_emptied_and_the_original_stays(original, tmp_path):
    folder, (uid, other) = original
    before = arrays_in(folder)
    copy = shutil.copytree(folder, tmp_path / "taken home")
    with opened(copy) as broker:
        np.testing.assert_array_equal(counts_of(broker, uid), stack_images())
        delete_run(broker, uid)
        new = store_documents(broker, a_run())
        np.testing.assert_array_equal(counts_of(broker, new), stack_images())
    assert arrays_in(folder) == before
    assert not any(uid in path.parts for path in arrays_in(copy))
    with opened(folder) as broker:
        np.testing.assert_array_equal(counts_of(broker, uid), stack_images())
    moved = copy.rename(tmp_path / "moved")
    with opened(moved) as broker:
        np.testing.assert_array_equal(counts_of(broker, other), stack_images())


@pytest.mark.slow
def test_arrays_that_lie_outside_the_folder_are_not_deleted(original, tmp_path, caplog):
    folder, (uid, other) = original
    copy = shutil.copytree(folder, tmp_path / "copy")
    outside = tmp_path / "outside"
    shutil.copytree(copy / "data" / uid / "primary" / "counts", outside)
    with contextlib.closing(sqlite3.connect(copy / "catalog.db")) as database, database:
        database.execute(
            "UPDATE assets SET data_uri = ? WHERE data_uri LIKE ?",
            (f"file://localhost{copy}/data/../../outside", f"%{uid}/primary/counts"),
        )
    with opened(copy) as broker:
        assert "not in this catalogue's folder" in caplog.text
        delete_run(broker, uid)
        np.testing.assert_array_equal(counts_of(broker, other), stack_images())
    assert any(outside.iterdir())


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_read_and_nothing_is_stored_or_deleted(original):
    source, (uid, _) = original
    with (
        tempfile.TemporaryDirectory() as place,
        not_allowed_to_write(Path(place), source) as folder,
    ):
        broker = open_catalog(folder)
        np.testing.assert_array_equal(counts_of(broker, uid), stack_images())
        for attempt in (
            lambda: delete_run(broker, uid),
            lambda: store_documents(broker, a_run()),
        ):
            with pytest.raises(OSError, match="cannot be written"):
                attempt()
        np.testing.assert_array_equal(counts_of(broker, uid), stack_images())
        copies = Path(broker.stxm_live_copies.name)
        close_catalog(broker)
        assert not copies.exists()


@contextlib.contextmanager
def not_allowed_to_write(place, source):
    """A copy of a folder, in which this process may not write, though it be root."""
    folder = shutil.copytree(source, place / "runs")
    place.chmod(0o755)
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(before)
        for path in everything:
            path.chmod(0o755)


METADATA = (
    '{"img_idx_map": {"sp_id": 1}, "wdg_com": "[]",'
    ' "rois": {"1": {"EV_ROIS": [], "X": {}, "Y": {}}}}'
)
GRID = {"shape": [2, 2, 2], "motors": ["energy", "y", "x"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "says"),
    [("catalog.db", "damaged"), ("tables.db", "the table of primary cannot be read")],
)
def test_a_damaged_catalogue_is_an_error_in_one_line_that_says_what_to_do(
    original, tmp_path, name, says
):
    folder = shutil.copytree(original[0], tmp_path / "runs")
    (folder / name).write_bytes(b"")
    replayed = CliRunner().invoke(app, ["replay", "-1", "--catalog", str(folder), "--no-store"])
    assert replayed.exit_code == 1
    assert replayed.output.count("error: ") == 1
    assert says in replayed.output
    assert "put back a copy" in replayed.output


def test_nothing_is_deleted_through_a_link_out_of_the_folder(original, tmp_path):
    folder = shutil.copytree(original[0], tmp_path / "runs")
    elsewhere = shutil.move(folder / "data", tmp_path / "elsewhere")
    (folder / "data").symlink_to(elsewhere)
    uid = original[1][0]
    with opened(folder) as broker, pytest.raises(OSError, match="left alone"):
        delete_run(broker, uid)
    assert any((tmp_path / "elsewhere" / uid).rglob("zarr.json"))


def test_a_catalogue_that_does_not_say_its_version_is_an_error_in_one_line(original, tmp_path):
    folder = shutil.copytree(original[0], tmp_path / "runs")
    with closing(sqlite3.connect(folder / "catalog.db")) as database:
        database.execute("drop table alembic_version")
        database.commit()
    with pytest.raises(OSError, match=r"does not say its version.*put back a copy of catalog.db"):
        open_catalog(folder)


@pytest.mark.slow
@pytest.mark.parametrize("revision", ["0b033e7fbe30", "ffffffffffff"], ids=["older", "unknown"])
def test_a_catalogue_of_another_version_of_tiled_is_an_error_in_one_line(
    original, tmp_path, revision
):
    folder = shutil.copytree(original[0], tmp_path / "runs")
    with closing(sqlite3.connect(folder / "catalog.db")) as database:
        database.execute("update alembic_version set version_num = ?", [revision])
        database.commit()
    replayed = CliRunner().invoke(app, ["replay", "-1", "--catalog", str(folder)])
    assert replayed.exit_code == 1
    assert "written by another version of Tiled" in " ".join(replayed.output.split())


ODD = {
    "time of no calendar": {"time": 1e300},
    "text for a list": {"metadata": METADATA},
    "extents of a number": {
        "shape": [2, 2, 2],
        "motors": ["energy", "y", "x"],
        "extents": [1, 2, 3],
    },
    "a result of nothing": {"purpose": "analysis", "parent_uids": None},
    "a result of a nest": {"purpose": "analysis", "parent_uids": [["x"]]},
}


@pytest.mark.slow
def test_odd_runs_hide_no_others(tmp_path, monkeypatch):
    folder = tmp_path / "runs"
    with opened(folder) as broker:
        good = store_documents(broker, a_run())
        for changes in ODD.values():
            start, *_, stop = with_start(changes)
            store_documents(broker, [start, stop])  # they are odd without an image, too
        listed = list_runs(broker)
        assert listed[-1].uid == good
        assert len(listed) == 1 + sum("purpose" not in changes for changes in ODD.values())
        assert sum(bool(run.unreadable) for run in listed) == 2
        assert listed_by_tiled(broker) == listed
        CatalogHistory(broker).runs()
    monkeypatch.setattr(console, "width", 200)
    shown = CliRunner().invoke(app, ["runs", "--catalog", str(folder)])
    assert shown.exit_code == 0
    assert good[:8] in shown.output
    assert "cannot be read" in " ".join(shown.output.split())


def test_runs_are_listed_without_the_packages_of_the_catalogue(original):
    program = (
        "import sys\n"
        "from stxm_live.cli import app\n"
        "try:\n"
        "    app(['runs', '--catalog', sys.argv[1]])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not {'tiled', 'databroker', 'sqlalchemy'} & set(sys.modules)\n"
    )
    listed = subprocess.run(
        [sys.executable, "-c", program, str(original[0])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "success" in listed.stdout


def test_a_folder_with_a_damaged_database_is_an_error_in_words(tmp_path):
    (tmp_path / "catalog.db").write_bytes(b"")
    listed = CliRunner().invoke(app, ["runs", "--catalog", str(tmp_path)])
    assert listed.exit_code == 1
    assert "put back a copy" in " ".join(listed.output.split())


def with_start(changes):
    for name, doc in a_run():
        if name == "start":
            block = {} if "motors" in changes or "metadata" in changes else {"stxm": doc["stxm"]}
            kept = {k: v for k, v in doc.items() if k not in ("stxm", "stxm_live")}
            doc = {**kept, **block, **changes}
        yield name, doc
