import pytest

from benchmarks.common.figures import Beside, Figure, Target, read_figures, write_figures
from benchmarks.common.machine import Conditions
from benchmarks.common.page import write_between
from benchmarks.common.recorded import (
    Run,
    read_results,
    times_worse,
    with_runs,
    write_page,
    write_results,
)

HERE = Conditions("2026-01-31", "0.1", "abc", "a processor", 2, 8.0, "Linux", "3.12", 0.1)


def took(seconds, *, beside=2.0, name="maps", **more):
    return Figure(name, seconds, "s", Beside("by hand", beside), **more)


def run(*figures, arguments="--side 64"):
    return Run(HERE, arguments, 3.0, figures)


def test_a_ratio_is_of_the_value_to_what_stands_beside_it():
    assert took(1.0).ratio == 0.5
    assert Figure("maps", 1.0).ratio is None
    assert took(1.0, beside=0.0).ratio is None


@pytest.mark.parametrize(
    ("figure", "reached", "text"),
    [
        (took(0.5, target=Target(0.5)), True, "<= 0.5 s"),
        (took(0.6, target=Target(0.5)), False, "<= 0.5 s, missed"),
        (took(7.0, target=Target(3, of="ratio")), False, "<= 3 x, missed"),
        (took(2.3, target=Target(0.4, of="difference")), True, "<= 0.4 s more"),
        (took(30.0, target=Target(15, of="ratio"), larger_is_better=True), True, ">= 15 x"),
        (
            Figure("maps", 13, "of 13", target=Target(13), larger_is_better=True),
            True,
            ">= 13 of 13",
        ),
        (Figure("maps", 1.0, target=Target(3, of="ratio")), None, "<= 3 x"),
        (took(0.5), None, ""),
    ],
)
def test_a_target_limits_the_value_the_ratio_or_the_difference(figure, reached, text):
    assert figure.is_reached is reached
    assert figure.cells()[-1] == text


def test_worse_is_more_where_smaller_is_better_and_less_where_larger_is():
    assert took(3.0).worse_than(took(1.0)) == pytest.approx(3)
    fast, slow = (took(value, larger_is_better=True) for value in (30.0, 10.0))
    assert slow.worse_than(fast) == pytest.approx(3)


def test_a_slower_machine_is_not_worse():
    assert took(4.0, beside=8.0).worse_than(took(1.0, beside=2.0)) == pytest.approx(1)


def test_figures_beside_something_else_do_not_compare():
    other = Figure("maps", 1.0, "s", Beside("another program", 2.0))
    assert took(3.0).worse_than(other) is None
    assert took(3.0).worse_than(Figure("maps", 1.0)) is None
    assert took(0.0).worse_than(took(1.0)) is None


def test_figures_come_back_from_their_file(tmp_path):
    figures = [took(1.5, target=Target(3, of="ratio"), note="worst 2"), Figure("wrong", 3.0)]
    write_figures(tmp_path / "figures.json", figures)
    assert read_figures(tmp_path / "figures.json") == figures
    write_figures(None, figures)  # nowhere


def test_a_figure_that_is_no_number_is_an_error(tmp_path):
    write_figures(tmp_path / "figures.json", [Figure("maps", float("nan"))])
    with pytest.raises(ValueError, match="valid number"):
        read_figures(tmp_path / "figures.json")


def test_recorded_runs_come_back_and_new_ones_replace_those_of_their_mode(tmp_path):
    first = {"quick": {"live": run(took(1.0)), "truth": run(took(2.0))}, "all": {"live": run()}}
    write_results(tmp_path / "results.json", first)
    assert read_results(tmp_path / "results.json") == first
    assert read_results(tmp_path / "none.json") == {}
    newer = with_runs(first, "quick", {"live": run(took(3.0))})
    assert newer["quick"] == {"live": run(took(3.0)), "truth": run(took(2.0))}
    assert newer["all"] == first["all"]


def test_a_run_is_compared_with_the_recorded_one_of_the_same_arguments():
    now = run(took(3.0), took(1.0, name="new"), Figure("alone", 1.0))
    assert times_worse(now, run(took(1.0), Figure("alone", 9.0))) == {"maps": pytest.approx(3)}
    assert times_worse(now, run(took(1.0), arguments="--side 512")) == {}
    assert times_worse(now, None) == {}


def test_the_page_gets_a_table_and_keeps_its_prose(tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text("before\n<!-- recorded -->\nold\n<!-- /recorded -->\nafter\n")
    results = {
        "quick": {"live": run(took(1.0, target=Target(0.5))), "i0": run(took(2.0, name="a|b"))}
    }
    for _ in range(2):  # the second time in its own place
        write_page(page, results)
        text = page.read_text()
        assert text.startswith("before\n<!-- recorded -->\n")
        assert text.endswith("<!-- /recorded -->\nafter\n")
        assert "old" not in text
        assert text.count("| `live` | maps | 1 s | by hand: 2 | 0.5 | <= 0.5 s, missed |") == 1
        assert "a\\|b" in text
        assert f"`live`, `i0`: {HERE.in_words()}" in text


def test_a_page_without_recorded_figures_says_so(tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text("<!-- recorded --><!-- /recorded -->")
    write_page(page, {})
    assert "Nothing is recorded yet." in page.read_text()


@pytest.mark.parametrize("text", ["", "<!-- a -->", "<!-- /a --><!-- a -->", "<!-- a -->" * 2])
def test_a_page_without_a_single_place_is_left_alone(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match=r"page\.md has no single place"):
        write_between(page, "a", "words")
    assert page.read_text() == text


def test_conditions_name_neither_the_computer_nor_a_folder():
    import os
    import platform
    from pathlib import Path

    words = Conditions.now().in_words()
    assert platform.node() not in words
    assert str(Path.cwd()) not in words
    assert os.sep not in words.replace("(R)", "")
    assert "cores" in words
