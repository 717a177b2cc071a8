import json
from pathlib import Path

import pytest
from particles import write_sdf


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """The maps of a stack, made once: the command is tested, not the maps."""
    from stxm_live import Recipe, map_phases
    from stxm_live.io.files import read_stack

    folder = tmp_path_factory.mktemp("stack")
    write_sdf(folder, "stack")
    quick = {"model": None, "energy_fit": False, "alignment.refine": False}
    return map_phases(read_stack(folder / "stack.hdr"), Recipe.load("nvpf").with_changes(quick))


@pytest.fixture
def stack(tmp_path, mapped, monkeypatch):
    write_sdf(tmp_path, "stack")
    monkeypatch.setattr("stxm_live.phase_mapping.workflow.map_phases", lambda *_: mapped)


def test_regions_of_a_file_are_printed_and_written_as_a_queue(run, stack):
    words = "phase:Na2VPF or phase:Na2.4VPF"
    devices = ("--with", "detector=camera", "--with", "energy=mono")
    options = ("--size", "0.3", "--n", "2", "--criterion", words, "--out", "queue.json")
    code, text = run("regions", "stack.hdr", *options, *devices)
    assert code == 0, text
    assert f"next regions by {words}" in text
    items = json.loads(Path("queue.json").read_text())
    assert 1 <= len(items) <= 2
    assert items[0]["kwargs"]["detector"] == "camera"
    assert len(items[0]["kwargs"]["energies_ev"]) == 13


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "0.3", "--out", "q.json"], "add --with detector=NAME"),
        (["--size", "big"], "--size big: expected 1 or 2 numbers in um"),
        (["--size", "0.3", "--limits", "0,1"], "--limits 0,1: expected 4 numbers in um"),
        (["--size", "0.3", "--with", "camera"], "--with camera: expected name=value"),
        (["--size", "0.3", "--criterion", "phase:Na9"], "there is no phase 'Na9'"),
        (["--size", "0.3", "--criterion", "prettiest"], "criterion 'prettiest' is unknown"),
    ],
)
def test_a_wrong_option_of_regions_is_one_line(run, stack, options, message):
    code, text = run("regions", "stack.hdr", *options)
    assert code in (1, 2)
    assert message in text
    assert not Path("q.json").exists()
