"""Runs on a Tiled server on loopback, with a key and a root that does not know Bluesky."""

import gc
import logging
import socket
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from uuid import uuid4

import pytest
from databroker import Broker
from shapes import image_run
from typer.testing import CliRunner

from stxm_live import map_run
from stxm_live.cli import app
from stxm_live.io.catalog import (
    close_catalog,
    delete_run,
    derived_uids,
    list_runs,
    load_maps,
    store_maps,
)
from stxm_live.io.catalog.anywhere import open_anywhere
from stxm_live.io.catalog.derived import failure_documents
from stxm_live.io.catalog.folder import _create_database
from stxm_live.io.catalog.new_runs import NewRuns
from stxm_live.io.catalog.reading import find_run
from stxm_live.io.catalog.run_store import store_documents
from stxm_live.live.catalog import LiveCatalog

KEY = "f00dfeed"

# Tiled's client leaves the socket of a refused login to the garbage collector
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed:ResourceWarning"
)


def _answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The address of a server whose root has no spec, in a process of its own."""
    folder = tmp_path_factory.mktemp("server")
    _create_database(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    storage = ["--write", str(folder / "data"), "--write", f"sqlite:///{folder / 'tables.db'}"]
    command = [Path(sys.executable).with_name("tiled"), "serve", "catalog", folder / "catalog.db"]
    process = subprocess.Popen(
        [*command, *storage, "--api-key", KEY, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not _answers(port):
        assert process.poll() is None, "the server has ended"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(60)


@pytest.fixture(scope="session")
def run_uid(server):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILED_API_KEY", KEY)
        broker = open_anywhere(server)
        uid = store_documents(broker, image_run())
        close_catalog(broker)
    return uid


@pytest.fixture
def broker(server, run_uid, monkeypatch):
    monkeypatch.setenv("TILED_API_KEY", KEY)
    broker = open_anywhere(server)
    yield broker
    close_catalog(broker)


def test_a_run_on_a_server_is_found_and_mapped(broker, run_uid, nvpf):
    assert find_run(broker, run_uid[:8]).start["uid"] == run_uid
    assert find_run(broker, -1).start["uid"] == run_uid
    recipe = nvpf.with_changes({"resolver.method": "pearson", "alignment.enabled": False})
    assert map_run(find_run(broker, run_uid), recipe).identical(map_run(image_run(), recipe))


def test_what_is_derived_from_a_run_is_found_on_a_root_without_the_spec(broker, run_uid):
    uid = store_documents(broker, failure_documents(run_uid, ValueError("no maps")))
    assert "CatalogOfBlueskyRuns" not in {spec.name for spec in plain_root(broker).specs}
    assert derived_uids(Broker(plain_root(broker)), run_uid) == [uid]
    assert [run.has_maps for run in list_runs(broker)] == [True]


def plain_root(broker):
    from tiled.client import from_context

    return from_context(broker.v2.context)


@pytest.mark.slow
def test_maps_are_given_back_to_a_server(broker, run_uid, nvpf):
    maps = map_run(find_run(broker, run_uid), nvpf)
    store_maps(broker, maps)
    assert set(load_maps(broker, run_uid).data_vars) == set(maps.to_xarray().data_vars)


@pytest.mark.parametrize(
    "command",
    [["check", "-1"], ["replay", "-1", "-s", "alignment.enabled=false", "--no-store"], ["runs"]],
)
def test_commands_take_the_address_of_a_server(server, run_uid, monkeypatch, command):
    monkeypatch.setenv("TILED_API_KEY", KEY)
    done = CliRunner().invoke(app, [*command, "--catalog", server])
    assert done.exit_code == 0, done.output
    assert run_uid[:8] in done.output
    assert KEY not in done.output


def test_a_profile_of_tiled_is_a_catalogue(server, run_uid, monkeypatch, tmp_path):
    from tiled import profiles

    (tmp_path / "a.yml").write_text(f"beamline:\n  uri: {server}\n")
    monkeypatch.setenv("TILED_API_KEY", KEY)
    monkeypatch.setattr(profiles, "paths", [tmp_path])
    profiles.load_profiles.cache_clear()
    try:
        broker = open_anywhere("beamline")
        assert [run.uid for run in list_runs(broker)] == [run_uid]
        close_catalog(broker)
    finally:
        profiles.load_profiles.cache_clear()


def test_a_server_that_refuses_or_is_not_there_is_named(server, monkeypatch):
    monkeypatch.setenv("TILED_API_KEY", "00")
    with pytest.raises(OSError, match=r"cannot be read .*TILED_API_KEY set"):
        open_anywhere(server)
    gc.collect()  # what Tiled left open


@pytest.mark.parametrize("url", ["http://127.0.0.1:9?api_key=a", "http://me:a@127.0.0.1:9"])
def test_a_key_in_an_address_is_refused_and_not_repeated(url):
    with pytest.raises(ValueError, match="a key or a password is not opened") as caught:
        open_anywhere(url)
    assert url not in str(caught.value)


def test_a_command_that_keeps_a_folder_says_so(server):
    done = CliRunner().invoke(app, ["serve", "--zmq", "127.0.0.1:1", "--catalog", server])
    assert done.exit_code == 1
    assert "keeps its catalogue in a folder" in " ".join(done.output.split())


def written(broker, documents, *, until):
    """Store the first documents as a facility's writer does; what stores the others."""
    from bluesky_tiled_plugins import TiledWriter

    writer = TiledWriter(broker.v2, batch_size=1)
    rest = iter(documents)
    for name, doc in islice(rest, until):
        writer(name, doc)
    return lambda: [writer(name, doc) for name, doc in rest]


def test_a_run_is_mapped_while_another_program_stores_it_on_a_server(broker, nvpf):
    recipe = nvpf.with_changes({"resolver.method": "pearson", "alignment.enabled": False})
    cubes, maps = [], []
    documents = list(image_run())
    with LiveCatalog(broker, recipe, poll_s=0) as watching:
        watching.live.add_sink(
            on_cube=lambda cube: cubes.append(int(cube.measured.sum())), on_maps=maps.append
        )
        finish = written(broker, documents, until=2 + 5)
        watching.look()
        assert cubes[-1] == 5
        watching.look()
        finish()
        watching.look()
        watching.look()
    assert maps[-1].identical(map_run(documents, recipe))
    assert cubes[-1] == 13
    assert maps[-1].key.run_uids == (documents[0][1]["uid"],)


def test_no_new_run_of_a_server_is_missed(broker):
    from tiled.structures.core import Spec

    run = Spec("BlueskyRun", "3.0")
    new_runs = NewRuns(broker)
    assert new_runs.look() == []
    for n in (1, 40):  # one by one, and many between two looks
        uids = [str(uuid4()) for _ in range(n)]
        for uid in uids:
            start = {"uid": uid, "time": 1.0, "purpose": "analysis"}
            broker.v2.create_container(key=uid, metadata={"start": start}, specs=[run])
        assert new_runs.look() == uids
    assert new_runs.look() == []
    for uid in uids[-3:]:
        delete_run(broker, uid)
    assert new_runs.look() == []


def test_the_key_of_a_server_is_in_no_log(server, run_uid, monkeypatch, caplog, nvpf):
    monkeypatch.setenv("TILED_API_KEY", KEY)
    with caplog.at_level(logging.DEBUG):
        broker = open_anywhere(server)
        with LiveCatalog(broker, nvpf, poll_s=0) as watching:
            watching.look()
        close_catalog(broker)
    assert KEY not in caplog.text
    with pytest.raises(ValueError, match="others can read it") as error:
        open_anywhere(f"{server}?api_key={KEY}")
    assert KEY not in str(error.value)


def test_a_server_that_does_not_answer_does_not_keep_the_watch_from_ending(
    broker, nvpf, monkeypatch
):
    from threading import Event

    from stxm_live.live import catalog

    asked, answer = Event(), Event()
    monkeypatch.setattr(catalog, "_CLOSE_S", 0.05)

    def look(self):
        asked.set()
        answer.wait(60)
        return []

    monkeypatch.setattr(catalog.NewRuns, "look", look)
    watching = LiveCatalog(broker, nvpf, poll_s=0.01)
    assert asked.wait(60)
    watching.close()
    assert not answer.is_set()
    answer.set()
