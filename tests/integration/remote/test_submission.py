"""Choices leave the process: to the RunEngine's session, and to the queue of a RE Manager."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_maps import maps
from proxy import free_ports, wait_for_port

pytest.importorskip("zmq", reason="needs the extra stxm-live[zmq]")

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.adaptive.queueserver import Queue
from stxm_live.adaptive.remote_chooser import ChoiceServer, RemoteChooser, client
from stxm_live.core.region import Region
from stxm_live.live.remote.wire import from_bytes

FIRST = Region(
    (2.2, 2.8), (-1.2, -1.8), nx=31, ny=31, dwell_ms=2.0, criterion="doubt", reason="why, 6 min"
)
SECOND = replace(FIRST, x_extent_um=(2.8, 3.4), expected_gain=12.5, minutes=6.0)


@pytest.fixture
def chooser():
    limits_um = ((0.0, 10.0), (-5.0, 5.0))
    with RegionChooser(suggest=lambda maps, scanned: [FIRST, SECOND], limits_um=limits_um) as it:
        it.on_maps(maps())
        while not it.is_ready:
            time.sleep(0.01)
        yield it


@pytest.fixture
def server(chooser):
    with ChoiceServer(chooser, "127.0.0.1:0") as it:
        yield it


@pytest.fixture
def remote(server):
    it = RemoteChooser(server.address)
    yield it
    it.close()


OTHER_PROCESS = """
import sys
from stxm_live.adaptive.remote_chooser import RemoteChooser
chooser = RemoteChooser(sys.argv[1])
region = chooser.choose_box((2.9, 2.1), (-1.5, -1.0))
print(region.nx, region.ny, region.dwell_ms)
"""


def test_a_choice_made_in_another_process_is_there(server, chooser):
    command = [sys.executable, "-c", OTHER_PROCESS, server.address]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout.split() == ["41", "26", "2.0"]
    assert chooser.claim().x_extent_um == (2.1, 2.9)


def test_the_remote_chooser_shows_what_the_session_has(remote, chooser):
    assert remote.suggestions == [FIRST, SECOND]
    assert remote.stack == chooser.stack
    assert remote.latest() is None
    assert remote.take(2, stack=remote.stack) == SECOND
    assert chooser.latest() == remote.latest() == SECOND
    remote.withdraw()
    assert chooser.latest() is None
    assert remote.choose(FIRST) == FIRST
    chooser.question = "zoom 1 of 3"
    until(lambda: remote.question == "zoom 1 of 3")
    chooser.refuse("fine x cannot go there")
    until(lambda: remote.refused == "fine x cannot go there")
    chooser.claim()
    until(lambda: remote.latest() is None)


def test_a_refusal_reaches_whoever_chose(remote, chooser):
    with pytest.raises(ValueError, match="x from 3 to 12 um is beyond the limits, 0 to 10 um"):
        remote.choose_box((3, 12), (0, 1))
    with pytest.raises(ValueError, match="no size in y"):
        remote.choose_box((3, 4), (1, 1), step_um=(0.1, 0.1))
    with pytest.raises(ValueError, match="there is no suggestion 7"):
        remote.take(7)
    with pytest.raises(ValueError, match="chosen on the maps of run other"):
        remote.take(1, stack=maps(run="other").key)
    assert chooser.latest() is None


def test_a_session_that_is_gone_is_named():
    remote = RemoteChooser(free_ports(1)[0], timeout_s=0.2)
    with pytest.raises(TimeoutError, match=r"does not answer within 0\.2 s"):
        remote.take(1)
    assert "is there a ChoiceServer in the session that scans" in remote.refused
    assert remote.latest() is None
    remote.close()


def test_where_the_session_has_no_maps_those_of_the_other_process_suggest(chooser):
    with RegionChooser() as blind, ChoiceServer(blind, "127.0.0.1:0") as server:
        remote = RemoteChooser(server.address, suggesting=chooser)
        assert remote.suggestions == [FIRST, SECOND]
        assert remote.stack == maps().key
        assert remote.take(2, stack=remote.stack) == SECOND
        assert blind.claim() == SECOND
        drawn = remote.choose_box((2.4, 3.0), (-1.9, -1.4), stack=remote.stack)
        assert blind.latest() == drawn
        assert drawn.step_um == pytest.approx(FIRST.step_um)
        remote.close()


def test_where_the_session_has_maps_its_own_suggestions_count(server, chooser):
    with RegionChooser(suggest=lambda maps, scanned: [SECOND]) as other:
        other.on_maps(maps())
        until(lambda: other.is_ready)
        remote = RemoteChooser(server.address, suggesting=other)
        assert remote.suggestions == [FIRST, SECOND]
        assert remote.take(1, stack=remote.stack) == chooser.latest() == FIRST
        assert other.latest() is None
        remote.close()


def test_a_choice_that_becomes_void_is_withdrawn_from_a_session_without_maps(chooser):
    with RegionChooser() as blind, ChoiceServer(blind, "127.0.0.1:0") as server:
        remote = RemoteChooser(server.address, suggesting=chooser)
        with pytest.raises(ValueError, match="chosen on the maps of run earlier"):
            remote.choose_box((2.4, 3.0), (-1.9, -1.4), stack=maps(run="earlier").key)
        remote.take(1)
        chooser.on_maps(maps(run="next"))
        until(lambda: blind.latest() is None)
        assert "there are maps of run next" in blind.refused
        until(lambda: "was dropped" in remote.refused)
        until(lambda: chooser.is_ready)
        remote.take(2)
        blind.choose(FIRST)  # what another person chose is left alone
        until(lambda: chooser.latest() is None)
        chooser.on_maps(maps(run="last"))
        until(lambda: remote.stack.run_uids == ("last",))
        time.sleep(0.7)  # two looks
        assert blind.latest() == FIRST
        remote.close()


def test_a_choice_is_not_forgotten_for_a_look_that_was_answered_before_it(chooser, monkeypatch):
    monkeypatch.setattr(client, "_LOOK_S", 1000.0)  # the test looks
    with RegionChooser() as blind, ChoiceServer(blind, "127.0.0.1:0") as server:
        remote = RemoteChooser(server.address, suggesting=chooser)
        answer_of = client.answer_of

        def overtaken(address, question, **options):
            if from_bytes(question)["do"] == "choose":
                remote._ask("look")
            return answer_of(address, question, **options)

        monkeypatch.setattr(client, "answer_of", overtaken)
        remote.take(1)
        remote._withdraw_what_is_void()  # what the one who looked does next
        chooser.on_maps(maps(run="next"))
        until(lambda: chooser.latest() is None)
        remote._look()
        assert blind.latest() is None
        remote.close()


def test_choices_stay_on_this_machine(chooser):
    with pytest.raises(ValueError, match="open to the network"):
        ChoiceServer(chooser, "0.0.0.0:5580")
    with pytest.raises(ValueError, match="open to the network"):
        RemoteChooser("192.0.2.1:5580")
    with pytest.raises(ValueError, match="open to the network"):
        Queue("192.0.2.1:60615")


def test_an_address_that_is_taken_is_named(server, chooser):
    with pytest.raises(OSError, match="cannot be used"):
        ChoiceServer(chooser, server.address)


ARGUMENTS = {
    "detector": "camera",
    "energy": "energy",
    "energies_ev": [515.6, 517.5],
    "md": {"sample": "S1"},
}


def test_an_item_is_what_the_plan_takes_and_says_why():
    item = Queue(arguments=ARGUMENTS).item(FIRST)
    assert json.loads(json.dumps(item)) == item == {
        "item_type": "plan",
        "name": "stxm_stack_remote",
        "kwargs": {
            "detector": "camera",
            "energy": "energy",
            "energies_ev": [515.6, 517.5],
            "x_extent_um": [2.2, 2.8],
            "y_extent_um": [-1.2, -1.8],
            "nx": 31,
            "ny": 31,
            "dwell_ms": 2.0,
            "region": "1",
            "md": {
                "sample": "S1",
                "chosen": {"by": "person", "criterion": "doubt", "reason": "why, 6 min"},
            },
        },
    }  # fmt: skip


def test_a_queue_is_there_if_the_environment_names_one(monkeypatch):
    monkeypatch.delenv("QSERVER_ZMQ_CONTROL_ADDRESS", raising=False)
    assert Queue.configured(ARGUMENTS) is None
    monkeypatch.setenv("QSERVER_ZMQ_CONTROL_ADDRESS", "tcp://127.0.0.1:60615")
    assert Queue.configured(ARGUMENTS).address == "tcp://127.0.0.1:60615"


def test_a_manager_that_is_gone_is_named():
    with pytest.raises(TimeoutError, match="does the RE Manager run there"):
        Queue(free_ports(1)[0], ARGUMENTS, timeout_s=0.2).submit(FIRST)


STARTUP = """
import numpy as np
from bluesky import RunEngine
from stxm_live import Recipe
from stxm_live.plans.remote import stxm_stack_remote
from stxm_live.sim.instrument import SimulatedMicroscope

microscope = SimulatedMicroscope.with_particle(
    Recipe.load("nvpf").reference_spectra, rng=np.random.default_rng(1), shape=(40, 50)
)
camera, energy = microscope.camera, microscope.energy
RE = RunEngine({})
"""


PERMISSIONS = """
user_groups:
  root: {allowed_plans: [null], allowed_devices: [null]}
  primary: {allowed_plans: [":.*"], allowed_devices: [":?.*:depth=5"]}
"""


@contextmanager
def a_manager(folder):
    """A real RE Manager on loopback with an environment of its own; its address."""
    (folder / "permissions.yaml").write_text(PERMISSIONS)
    control, info, redis = free_ports(3)
    host, port = redis.split(":")
    from fakeredis import TcpFakeServer

    store = TcpFakeServer((host, int(port)), server_type="redis")
    threading.Thread(target=store.serve_forever, daemon=True).start()
    (folder / "startup.py").write_text(STARTUP)
    log = (folder / "manager.log").open("w")
    process = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("start-re-manager")),
            *("--startup-script", str(folder / "startup.py")),
            *("--existing-plans-devices", str(folder / "existing.yaml")),
            *("--user-group-permissions", str(folder / "permissions.yaml")),
            *("--zmq-control-addr", f"tcp://{control}", "--zmq-info-addr", f"tcp://{info}"),
            *("--redis-addr", redis),
        ],
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=folder,
        start_new_session=True,
    )
    try:
        wait_for_port(control)
        yield control
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # asked kindly it waits for its worker
        process.wait(60)
        log.close()
        store.shutdown()
        store.server_close()


@pytest.mark.slow
def test_a_real_manager_takes_the_region_and_scans_it(tmp_path):
    pytest.importorskip("bluesky_queueserver", reason="needs bluesky-queueserver")
    pytest.importorskip("fakeredis", reason="needs fakeredis")
    with a_manager(tmp_path) as address:
        queue = Queue(address, ARGUMENTS, timeout_s=120)
        assert queue.ask("environment_open", {})["success"]
        until(lambda: queue.ask("status", {})["worker_environment_exists"])
        until(lambda: is_idle(queue.ask("status", {})))
        uid = queue.submit(FIRST)
        with pytest.raises(ValueError, match=r"refuses the stack.*no_such_plan"):
            replace(queue, plan="no_such_plan").submit(FIRST)
        assert [item["item_uid"] for item in queue.ask("queue_get", {})["items"]] == [uid]
        started = queue.ask("queue_start", {})
        assert started["success"], started["msg"]
        until(lambda: queue.ask("history_get", {})["items"])
        (done,) = queue.ask("history_get", {})["items"]
        assert done["item_uid"] == uid
        assert done["result"]["exit_status"] == "completed", done["result"]["msg"]
        assert len(done["result"]["run_uids"]) == 1


def until(is_so, timeout_s=300.0):
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_idle(status):
    return status["manager_state"] == status["worker_environment_state"] == "idle"
