"""Names that users or strangers typed, given to everything that writes files."""

import copy
import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from jsonschema import ValidationError
from made_up_maps import NAMES, maps, view
from particles import image_documents
from streams import HOSTILE
from tiled.client.utils import ClientError

from stxm_live.core.stack import StackKey
from stxm_live.dashboard import write_page
from stxm_live.io.catalog import RawWriter, load_maps, read_backup, store_documents, store_maps
from stxm_live.io.results import read_nexus, write_csv, write_nexus, write_tiff
from stxm_live.plotting import LiveFigure, write_pictures

NASTY = (*HOSTILE, "..", ".", "", "-rf", "a/b", "%2e%2e%2fup", "x" * 300, "a\nb", "q\"'`;$(id)")
WORST = "../../../up\x00<script>alert(1)</script>\n"
PLAIN_WORST = WORST.replace("\x00", "?")
PLAIN = re.compile(r"[A-Za-z0-9._@-]{1,120}")


@pytest.fixture
def inside(tmp_path):
    """A folder deep in another; in the outer one nothing else may appear."""
    folder = tmp_path / "a" / "b" / "out"
    folder.mkdir(parents=True)
    yield folder
    beside = {p for p in tmp_path.rglob("*") if folder not in (p, *p.parents)}
    assert beside == {tmp_path / "a", tmp_path / "a" / "b"}
    wrong = [p for p in folder.rglob("*") if not PLAIN.fullmatch(p.name)]
    assert wrong == []


def result(name, shape=(12, 16)):
    names = (name, *NAMES[1:])
    key = StackKey((name or "uid",), name, name)
    return maps(shape=shape, names=names, key=key)


@pytest.mark.parametrize("name", NASTY)
def test_tables_and_images_of_a_result_have_our_names_whatever_its_phases_are_called(inside, name):
    found = result(name)
    write_csv(found, inside / "csv")
    write_tiff(found, inside / "tiff")
    assert len(list((inside / "csv").iterdir())) == 3


def test_a_nexus_file_takes_hostile_names_as_text(inside):
    found = result(WORST + "\ud800")
    stored = read_nexus(write_nexus(found, inside / "maps.nxs"))
    assert stored["phase"].values[0] == stored.attrs["region"] == f"{PLAIN_WORST}?"


def test_a_page_takes_hostile_names_as_text_and_is_written_for_half_a_character(inside):
    page = write_page(result(WORST + "\ud800", shape=(6, 8)), inside / "maps.html")
    assert page.stat().st_size > 100_000
    assert "<script>alert(1)" not in page.read_text()


def test_pictures_of_a_result_and_of_a_scan_stay_in_their_folder(inside, quick_pictures):
    write_pictures(result(WORST), inside / "pictures")
    figure = LiveFigure(inside / "live", dpi=30)
    for name in ("first", WORST, ".."):
        key = StackKey((name,), name, name)
        figure.on_cube(view(shape=(12, 16), key=key))
        figure.on_maps(result(name))
        figure.on_error(name, ValueError("\x00../up"))
    assert len(figure.written) == 9


@pytest.mark.parametrize("name", ["../up", "/tmp/up", "a/b"])
def test_a_foreign_dataset_whose_products_have_paths_for_names_is_refused(inside, name):
    dataset = maps(shape=(12, 16)).to_xarray()
    dataset = dataset.rename_vars({"reliability": name})
    for write in (write_tiff, write_csv):
        with pytest.raises(ValueError, match="has a product named"):
            write(dataset, inside / "tiff")
    with pytest.raises(ValueError, match="has a product named"):
        write_nexus(dataset, inside / "maps.nxs")


def spoilt(where, name):
    """A short run with this name in one place."""
    docs = copy.deepcopy(list(image_documents()))
    docs = [*docs[:4], docs[-1]]
    for kind, doc in docs:
        if where == "uid":
            doc |= {key: name for key in ("uid",) if kind == "start"}
            doc |= {key: name for key in ("run_start",) if key in doc}
        elif where == "stream" and kind == "descriptor":
            doc["name"] = name
        elif where == "data key" and kind == "descriptor":
            doc["data_keys"][name] = doc["data_keys"].pop("counts")
        elif where == "data key" and kind == "event":
            doc["data"][name], doc["timestamps"][name] = doc["data"].pop("counts"), 0.0
        elif where == "metadata" and kind == "start":
            doc |= {"sample_name": name, "scan_id": 1, "sample": {"name": name}}
            doc["stxm_live"] |= {"region": name, "polarization": name}
    return docs


def leads_elsewhere(name):
    return bool(re.search(r"[\x00-\x1f/\\%?#]|^[. ]*$", name)) or len(name) > 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "name"),
    [
        *(("uid", name) for name in NASTY),
        *((where, name) for where in ("stream", "data key") for name in ("..", *NASTY[3:7])),
    ],
)
def test_the_catalogue_refuses_names_that_lead_out_of_a_runs_folder(broker, where, name):
    before, docs = everything_of(broker), spoilt(where, name)
    if leads_elsewhere(name):
        with pytest.raises(ValueError, match=f"the {where} .* cannot be the name of a folder"):
            store_documents(broker, docs)
        assert everything_of(broker) == before
        return
    # event-model and Tiled have rules of their own for names
    with suppress(ValueError, ClientError, ValidationError, KeyError):
        store_documents(broker, docs)
    own = broker.stxm_live_folder / "data"
    new = everything_of(broker) - before - {own}
    assert {path.relative_to(own).parts[0] for path in new} <= {quote(docs[0][1]["uid"])}


def everything_of(broker):
    """Every path in the folder of the catalogue and beside it."""
    folder = broker.stxm_live_folder
    paths = {
        Path(parent) / name
        for parent, folders, files in os.walk(folder.parent)
        for name in (*folders, *files)
        if not name.endswith((".db-wal", ".db-shm"))
    }
    return paths - {folder / "write.lock"}


@pytest.mark.slow
def test_hostile_metadata_is_stored_as_text_and_so_is_a_result_with_it(broker):
    docs = spoilt("metadata", WORST)
    store_documents(broker, docs)
    uid = docs[0][1]["uid"]
    assert broker[uid].start["sample_name"] == WORST
    worse = WORST + "\ud800"
    found = maps(shape=(12, 16), names=(worse, *NAMES[1:]), key=StackKey((uid,), worse, worse))
    store_maps(broker, found)
    assert load_maps(broker, uid)["phase"].values[0] == f"{PLAIN_WORST}?"


@pytest.mark.slow
def test_a_run_that_the_catalogue_refuses_is_kept_in_a_backup_file_with_a_name_of_ours(
    broker, inside, caplog
):
    told = []
    writer = RawWriter(
        broker, backup_folder=inside, on_error=lambda uid, error: told.append(str(error))
    )
    docs = spoilt("uid", "../../../up")
    with caplog.at_level(logging.CRITICAL):
        for name, doc in docs:
            writer(name, doc)
        writer.flush(120)
    (kept,) = inside.iterdir()
    assert [name for name, _ in read_backup(kept)] == [name for name, _ in docs]
    assert "cannot be the name of a folder" in told[0]
    with pytest.raises(RuntimeError, match="could not be stored"):
        writer.preflight()
    writer.close()
