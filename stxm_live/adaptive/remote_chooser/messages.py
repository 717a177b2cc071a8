"""Messages between a `ChoiceServer` and a `RemoteChooser`, checked where they are read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    TypeAdapter,
    ValidationError,
)

from stxm_live.adaptive.chooser.drawn_boxes import DWELL_MS, MAX_POSITION_UM, MIN_STEP_UM
from stxm_live.core.region import Region
from stxm_live.core.stack import StackKey
from stxm_live.live.remote.wire import from_bytes, to_bytes

MAX_TEXT = 500
"""Most characters of a name or a reason; longer ones are cut."""

MAX_REGIONS = 100
"""Most suggestions, and most scanned regions, in an answer."""

_MAX_UIDS = 1000
_MAX_PIXELS = 2**31

_T = TypeVar("_T")


def _finite_or_none(value: object) -> object:
    """Return None for an estimate that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _both_ways(value: object) -> object:
    """Return the step in x and y that a single number stands for."""
    return (value, value) if isinstance(value, int | float) else value


_Text = Annotated[str, AfterValidator(lambda text: plain(text))]
_Um = Annotated[float, Field(strict=True, ge=-MAX_POSITION_UM, le=MAX_POSITION_UM)]
_Ends = Annotated[tuple[_Um, _Um], Strict(False)]
_StepUm = Annotated[float, Field(strict=True, ge=MIN_STEP_UM, le=MAX_POSITION_UM)]
_Steps = Annotated[tuple[_StepUm, _StepUm], Strict(False), BeforeValidator(_both_ways)]
_Pixels = Annotated[int, Field(ge=1, le=_MAX_PIXELS)]
_DwellMs = Annotated[float, Field(ge=DWELL_MS[0], le=DWELL_MS[1])]
_Estimate = Annotated[float | None, BeforeValidator(_finite_or_none)]
_Uids = Annotated[tuple[_Text, ...], Strict(False), Field(max_length=_MAX_UIDS)]
_Key = Annotated[tuple[_Uids, _Text, _Text], Strict(False)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class _RegionValues(_Message):
    x_extent_um: _Ends
    y_extent_um: _Ends
    nx: _Pixels
    ny: _Pixels
    dwell_ms: _DwellMs
    name: _Text
    criterion: _Text
    reason: _Text
    expected_gain: _Estimate
    dose_mgy: _Estimate
    minutes: _Estimate


_VALUES = TypeAdapter(_RegionValues)
_KEY: TypeAdapter[tuple[tuple[str, ...], str, str]] = TypeAdapter(
    _Key, config=ConfigDict(strict=True)
)


def _region_of(values: object) -> Region:
    checked = _checked(_VALUES, values)
    return Region(**checked.model_dump())


def _stack_of(values: object) -> StackKey:
    return StackKey(*_checked(_KEY, values))


_Region = Annotated[Region, PlainValidator(_region_of)]
_Stack = Annotated[StackKey, PlainValidator(_stack_of)]
_Regions = Annotated[tuple[_Region, ...], Strict(False), Field(max_length=MAX_REGIONS)]


class Look(_Message):
    """A question for the state only."""

    do: Literal["look"]


class Choose(_Message):
    """A region to choose."""

    do: Literal["choose"]
    region: _Region
    stack: _Stack | None = None


class Box(_Message):
    """A box to choose."""

    do: Literal["box"]
    x_um: _Ends
    y_um: _Ends
    step_um: _Steps | None = None
    dwell_ms: _DwellMs | None = None
    stack: _Stack | None = None


class Take(_Message):
    """A suggestion to choose."""

    do: Literal["take"]
    k: Annotated[int, Field(ge=0, le=_MAX_PIXELS)]
    stack: _Stack | None = None


class Withdraw(_Message):
    """A choice to delete, and the reason."""

    do: Literal["withdraw"]
    why: _Text = ""


Question = Look | Choose | Box | Take | Withdraw


class Answer(_Message):
    """The state of a chooser; ``region`` is the one just chosen, ``refused`` why there is none."""

    refused: _Text = ""
    region: _Region | None = None
    latest: _Region | None = None
    suggestions: _Regions = ()
    no_suggestions: _Text = ""
    is_ready: bool = False
    last_refused: _Text = ""
    question: _Text = ""
    question_left_s: float = Field(default=0.0, ge=0)
    stack: _Stack | None = None
    scanned: _Regions = ()


_QUESTION: TypeAdapter[Question] = TypeAdapter(
    Annotated[Question, Field(discriminator="do")], config=ConfigDict(hide_input_in_errors=True)
)
_ANSWER = TypeAdapter(Answer)


def question_of(message: Mapping[str, Any]) -> Question:
    """Return the question in a message; ValueError names what is wrong with it."""
    return _checked(_QUESTION, message)


def answer_from(message: Mapping[str, Any]) -> Answer:
    """Return the answer in a message; ValueError names what is wrong with it."""
    return _checked(_ANSWER, message)


def region_values(region: Region) -> dict[str, Any]:
    """Return a region for a message; ValueError if it is one that nobody would accept."""
    return _checked(_VALUES, from_bytes(to_bytes(asdict(region)))).model_dump()


def regions_values(regions: Iterable[Region]) -> list[dict[str, Any]]:
    """Return regions for a message, without those that nobody would accept."""
    made = []
    for region in islice(regions, MAX_REGIONS):
        with suppress(ValueError):
            made.append(region_values(region))
    return made


def stack_values(stack: StackKey | None) -> list[Any] | None:
    """Return the key of a stack for a message."""
    if stack is None:
        return None
    return [[plain(uid) for uid in stack.run_uids], plain(stack.region), plain(stack.polarization)]


def plain(text: str) -> str:
    """Return a text that can be sent: cut, and with a question mark for half a character.

    Examples
    --------
    >>> plain("a" + chr(0xD800))
    'a?'
    """
    return text[:MAX_TEXT].encode(errors="replace").decode()


def _checked(expected: TypeAdapter[_T], message: object) -> _T:
    try:
        return expected.validate_python(message)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        reason = f"{place}: {first['msg']}".removeprefix(": ").replace("Value error, ", "")
        raise ValueError(reason[:MAX_TEXT]) from error
