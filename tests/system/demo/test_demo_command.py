"""The demo's last line can be typed as it stands."""

import sys

from stxm_live.cli.demo import _what_next


def test_the_next_command_is_that_of_the_clone_or_the_one_on_the_path(tmp_path, monkeypatch):
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "stxm-live").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert " .venv/bin/stxm-live map " in _what_next()
    assert "make session" not in _what_next()
    (tmp_path / "profiles" / "profile_sim").mkdir(parents=True)
    assert _what_next().endswith("or make session, to choose a region")
    monkeypatch.setenv("PATH", str(programs))
    assert ": stxm-live map " in _what_next()
