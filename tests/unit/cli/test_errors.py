"""Errors of commands as the user sees them."""

import pytest
import typer

from stxm_live.cli.errors import one_line_errors


def test_an_error_of_any_length_is_shown_in_part(capsys):
    @one_line_errors
    def command():
        raise ValueError("too long: " + "x" * 10**6)

    with pytest.raises(typer.Exit):
        command()
    shown = capsys.readouterr().err
    assert shown.startswith("error: too long: xxx")
    assert len(shown) < 5000
