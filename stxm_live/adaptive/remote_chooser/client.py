"""`RemoteChooser`: choice of regions from a process without the RunEngine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict
from itertools import count
from typing import Any

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.adaptive.remote_chooser.messages import region_of, stack_of
from stxm_live.core.region import Region
from stxm_live.core.stack import StackKey
from stxm_live.live.remote.addresses import checked_address
from stxm_live.live.remote.asking import answer_of
from stxm_live.live.remote.wire import from_bytes, to_bytes

logger = logging.getLogger("stxm_live")

_LOOK_S = 0.3


class RemoteChooser:
    """Use the chooser of another process, with the parts that a person needs.

    A thread asks for the state a few times a second, so that reading it here never waits.
    Choosing waits for the answer: ValueError gives the reason if a choice is refused,
    TimeoutError means that the other process does not answer.

    If the session that scans has no maps, ``suggesting`` knows the present stack: a choice on
    another one is refused, and a choice for an earlier stack is withdrawn there too.

    Parameters
    ----------
    address : str
        Address of the `ChoiceServer`.
    token : str, optional
    suggesting : RegionChooser, optional
        Chooser in this process that makes the suggestions while the session that scans has no
        maps.
    timeout_s : float
        Longest wait for an answer.
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
        suggesting: RegionChooser | None = None,
        timeout_s: float = 2.0,
        allow_network: bool = False,
    ) -> None:
        self.address = checked_address(address, allow_network=allow_network)
        self._token = token
        self._own = suggesting
        self._timeout_s = timeout_s
        self._state: Mapping[str, Any] = {}
        self._problem = ""
        self._made_here: Region | None = None
        self._numbers = count(1)
        self._newest = 0
        self._is_closing = threading.Event()
        self._look()
        self._thread = threading.Thread(target=self._run, name="stxm-live-choices", daemon=True)
        self._thread.start()

    @property
    def suggestions(self) -> list[Region]:
        """Return the suggestions, as `RegionChooser.suggestions`."""
        own = self._own_if_needed
        if own is not None:
            return own.suggestions
        return [region_of(values) for values in self._state.get("suggestions", ())]

    @property
    def no_suggestions(self) -> str:
        """Return the reason why nothing is suggested."""
        own = self._own_if_needed
        return str(self._state.get("no_suggestions", "")) if own is None else own.no_suggestions

    @property
    def is_ready(self) -> bool:
        """Return True if the suggestions of the newest maps are made."""
        own = self._own_if_needed
        return bool(self._state.get("is_ready")) if own is None else own.is_ready

    @property
    def refused(self) -> str:
        """Return the reason why the last choice was refused, or why none can be made."""
        return self._problem or str(self._state.get("last_refused", ""))

    @property
    def question(self) -> str:
        """Return the purpose of the choice that a plan waits for."""
        return str(self._state.get("question", ""))

    @property
    def stack(self) -> StackKey | None:
        """Return the stack that suggestions come from."""
        own = self._own_if_needed
        return stack_of(self._state.get("stack")) if own is None else own.stack

    @property
    def scanned(self) -> tuple[Region, ...]:
        """Return the regions that a plan has scanned since."""
        return tuple(region_of(values) for values in self._state.get("scanned", ()))

    def latest(self) -> Region | None:
        """Return the newest choice, made by anyone, without waiting."""
        values = self._state.get("latest")
        return None if values is None else region_of(values)

    def choose(self, region: Region, *, stack: StackKey | None = None) -> Region:
        """Choose a region, as `RegionChooser.choose`."""
        own = self._own_if_needed
        if own is not None:
            own.choose(region, stack=stack)
        chosen = region_of(self._ask("choose", region=asdict(region), stack=stack)["region"])
        self._made_here = None if own is None else chosen
        return chosen

    def choose_box(
        self,
        x_um: tuple[float, float],
        y_um: tuple[float, float],
        *,
        step_um: float | tuple[float, float] | None = None,
        dwell_ms: float | None = None,
        stack: StackKey | None = None,
    ) -> Region:
        """Choose a box, as `RegionChooser.choose_box`."""
        own = self._own_if_needed
        if own is not None:
            drawn = own.choose_box(x_um, y_um, step_um=step_um, dwell_ms=dwell_ms, stack=stack)
            return self.choose(drawn, stack=stack)
        box = {"x_um": x_um, "y_um": y_um, "step_um": step_um, "dwell_ms": dwell_ms}
        return region_of(self._ask("box", stack=stack, **box)["region"])

    def take(self, k: int, *, stack: StackKey | None = None) -> Region:
        """Choose a suggestion, as `RegionChooser.take`."""
        own = self._own_if_needed
        if own is not None:
            return self.choose(own.take(k, stack=stack), stack=stack)
        return region_of(self._ask("take", k=k, stack=stack)["region"])

    def withdraw(self) -> None:
        """Delete the choice."""
        self._ask("withdraw")

    def close(self) -> None:
        """Stop asking for the state."""
        self._is_closing.set()
        self._thread.join(self._timeout_s + 5)

    @property
    def _own_if_needed(self) -> RegionChooser | None:
        """Return the chooser of this process while the session that scans has no maps."""
        return self._own if self._state.get("stack") is None else None

    def _run(self) -> None:
        while not self._is_closing.wait(_LOOK_S):
            self._look()

    def _look(self) -> None:
        try:
            self._ask("look")
            self._withdraw_what_is_void()
        except (ValueError, OSError) as error:
            if str(error) != self._problem:
                logger.warning("%s", error)
            self._state, self._problem = {}, str(error)

    def _withdraw_what_is_void(self) -> None:
        """Withdraw a choice made here whose stack is no longer the present one."""
        own, made = self._own, self._made_here
        if own is None or made is None:
            return
        if self.latest() != made:  # claimed, withdrawn, or another one chosen
            self._made_here = None
            own.withdraw()
        elif own.latest() is None:
            self._made_here = None
            self._ask("withdraw", why=own.refused)

    def _ask(self, what: str, **values: Any) -> dict[str, Any]:
        """Return an answer, and update the state that comes with it."""
        question = to_bytes({"do": what, "token": self._token, **values})
        number = next(self._numbers)
        try:
            answer = from_bytes(answer_of(self.address, question, timeout_s=self._timeout_s))
        except TimeoutError as error:
            raise TimeoutError(
                f"{error}; is there a ChoiceServer in the session that scans?"
            ) from error
        if answer.get("refused"):
            raise ValueError(str(answer["refused"]))
        if number > self._newest:  # not overtaken by what another thread asked
            self._newest, self._state, self._problem = number, answer, ""
        return answer
