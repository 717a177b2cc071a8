"""`RemoteChooser`: choose from a process without the RunEngine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from stxm_live.chooser import RegionChooser
from stxm_live.region import Region
from stxm_live.serve.addresses import checked_address
from stxm_live.serve.asking import answer_of
from stxm_live.serve.choice_values import region_of, stack_of
from stxm_live.serve.wire import from_bytes, to_bytes
from stxm_live.stack import StackKey

logger = logging.getLogger("stxm_live")

_LOOK_S = 0.3


class RemoteChooser:
    """The chooser of another process, with what a person needs of `RegionChooser`.

    A thread looks a few times a second how things are there, so that looking here never waits.
    Choosing waits for the answer: ValueError says why a choice was refused, TimeoutError that
    nobody answers.

    Parameters
    ----------
    address : str
        Of the `ChoiceServer`.
    token : str, optional
    suggesting : RegionChooser, optional
        One in this process that makes the suggestions, where the session that scans has no maps.
    timeout_s : float
        How long an answer is waited for.
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
        self._is_closing = threading.Event()
        self._look()
        self._thread = threading.Thread(target=self._run, name="stxm-live-choices", daemon=True)
        self._thread.start()

    @property
    def suggestions(self) -> list[Region]:
        """As `RegionChooser.suggestions`."""
        if self._own is not None:
            return self._own.suggestions
        return [region_of(values) for values in self._state.get("suggestions", ())]

    @property
    def no_suggestions(self) -> str:
        """Why nothing is suggested."""
        own = self._own
        return str(self._state.get("no_suggestions", "")) if own is None else own.no_suggestions

    @property
    def is_ready(self) -> bool:
        """Whether the suggestions of the newest maps are made."""
        return bool(self._state.get("is_ready")) if self._own is None else self._own.is_ready

    @property
    def refused(self) -> str:
        """Why the last choice was not taken, or why none can be."""
        return self._problem or str(self._state.get("last_refused", ""))

    @property
    def question(self) -> str:
        """What a plan waits for a choice for."""
        return str(self._state.get("question", ""))

    @property
    def stack(self) -> StackKey | None:
        """The stack that suggestions come from."""
        return stack_of(self._state.get("stack")) if self._own is None else self._own.stack

    @property
    def scanned(self) -> tuple[Region, ...]:
        """What a plan has scanned since."""
        return tuple(region_of(values) for values in self._state.get("scanned", ()))

    def latest(self) -> Region | None:
        """The newest choice, by whomever; never waits."""
        values = self._state.get("latest")
        return None if values is None else region_of(values)

    def choose(self, region: Region, *, stack: StackKey | None = None) -> Region:
        """As `RegionChooser.choose`."""
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
        if self._own is not None:
            drawn = self._own.choose_box(x_um, y_um, step_um=step_um, dwell_ms=dwell_ms)
            return self.choose(drawn, stack=stack)
        box = {"x_um": x_um, "y_um": y_um, "step_um": step_um, "dwell_ms": dwell_ms}
        return region_of(self._ask("box", stack=stack, **box)["region"])

    def take(self, k: int, *, stack: StackKey | None = None) -> Region:
        """As `RegionChooser.take`."""
        if self._own is not None:
            return self.choose(self._own.take(k, stack=stack), stack=stack)
        return region_of(self._ask("take", k=k, stack=stack)["region"])

    def withdraw(self) -> None:
        """Delete the choice."""
        self._ask("withdraw")

    def close(self) -> None:
        """Look no more."""
        self._is_closing.set()
        self._thread.join(self._timeout_s + 5)

    def _run(self) -> None:
        while not self._is_closing.wait(_LOOK_S):
            self._look()

    def _look(self) -> None:
        try:
            self._ask("look")
        except (ValueError, OSError) as error:
            if str(error) != self._problem:
                logger.warning("%s", error)
            self._state, self._problem = {}, str(error)

    def _ask(self, what: str, **values: Any) -> dict[str, Any]:
        """An answer; how things are there comes with it."""
        question = to_bytes({"do": what, "token": self._token, **values})
        try:
            answer = from_bytes(answer_of(self.address, question, timeout_s=self._timeout_s))
        except TimeoutError as error:
            raise TimeoutError(
                f"{error}; is there a ChoiceServer in the session that scans?"
            ) from error
        if answer.get("refused"):
            raise ValueError(str(answer["refused"]))
        self._state, self._problem = answer, ""
        return answer
