"""`ChoiceServer`: receives choices of other processes, beside the RunEngine.

Each request gets one answer, as msgpack over 0MQ; it says at once if a choice is refused,
and why.
"""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.adaptive.remote_chooser.messages import (
    MAX_TEXT,
    number_or_none,
    pair_of,
    region_of,
    stack_of,
)
from stxm_live.core.region import Region
from stxm_live.live.remote.addresses import checked_address
from stxm_live.live.remote.asking import MAX_QUESTION_BYTES
from stxm_live.live.remote.sockets import attach, zmq_or_hint
from stxm_live.live.remote.wire import from_bytes, to_bytes

logger = logging.getLogger("stxm_live")

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
        Required for a choice; without one, other users of the machine could choose.
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
        self._chooser = chooser
        self._token = token
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self._socket.set(zmq.MAXMSGSIZE, MAX_QUESTION_BYTES)
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
            if self._socket.poll(round(1000 * _POLL_S)):
                parts = self._socket.recv_multipart()
                self._socket.send(to_bytes(self._answer(parts)))
        self._socket.close(linger=0)
        self._context.term()

    def _answer(self, parts: list[bytes]) -> dict[str, Any]:
        """Return the answer to a message; no message can end the server."""
        try:
            message = from_bytes(b"".join(parts))
            known = str(message.get("token") or "").encode()
            if self._token is not None and not hmac.compare_digest(known, self._token.encode()):
                raise ValueError("the choice has a wrong token, or none")
            region = self._act(message)
        except (ValueError, TypeError, OverflowError) as error:
            logger.warning("%s: refused: %s", self.address, error)
            return {"refused": str(error)}
        return {"region": None if region is None else asdict(region), **self._state()}

    def _act(self, message: Mapping[str, Any]) -> Region | None:
        stack = stack_of(message.get("stack"))
        what = message.get("do")
        if what == "choose":
            return self._chooser.choose(region_of(message.get("region")), stack=stack)
        if what == "box":
            step = message.get("step_um")
            return self._chooser.choose_box(
                pair_of(message.get("x_um")),
                pair_of(message.get("y_um")),
                step_um=pair_of(step) if isinstance(step, list) else number_or_none(step),
                dwell_ms=number_or_none(message.get("dwell_ms")),
                stack=stack,
            )
        if what == "take":
            return self._chooser.take(int(message.get("k", 0)), stack=stack)
        if what == "withdraw":
            self._chooser.withdraw()
            if message.get("why"):
                self._chooser.refuse(str(message["why"])[:MAX_TEXT])
        elif what != "look":
            raise ValueError(f"the message asks for {str(what)[:40]!r}, which is unknown")
        return None

    def _state(self) -> dict[str, Any]:
        chooser = self._chooser
        latest = chooser.latest()
        return {
            "latest": None if latest is None else asdict(latest),
            "suggestions": [asdict(region) for region in chooser.suggestions],
            "no_suggestions": chooser.no_suggestions,
            "is_ready": chooser.is_ready,
            "refused": "",
            "last_refused": chooser.refused,
            "question": chooser.question,
            "stack": None if chooser.stack is None else list(chooser.stack),
            "scanned": [asdict(region) for region in chooser.scanned],
        }
