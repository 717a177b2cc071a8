import argparse
import importlib
import sys

import pytest

from benchmarks import __main__ as runner
from benchmarks.common.figures import Beside, Figure
from benchmarks.common.programs import PROGRAMS, ROOT, Outcome
from benchmarks.common.recorded import read_results

ARGUMENTS = {
    f"{name} {mode}": (program.module, arguments, program.real and mode == "full")
    for name, program in PROGRAMS.items()
    for mode, arguments in (("quick", program.quick), ("full", program.full))
    if arguments is not None
}


class AcceptedError(Exception):
    """The arguments are right; the program is not run."""


@pytest.mark.parametrize("named", ARGUMENTS.values(), ids=ARGUMENTS)
def test_every_program_is_there_and_takes_its_arguments(named, monkeypatch):
    module, arguments, real = named
    parse = argparse.ArgumentParser.parse_args

    def parse_only(parser, args=None, namespace=None):
        raise AcceptedError(parse(parser, args, namespace))

    program = importlib.import_module(f"benchmarks.{module}")
    further = ["--real", "folder"] if real else []
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    monkeypatch.setattr(
        sys, "argv", ["program", *arguments.split(), *further, "--figures", "figures.json"]
    )
    with pytest.raises(AcceptedError):
        program.main()


def test_every_program_stands_in_the_table_of_the_documentation():
    page = (ROOT / "docs" / "explanation" / "benchmarks.md").read_text()
    for program in PROGRAMS.values():
        assert f"`{program.module.replace('.', '/')}.py`" in page


@pytest.fixture
def running(tmp_path, monkeypatch):
    """The runner, with its files in a folder of their own, and what comes of its programs."""
    page = tmp_path / "benchmarks.md"
    page.write_text("<!-- recorded --><!-- /recorded -->")
    monkeypatch.setattr(runner, "PAGE", page)
    monkeypatch.setattr(runner, "RESULTS", tmp_path / "results.json")

    def run(*arguments, **outcomes):
        by_module = {PROGRAMS[name].module: outcome for name, outcome in outcomes.items()}
        monkeypatch.setattr(runner, "run_program", lambda module, *_: by_module[module])
        monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", *outcomes, *arguments])
        runner.main()

    return run


def mapped(seconds):
    return Outcome(1.0, (Figure("maps", seconds, "s", Beside("by hand", 2.0)),))


def test_figures_are_recorded_only_when_that_is_asked_for(running, capsys):
    fails = Outcome(0.1, reason="failed with status 1: no [disk]")
    running(live=mapped(1.0), truth=fails)
    assert not runner.RESULTS.exists()
    running("--record", live=mapped(1.0), truth=fails)
    assert "| `live` | maps | 1 s | by hand: 2 | 0.5 |" in runner.PAGE.read_text()
    assert list(read_results(runner.RESULTS)["quick"]) == ["live"]
    assert "failed with status 1: no [disk]" in capsys.readouterr().out


def test_a_figure_that_is_worse_by_half_is_named(running, capsys):
    running("--record", live=mapped(1.0))
    running("--strict", live=mapped(1.4))
    assert "worse than recorded" not in capsys.readouterr().out
    running(live=mapped(1.5))
    assert "live, maps: worse than recorded: 1.5 x" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="1"):
        running("--strict", live=mapped(1.5))


def test_a_skipped_program_is_not_a_failed_one(running):
    running("--strict", live=Outcome(0.1, reason="not here", skipped=True))
    with pytest.raises(SystemExit, match="1"):
        running("--strict", live=Outcome(0.1, reason="broke"))


def test_a_program_without_a_quick_run_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", "harm"])
    with pytest.raises(SystemExit):
        runner.main()
    assert "harm: no quick run; add --all" in capsys.readouterr().err
