"""The table of a result: shares of pixels and of the volume are not taken for each other."""

import re
from dataclasses import replace

import made_up_maps as made_up
import pytest

from stxm_live.cli import output
from stxm_live.cli.json_output import maps_values
from stxm_live.core.origin import Origin
from stxm_live.io.catalog.listing import RunSummary


def printed(maps):
    with output.console.capture() as shown:
        output.print_result(maps)
    return shown.get()


def row_of(text, name):
    (line,) = (line for line in text.splitlines() if line.startswith(f"│ {name} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_each_column_of_the_table_says_of_what_its_shares_are():
    maps = made_up.maps(find_amounts=made_up.amounts)
    text = printed(maps)
    assert text.count("of the pixels ┃") == 2
    assert "of the volume" in text
    assert "of the pixels: each counts the same, as in the paper" in text
    amount, std = (getattr(maps.amounts, f"area_composition{end}")[0, 1] for end in ("", "_std"))
    assert row_of(text, "Na2.4VPF")[3] == f"{100 * amount:.1f} ± {100 * std:.1f} %"
    without = printed(made_up.maps())
    assert "volume" not in without
    assert len(row_of(without, "Na2.4VPF")) == 3


def test_phases_that_are_not_distinguished_have_their_sum_of_the_volume():
    maps = made_up.maps(find_amounts=made_up.amounts, twins=(("Na3VPF", "Na2.4VPF"),))
    shares = maps.amounts.area_composition[0]
    assert row_of(printed(maps), "Na3VPF or Na2.4VPF")[3] == f"{100 * shares[:2].sum():.1f} %"


def test_the_json_of_a_result_has_both():
    values = maps_values(made_up.maps(find_amounts=made_up.amounts))
    assert sum(row["amount"] for row in values["amounts"]) == pytest.approx(1)
    assert values["phases"][0].keys() == {"name", "share_by_correlation", "share"}
    assert maps_values(made_up.maps())["amounts"] is None


def test_runs_without_a_scan_number_have_no_empty_column_for_it(capsys):
    run = RunSummary("3f2a91", None, 0.0, "scan", None, "success", has_maps=False)

    def heads(*runs):
        output.print_runs(runs)
        return re.split("  +", capsys.readouterr().out.splitlines()[0])

    assert heads(run) == ["run", "measured", "E × y × x", "ended"]
    assert heads(replace(run, scan_id=7))[:3] == ["run", "scan", "measured"]
    assert heads()[-1] == "maps"


def test_a_run_is_one_line_whatever_its_start_document_says(capsys):
    sample = Origin(sample="a\nb\x1b[31m [red]" + 40 * " long")
    run = RunSummary("3f2a91", 7, 0.0, "scan", None, "", False, "ValueError: no\nshape", sample)

    output.print_runs([run, replace(run, uid="3f2a92", unreadable="", origin=Origin(sample="c"))])

    _, first, second = capsys.readouterr().out.splitlines()
    assert "a b\\x1b[31m [red] long" in first
    assert "cannot be read (ValueError: no shape)" in first
    assert first.index("not a stack") == second.index("not a stack")
