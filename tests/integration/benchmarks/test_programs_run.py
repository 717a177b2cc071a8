"""Benchmarks in processes of their own: how they end, and what they give."""

from benchmarks.common.programs import run_program


def test_a_program_that_fails_says_why_and_ends():
    outcome = run_program("speed.nothing", [], timeout_s=120)
    assert outcome.reason.startswith("failed with status 1:")
    assert outcome.reason.endswith("No module named benchmarks.speed.nothing")
    assert not outcome.skipped


def test_a_program_that_takes_too_long_is_ended():
    outcome = run_program("speed.correlation", [], timeout_s=0.01)
    assert outcome.reason == "not done after 0 s"


def test_a_program_that_cannot_run_here_is_skipped():
    outcome = run_program("speed.display", ["--browser", "no-such-browser"], timeout_s=120)
    assert outcome.skipped
    assert outcome.reason == "needs playwright and Chromium at no-such-browser"


def test_a_program_gives_its_key_figures():
    outcome = run_program("speed.correlation", ["--side", "32", "--repeats", "1"], timeout_s=120)
    assert [figure.beside.name for figure in outcome.figures] == ["plain numpy PCC"]
    assert not outcome.reason
