"""Documents over 0MQ in bluesky's form ``prefix name document``, but without pickle."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from stxm_live.core.harmless import Harmless
from stxm_live.io.documents import copied
from stxm_live.live.remote.addresses import checked_address
from stxm_live.live.remote.wire import MAX_MESSAGE_BYTES, from_bytes, is_pickle, to_bytes

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

_LINGER_MS = 2000


class DocumentPublisher:
    """Send documents; never raises in a scan and never waits.

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
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.set(zmq.SNDHWM, MAX_WAITING)
        self._socket.set(zmq.LINGER, _LINGER_MS)
        attach(self._socket, self.address, bind)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Send one document."""
        with Harmless(f"a {name} document could not be published"):
            copy = copied(name, doc, room_bytes=MAX_MESSAGE_BYTES)
            if copy.left_out:
                logger.warning("a %s document is sent without %s", name, "; ".join(copy.left_out))
            message = b" ".join((self._prefix, str(name).encode(), to_bytes(copy.doc)))
            self._socket.send(message)  # a publisher never waits

    def close(self) -> None:
        """Send waiting documents, for two seconds at most, and close."""
        self._socket.close()
        self._context.term()


class DocumentReceiver:
    """Receive documents that are marked with a prefix; others are ignored.

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
        zmq = zmq_or_hint()
        self._prefix = prefix
        self._has_warned = False
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self._socket.set(zmq.SUBSCRIBE, b"")
        attach(self._socket, self.address, bind=False)

    def receive(self, timeout_s: float) -> tuple[str, dict[str, Any]] | None:
        """Return the next document; None if none comes in time, or it has another prefix."""
        if not self._socket.poll(round(1000 * timeout_s)):
            return None
        prefix, _, rest = self._socket.recv().partition(b" ")
        name, _, payload = rest.partition(b" ")
        if prefix != self._prefix:
            self._warn_of(payload)
            return None
        try:
            if name.decode("ascii", "replace") not in NAMES:
                raise ValueError(f"a document named {name[:40]!r}")
            return name.decode("ascii"), from_bytes(payload)
        except ValueError as error:
            self.n_refused += 1
            logger.error("%s: %s; left out", self.address, error)
            return None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(linger=0)
        self._context.term()

    def _warn_of(self, payload: bytes) -> None:
        if is_pickle(payload) and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%s carries pickled documents, which are not read: a pickle could run any "
                "program. Subscribe stxm_live.live.remote.publisher(address) to the RunEngine as "
                "well; the same proxy passes both on",
                self.address,
            )


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
