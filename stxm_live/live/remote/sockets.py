"""Documents over 0MQ in bluesky's form ``prefix name document``, but without pickle."""

from __future__ import annotations

import logging
import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any

from stxm_live.core.harmless import Harmless, plain
from stxm_live.core.worker import Limits, Worker, weakly
from stxm_live.io.documents import Copied, copied, prepare_copies, with_arrays
from stxm_live.io.other_process import START_S, OtherProcess
from stxm_live.live.remote.addresses import absolute_address, checked_address
from stxm_live.live.remote.message_size import check_values
from stxm_live.live.remote.wire import (
    MAX_MESSAGE_BYTES,
    NOT_SENDABLE,
    from_bytes,
    is_pickle,
    sendable,
    to_bytes,
)

logger = logging.getLogger("stxm_live")

RAW_PREFIX = b"stxm_live"
"""Mark of documents from our publisher, among others that pass through the same proxy."""

MAPS_PREFIX = b"stxm_live_maps"

NAMES = frozenset(
    {
        "start",
        "descriptor",
        "event",
        "event_page",
        "stop",
        "resource",
        "datum",
        "datum_page",
        "stream_resource",
        "stream_datum",
    }
)

MAX_WAITING = 256
"""Most documents that wait for a proxy that does not accept them; further ones are not sent."""

MAX_WAITING_BYTES = 256 * 2**20
"""Most bytes that wait so, in documents of more than 64 KiB."""

MAX_DOCUMENT_BYTES = 80 * 2**20
"""A longer document of a scan is not read; results may be as long as any message."""

_AHEAD_BYTES = 5 * MAX_DOCUMENT_BYTES + 256 * 2**20
"""Most memory of the process that takes messages: 0MQ holds up to four of them."""

_LINGER_MS = 2000

_HANDSHAKE_MS = 2000
"""A connection that says nothing is closed after this time, and its file descriptor is free."""

_HEAD_BYTES = 200
_SUBSCRIPTION_BYTES = 256


class DocumentPublisher:
    """Send documents; never raises in a scan and never waits.

    The caller's thread only copies a document; another thread packs and sends it.

    Parameters
    ----------
    address : str
        Address such as "127.0.0.1:5577".
    prefix : bytes
    bind : bool
        If True, others connect to this address.
    allow_network : bool
        Accept an address that other machines reach.
    """

    def __init__(
        self,
        address: str,
        *,
        prefix: bytes = RAW_PREFIX,
        bind: bool = False,
        allow_network: bool = False,
    ) -> None:
        self.address = checked_address(address, allow_network=allow_network)
        zmq = zmq_or_hint()
        self._prefix = prefix
        self._most_bytes = MAX_DOCUMENT_BYTES if prefix == RAW_PREFIX else MAX_MESSAGE_BYTES
        self._context = zmq.Context()
        self._waiting: deque[tuple[Any, int]] = deque()
        self._is_stalled = False
        self._lost: Any = None
        self._open(bind)
        prepare_copies()
        limits = Limits(behind_bytes=MAX_WAITING_BYTES, waiting_bytes=MAX_WAITING_BYTES)
        self._worker: Worker[tuple[str, Copied]] = Worker(
            weakly(self._publish), limits=limits, name="stxm-live-publish"
        )
        self._end = weakref.finalize(self, self._worker.close, _LINGER_MS / 1000)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Send one document."""
        with Harmless("a %s document could not be published", name):
            copy = copied(name, plain(doc), room_bytes=self._most_bytes)
            if copy.left_out:
                logger.warning("a %s document is sent without %s", name, "; ".join(copy.left_out))
            if not self._worker.submit((str(name), copy), n_bytes=copy.n_bytes):
                self._leave_out()

    def _publish(self, item: tuple[str, Copied]) -> None:
        """Pack and send a document, on the thread for this."""
        name, copy = item
        doc = with_arrays(name, copy.doc)
        try:
            check_values(packed := to_bytes(doc))
        except NOT_SENDABLE:
            doc, odd = sendable(doc)
            logger.warning("a %s document is sent without %s", name, ", ".join(odd))
            packed = to_bytes(doc)
        self._send(b" ".join((self._prefix, name.encode(), packed)))

    def _leave_out(self) -> None:
        if not self._is_stalled:
            logger.warning("%s does not accept documents; they are left out", self.address)
        self._is_stalled = True

    def _open(self, bind: bool = False) -> None:
        """Open the socket, and take note if its connection is lost."""
        from stxm_live.io.message_process import lost_connections

        zmq = zmq_or_hint()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.set(zmq.SNDHWM, MAX_WAITING)
        self._socket.set(zmq.LINGER, _LINGER_MS)
        self._socket.set(zmq.MAXMSGSIZE, _SUBSCRIPTION_BYTES)
        self._socket.set(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
        if not bind:
            self._lost = lost_connections(self._socket)
        attach(self._socket, self.address, bind)

    def _close(self) -> None:
        if self._lost is not None:
            self._socket.disable_monitor()
            self._lost.close()
        self._socket.close()

    def _send(self, message: bytes) -> None:
        """Send a message, which a publisher does without waiting, unless too much waits."""
        if self._lost is not None and self._lost.poll(0):
            self._close()
            self._open()
        while self._waiting and self._waiting[0][0].done:
            self._waiting.popleft()
        n_bytes = sum(n for _, n in self._waiting) + len(message)
        if self._waiting and n_bytes > MAX_WAITING_BYTES:
            self._leave_out()
            return
        self._is_stalled = False
        tracker = self._socket.send(message, copy=False, track=True)
        self._waiting.append((tracker, len(message)))

    def close(self) -> None:
        """Send waiting documents, for a few seconds at most, and close."""
        self._end()
        self._close()
        self._context.term()


class DocumentReceiver:
    """Receive documents that are marked with a prefix; others are ignored.

    Messages are taken in another process, whose memory is limited: 0MQ collects all parts of a
    message before one of them can be refused. Here there is one message at a time.

    Parameters
    ----------
    address : str
        Address where a proxy or a `DocumentPublisher` sends.
    prefix : bytes
    allow_network : bool
    """

    def __init__(
        self, address: str, *, prefix: bytes = RAW_PREFIX, allow_network: bool = False
    ) -> None:
        self.address = checked_address(address, allow_network=allow_network)
        self.n_refused = 0
        zmq_or_hint()
        self._prefix = prefix
        self._has_warned = False
        self._process = OtherProcess("stxm_live.io.message_process")
        self._start()

    def receive(self, timeout_s: float) -> tuple[str, dict[str, Any]] | None:
        """Return the next document; None if none comes in time, or it has another prefix."""
        message = self._received(timeout_s)
        if message is None:
            return None
        prefix, name, payload = _split(message)
        if message and prefix != self._prefix:
            self._warn_of(payload)
            return None
        try:
            if not message:
                raise ValueError("a message of several parts")
            if name.decode("ascii", "replace") not in NAMES:
                raise ValueError(f"a document named {name[:40]!r}")
            return name.decode("ascii"), from_bytes(payload, writable=False)
        except Exception as error:  # noqa: BLE001  no message ends the program
            self.n_refused += 1
            logger.error("%s: %s; left out", self.address, str(error)[:500])
            return None

    def close(self) -> None:
        """Close the socket."""
        self._process.end()

    def _start(self) -> None:
        """Let another process take messages."""
        request = {
            "what": "listen",
            "address": absolute_address(self.address),
            "most_bytes": MAX_DOCUMENT_BYTES + _HEAD_BYTES,
            "memory_bytes": _AHEAD_BYTES,
        }
        try:
            self._process.asked(request, START_S)
        except (OSError, EOFError) as error:
            self._process.end()
            raise OSError(f"{self.address} cannot be listened to ({error})") from error

    def _received(self, timeout_s: float) -> memoryview | None:
        """Return a message, empty if it has several parts; None if none comes in time."""
        try:
            return memoryview(self._process.answering(timeout_s).recv_bytes())
        except TimeoutError:
            return None
        except (EOFError, OSError):
            logger.error("%s: a message takes too much memory; left out", self.address)
            self._process.end()
            self._start()
            return None

    def _warn_of(self, payload: bytes | memoryview) -> None:
        if is_pickle(payload) and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%s carries pickled documents, which are not read: a pickle could run any "
                "program. Subscribe stxm_live.live.remote.publisher(address) to the RunEngine as "
                "well; the same proxy passes both on",
                self.address,
            )


def _split(message: memoryview) -> tuple[bytes, bytes, memoryview]:
    """Return prefix, name and document of a message, without a copy of the last."""
    prefix, _, rest = bytes(message[:_HEAD_BYTES]).partition(b" ")
    name, _, _ = rest.partition(b" ")
    return prefix, name, message[len(prefix) + len(name) + 2 :]


def publisher(address: str, *, allow_network: bool = False) -> DocumentPublisher:
    """Return a subscriber for a RunEngine that sends its runs to a `Server`.

    Parameters
    ----------
    address : str
        Address where the proxy receives documents, such as "127.0.0.1:5577".
    allow_network : bool

    Examples
    --------
    >>> RE.subscribe(publisher("127.0.0.1:5577"))  # doctest: +SKIP
    """
    return DocumentPublisher(address, allow_network=allow_network)


def dispatcher(address: str, *, allow_network: bool = False) -> Any:
    """Return Bluesky's `RemoteDispatcher` for the results of a `Server`, without pickle.

    Examples
    --------
    >>> results = dispatcher("127.0.0.1:5579")  # doctest: +SKIP
    >>> results.subscribe(print)                # doctest: +SKIP
    >>> results.start()                         # doctest: +SKIP
    """
    checked = checked_address(address, allow_network=allow_network)
    zmq_or_hint()
    from bluesky.callbacks.zmq import RemoteDispatcher

    return RemoteDispatcher(checked, prefix=MAPS_PREFIX, deserializer=from_bytes)


def attach(socket: Any, address: str, bind: bool) -> None:
    """Bind or connect a socket; OSError names the address that cannot be used."""
    from zmq.error import ZMQError

    try:
        (socket.bind if bind else socket.connect)(address)
    except ZMQError as error:
        raise OSError(error.errno, f"{address} cannot be used ({error.strerror})") from error


def zmq_or_hint() -> Any:
    """Return the module zmq; ImportError says what to install."""
    try:
        import msgpack  # noqa: F401
        import zmq
    except ImportError as error:
        raise ImportError(
            "a separate process needs pyzmq and msgpack; install stxm-live[zmq]"
        ) from error
    return zmq
