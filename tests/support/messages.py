"""Messages that were spoilt, to each socket there is, and what must be true then."""

from __future__ import annotations

import copy
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict

import msgpack
import numpy as np
import zmq
from shapes import image_run, line_run
from streams import HOSTILE, HUGE, WRONG, leaves_of

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.adaptive.queueserver import Queue
from stxm_live.adaptive.remote_chooser import ChoiceServer, RemoteChooser
from stxm_live.adaptive.remote_chooser.token import public_key, secret_key
from stxm_live.core.region import Region
from stxm_live.live.remote import DocumentPublisher
from stxm_live.live.remote.gapless import Gapless
from stxm_live.live.remote.sockets import NAMES, RAW_PREFIX, DocumentReceiver
from stxm_live.live.remote.wire import from_bytes, to_bytes

TOKEN = "of the test"
LIMITS_UM = ((-10.0, 10.0), (-10.0, 10.0))
REGION = Region((0.0, 1.0), (0.0, 1.0), nx=4, ny=3)

ODD = (
    *HUGE[:5],
    *HOSTILE,
    *WRONG,
    *(5e-324, 1e-317, -0.0, float("nan"), float("-inf"), 2**63, 2**64 - 1, 1e300),
    *([1.0], [1.0, 1.0], [0, 1e-317], [[]] * 1000, {"a": "b"}, [None] * 3, "\ud800", "-1", "1e9"),
)

QUESTIONS = [
    {"do": "look"},
    {"do": "choose", "region": asdict(REGION), "stack": [["uid"], "1", ""]},
    {"do": "box", "x_um": [0.0, 1.0], "y_um": [0.0, 1.0], "step_um": 0.1, "dwell_ms": 1.0},
    {"do": "box", "x_um": [0.0, 1.0], "y_um": [0.0, 1.0], "step_um": [0.1, 0.2]},
    {"do": "take", "k": 1, "stack": None},
    {"do": "withdraw", "why": "another stack began"},
]

ANSWERS = [
    {"refused": "beyond the limits"},
    {
        "region": asdict(REGION),
        "latest": asdict(REGION),
        "suggestions": [asdict(REGION), asdict(REGION)],
        "no_suggestions": "",
        "is_ready": True,
        "refused": "",
        "last_refused": "",
        "question": "zoom 1 of 3",
        "stack": [["uid"], "1", ""],
        "scanned": [asdict(REGION)],
    },
]

QUEUE_ANSWERS = [{"success": True, "msg": "", "item": {"item_uid": "uid", "name": "plan"}}]


class HarmError(AssertionError):
    """A message did what none may do."""


def spoilt(rand: random.Random, doc: dict, packed: Callable[[dict], bytes]) -> bytes:
    """The bytes of a message with a value replaced, or with its bytes spoilt."""
    doc = copy.deepcopy(doc)
    if rand.random() < 0.7:
        for _ in range(rand.choice((1, 1, 1, 2, 5))):
            if places := list(leaves_of(doc)):
                holder, key = rand.choice(places)
                holder[key] = copy.deepcopy(rand.choice(ODD))
                if rand.random() < 0.1:
                    del holder[key]
    message = bytearray(packed(doc))
    if rand.random() < 0.5:
        for _ in range(rand.choice((1, 1, 3, 20))):
            k = rand.randrange(len(message) + 1)
            part = rand.choice(BITS)(rand, message)
            message[k : k + rand.choice((0, 1, len(part)))] = part
    return bytes(message)


BITS = (
    lambda rand, message: rand.randbytes(rand.choice((1, 4, 30))),
    lambda rand, message: message[: rand.randrange(len(message) + 1)],
    lambda rand, message: bytes([rand.choice((0x90, 0x80, 0xC0, 0xC1, 0xCB, 0xDD, 0xDF))]) * 200,
    lambda rand, message: b"\xdd\xff\xff\xff\xff",  # a list of 4 000 000 000
    lambda rand, message: b"\xdf\x7f\xff\xff\xff",  # a map
    lambda rand, message: b"\x91" * 2000,  # a list in a list in a list
    lambda rand, message: b"\xc9\x00\x00\x00\x09\x01" + rand.randbytes(9),  # an array
    lambda rand, message: b"\x80\x04K\x01.",  # a pickle
    lambda rand, message: b"",
)
"""Functions to bytes that are put into a message."""


def packed(doc: dict) -> bytes:
    """As msgpack, with what it does not know as text."""
    with suppress(OverflowError):
        return msgpack.packb(doc, default=str, unicode_errors="surrogatepass")
    return msgpack.packb(json.loads(as_json(doc), parse_int=float), unicode_errors="surrogatepass")


def as_json(doc: dict) -> bytes:
    """As JSON."""
    return json.dumps(doc, default=str).encode()


@contextmanager
def sealed(context, kind, token=TOKEN, *, serves=False) -> Iterator[zmq.Socket]:
    """A socket of someone who has the token."""
    with context.socket(kind) as socket:
        socket.set(zmq.LINGER, 0)
        if serves:
            socket.curve_server = True
            socket.curve_secretkey = secret_key(token)
        else:
            socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
            socket.curve_serverkey = public_key(token).encode()
        yield socket


def questions_answered(n: int, rand: random.Random) -> int:
    """Ask a `ChoiceServer` so often what makes no sense; return how many were answered."""
    n_answers = 0
    with (
        RegionChooser(limits_um=LIMITS_UM) as chooser,
        ChoiceServer(chooser, "127.0.0.1:0", token=TOKEN) as server,
        zmq.Context() as context,
        sealed(context, zmq.REQ) as socket,
    ):
        socket.set(zmq.REQ_RELAXED, 1)
        socket.set(zmq.REQ_CORRELATE, 1)
        socket.connect(server.address)
        for _ in range(n):
            message = spoilt(rand, rand.choice(QUESTIONS), packed)
            socket.send(message)
            if socket.poll(200 if len(message) > 2**16 else 120_000):
                from_bytes(socket.recv())
                n_answers += 1
            elif len(message) <= 2**16:
                raise HarmError(f"no answer to {message[:200]!r}")
            check_choice(chooser.claim())
        socket.send(to_bytes({"do": "look"}))
        if not socket.poll(120_000) or from_bytes(socket.recv())["refused"] != "":
            raise HarmError("the server answers no more")
    return n_answers


def check_choice(region: Region | None) -> None:
    """Raise an error if a region is none that the session allows."""
    if region is None:
        return
    ends = [*region.x_extent_um, *region.y_extent_um]
    if not (np.isfinite(ends).all() and np.abs(ends).max() <= 10 and region.nx * region.ny < 2**23):
        raise HarmError(f"{region} was accepted")
    if not (np.isfinite(region.dwell_ms) and 0 < region.dwell_ms < 1e7):
        raise HarmError(f"{region} was accepted")


class Impostor:
    """Whoever answers in the place of a server, in as many parts as one likes."""

    def __init__(self, answer: Callable[[], list[bytes]], *, has_token: bool) -> None:
        self._answer = answer
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        if has_token:
            self._socket.curve_server = True
            self._socket.curve_secretkey = secret_key(TOKEN)
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"127.0.0.1:{port}"
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Impostor:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closing.is_set():
            if self._socket.poll(20):
                peer = self._socket.recv_multipart()[0]
                self._socket.send_multipart([peer, b"", *self._answer()])
        self._context.destroy(linger=0)


READ = ("suggestions", "no_suggestions", "is_ready", "refused", "question", "stack", "scanned")


def look_at(chooser: RemoteChooser) -> None:
    """Read everything that a page shows, and choose; only a refusal may come of it."""
    for name in READ:
        str(getattr(chooser, name))
    str(chooser.latest())
    with suppress(ValueError, TimeoutError):
        chooser.choose(REGION)
    with suppress(ValueError, TimeoutError):
        chooser.choose_box((0, 1), (0, 1), step_um=0.1)


def answers_survived(n: int, rand: random.Random) -> None:
    """Answer a `RemoteChooser` so often with what makes no sense."""

    def answer() -> list[bytes]:
        return [spoilt(rand, rand.choice(ANSWERS), packed)] * rand.choice((1, 1, 1, 3))

    with Impostor(answer, has_token=True) as impostor:
        chooser = RemoteChooser(impostor.address, token=TOKEN, timeout_s=5)
        for _ in range(n // 2):
            look_at(chooser)
            if not chooser._thread.is_alive():
                raise HarmError("it looks no more")
        chooser.close()


def queue_answers_survived(n: int, rand: random.Random) -> None:
    """Answer a `Queue` so often with what makes no sense."""

    def answer() -> list[bytes]:
        return [spoilt(rand, rand.choice(QUEUE_ANSWERS), as_json)] * rand.choice((1, 1, 1, 3))

    with Impostor(answer, has_token=False) as impostor:
        queue = Queue(impostor.address, {"detector": "camera"}, timeout_s=5)
        for _ in range(n):
            with suppress(ValueError, TimeoutError):
                if not isinstance(queue.submit(REGION), str):
                    raise HarmError("a uid that is no text")


def as_document(doc: dict) -> bytes:
    """As a publisher packs it, or as near as can be."""
    try:
        return to_bytes(doc)
    except (TypeError, OverflowError, ValueError):
        return packed(doc)


class Link:
    """A receiver that listens to whoever sends, and what it hands on."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._sender = self._context.socket(zmq.PUB)
        self._sender.set_hwm(0)
        port = self._sender.bind_to_random_port("tcp://127.0.0.1")
        self._receiver = DocumentReceiver(f"127.0.0.1:{port}")
        self.handed_on: list[tuple[str, dict]] = []
        self.gapless = Gapless(
            lambda *document: self.handed_on.append(document), lambda uid: None, lambda: ()
        )
        self._numbers = 0
        while not self._answers():
            pass
        self.deliver()  # or an answer to what was asked so far is taken for a later one

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.close()
        self._context.destroy(linger=0)

    def send(self, name: bytes, *parts: bytes) -> None:
        """Send a document."""
        first, *others = parts
        self._sender.send_multipart([b" ".join((RAW_PREFIX, name, first)), *others])

    def deliver(self) -> list[tuple[str, dict]]:
        """Take all that was sent; return what was handed on."""
        self._numbers += 1
        uid = f"mark {self._numbers}"
        self.send(b"stop", to_bytes({"run_start": uid}))
        while (received := self._receiver.receive(5.0)) != ("stop", {"run_start": uid}):
            if received is not None:
                self.gapless(*received)
        self.gapless.look()
        handed_on, self.handed_on = self.handed_on, []
        return handed_on

    def _answers(self) -> bool:
        self.send(b"stop", to_bytes({"run_start": "joined"}))
        return self._receiver.receive(0.01) is not None


def documents_survived(n: int, rand: random.Random) -> None:
    """Send a receiver so many spoilt documents; a good run in between must come through whole."""
    with Link() as link:
        for k in range(max(1, n // 40)):
            for name, doc in rand.choices([*image_run(), *line_run()][:40], k=40):
                parts = [spoilt(rand, doc, as_document)] * rand.choice((1, 1, 1, 1, 4))
                link.send(rand.choice((name, name, name, *sorted(NAMES))).encode(), *parts)
            link.deliver()
            run = image_run()
            for name, doc in run:
                link.send(name.encode(), to_bytes(doc))
            names = [name for name, doc in link.deliver()]
            if names != [name for name, _ in run]:
                raise HarmError(f"after {40 * (k + 1)} documents a run came as {names}")


def subscriptions_survived(n: int, rand: random.Random) -> None:
    """Send a publisher of results so often what is no subscription."""
    with zmq.Context() as context, context.socket(zmq.XSUB) as stranger:
        publish = DocumentPublisher("127.0.0.1:0", bind=True)
        address = publish._socket.get(zmq.LAST_ENDPOINT)
        stranger.set(zmq.LINGER, 0)
        stranger.connect(address)
        for _ in range(n):
            # the sender itself ends with a fault of 0MQ if it holds a subscription of 100 kB
            message = spoilt(rand, rand.choice(QUESTIONS), packed)[:2000]
            parts = [rand.choice((b"", b"\x00", b"\x01")) + message] * rand.choice((1, 1, 3))
            stranger.send_multipart(parts)
            publish("stop", {"run_start": "uid"})
        with context.socket(zmq.SUB) as listener:
            listener.set(zmq.SUBSCRIBE, b"")
            listener.connect(address)
            for _ in range(2000):
                publish("stop", {"run_start": "uid"})
                if listener.poll(5):
                    break
            else:
                raise HarmError("nothing is published any more")
        publish.close()


SOCKETS = {
    "questions to a ChoiceServer": questions_answered,
    "answers to a RemoteChooser": answers_survived,
    "answers to a Queue": queue_answers_survived,
    "documents to serve": documents_survived,
    "subscriptions to a publisher": subscriptions_survived,
}
"""What sends so many spoilt messages to each socket, and raises `HarmError`."""
