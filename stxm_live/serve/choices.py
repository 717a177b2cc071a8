"""Choices of another process: `RemoteChooser` there, `ChoiceServer` beside the RunEngine.

One question, one answer, as msgpack over 0MQ: whoever chooses is told at once if the choice is
refused, and why.
"""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from stxm_live.chooser import RegionChooser
from stxm_live.region import Region
from stxm_live.serve.addresses import checked_address
from stxm_live.serve.asking import MAX_MESSAGE_BYTES, answer_of
from stxm_live.serve.sockets import attach, zmq_or_hint
from stxm_live.serve.wire import from_bytes, to_bytes
from stxm_live.stack import StackKey

logger = logging.getLogger("stxm_live")

_POLL_S = 0.2
_MAX_TEXT = 500


class ChoiceServer:
    """Lets another process use a chooser, on a thread of its own.

    Parameters
    ----------
    chooser : RegionChooser
        That of the session with the RunEngine.
    address : str
        As "127.0.0.1:5580"; port 0 takes any that is free (see `address`).
    token : str, optional
        Whoever chooses must know it; on a machine with other users they could choose without.
    allow_network : bool
        Accept an address that other machines reach.

    Attributes
    ----------
    address : str
        Where it listens.
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
        self._socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
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
        """Take no more choices."""
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
        """What became of a message; nothing that comes in ends the server."""
        try:
            message = from_bytes(b"".join(parts))
            known = str(message.get("token") or "").encode()
            if self._token is not None and not hmac.compare_digest(known, self._token.encode()):
                raise ValueError("a choice with a wrong token, or without one")
            region = self._act(message)
        except (ValueError, TypeError, OverflowError) as error:
            logger.warning("%s: refused: %s", self.address, error)
            return {"refused": str(error)}
        return {"region": None if region is None else asdict(region), **self._state()}

    def _act(self, message: Mapping[str, Any]) -> Region | None:
        stack = _stack_of(message.get("stack"))
        what = message.get("do")
        if what == "choose":
            return self._chooser.choose(region_of(message.get("region")), stack=stack)
        if what == "box":
            step = message.get("step_um")
            return self._chooser.choose_box(
                _pair(message.get("x_um")),
                _pair(message.get("y_um")),
                step_um=_pair(step) if isinstance(step, list) else _number_or_none(step),
                dwell_ms=_number_or_none(message.get("dwell_ms")),
                stack=stack,
            )
        if what == "take":
            return self._chooser.take(int(message.get("k", 0)), stack=stack)
        if what == "withdraw":
            self._chooser.withdraw()
        elif what != "look":
            raise ValueError(f"a message that asks for {str(what)[:40]!r}")
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


class RemoteChooser:
    """The chooser of another process, with the methods of `RegionChooser` for a person.

    Every look asks the other process and takes a millisecond, or ``timeout_s`` if it is gone.

    Parameters
    ----------
    address : str
        Of the `ChoiceServer`.
    token : str, optional
    timeout_s : float
    allow_network : bool

    Examples
    --------
    >>> chooser = RemoteChooser("127.0.0.1:5580")           # doctest: +SKIP
    >>> chooser.choose_box((0, 2), (0, 1), step_um=0.05)    # doctest: +SKIP
    """

    def __init__(
        self,
        address: str = "127.0.0.1:5580",
        *,
        token: str | None = None,
        timeout_s: float = 2.0,
        allow_network: bool = False,
    ) -> None:
        self.address = checked_address(address, allow_network=allow_network)
        self._token = token
        self._timeout_s = timeout_s

    @property
    def suggestions(self) -> list[Region]:
        """As `RegionChooser.suggestions`."""
        return [region_of(values) for values in self._ask("look")["suggestions"]]

    @property
    def no_suggestions(self) -> str:
        """Why nothing is suggested."""
        return str(self._ask("look")["no_suggestions"])

    @property
    def is_ready(self) -> bool:
        """Whether the suggestions of the newest maps are made."""
        return bool(self._ask("look")["is_ready"])

    @property
    def refused(self) -> str:
        """Why the last choice was not taken."""
        return str(self._ask("look")["last_refused"])

    @property
    def question(self) -> str:
        """What a plan waits for a choice for."""
        return str(self._ask("look")["question"])

    @property
    def stack(self) -> StackKey | None:
        """The stack that suggestions come from."""
        return _stack_of(self._ask("look")["stack"])

    @property
    def scanned(self) -> tuple[Region, ...]:
        """What a plan has scanned since."""
        return tuple(region_of(values) for values in self._ask("look")["scanned"])

    def latest(self) -> Region | None:
        """The newest choice, by whomever."""
        values = self._ask("look")["latest"]
        return None if values is None else region_of(values)

    def choose(self, region: Region, *, stack: StackKey | None = None) -> Region:
        """As `RegionChooser.choose`; ValueError says why it was refused."""
        return region_of(self._ask("choose", region=asdict(region), stack=stack)["region"])

    def choose_box(
        self,
        x_um: tuple[float, float],
        y_um: tuple[float, float],
        *,
        step_um: float | tuple[float, float] | None = None,
        dwell_ms: float | None = None,
        stack: StackKey | None = None,
    ) -> Region:
        """As `RegionChooser.choose_box`."""
        box = {"x_um": x_um, "y_um": y_um, "step_um": step_um, "dwell_ms": dwell_ms}
        return region_of(self._ask("box", stack=stack, **box)["region"])

    def take(self, k: int, *, stack: StackKey | None = None) -> Region:
        """As `RegionChooser.take`."""
        return region_of(self._ask("take", k=k, stack=stack)["region"])

    def withdraw(self) -> None:
        """Delete the choice."""
        self._ask("withdraw")

    def _ask(self, what: str, **values: Any) -> dict[str, Any]:
        question = to_bytes({"do": what, "token": self._token, **values})
        try:
            answer = from_bytes(answer_of(self.address, question, timeout_s=self._timeout_s))
        except TimeoutError as error:
            raise TimeoutError(
                f"{error}; is there a ChoiceServer in the session that scans?"
            ) from error
        if answer.get("refused"):
            raise ValueError(str(answer["refused"]))
        return answer


def region_of(values: object) -> Region:
    """The region another process describes.

    Raises
    ------
    ValueError
        If something is missing, of the wrong type, or no region.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"expected a region, got {type(values).__name__}")
    missing = [f.name for f in fields(Region) if f.name not in values]
    if missing:
        raise ValueError(f"a region without {', '.join(missing)}")
    return Region(
        x_extent_um=_pair(values["x_extent_um"]),
        y_extent_um=_pair(values["y_extent_um"]),
        nx=int(_number(values["nx"])),
        ny=int(_number(values["ny"])),
        dwell_ms=_number(values["dwell_ms"]),
        name=str(values["name"])[:_MAX_TEXT],
        criterion=str(values["criterion"])[:_MAX_TEXT],
        reason=str(values["reason"])[:_MAX_TEXT],
        expected_gain=_number_or_none(values["expected_gain"]),
        dose_mgy=_number_or_none(values["dose_mgy"]),
        minutes=_number_or_none(values["minutes"]),
    )


def _pair(ends: object) -> tuple[float, float]:
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise ValueError("a box has two numbers in um for each axis")
    return _number(ends[0]), _number(ends[1])


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {type(value).__name__}")
    return float(value)


def _number_or_none(value: object) -> float | None:
    return None if value is None else _number(value)


def _stack_of(values: object) -> StackKey | None:
    if values is None:
        return None
    if not isinstance(values, list | tuple) or len(values) != 3 or not isinstance(values[0], list):
        raise ValueError("stack must be [run uids, region, polarization]")
    return StackKey(tuple(map(str, values[0])), str(values[1]), str(values[2]))
