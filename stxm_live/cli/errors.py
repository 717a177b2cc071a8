"""Errors as one clear line and an exit code."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from stxm_live.core.plain_text import error_in_words, printable

P = ParamSpec("P")
R = TypeVar("R")

EXPECTED = (OSError, ValueError, LookupError, RuntimeError, ImportError)
"""Errors caused by input, files or machines; any other error is a fault of the program."""

_MOST_LETTERS = 4000
"""Longest error that is shown: a file may hold a word of any length."""

NOT_TO_BE_TAKEN_AS_IT_IS = 3
"""Exit code of a command that made a map which is poor, or of an incomplete stack."""


class UsageError(ValueError):
    """Options or arguments of a command that do not go together, or have another form."""


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Print expected errors as a line and exit with 1, or 2 for wrong usage.

    STXM_LIVE_DEBUG=1 shows the traceback.
    """

    @functools.wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return command(*args, **options)
        except typer.Exit:  # a RuntimeError
            raise
        except EXPECTED as error:
            if os.environ.get("STXM_LIVE_DEBUG"):
                raise
            said = printable(error_in_words(error))
            said = said if len(said) <= _MOST_LETTERS else f"{said[:_MOST_LETTERS]} ..."
            typer.secho(f"error: {said}", fg=typer.colors.RED, err=True)
            raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None

    return run
