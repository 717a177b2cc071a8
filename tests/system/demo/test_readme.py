"""Every command that the README shows is run, in the order in which it stands there."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from bluesky.plans import list_scan
from ophyd.sim import DirectImage, SynAxis
from particles import particle_counts, write_sdf
from typer.testing import CliRunner

from stxm_live.cli import app
from stxm_live.core.recipe import Recipe

README = Path(__file__).parents[3] / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_commands_work_on_a_stack_and_references_of_these_names(
    tmp_path, monkeypatch, no_pictures
):
    monkeypatch.chdir(tmp_path)
    write_sdf(tmp_path, "stack")
    Recipe.load("nvpf").reference_spectra.to_csv("references.csv")
    commands = [
        line.removeprefix("$ .venv/bin/stxm-live ")
        for kind, text in BLOCKS
        if kind == "console"
        for line in text.strip().splitlines()
    ]
    assert len(commands) == 6
    for command in commands:
        done = CliRunner().invoke(app, shlex.split(command))
        assert done.exit_code == 0, f"{command}\n{done.output}"
    assert (tmp_path / "stack-maps" / "overview.png").exists()


def test_the_session_works_with_a_plain_list_scan_and_ophyd_s_simulated_camera(
    RE, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    counts, energies_ev, _ = particle_counts()
    energy = SynAxis(name="energy", value=energies_ev[0])
    camera = DirectImage(
        name="camera",
        func=lambda: counts[int(np.argmin(abs(np.array(energies_ev) - energy.position)))],
    )
    session, watched = [text for kind, text in BLOCKS if kind == "python"]
    names = {"RE": RE, "list_scan": list_scan, "camera": camera, "energy": energy}
    exec(session, names)
    maps = names["live"].wait(names["uid"], timeout_s=60)
    exec(watched, names)
    names["page"].close()
    names["live"].close()
    assert maps.status == "complete"
    assert np.isfinite(maps.reliability[maps.phase_index >= 0]).all()
