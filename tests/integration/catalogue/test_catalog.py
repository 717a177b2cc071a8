import subprocess
import sys

import made_up_maps
import numpy as np
import pytest
import shapes
from catalog_fixtures import listed_by_tiled, stack_images
from event_model import compose_run

from stxm_live.core.stack import Stack
from stxm_live.io.catalog import (
    close_catalog,
    delete_run,
    derived_uids,
    list_runs,
    load_maps,
    open_catalog,
    store_documents,
    store_maps,
)
from stxm_live.io.catalog.index import TABLES
from stxm_live.io.catalog.reading import documents, find_run
from stxm_live.io.catalog.upkeep import check
from stxm_live.io.files import stack_documents


def made_stack(n_energies=3, ny=5, nx=7, **kwargs):
    images = stack_images(n_energies, ny, nx, **kwargs)
    energies = [515.0 + k for k in range(n_energies)]
    return Stack.from_arrays(images, energies, extent_um=(0, 1, 3, 2))


def images_of(run):
    return np.stack([doc["data"]["counts"] for name, doc in documents(run) if name == "event"])


def small_maps(run_uids=("raw",)):
    return made_up_maps.maps(shape=(6, 9), run=run_uids[0])


def test_importing_the_catalogue_loads_no_database_code():
    program = (
        "import sys, stxm_live.io.catalog, stxm_live.io.catalog.reading, stxm_live.io.files\n"
        "print({'tiled', 'databroker', 'sqlalchemy', 'bluesky', 'dask'} & set(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "set()"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match=r"cannot be written .*name another one") as caught:
        open_catalog(tmp_path / "file" / "catalog")
    assert str(tmp_path / "file" / "catalog") in str(caught.value)


@pytest.mark.slow
def test_a_creation_that_was_interrupted_leaves_nothing_in_the_way(tmp_path):
    (tmp_path / "catalog.db.unfinished").write_bytes(b"half a database")

    broker = open_catalog(tmp_path)

    assert list(broker.v2) == []
    close_catalog(broker)


@pytest.mark.slow
def test_a_stored_run_is_found_by_the_ways_of_databroker(broker):
    uid = store_documents(broker, stack_documents(made_stack(), md={"sample": "ways"}))

    assert broker[uid].start["uid"] == uid
    assert broker[uid[:8]].start["uid"] == uid
    assert [header.start["uid"] for header in broker(sample="ways")] == [uid]
    assert [name for name, _ in broker.v2[uid].documents()] == [
        "start",
        "descriptor",
        *["event"] * 3,
        "stop",
    ]


@pytest.mark.slow
def test_storing_a_run_that_breaks_off_leaves_nothing_of_it(broker):
    def broken():
        for name, doc in stack_documents(made_stack()):
            if name == "stop":
                raise OSError("the disk is gone")
            uids.append(doc.get("uid"))
            yield name, doc

    uids = []
    with pytest.raises(OSError, match="the disk is gone"):
        store_documents(broker, broken())
    assert uids[0] not in broker.v2


@pytest.mark.slow
def test_storing_a_run_twice_is_refused_and_leaves_the_first_alone(broker):
    stack = made_stack()
    run = list(stack_documents(stack))
    uid = store_documents(broker, run)

    with pytest.raises(ValueError, match="in the catalogue already"):
        store_documents(broker, run)
    np.testing.assert_array_equal(images_of(broker[uid]), stack.intensity())


@pytest.mark.slow
def test_a_run_whose_uid_is_the_beginning_of_another_is_stored_too(broker):
    uids = ["made-up-12", "made-up-1"]
    for uid in uids:
        run = compose_run(uid=uid)
        store_documents(broker, [("start", run.start_doc), ("stop", run.compose_stop())])
    assert {*uids} <= {*broker.v2}


@pytest.fixture(scope="module")
def stored(broker):
    """A result, and the uids of its raw run and of its own."""
    raw = store_documents(broker, stack_documents(made_stack(), md={"scan_id": 4711}))
    maps = small_maps((raw,))
    return maps, raw, store_maps(broker, maps)


@pytest.mark.slow
def test_a_stored_result_comes_back_with_its_names_units_and_dtypes(broker, stored):
    import xarray

    maps, raw, _ = stored
    expected = maps.to_xarray()
    loaded = load_maps(broker, raw)
    xarray.testing.assert_identical(loaded, expected)
    assert {n: v.dtype for n, v in loaded.items()} == {n: v.dtype for n, v in expected.items()}


@pytest.mark.slow
def test_a_derived_run_names_its_raw_run_and_is_not_taken_for_one(broker, stored):
    _, raw, derived = stored
    start = broker.v2[derived].start
    assert start["parent_uids"] == [raw]
    assert start["original_run_uid"] == raw
    assert start["purpose"] == "analysis"
    assert "scan_id" not in start
    assert {"package", "version", "parameters", "model_sha256"} <= set(start["analysis"])
    assert derived_uids(broker, raw) == [derived]
    assert find_run(broker, -1).start["uid"] != derived
    assert broker[4711].start["uid"] == raw


@pytest.mark.slow
def test_a_request_that_was_made_before_is_answered_without_looking_at_functions_again(
    broker, stored, monkeypatch
):
    from fastapi.dependencies import utils

    _, raw, _ = stored
    expected = images_of(broker[raw])
    monkeypatch.setattr(utils, "get_dependant", lambda **_: pytest.fail("FastAPI analyses again"))
    np.testing.assert_array_equal(images_of(broker[raw]), expected)


@pytest.mark.slow
def test_deleting_the_derived_run_leaves_the_raw_run_whole(broker):
    stack = made_stack()
    raw = store_documents(broker, stack_documents(stack))
    derived = store_maps(broker, small_maps((raw,)))

    delete_run(broker, derived)

    assert derived_uids(broker, raw) == []
    with pytest.raises(KeyError, match="no result is stored"):
        load_maps(broker, raw)
    np.testing.assert_array_equal(images_of(broker[raw]), stack.intensity())


@pytest.mark.slow
def test_the_list_of_runs_says_what_they_are_and_which_have_maps(broker, stored):
    _, mapped, _ = stored
    stack = made_stack()
    plain = store_documents(broker, stack_documents(stack, md={"scan_id": 7}))

    latest, *before = list_runs(broker, limit=20)
    before = next(run for run in before if run.uid == mapped)

    assert (before.uid, before.has_maps, before.scan_id) == (mapped, True, 4711)
    assert before.verdict in ("good", "limited", "poor")
    assert sum(before.fractions.values()) == pytest.approx(1)
    assert (latest.verdict, latest.fractions) == ("", {})
    assert (latest.uid, latest.has_maps, latest.scan_id) == (plain, False, 7)
    assert (latest.plan_name, latest.exit_status) == ("import", "success")
    assert latest.scan == stack.scan


def test_runs_of_plans_without_a_block_are_listed_as_stacks(broker):
    energies, n, ny, nx = [518.0, 517.0, 515.0], 3, 5, 7
    listed = {"plan_name": "list_scan", "motors": ["energy"], "num_points": n}
    listed["plan_pattern_args"] = {"args": ["energy", energies]}
    stacks = {"list_scan": listed, "a loop": {"plan_name": "loop"}}
    keys = {"energy": {**shapes.number_key(), "units": "eV"}, "cam": shapes.array_key((ny, nx))}
    images = stack_images(n, ny, nx)
    events = [(k + 1, {"energy": energies[k], "cam": images[k]}) for k in range(n)]
    for md in stacks.values():
        store_documents(broker, shapes.compose(md, events, keys=keys))
    counted = [(1, {"det": 1.0})]
    md = {"plan_name": "count", "num_points": 1}
    store_documents(broker, shapes.compose(md, counted, keys={"det": shapes.number_key()}))

    count, loop, scan = list_runs(broker, limit=3)
    assert [count, loop, scan] == listed_by_tiled(broker, limit=3)

    assert (count.plan_name, count.scan, count.unreadable) == ("count", None, "")
    assert scan.scan.shape == loop.scan.shape == (n, ny, nx)
    assert scan.scan.energies_ev == tuple(energies)
    assert sorted(loop.scan.energies_ev) == sorted(energies)


def test_the_derived_run_keeps_numbers_json_cannot_hold_out_of_its_metadata():
    import dataclasses
    import json

    from stxm_live.io.catalog.derived import map_documents

    maps = dataclasses.replace(small_maps(), provenance={"a": 1.5, "b": (1, np.nan)})
    start = next(map_documents(maps))[1]

    assert json.loads(json.dumps(start, allow_nan=False))["analysis"]["parameters"] == {
        "a": 1.5,
        "b": [1, None],
    }


def test_the_derived_run_has_the_cube_the_maps_and_the_summary_in_streams_of_their_own():
    import event_model

    from stxm_live.io.catalog.derived import map_documents

    maps = small_maps()
    documents = list(map_documents(maps))

    kinds = [name for name, _ in documents]
    assert kinds == ["start", *["descriptor", "event"] * 3, "stop"]
    keys = {doc["name"]: set(doc["data_keys"]) for name, doc in documents if name == "descriptor"}
    assert keys["od"] == {"od", "energy_ev", "y", "x"}
    assert {"phase_index", "correlation", "ambiguous", "y", "x"} <= keys["maps"]
    assert keys["summary"] >= {"fractions", "reference_od", "shifts_px", "i0", "energy_ev"}
    assert set.union(*keys.values()) == set(maps.to_xarray().variables) - {"phase", "direction"}
    for name, doc in documents:  # they are sent without asking event-model
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
    events = [doc["data"] for name, doc in documents if name == "event"]
    np.testing.assert_array_equal(events[0]["od"], maps.od)
    np.testing.assert_array_equal(events[2]["fractions"], maps.fractions)


@pytest.mark.slow
def test_results_stored_with_an_array_for_each_product_are_loaded(broker, monkeypatch):
    """As 0.1.0 stored them at first, in a single stream, and later in three."""
    import xarray

    from stxm_live.io.catalog import derived

    raw = store_documents(broker, stack_documents(made_stack()))
    maps = small_maps((raw,))
    names = ["od", "phase_index", "ambiguous", "fractions"]
    some = maps.to_xarray()[names]  # each takes the server a tenth of a second
    monkeypatch.setattr(type(maps), "to_xarray", lambda self: some)
    with monkeypatch.context() as earlier:
        earlier.setattr(derived, "_STREAMS", ("maps",))
        earlier.setattr(derived, "_stream_of", lambda variable: "maps")
        store_documents(broker, derived.map_documents(maps))
    xarray.testing.assert_identical(load_maps(broker, raw), some)

    store_documents(broker, derived.map_documents(maps))
    xarray.testing.assert_identical(load_maps(broker, raw), some)


def test_what_is_stored_is_seen_by_other_processes_after_the_folder_was_opened_twice(tmp_path):
    """With another SQLite library the log of changes was removed under the first catalogue."""
    folder = tmp_path / "runs"
    first = open_catalog(folder)
    stack = Stack.from_arrays(np.ones((13, 8, 8), np.float32), np.linspace(505, 532, 13))
    store_documents(first, stack_documents(stack))
    close_catalog(open_catalog(folder))
    assert check(folder) == []
    store_documents(first, stack_documents(stack))
    count = (
        "import sqlite3, sys; tables = sqlite3.connect(sys.argv[1]); "
        "((name,),) = tables.execute(\"select name from sqlite_master where name like 'table%'\"); "
        "print(*tables.execute(f'select count(*) from {name}').fetchone())"
    )
    found = subprocess.run(
        [sys.executable, "-c", count, str(folder / TABLES)], capture_output=True, text=True
    )
    close_catalog(first)
    assert found.stdout.split() == [str(2 * 13)], found.stderr
