"""Types of values in ``--help``, as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from typer.core import TyperGroup

_WORDS = {
    "<str>": "<text>",
    "<Path>": "<path>",
    "<int>": "<whole number>",
    "<int range>": "<whole number>",
    "<float>": "<number>",
    "<float range>": "<number>",
    "<bool>": "",
}
"""Words for what Typer calls a type; a switch takes no value."""


class PlainTypes(TyperGroup):
    """Commands that show the types of their values in words."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for param in _params(self):
            _show_in_words(param)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, also those that Typer adds later (completion)."""
        params: list[Any] = super().get_params(ctx)
        for param in params:
            _show_in_words(param)
        return params


def _params(command: Any) -> Iterator[Any]:
    """Yield the parameters of a command and of those in it, ``--help`` included."""
    yield from command.params
    yield command.get_help_option(command.context_class(command))
    for inner in getattr(command, "commands", {}).values():
        yield from _params(inner)


def _show_in_words(param: Any) -> None:
    display = getattr(param, "display_type_rich", None)  # Typer before 0.28 has none
    if display is not None and "display_type_rich" not in vars(param):
        param.display_type_rich = _in_words(display)


def _in_words(display: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    def shown(ctx: Any) -> str | None:
        name = display(ctx)
        if name is None:
            return None
        one = re.sub(r"^<list\[(.*)\]>$", r"<\1>", name.removesuffix("..."))
        return _WORDS.get(one, one)

    return shown
