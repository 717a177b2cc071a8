"""`ChoiceServer`: receives choices of other processes, beside the RunEngine.

Each question gets one answer, as msgpack over 0MQ; it says at once if a choice is refused,
and why. Who does not hold the token completes no handshake, so that nothing of it is read.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import Any

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.adaptive.remote_chooser.messages import (
    Box,
    Choose,
    Question,
    Take,
    Withdraw,
    plain,
    question_of,
    region_values,
    regions_values,
    stack_values,
)
from stxm_live.adaptive.remote_chooser.token import own_token, secret_key
from stxm_live.core.region import Region
from stxm_live.core.stack import StackKey
from stxm_live.live.remote.addresses import checked_address
from stxm_live.live.remote.sockets import attach, zmq_or_hint
from stxm_live.live.remote.wire import from_bytes, to_bytes

logger = logging.getLogger("stxm_live")

MAX_QUESTION_BYTES = 2**16
"""A longer question is not read; the connection is closed."""

MAX_CONNECTIONS = 32
"""With more than these, all are closed: a flood of them would take the session's open files."""

_HANDSHAKE_MS = 2000
_BACKLOG = 8
_WAITING = 8
_POLL_S = 0.2


class ChoiceServer:
    """Let another process use a chooser, on a thread of its own.

    Parameters
    ----------
    chooser : RegionChooser
        Chooser of the session with the RunEngine.
    address : str
        Address such as "127.0.0.1:5580"; port 0 uses any free port (see `address`).
    token : str, optional
        Shared secret, which a client must have. By default a random one in a file that only
        this account can read, where `RemoteChooser` finds it.
    allow_network : bool
        Accept an address that other machines can reach.

    Attributes
    ----------
    address : str
        Address that it listens on.
    """

    def __init__(
        self,
        chooser: RegionChooser,
        address: str = "127.0.0.1:5580",
        *,
        token: str | None = None,
        allow_network: bool = False,
    ) -> None:
        checked = checked_address(address, allow_network=allow_network)
        zmq = zmq_or_hint()
        key = secret_key(own_token() if token is None else token)
        self._chooser = chooser
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.curve_server = True
        self._socket.curve_secretkey = key
        self._socket.set(zmq.MAXMSGSIZE, MAX_QUESTION_BYTES)
        self._socket.set(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
        self._socket.set(zmq.BACKLOG, _BACKLOG)
        self._socket.set_hwm(_WAITING)
        self._connections: set[int] = set()
        self._events = self._socket.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        try:
            attach(self._socket, checked, bind=True)
        except OSError:
            self._context.destroy(linger=0)
            raise
        self.address: str = self._socket.get(zmq.LAST_ENDPOINT).decode()
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stxm-live-choices", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept no more choices."""
        self._is_closing.set()
        self._thread.join(5)

    def __enter__(self) -> ChoiceServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._is_closing.is_set():
            try:
                self._serve()
            except BaseException:  # nothing that comes may end the server
                logger.exception("%s: a message could not be answered", self.address)
                self._is_closing.wait(_POLL_S)
        self._context.destroy(linger=0)

    def _serve(self) -> None:
        """Answer the next question, if one comes."""
        zmq = zmq_or_hint()
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._events, zmq.POLLIN)
        ready = dict(poller.poll(round(1000 * _POLL_S)))
        if self._events in ready:
            self._count_connections()
        if self._socket in ready:
            *envelope, question = self._socket.recv_multipart(zmq.NOBLOCK)
            if len(envelope) in (2, 3) and not envelope[-1]:  # peer, number if any, delimiter
                self._socket.send_multipart([*envelope, self._answer(question)], zmq.NOBLOCK)

    def _count_connections(self) -> None:
        from zmq.utils.monitor import recv_monitor_message

        zmq = zmq_or_hint()
        while self._events.poll(0):
            event = recv_monitor_message(self._events)
            is_new = event["event"] == zmq.EVENT_ACCEPTED
            (self._connections.add if is_new else self._connections.discard)(event["value"])
        if len(self._connections) > MAX_CONNECTIONS:
            logger.warning("%s: too many connections; all are closed", self.address)
            self._connections.clear()
            self._socket.unbind(self.address)
            self._listen_again()

    def _listen_again(self) -> None:
        while not self._is_closing.is_set():
            with suppress(OSError):
                attach(self._socket, self.address, bind=True)
                return
            self._is_closing.wait(_POLL_S)

    def _answer(self, question: bytes) -> bytes:
        """Return the answer to a question, whatever it is and whatever the chooser does."""
        try:
            chosen = self._act(question_of(from_bytes(question)))
            return to_bytes(self._state(None if chosen is None else region_values(chosen)))
        except ValueError as error:
            logger.warning("%s: refused: %s", self.address, error)
            reason = str(error)
        except BaseException as error:
            logger.exception("%s: a question could not be answered", self.address)
            reason = f"the session has a fault: {error!r}"
        return to_bytes({"refused": plain(reason)})

    def _act(self, question: Question) -> Region | None:
        match question:
            case Choose():
                return self._chooser.choose(question.region, stack=self._meant(question.stack))
            case Box():
                return self._chooser.choose_box(
                    question.x_um,
                    question.y_um,
                    step_um=question.step_um,
                    dwell_ms=question.dwell_ms,
                    stack=self._meant(question.stack),
                )
            case Take():
                return self._chooser.take(question.k, stack=self._meant(question.stack))
            case Withdraw():
                self._chooser.withdraw()
                if question.why:
                    self._chooser.refuse(question.why)
        return None

    def _meant(self, stack: StackKey | None) -> StackKey | None:
        """Return the present stack if a question names it as the answers do, with texts cut."""
        present = self._chooser.stack
        is_meant = present is not None and stack_values(present) == stack_values(stack)
        return present if is_meant else stack

    def _state(self, region: dict[str, Any] | None) -> dict[str, Any]:
        chooser = self._chooser
        latest = chooser.latest()
        return {
            "refused": "",
            "region": region,
            "latest": None if latest is None else region_values(latest),
            "suggestions": regions_values(chooser.suggestions),
            "no_suggestions": plain(chooser.no_suggestions),
            "is_ready": chooser.is_ready,
            "last_refused": plain(chooser.refused),
            "question": plain(chooser.question),
            "question_left_s": float(chooser.question_left_s),
            "stack": stack_values(chooser.stack),
            "scanned": regions_values(chooser.scanned),
        }
