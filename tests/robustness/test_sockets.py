"""Whoever sends whatever to a socket: the session lives, and the next message is answered."""

import os
import random
import socket as sockets
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from run_engines import a_run_engine

pytest.importorskip("zmq", reason="needs the extra stxm-live[zmq]")

import zmq
from growth import rss_mib
from messages import (
    ANSWERS,
    LIMITS_UM,
    REGION,
    TOKEN,
    Impostor,
    answers_survived,
    as_json,
    documents_survived,
    look_at,
    packed,
    questions_answered,
    queue_answers_survived,
    sealed,
    subscriptions_survived,
)

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.adaptive.queueserver import Queue
from stxm_live.adaptive.remote_chooser import ChoiceServer, RemoteChooser
from stxm_live.adaptive.remote_chooser import server as choice_server
from stxm_live.adaptive.remote_chooser.token import own_token
from stxm_live.core.stack import StackKey
from stxm_live.live.remote import asking
from stxm_live.live.remote.wire import to_bytes
from stxm_live.plans import wait_for_region

LOOK = to_bytes({"do": "look"})


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """A state directory of the test's own, for the token."""
    monkeypatch.setattr("platformdirs.user_state_path", lambda name: tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module")
def one_server():
    """One for all tests: what any of them sends, the next ones need an answer."""
    with (
        RegionChooser(limits_um=LIMITS_UM) as chooser,
        ChoiceServer(chooser, "127.0.0.1:0", token=TOKEN) as server,
    ):
        yield chooser, server


@pytest.fixture
def chooser(one_server):
    one_server[0].withdraw()
    return one_server[0]


@pytest.fixture
def server(one_server, chooser):
    return one_server[1]


@pytest.fixture
def context():
    with zmq.Context() as it:
        yield it


def n_files():
    """Files and sockets that this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def is_answered(server):
    """Whether someone with the token can choose."""
    remote = RemoteChooser(server.address, token=TOKEN, timeout_s=120)
    try:
        return remote.choose(REGION) == REGION
    finally:
        remote.close()


# the token


def test_the_token_is_random_and_only_its_account_can_read_it(state):
    token = own_token()
    (file,) = state.rglob("*token")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert len(token) >= 40
    assert own_token() == token
    file.unlink()
    assert own_token() != token


def test_programs_that_begin_at_once_agree_on_the_token():
    found = []
    threads = [threading.Thread(target=lambda: found.append(own_token())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_token_that_others_can_read_is_none(state, mode):
    path = state / "token"
    own_token(path)
    path.chmod(mode)
    with pytest.raises(PermissionError, match="can be read by one; delete it"):
        own_token(path)


def test_a_file_without_a_token_is_named(state):
    path = state / "token"
    path.touch(mode=0o600)
    with pytest.raises(ValueError, match="holds no token"):
        own_token(path)


def test_a_pipe_in_place_of_the_token_is_not_waited_for(state):
    os.mkfifo(state / "token", 0o600)
    with pytest.raises(ValueError, match="not a regular file"):
        own_token(state / "token")


def test_an_empty_token_is_refused(chooser):
    with pytest.raises(ValueError, match="the token is empty"):
        ChoiceServer(chooser, "127.0.0.1:0", token="")


def test_without_a_token_of_its_own_a_server_demands_that_of_the_account(chooser):
    with ChoiceServer(chooser, "127.0.0.1:0") as server:
        remote = RemoteChooser(server.address)
        assert remote.choose(REGION) == REGION
        remote.close()
        stranger = RemoteChooser(server.address, token="guessed", timeout_s=0.3)
        with pytest.raises(TimeoutError, match="with the same token"):
            stranger.withdraw()
        stranger.close()
    assert chooser.latest() == REGION


# who has no token


@pytest.mark.parametrize("kind", ["plain", "another key"])
def test_nothing_is_read_of_someone_without_the_token(server, chooser, context, kind, monkeypatch):
    read = []
    monkeypatch.setattr(ChoiceServer, "_answer", lambda self, body: read.append(body) or LOOK)
    with context.socket(zmq.REQ) if kind == "plain" else sealed(context, zmq.REQ, "x") as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(server.address)
        socket.send(LOOK)
        assert not socket.poll(400)
    assert read == []


def test_a_message_of_many_parts_of_someone_without_the_token_takes_no_memory(server, context):
    before = rss_mib()
    part = b"x" * 2**16
    with context.socket(zmq.DEALER) as socket:
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.SNDTIMEO, 200)
        socket.connect(server.address)
        with suppress(zmq.Again):
            for _ in range(200):
                socket.send(part, zmq.SNDMORE, copy=False)
        assert rss_mib() - before < 50
    assert is_answered(server)


@pytest.mark.parametrize("bytes_", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64 + b"\x7f" * 999])
def test_who_does_not_speak_the_protocol_is_hung_up(server, bytes_):
    host, port = server.address.removeprefix("tcp://").split(":")
    with sockets.create_connection((host, int(port)), 10) as raw:
        raw.sendall(bytes_)
        assert is_answered(server)


def test_a_flood_of_connections_does_not_take_the_open_files_of_the_session(server):
    host, port = server.address.removeprefix("tcp://").split(":")
    opened = []
    n_before = n_files()
    for _ in range(120):
        raw = sockets.socket()
        raw.setblocking(False)
        raw.connect_ex((host, int(port)))
        opened.append(raw)
    deadline = time.monotonic() + 0.3
    most = 0
    while time.monotonic() < deadline:
        most = max(most, n_files() - n_before - len(opened))
    for raw in opened:
        raw.close()
    assert most < 80
    assert is_answered(server)


# who has it


def test_whatever_is_asked_an_answer_comes_and_no_region_beyond_the_limits_is_taken(caplog):
    caplog.set_level("CRITICAL", "stxm_live")
    assert questions_answered(300, random.Random(1)) > 200


def test_whatever_is_answered_a_remote_chooser_goes_on(caplog):
    caplog.set_level("CRITICAL", "stxm_live")
    answers_survived(60, random.Random(2))


def test_whatever_a_queue_answers_it_is_a_uid_or_an_error(caplog):
    queue_answers_survived(100, random.Random(3))


def asked(server, message):
    """What a `ChoiceServer` answers to the bytes."""
    from stxm_live.live.remote.wire import from_bytes

    with zmq.Context() as context, sealed(context, zmq.REQ) as socket:
        socket.connect(server.address)
        socket.send(message)
        assert socket.poll(120_000)
        return from_bytes(socket.recv())


REGION_VALUES = ANSWERS[1]["region"]


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"do": "shutdown"},
        {"do": ["look"]},
        {"do": "choose", "region": {"nx": 3}},
        {"do": "choose", "region": [1, 2]},
        {"do": "choose", "region": REGION_VALUES | {"nx": 1e300, "ny": 1}},
        {"do": "choose", "region": REGION_VALUES | {"nx": float("inf")}},
        {"do": "choose", "region": REGION_VALUES | {"nx": True}},
        {"do": "choose", "region": REGION_VALUES | {"x_extent_um": [0, 1e-317], "nx": 10**9}},
        {"do": "choose", "region": REGION_VALUES | {"x_extent_um": [0, float("nan")]}},
        {"do": "choose", "region": REGION_VALUES | {"dwell_ms": 1e12}},
        {"do": "choose", "region": REGION_VALUES, "stack": "mine"},
        {"do": "choose", "region": REGION_VALUES, "stack": [[["deep"]], "1", ""]},
        {"do": "box", "x_um": [0, 1e-317], "y_um": [0, 1e-317], "step_um": [5e-324, 5e-324]},
        {"do": "box", "x_um": [0, "1"], "y_um": [0, 1]},
        {"do": "box", "x_um": [0, 1], "y_um": [0, 1], "step_um": "small"},
        {"do": "box", "x_um": [0, 1], "y_um": [0, 1], "step_um": 0.1, "dwell_ms": -1},
        {"do": "take", "k": [1]},
        {"do": "take", "k": -1},
        {"do": "take", "k": 2**63},
    ],
)
def test_what_is_no_choice_is_refused_with_a_reason(server, chooser, question):
    refused = asked(server, to_bytes(question))["refused"]
    assert refused
    assert "\n" not in refused
    assert chooser.latest() is None
    assert is_answered(server)


@pytest.mark.parametrize("message", [b"", b"\xc1", b"\x80\x04K\x01.", b"\x91" * 1000, b"\x90"])
def test_what_is_no_message_is_refused(server, message):
    assert asked(server, message)["refused"]
    assert is_answered(server)


@pytest.mark.parametrize("parts", [[LOOK, LOOK], [b"", LOOK, LOOK], [b"x"] * 500, [LOOK], [b""]])
def test_a_message_of_several_parts_is_left_out(server, context, parts):
    with sealed(context, zmq.DEALER) as socket:
        socket.connect(server.address)
        socket.send_multipart(parts)
        socket.send_multipart([b"", LOOK])
        assert socket.poll(120_000)
        socket.recv_multipart()
        assert is_answered(server)


def test_a_peer_that_reads_no_answer_keeps_no_other_waiting(server, context):
    with sealed(context, zmq.DEALER) as socket:
        socket.connect(server.address)
        for _ in range(300):
            with suppress(zmq.Again):
                socket.send_multipart([b"", LOOK], zmq.NOBLOCK)
        assert is_answered(server)


@pytest.mark.parametrize("fault", [MemoryError, SystemExit, KeyboardInterrupt, RecursionError])
def test_no_fault_of_the_session_ends_the_server(server, chooser, fault, monkeypatch):
    def raises(*_, **__):
        raise fault("of the test")

    monkeypatch.setattr(chooser, "choose", raises)
    assert (
        "of the test" in asked(server, packed({"do": "choose", "region": REGION_VALUES}))["refused"]
    )
    monkeypatch.undo()
    assert is_answered(server)


@pytest.mark.parametrize("place", ["from_bytes", "question_of", "region_values", "to_bytes"])
@pytest.mark.parametrize("fault", [MemoryError, SystemExit, OSError])
def test_no_fault_in_its_own_code_ends_the_server(server, place, fault, monkeypatch):
    done = threading.Event()
    real = getattr(choice_server, place)

    def raises(*values):
        if done.is_set():
            return real(*values)
        done.set()
        raise fault("of the test")

    monkeypatch.setattr(choice_server, place, raises)
    remote = RemoteChooser(server.address, token=TOKEN, timeout_s=0.5)
    with suppress(ValueError, TimeoutError):
        remote.choose(REGION)
    assert done.wait(120)
    remote.close()
    assert is_answered(server)


def test_a_stack_named_with_half_a_character_or_a_long_text_can_be_chosen_on(server, chooser):
    for region in ("a\ud800b", "x" * 10**6):
        key = StackKey(("uid",), region)
        chooser._begin(key, "of the test")  # on_cube and on_maps do so
        remote = RemoteChooser(server.address, token=TOKEN, timeout_s=120)
        remote.choose(REGION, stack=remote.stack)
        assert chooser.claim() == REGION
        remote.close()
    chooser._stacks = ()


def test_a_plan_that_waits_ends_in_time_whatever_peers_do_meanwhile(server, chooser, context):
    is_over = threading.Event()

    def attack():
        rand = random.Random(4)
        from messages import QUESTIONS, spoilt

        with sealed(zmq.Context.instance(), zmq.DEALER) as socket:
            socket.connect(server.address)
            while not is_over.wait(0.001):
                with suppress(zmq.Again):
                    question = rand.choice([q for q in QUESTIONS if q["do"] != "choose"])
                    message = spoilt(rand, question | {"x_um": [0, 1e-317]}, packed)
                    socket.send_multipart([b"", message], zmq.NOBLOCK)

    thread = threading.Thread(target=attack)
    thread.start()
    with a_run_engine() as engine:
        engine(wait_for_region(chooser, timeout_s=0.5))
        assert engine.state == "idle"
    is_over.set()
    thread.join()
    assert is_answered(server)


def test_whatever_documents_come_the_run_between_them_comes_through(caplog):
    caplog.set_level("CRITICAL", "stxm_live")
    documents_survived(400, random.Random(5))


def test_whatever_a_subscriber_sends_the_publisher_goes_on():
    subscriptions_survived(200, random.Random(6))


# who answers in the place of the other


HOSTILE_ANSWERS = {
    "garbage": b"\xff\xfe",
    "list": b"\x90",
    "empty": b"",
    "refused number": to_bytes({"refused": 5}),
    "latest text": to_bytes({"latest": "x"}),
    "latest nx inf": to_bytes({"latest": REGION_VALUES | {"nx": float("inf")}}),
    "latest zero size": to_bytes({"latest": REGION_VALUES | {"x_extent_um": [1.0, 1.0]}}),
    "suggestions number": to_bytes({"suggestions": 5}),
    "suggestions None": to_bytes({"suggestions": None}),
    "many suggestions": to_bytes({"suggestions": [REGION_VALUES] * 3000}),
    "stack odd": to_bytes({"stack": [1, 2, 3]}),
    "stack text": to_bytes({"stack": "abc"}),
    "scanned dict": to_bytes({"scanned": {"a": 1}}),
    "html": to_bytes({"question": "<img src=x onerror=alert(1)>"}),
}


@pytest.mark.parametrize("name", HOSTILE_ANSWERS)
@pytest.mark.parametrize("n_parts", [1, 3])
def test_a_hostile_answer_is_one_error(name, n_parts):
    with Impostor(lambda: [HOSTILE_ANSWERS[name]] * n_parts, has_token=True) as impostor:
        remote = RemoteChooser(impostor.address, token=TOKEN, timeout_s=120)
        look_at(remote)
        with pytest.raises(ValueError, match=r"."):
            remote.choose(REGION)
        assert remote._thread.is_alive()
        remote.close()


def test_an_impostor_without_the_token_is_not_listened_to():
    with Impostor(lambda: [packed(ANSWERS[1])], has_token=False) as impostor:
        remote = RemoteChooser(impostor.address, token=TOKEN, timeout_s=0.3)
        assert remote.suggestions == []
        with pytest.raises(TimeoutError):
            remote.take(1)
        remote.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff", b"[]", b'"x"', b"5", b"NaN", b"", b"[" * 100_000, b"null",
        b'{"success": true}', b'{"success": true, "item": null}',
        b'{"success": true, "item": {"item_uid": [1]}}', b'{"success": 1' + b"0" * 5000 + b"}",
        as_json({"success": False, "msg": ["x"] * 10**5}),
    ],
)  # fmt: skip
def test_a_hostile_answer_of_a_queue_is_one_error(answer):
    with (
        Impostor(lambda: [answer], has_token=False) as impostor,
        pytest.raises(ValueError, match=r".") as refusal,
    ):
        Queue(impostor.address, {"detector": "camera"}, timeout_s=120).submit(REGION)
    assert len(str(refusal.value)) < 1000


def test_a_queue_whose_answer_never_ends_does_not_take_the_memory_of_this_process(monkeypatch):
    monkeypatch.setattr(asking, "_MEMORY_BYTES", 64 * 2**20)
    before = rss_mib()
    with (
        Impostor(lambda: [bytes(2**20)] * 200, has_token=False) as impostor,
        pytest.raises((ValueError, TimeoutError), match=r"memory|does not answer"),
    ):
        Queue(impostor.address, {"detector": "camera"}, timeout_s=2).submit(REGION)
    assert rss_mib() - before < 250  # of the impostor


def test_no_file_stays_open_after_questions_and_answers(server):
    is_answered(server)
    before = n_files()
    for _ in range(3):
        is_answered(server)
    deadline = time.monotonic() + 120
    while n_files() > before + 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
