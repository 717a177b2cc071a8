"""No single document ends ``serve`` or swells it, and the next good run is handed on."""

import datetime
import functools
import queue
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from growth import rss_mib
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("zmq", reason="needs the extra stxm-live[zmq]")

import msgpack
import zmq
from messages import Link
from proxy import free_ports
from shapes import image_run

from stxm_live.live.remote import DocumentPublisher, Server, gapless, message_size, sockets, wire
from stxm_live.live.remote.gapless import Gapless
from stxm_live.live.remote.message_size import check_values
from stxm_live.live.remote.stored_runs import StoredRuns
from stxm_live.live.remote.wire import from_bytes, to_bytes

DOCS = image_run()
START, DESCRIPTOR, EVENT, STOP = DOCS[0][1], DOCS[1][1], DOCS[2][1], DOCS[-1][1]


def list_of(n):
    return b"\x81\xa3uid\xdd" + n.to_bytes(4, "big")


BOMBS = {
    "empty lists": list_of(3_000_000) + b"\x90" * 3_000_000,
    "short texts": list_of(3_000_000) + b"\xa2xy" * 3_000_000,
    "maps": list_of(3_000_000) + b"\x81\x01\xc0" * 3_000_000,
    "lists of lists": b"\x81\xa3uid\x9f" + (list_of(200_000)[5:] + b"\x90" * 200_000) * 15,
    "announced only": b"\x81\xa3uid" + b"\xdd\xff\xff\xff\xff" * 200,
    "nested": b"\x81\xa3uid" + b"\x91" * 500 + b"\x90",
    "nested maps": b"\x81\xa3uid" + b"\x81\x01" * 500 + b"\x90",
    "in an array": b"\x81\xa3uid\xc9\x00\x2d\xc6\xc8\x01\xdd\x00\x2d\xc6\xc3" + b"\x90" * 3_000_003,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_message_that_would_become_large_is_refused_before_it_does(name, monkeypatch):
    monkeypatch.setattr(message_size, "MAX_VALUES", 50_000)  # to be quick
    before = rss_mib()
    with pytest.raises(ValueError, match=r"values outside arrays|deep|not a msgpack"):
        from_bytes(BOMBS[name])
    assert rss_mib() - before < 100


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary() | st.binary(max_size=70_000).map(lambda data: msgpack.ExtType(7, data))
    | st.sampled_from(["x" * 300, "x" * 70_000, b"x" * 300, b"x" * 70_000]),
    lambda children: st.lists(children, max_size=20) | st.dictionaries(st.text(), children),
    max_leaves=20,
)  # fmt: skip


def n_values(value):
    """As a reader makes them: keys and values, and what holds them."""
    if isinstance(value, dict):
        return 1 + len(value) + sum(map(n_values, value.values()))
    return 1 + sum(map(n_values, value)) if isinstance(value, list) else 1


def test_lists_and_maps_with_long_lengths_are_counted(monkeypatch):
    message = msgpack.packb([[0] * 66_000, dict.fromkeys(range(66_000))])
    monkeypatch.setattr(message_size, "MAX_VALUES", 198_003)
    with pytest.raises(ValueError, match="more than 198003 values"):
        check_values(message)
    monkeypatch.setattr(message_size, "MAX_VALUES", 198_004)
    check_values(message)


@settings(max_examples=20)
@given(value=values)
def test_values_are_counted_as_the_reader_of_messages_makes_them(value):
    message, n = msgpack.packb(value), n_values(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_size, "MAX_VALUES", n + 1)
        check_values(message)
        patch.setattr(message_size, "MAX_VALUES", n)
        with pytest.raises(ValueError, match="more than"):
            check_values(message + b"\x90")


STOPS = {
    "list": [1, 2],
    "text": "abc",
    "number": 5,
    "nested": {"primary": [1]},
    "a text in it": {"primary": "13"},
    "huge": {"primary": 10**18},
    "no number": {"primary": float("nan")},
    "negative": {"primary": -5},
    "odd names": {None: "3", 7: None},
    "deep": [[[[[[{}]]]]]],
}


@pytest.fixture
def handed_on():
    return []


@pytest.fixture
def filling(handed_on):
    return Gapless(lambda *doc: handed_on.append(doc), lambda uid: None, lambda: ())


def check_next_run(filling, handed_on):
    """A good run is handed on whole."""
    handed_on.clear()
    run = image_run()
    for name, doc in run:
        filling(name, doc)
    filling.look()
    assert [name for name, _ in handed_on] == [name for name, _ in run]


@pytest.mark.parametrize("what", STOPS)
def test_a_stop_may_say_anything_of_the_number_of_events(filling, handed_on, what):
    for name, doc in DOCS[:-1]:
        filling(name, doc)
    filling("stop", STOP | {"num_events": STOPS[what]})
    filling.look()
    filling.look()
    if what not in ("huge",):
        assert handed_on[-1][0] == "stop"
    check_next_run(filling, handed_on)


ODD_DOCUMENTS = [
    ("start", {}),
    ("start", {"uid": [[1]], "time": 0}),
    ("start", {"uid": {"a": 1}}),
    ("start", {"uid": "x" * 10**6}),
    ("start", {"uid": None}),
    ("stop", {"run_start": [1]}),
    ("stop", {"run_start": START["uid"], "num_events": "abc"}),
    ("descriptor", {"uid": [1], "run_start": START["uid"]}),
    ("descriptor", {"uid": "d", "run_start": {}}),
    ("event", {"descriptor": [1], "seq_num": 1}),
    ("event", EVENT | {"seq_num": [1]}),
    ("event", EVENT | {"seq_num": 10**15}),
    ("event", EVENT | {"seq_num": -5}),
    ("event", EVENT | {"seq_num": float("inf")}),
    ("event", EVENT | {"seq_num": "9" * 10**5}),
    ("event", EVENT | {"time": "x"}),
    ("event", EVENT | {"time": float("nan")}),
    ("event", {"descriptor": DESCRIPTOR["uid"]}),
    ("event_page", {"descriptor": DESCRIPTOR["uid"], "seq_num": 5, "data": {}, "time": []}),
    ("event_page", {"descriptor": DESCRIPTOR["uid"], "seq_num": [1], "data": [], "time": [1]}),
    ("datum", {"datum_id": {}, "resource": [1]}),
    ("resource", {"uid": [], "run_start": START["uid"]}),
    ("stream_datum", {"descriptor": {}}),
]


@pytest.mark.parametrize(("name", "doc"), ODD_DOCUMENTS)
def test_a_document_that_makes_no_sense_is_named_or_harmless(filling, handed_on, name, doc):
    for k in range(len(DOCS)):
        if k in (0, 2, 4):
            filling(name, doc)
        filling(*DOCS[k])
        filling.look()
    check_next_run(filling, handed_on)


def test_a_document_that_cannot_be_used_is_named_with_its_run(filling, caplog):
    for name, doc in DOCS[:2]:
        filling(name, doc)
    filling("event", EVENT | {"seq_num": [1]})
    assert f"event document of run '{START['uid'][:8]}" in caplog.text


def test_a_page_of_many_millions_of_events_is_not_taken_apart(filling, handed_on, caplog):
    rows = np.broadcast_to(np.uint8(1), 10**7)
    columns = {"data": {"counts": rows}, "timestamps": {"counts": rows}}
    filling("event_page", {**EVENT, "uid": rows, "seq_num": rows, "time": rows, **columns})
    assert "more than 131072 events in one page" in caplog.text
    check_next_run(filling, handed_on)


def test_no_fault_of_the_store_or_the_analysis_ends_it(handed_on, caplog):
    def raises(*_):
        raise MemoryError("of the test")

    filling = Gapless(lambda *doc: handed_on.append(doc), raises, raises)
    filling.join()
    check_next_run(filling, handed_on)
    filling("start", START)
    filling("event", EVENT)
    filling.look()
    assert "of the test" in caplog.text
    deaf = Gapless(raises, lambda uid: None, lambda: ())
    for name, doc in DOCS:
        deaf(name, doc)
    deaf.look()


def test_runs_that_never_end_are_given_up_and_the_one_that_is_recorded_is_kept(
    filling, handed_on, monkeypatch, caplog
):
    monkeypatch.setattr(gapless, "_MAX_RUNS", 5)
    run = image_run()
    for k in range(len(run)):
        filling(*run[k])
        for n in range(3):
            filling("start", {"uid": f"{k} {n}", "time": 0.0})
            filling("descriptor", {"uid": f"d {k} {n}", "run_start": f"{k} {n}", "name": "x"})
    assert len(filling.open_runs) <= 5
    assert len(filling._stream_of) <= 6
    assert [d for d in handed_on if d in run] == run
    assert "given up, since more than 5 runs have not ended" in caplog.text


def test_a_flood_of_starts_reaches_the_analysis_no_more_and_the_next_run_does(
    filling, handed_on, caplog
):
    for n in range(2000):
        filling("start", {"uid": str(n), "time": 0.0})
    assert len(handed_on) == gapless._MANY_RUNS
    assert caplog.text.count("given up") == gapless._MANY_RUNS
    check_next_run(filling, handed_on)
    handed_on.clear()
    filling("start", START | {"uid": "empty"})
    filling("stop", STOP | {"run_start": "empty", "num_events": {}})
    assert [name for name, _ in handed_on] == ["start", "stop"]


def test_a_message_of_many_parts_is_left_out():
    with Link() as link:
        for name, doc in DOCS[:-1]:
            link.send(name.encode(), to_bytes(doc), b"x", b"y")
        assert link.deliver() == []
        assert link._receiver.n_refused == len(DOCS) - 1


def test_a_message_whose_parts_exceed_the_memory_is_left_out_and_the_next_run_comes(monkeypatch):
    monkeypatch.setattr(sockets, "_AHEAD_BYTES", 64 * 2**20)
    before = rss_mib()
    with Link() as link:
        link.send(b"start", to_bytes(DOCS[0][1]), *[bytes(2**20)] * 200)
        while not link._answers():
            pass  # the connection was dropped, or its process, and is made again
        for name, doc in DOCS:
            link.send(name.encode(), to_bytes(doc))
        assert [name for name, _ in link.deliver()] == [name for name, _ in DOCS]
    assert rss_mib() - before < 250  # of the sender


def test_after_a_message_that_is_too_long_the_next_run_comes(monkeypatch):
    monkeypatch.setattr(sockets, "MAX_DOCUMENT_BYTES", 10**5)
    with Link() as link:
        link.send(b"start", bytes(10**6))
        while not link._answers():
            pass
        for name, doc in DOCS:
            link.send(name.encode(), to_bytes(doc))
        assert [name for name, _ in link.deliver()] == [name for name, _ in DOCS]


def test_a_publisher_whose_proxy_sends_too_much_connects_again():
    with zmq.Context() as context, context.socket(zmq.XSUB) as proxy:
        port = proxy.bind_to_random_port("tcp://127.0.0.1")
        with closing(DocumentPublisher(f"127.0.0.1:{port}")) as publish:

            def is_heard():
                proxy.send(b"\x01")  # subscribes
                publish("stop", {})
                return proxy.poll(10)

            while not is_heard():
                pass
            proxy.send(b"\x01" + bytes(10**4))
            proxy.send(b"\x00" + bytes(10**4))
            monitored = publish._lost
            while publish._lost is monitored:  # 0MQ has hung up, and a new socket was made
                publish("stop", {})
            while proxy.poll(20):
                proxy.recv()
            while not is_heard():
                pass


def test_events_of_an_unknown_run_are_kept_within_a_limit_of_memory(filling, monkeypatch):
    monkeypatch.setattr(gapless, "_MAX_EARLY_BYTES", 10**6)
    large = EVENT | {"descriptor": "unknown", "data": {"counts": np.zeros(10**5)}}
    values = EVENT | {"descriptor": "unknown", "data": {"counts": [0.5] * 10**4}}
    for _ in range(20):
        filling("event", large)
        filling("event", values)
    assert len(filling._early["unknown"]) == 1
    filling.look()
    assert not filling._early
    filling("event", values)
    assert len(filling._early["unknown"]) == 1


def test_a_step_of_the_server_that_fails_is_logged_and_the_next_document_taken(
    nvpf, monkeypatch, caplog
):
    raw, results = free_ports(2)
    server = Server(nvpf, raw=raw, maps=results)
    steps = []

    def look():
        steps.append(1)
        if len(steps) == 3:
            server.stop()
        raise MemoryError("of the test")

    monkeypatch.setattr(server._gapless, "look", look)
    thread = threading.Thread(target=server.run)
    thread.start()
    thread.join(120)
    assert len(steps) == 3
    assert "a step of the server failed; it goes on" in caplog.text
    server.close()


def test_a_server_ends_although_its_catalogue_does_not_answer(nvpf, monkeypatch, tmp_path, caplog):
    answers = threading.Event()
    monkeypatch.setattr(StoredRuns, "_open", lambda self: answers.wait(600))
    raw, results = free_ports(2)
    server = Server(nvpf, raw=raw, maps=results, catalog=tmp_path)
    monkeypatch.setattr(server, "_store", lambda made: answers.wait(600))
    server._storing.submit(None)
    ending = threading.Thread(target=server.close, args=[0.5])
    ending.start()
    ending.join(120)
    assert not ending.is_alive()
    assert not answers.is_set()
    answers.set()


def test_a_publisher_keeps_few_bytes_for_someone_who_does_not_read(monkeypatch, caplog):
    monkeypatch.setattr(sockets, "MAX_WAITING_BYTES", 4 * 2**20)
    image = {"data": {"counts": np.zeros(2**18, np.float32)}}
    with (
        closing(DocumentPublisher("127.0.0.1:0", bind=True)) as publish,
        zmq.Context() as context,
        context.socket(zmq.SUB) as deaf,
    ):
        deaf.set_hwm(1)
        deaf.set(zmq.RCVBUF, 2**16)
        deaf.set(zmq.SUBSCRIBE, b"")
        deaf.connect(publish._socket.get(zmq.LAST_ENDPOINT))
        while not deaf.poll(5):
            publish("stop", {})
        for _ in range(60):
            publish("event", image)
            waiting = sum(n for tracker, n in list(publish._waiting) if not tracker.done)
            assert waiting <= 4 * 2**20
    assert "does not accept documents; they are left out" in caplog.text


UNSENDABLE = {
    "a date": datetime.datetime(2026, 1, 1),
    "a complex number": 1j,
    "a large number": 2**70,
    "an array of dates": np.zeros(3, "M8[s]"),
    "records": np.zeros(2, [("a", "<f4")]),
    "a path": Path("/data"),
    "a set": {1, "a"},
    "a name that is a date": {datetime.date(2026, 1, 1): 1},
    "more levels than are read": functools.reduce(lambda inner, _: [inner], range(90), 0),
}


@pytest.mark.parametrize("what", UNSENDABLE)
def test_a_value_that_cannot_be_sent_costs_no_image_beside_it(what, monkeypatch, caplog):
    sent = queue.SimpleQueue()
    with closing(DocumentPublisher("127.0.0.1:0", bind=True)) as publish:
        monkeypatch.setattr(publish, "_send", sent.put)
        data = {"odd": UNSENDABLE[what], "counts": np.ones((2, 2))}
        publish("event", {"descriptor": "d", "configuration": {"a": data}, "data": data})
        doc = from_bytes(sent.get(timeout=60).split(b" ", 2)[2])
    for kept in (doc["data"], doc["configuration"]["a"]):
        np.testing.assert_array_equal(kept["counts"], np.ones((2, 2)))
        assert kept["odd"] in (None, {})
    assert "is sent without" in caplog.text


@pytest.mark.parametrize(
    ("field", "value"),
    [("seq_num", "9" * 10**7), ("time", b"x" * 10**7), ("descriptor", b"x" * 10**7)],
)
def test_the_log_does_not_repeat_a_value_of_any_length(filling, caplog, field, value):
    for name, doc in DOCS[:2]:
        filling(name, doc)
    filling("event", EVENT | {field: value})
    assert "cannot be used" in caplog.text
    assert len(caplog.text) < 2000


@pytest.mark.parametrize("spoil", [b"\xc4", b"\xdb", b"\xc0", b"\x93"])
def test_an_array_whose_bytes_are_of_another_kind_is_refused(spoil):
    message = bytearray(to_bytes({"a": np.zeros(70_000)}))
    k = bytes(message).index(b"\xc6", 10)
    message[k : k + 1] = spoil
    with pytest.raises(ValueError, match="not a msgpack document"):
        from_bytes(bytes(message))


def test_half_a_character_crosses_the_wire_as_a_question_mark():
    assert from_bytes(to_bytes({"sample": "a" + chr(0xD800)})) == {"sample": "a?"}


def test_a_time_of_msgpack_is_a_number():
    assert from_bytes(msgpack.packb({"t": msgpack.Timestamp(1, 0)})) == {"t": 1.0}


def test_messages_of_the_library_are_within_their_own_limits():
    doc = {"data": {"counts": np.zeros((13, 64, 64)), "list": [0.5] * 100_000}}
    assert from_bytes(to_bytes(doc))["data"]["counts"].shape == (13, 64, 64)
    assert sockets.MAX_DOCUMENT_BYTES < wire.MAX_MESSAGE_BYTES
