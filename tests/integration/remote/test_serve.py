import logging
import os
import pickle  # noqa: TID251  to show that it is refused
import time

import numpy as np
import pytest
from particles import documents, image_documents, image_events, line_documents, particle_scan

pytest.importorskip("zmq", reason="needs the extra stxm-live[zmq]")
pytest.importorskip("msgpack", reason="needs the extra stxm-live[zmq]")

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from proxy import Results, ServerProcess, a_proxy, free_ports, wait_until_joined

from stxm_live import Recipe, map_run
from stxm_live.io.catalog.backup import BackupFile
from stxm_live.live.remote.addresses import checked_address
from stxm_live.live.remote.gapless import Gapless
from stxm_live.live.remote.sockets import DocumentReceiver, publisher
from stxm_live.live.remote.wire import from_bytes, to_bytes
from stxm_live.live.replay import stack_of_run


def same_products(run, maps):
    """Whether the documents of a derived run hold these maps, bit for bit."""
    expected = {str(k): v.values for k, v in maps.to_xarray().data_vars.items()}
    return set(expected) <= set(run["data"]) and all(
        value.dtype == run["data"][k].dtype
        and np.array_equal(value, run["data"][k], equal_nan=value.dtype.kind == "f")
        for k, value in expected.items()
    )


# the wire


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<u2", "|b1", "<i8", "<c8", "<U3"])
def test_arrays_cross_the_wire_bit_for_bit(dtype, rng):
    array = rng.integers(0, 99, (3, 4, 5)).astype(dtype)[::2, :, ::-1]
    back = from_bytes(to_bytes({"data": {"counts": array}}))["data"]["counts"]
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    assert back.flags.writeable


def test_nan_and_infinity_and_empty_arrays_cross_the_wire():
    array = np.array([np.nan, np.inf, -0.0], dtype=np.float32)
    doc = from_bytes(to_bytes({"a": array, "b": float("nan"), "c": np.zeros((0, 3))}))
    assert doc["a"].tobytes() == array.tobytes()
    assert np.isnan(doc["b"])
    assert doc["c"].shape == (0, 3)


def test_a_pickle_is_refused_by_name_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(ValueError, match=r"stxm_live\.live\.remote\.publisher"):
            from_bytes(pickle.dumps({"uid": Evil()}, protocol=protocol))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "parts",
    [
        ["|O", [1], b"12345678"],
        ["<f4", [10**9, 10**9], b"1234"],
        ["<f4", [-1, -1], b"1234"],
        ["<f4", [1] * 40, b"1234"],
        ["f4,f4", [1], b"12345678"],
        ["no dtype", [1], b"1234"],
        [None, None, None],
        ["<U0", [7], b""],
    ],
)
def test_an_array_that_lies_about_itself_is_no_document(parts):
    import msgpack

    message = msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb(parts))})
    with pytest.raises(ValueError, match="not a msgpack document"):
        from_bytes(message)


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 500))
def test_whatever_bytes_come_the_answer_is_a_document_or_a_value_error(noise, cut):
    good = to_bytes({"data": {"counts": np.ones((2, 3), np.float32)}, "uid": "x"})
    for message in (noise, good[:cut] + noise, noise + good):
        with contextlib.suppress(ValueError):
            assert isinstance(from_bytes(message), dict)


def test_what_cannot_be_sent_is_logged_and_does_not_reach_the_scan(caplog):
    publish = publisher(free_ports(1)[0])
    with caplog.at_level(logging.CRITICAL, "stxm_live"):
        publish("event", {"data": {"x": object()}})
        publish("event", {"data": {"x": np.array([object()])}})
        publish("event", {"data": {"x": 2**80}})
    publish.close()


def test_publishing_to_a_proxy_that_is_not_there_neither_waits_nor_grows():
    publish = publisher(free_ports(1)[0])
    doc = {"data": {"counts": np.zeros((256, 256), np.float32)}}
    for _ in range(600):
        publish("event", doc)
    publish._socket.setsockopt(17, 0)  # linger
    publish.close()


@pytest.mark.parametrize(
    "address", ["127.0.0.1:5578", "localhost:1", "tcp://[::1]:5578", "ipc:///tmp/x"]
)
def test_addresses_of_this_machine_are_taken(address):
    assert "://" in checked_address(address)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:5578", "*:5578", "10.0.0.3:5578", "tcp://host.example:1", ":5578", "[::]:5578"],
)
def test_addresses_others_reach_are_refused_unless_that_is_wanted(address):
    with pytest.raises(ValueError, match="open to the network"):
        checked_address(address)
    assert checked_address(address, allow_network=True)


@pytest.mark.parametrize("address", ["", "5578", "127.0.0.1", "127.0.0.1:x", "udp://127.0.0.1:5"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        checked_address(address, allow_network=True)


def test_beside_pickled_documents_ours_are_read_and_the_others_named_once(caplog):
    from bluesky.callbacks.zmq import Publisher

    with a_proxy() as (into, out), caplog.at_level(logging.WARNING, "stxm_live"):
        receiver = DocumentReceiver(out)
        theirs, ours = Publisher(into), publisher(into)
        seen = []
        while not seen or "pickled documents" not in caplog.text:
            theirs("start", {"uid": "pickled"})
            ours("start", {"uid": "ours"})
            seen += [doc for _ in range(4) if (doc := receiver.receive(0.05))]
        theirs.close()
        ours.close()
        receiver.close()
    assert {doc["uid"] for _, doc in seen} == {"ours"}
    assert caplog.text.count("carries pickled documents") == 1


def test_rubbish_on_the_wire_is_counted_and_left_out(caplog):
    import zmq

    (address,) = free_ports(1)
    context = zmq.Context()
    sender = context.socket(zmq.PUB)
    sender.bind(f"tcp://{address}")
    receiver = DocumentReceiver(address)
    good = b"stxm_live stop " + to_bytes({"uid": "good"})
    rubbish = [b"", b" ", b"stxm_live", b"stxm_live  ", b"stxm_live start", b"\xff\xfe \x00 x"]
    rubbish += [b"stxm_live eval " + to_bytes({}), b"stxm_live event " + pickle.dumps([1])]
    seen = []
    with caplog.at_level(logging.CRITICAL, "stxm_live"):
        while not (seen and receiver.n_refused):
            for message in [*rubbish, good]:
                sender.send(message)
            seen += [doc for _ in range(30) if (doc := receiver.receive(0.01))]
    receiver.close()
    sender.close(linger=0)
    context.term()
    assert seen[0] == ("stop", {"uid": "good"})


# without gaps


class Store:
    """Documents a process has stored so far."""

    def __init__(self, docs=()):
        self.docs = list(docs)

    def read(self, uid):
        return [pair for pair in self.docs if self.docs[0][1]["uid"] == uid]

    def find(self):
        return [self.docs[0][1]["uid"]] if self.docs else []


def joined(stream, store, *, looks=1):
    """What a mapper is given of a stream and a store."""
    taken = []
    gapless = Gapless(lambda name, doc: taken.append((name, doc)), store.read, store.find)
    gapless.join()
    for name, doc in stream:
        gapless(name, doc)
    for _ in range(looks):
        for run in gapless._runs.values():
            run.look_s = 0.0
        gapless.look()
    return taken


@pytest.mark.parametrize("shape", [image_documents, line_documents])
@settings(max_examples=25)
@given(data=st.data())
def test_whatever_the_stream_loses_the_store_fills_in_and_nothing_comes_twice(shape, data):
    docs = list(shape())
    lost = data.draw(st.sets(st.integers(0, len(docs) - 1)))
    stream = [pair for k, pair in enumerate(docs) if k not in lost]
    doubled = data.draw(st.booleans())
    taken = joined(stream * (1 + doubled), Store(docs))
    assert sorted(doc["uid"] for _, doc in taken) == sorted(doc["uid"] for _, doc in docs)
    assert taken[0][0] == "start"
    assert taken[-1][0] == "stop"


@pytest.mark.parametrize("k", range(0, 16, 3))
def test_a_late_joiner_gets_what_is_stored_and_then_the_stream(k):
    docs = list(image_documents())
    taken = joined(docs[k:], Store(docs[: k + 1]))
    stack, expected = stack_of_run(taken), stack_of_run(docs)
    np.testing.assert_array_equal(stack.intensity(), expected.intensity())
    assert stack.energies_ev == expected.energies_ev
    assert stack.notes == expected.notes == ()


def test_what_is_not_stored_yet_is_fetched_when_it_is_and_the_stop_waits_for_it():
    docs = list(image_documents())
    store, taken = Store(), []
    gapless = Gapless(lambda name, doc: taken.append((name, doc)), store.read, store.find)
    for k, pair in enumerate(docs):
        if k not in (5, 9):
            gapless(*pair)
    assert len(taken) == len(docs) - 3
    assert taken[-1][0] == "event"
    store.docs = docs
    gapless._runs[docs[0][1]["uid"]].look_s = 0.0
    gapless.look()
    assert [name for name, _ in taken[-3:]] == ["event", "event", "stop"]


def test_a_rewound_scan_hands_the_later_image_on_again():
    docs = list(documents([*image_events(), *image_events(skip=range(1, 13))], particle_scan()))
    again = dict(docs[-2][1]) | {"seq_num": 1, "time": docs[2][1]["time"] + 100}
    taken = joined([*docs[:-2], ("event", again), docs[-1]], Store())
    assert [doc["seq_num"] for name, doc in taken if name == "event"] == [*range(1, 14), 1]


def test_a_run_whose_missing_images_are_nowhere_is_ended_all_the_same(monkeypatch, caplog):
    monkeypatch.setattr("stxm_live.live.remote.gapless.PATIENCE_S", -1.0)
    docs = list(image_documents())
    with caplog.at_level(logging.ERROR, "stxm_live"):
        taken = joined([*docs[:5], *docs[6:]], Store())
    assert taken[-1][0] == "stop"
    assert "1 documents were not found" in caplog.text


def test_documents_that_make_no_sense_are_left_out(caplog):
    docs = list(image_documents())
    odd = [("event", {}), ("event", {"descriptor": docs[1][1]["uid"], "seq_num": "x", "time": 1})]
    odd += [("start", {}), ("stop", {}), ("descriptor", {}), ("datum", {}), ("event_page", {})]
    with caplog.at_level(logging.CRITICAL, "stxm_live"):
        taken = joined([*docs[:4], *odd, *docs[4:]], Store())
    assert taken == docs


# the process


@pytest.mark.slow
def test_results_and_failures_come_back_also_from_a_process_that_was_killed_meanwhile(tmp_path):
    (results,) = free_ports(1)
    with a_proxy() as (into, out), contextlib.ExitStack() as closing:
        server = ServerProcess(out, results, tmp_path)
        closing.callback(server.kill)
        heard = Results(results)
        closing.callback(heard.close)
        publish = publisher(into)
        closing.callback(publish.close)
        wait_until_joined(publish, out)
        priorities = [os.getpriority(os.PRIO_PROCESS, pid) for pid in (server.process.pid, 0)]
        assert priorities[0] > priorities[1]

        docs = list(image_documents())
        for pair in docs:
            publish(*pair)
        expected = map_run(docs, Recipe.load("nvpf"))
        run = heard.matching(lambda run: same_products(run, expected))
        assert run["start"]["purpose"] == "analysis"
        assert run["start"]["original_run_uid"] == docs[0][1]["uid"]

        for pair in documents(list(image_events())[:1], particle_scan()):
            publish(*pair)
        failed = heard.matching(lambda run: run["stop"]["exit_status"] == "fail")
        assert "at least two images" in failed["stop"]["reason"]

        again = list(image_documents())
        uid = again[0][1]["uid"]
        backup = BackupFile(tmp_path / "backup" / f"{uid}.jsonl")
        for n, pair in enumerate(again):
            backup(*pair)
            publish(*pair)
            time.sleep(0.05)
            if n == 8:
                server.kill()
            if n == 10:
                server.start()
        backup.close()
        run = heard.matching(
            lambda run: run["start"]["original_run_uid"] == uid and same_products(run, expected)
        )
        assert run["stop"]["exit_status"] == "success"
        assert server.close() == 0
