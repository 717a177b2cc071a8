"""Runs recorded once, each scanned again in the middle, stay readable; `check` says how."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from stxm_live.cli import app
from stxm_live.io.catalog.document_files import runs_in_file
from stxm_live.live.replay import stacks_of_runs

GOLDEN = Path(__file__).parents[2] / "golden"
ENERGIES_EV = (515.0, 516.5, 518.0)


def planted(factor=1):
    k, y, x = np.indices((3, 4, 5))
    return ((1000 + 100 * k + 10 * y + x) * factor).astype(np.float32)


def npy_files(folder):
    """The images that the recorded run names; the second was no good and came again."""
    images = planted()
    for k, image in enumerate([images[0], images[1] * 0, images[1], images[2]]):
        start = json.loads((GOLDEN / "npy_seq_paused.jsonl").read_text().splitlines()[2])
        np.save(folder / f"{start[1]['resource_path']}_{k}.npy", image)


def local(name, folder):
    """A copy of a recorded run whose files lie in this folder."""
    text = (GOLDEN / name).read_text().replace("/FOLDER", str(folder))
    path = folder / name
    path.write_text(text)
    return path


NAMES = {
    "images_paused.jsonl": "stxm block",
    "line_pages_paused.jsonl": "stxm block",
    "grid_scan_snaking_paused.jsonl": "grid_scan of Bluesky",
    "npy_seq_paused.jsonl": "stxm block",
    "cls_runs_paused.json": "one run per energy image (CLS pyStxm)",
    "two_regions_paused.jsonl": "stxm block, 2 stacks in one run",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_run_gives_the_counts_that_were_planted(tmp_path, name):
    npy_files(tmp_path)
    stacks = stacks_of_runs(runs_in_file(local(name, tmp_path)), roots=[tmp_path])
    assert [stack.finished for stack in stacks] == [True] * len(stacks)
    for factor, stack in enumerate(stacks, start=1):
        assert stack.energies_ev == ENERGIES_EV
        np.testing.assert_array_equal(stack.intensity(), planted(factor))
        assert any("came again" in note for note in stack.notes)
    assert len(stacks) == (2 if "regions" in name else 1)


@pytest.mark.parametrize("name", NAMES)
def test_check_tells_the_shape_of_a_recorded_run(tmp_path, name):
    npy_files(tmp_path)
    path = local(name, tmp_path)
    result = CliRunner().invoke(app, ["check", str(path), "--root", str(tmp_path)])
    assert f"read as: {NAMES[name]}" in result.output
    assert "3 of 3 images of 4 x 5 pixels, 515 to 518 eV" in result.output
    assert result.exit_code == 0
    assert "can be mapped with 2 energies; the recipe also has 505, 513.2" in result.output


def test_check_of_a_run_that_says_nothing_names_its_data_keys_and_what_to_do(tmp_path):
    text = (GOLDEN / "images_paused.jsonl").read_text()
    lines = text.replace('"energy"', '"stage"').splitlines()
    name, start = json.loads(lines[0])
    del start["stxm"], start["stxm_live"]
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join([json.dumps([name, start]), *lines[1:]]))
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 1
    assert "cannot be read: run" in result.output
    assert "no stxm block" in result.output
    assert "data keys: counts (4 x 5)" in result.output
    assert "[fields] in the recipe" in result.output


def test_check_of_a_run_whose_files_are_out_of_reach_says_which_folder_to_name(tmp_path):
    path = local("npy_seq_paused.jsonl", tmp_path)
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 1
    assert "0 of 3 images" in result.output
    assert "--root on the command line" in result.output


def test_check_of_a_run_without_its_field_names_those_it_has(tmp_path):
    path = local("images_paused.jsonl", tmp_path)
    result = CliRunner().invoke(app, ["check", str(path), "--set", "fields.image=pmt"])
    assert result.exit_code == 1
    assert "no stream has the field 'pmt'; the streams have: counts, energy" in result.output
    assert "data keys: counts (4 x 5)" in result.output


@pytest.mark.parametrize("text", ["", "hello", "[1, 2]", '{"a": 1}', '[["event", {}]]'])
def test_a_file_that_holds_no_documents_is_refused(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 1
    assert "error: " in result.output
    assert "run.json" in result.output


@pytest.mark.slow
def test_check_reads_a_run_of_the_catalogue(tmp_path):
    from catalog_fixtures import image_scan, stack_images

    from stxm_live.core.stack import Stack
    from stxm_live.io.catalog import close_catalog, open_catalog, store_documents
    from stxm_live.io.files import stack_documents

    catalog = open_catalog(tmp_path / "runs")
    stack = Stack.from_arrays(stack_images(), image_scan().energies_ev)
    uid = store_documents(catalog, stack_documents(stack))
    close_catalog(catalog)
    command = ["check", uid[:8], "--catalog", str(tmp_path / "runs")]
    result = CliRunner().invoke(app, command)
    assert "4 of 4 images of 5 x 7 pixels" in result.output, result.output
