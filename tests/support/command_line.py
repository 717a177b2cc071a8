"""Commands of the command line as tests run them."""

import re

import pytest
from typer.testing import CliRunner

from stxm_live.cli import app


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a command in an empty folder; its exit code and its text on one line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        done = CliRunner().invoke(app, [str(a) for a in arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, re.sub(r"\s+", " ", done.output)

    return call
