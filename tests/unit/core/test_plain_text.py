"""Names of strangers at the edges: terminal, log and spreadsheet."""

import logging
import re

import pytest
from made_up_maps import NAMES, maps

from stxm_live.cli import output
from stxm_live.core.plain_text import PlainRecords, cell, remark
from stxm_live.core.stack import StackKey

SEQUENCES = {
    "clear the screen": "\x1b[2J\x1b[1;1HALL GOOD",
    "title of the window": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://elsewhere.example\x1b\\x\x1b]8;;\x1b\\",
    "return": "good\rpoor",
    "one-byte sequence": "\x9b2J",
    "direction of writing": "\u202egood",
    "backspace": "poor\b\b\b\bgood",
}


@pytest.mark.parametrize("text", SEQUENCES.values(), ids=SEQUENCES)
def test_a_terminal_shows_control_sequences_and_does_not_obey_them(text):
    named = maps(names=(text, *NAMES[1:]), key=StackKey(("u",), text, ""), warnings=(text,))
    with output.console.capture() as shown:
        output.print_result(named)
    assert "complete" in shown.get()
    assert set(shown.get()).isdisjoint("\x1b\x07\r\x9b\u202e\b")


@pytest.mark.parametrize("text", [*SEQUENCES.values(), "first\nERROR second"])
def test_a_log_has_one_printable_line_per_message(text):
    record = logging.LogRecord("stxm_live", logging.INFO, "", 1, "run %s", (text,), None)
    assert PlainRecords().filter(record)
    assert record.getMessage().isprintable()


@pytest.mark.parametrize(
    "mark", ["=", "+", "-", "@", "\uff1d", "\t=", "\r=", "\n=", " =", "\u00a0="]
)
def test_no_cell_begins_as_a_formula(mark):
    assert cell(f"{mark}cmd|' /C calc'!A0").startswith("'")
    assert f", '{mark.strip()}" in remark(f"sample a, {mark}cmd()")


@pytest.mark.parametrize("text", ["-0.2", "+1e-3", "515.2", "Na3VPF", "a-b", "-.5"])
def test_numbers_and_names_stay_as_they_are(text):
    assert cell(text) == text
    assert remark(f"shift 0.3, {text} px") == f"shift 0.3, {text} px"


@pytest.mark.parametrize(
    "text", ["-1 +cmd|' /C calc'!A0", "a;=cmd()", "a; @SUM(A1)", "-1 &cmd|0", "+1 *HYPERLINK(0)"]
)
def test_a_number_or_a_semicolon_hides_no_formula(text):
    for made in (cell, remark):
        assert all(part.strip()[0] == "'" or part == "a" for part in re.split("[,;]", made(text)))


def test_quantities_are_no_formulas():
    assert remark("-0.2 px, +1.5 eV; -3e-2 um") == "-0.2 px, +1.5 eV; -3e-2 um"
