"""`RemoteChooser`: choice of regions from a process without the RunEngine."""

from __future__ import annotations

import logging
import threading
from itertools import count
from typing import Any

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.adaptive.remote_chooser.messages import (
    Answer,
    answer_from,
    plain,
    region_values,
    stack_values,
)
from stxm_live.adaptive.remote_chooser.token import own_token, public_key
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
    Choosing waits for the answer: ValueError gives the reason if a choice is refused or the
    answer makes no sense, TimeoutError means that the other process does not answer, or has
    another token.

    If the session that scans has no maps, ``suggesting`` knows the present stack: a choice on
    another one is refused, and a choice for an earlier stack is withdrawn there too.

    Parameters
    ----------
    address : str
        Address of the `ChoiceServer`.
    token : str, optional
        That of the `ChoiceServer`; by default the token of this account.
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
        self._key = public_key(own_token() if token is None else token)
        self._own = suggesting
        self._timeout_s = timeout_s
        self._state = Answer()
        self._problem = ""
        self._made_here: tuple[Region, int] | None = None
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
        return list(self._state.suggestions)

    @property
    def no_suggestions(self) -> str:
        """Return the reason why nothing is suggested."""
        own = self._own_if_needed
        return self._state.no_suggestions if own is None else own.no_suggestions

    @property
    def is_ready(self) -> bool:
        """Return True if the suggestions of the newest maps are made."""
        own = self._own_if_needed
        return self._state.is_ready if own is None else own.is_ready

    @property
    def refused(self) -> str:
        """Return the reason why the last choice was refused, or why none can be made."""
        return self._problem or self._state.last_refused

    @property
    def question(self) -> str:
        """Return the purpose of the choice that a plan waits for."""
        return self._state.question

    @property
    def question_left_s(self) -> float:
        """Return the time in seconds that the plan still waits."""
        return self._state.question_left_s

    @property
    def stack(self) -> StackKey | None:
        """Return the stack that suggestions come from."""
        own = self._own_if_needed
        return self._state.stack if own is None else own.stack

    @property
    def scanned(self) -> tuple[Region, ...]:
        """Return the regions that a plan has scanned since."""
        return self._state.scanned

    def latest(self) -> Region | None:
        """Return the newest choice, made by anyone, without waiting."""
        return self._state.latest

    def choose(self, region: Region, *, stack: StackKey | None = None) -> Region:
        """Choose a region, as `RegionChooser.choose`."""
        own = self._own_if_needed
        if own is not None:
            own.choose(region, stack=stack)
        chosen = self._chosen("choose", region=region_values(region), stack=stack_values(stack))
        self._made_here = None if own is None else (chosen, next(self._numbers))
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
        return self._chosen("box", stack=stack_values(stack), **box)

    def take(self, k: int, *, stack: StackKey | None = None) -> Region:
        """Choose a suggestion, as `RegionChooser.take`."""
        own = self._own_if_needed
        if own is not None:
            return self.choose(own.take(k, stack=stack), stack=stack)
        return self._chosen("take", k=k, stack=stack_values(stack))

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
        return self._own if self._state.stack is None else None

    def _run(self) -> None:
        while not self._is_closing.wait(_LOOK_S):
            self._look()

    def _look(self) -> None:
        try:
            self._ask("look")
            self._withdraw_what_is_void()
        except Exception as error:  # whatever the other process sends, looking goes on
            if str(error) != self._problem:
                logger.warning("%s", error, exc_info=not isinstance(error, ValueError | OSError))
            self._state, self._problem = Answer(), str(error)

    def _withdraw_what_is_void(self) -> None:
        """Withdraw a choice made here whose stack is no longer the present one."""
        own, made = self._own, self._made_here
        if own is None or made is None or self._newest < made[1]:  # nothing was asked since
            return
        if self.latest() != made[0]:  # claimed, withdrawn, or another one chosen
            self._made_here = None
            own.withdraw()
        elif own.latest() is None:
            self._made_here = None
            self._ask("withdraw", why=plain(own.refused))

    def _chosen(self, what: str, **values: Any) -> Region:
        region = self._ask(what, **values).region
        if region is None:
            raise ValueError(f"{self.address} does not say which region it has chosen")
        return region

    def _ask(self, what: str, **values: Any) -> Answer:
        """Return an answer, and update the state that comes with it."""
        question = to_bytes({"do": what, **values})
        number = next(self._numbers)
        try:
            message = answer_of(
                self.address, question, timeout_s=self._timeout_s, public_key=self._key
            )
        except TimeoutError as error:
            raise TimeoutError(
                f"{error}; is there a ChoiceServer in the session that scans, with the same token?"
            ) from error
        try:
            answer = answer_from(from_bytes(message))
        except ValueError as error:
            raise ValueError(f"{self.address} gives an answer that is none ({error})") from error
        if answer.refused:
            raise ValueError(answer.refused)
        if number > self._newest:  # not overtaken by what another thread asked
            self._newest, self._state, self._problem = number, answer, ""
        return answer
