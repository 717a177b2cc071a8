"""Every command that the README shows is run, in the order in which it stands there."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from catalog_fixtures import EnergyImageDevice, stack_plan
from particles import particle_counts, particle_scan, write_sdf
from typer.testing import CliRunner

from stxm_live.cli import app
from stxm_live.core.recipe import Recipe

README = Path(__file__).parents[3] / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_commands_work_on_a_stack_and_references_of_these_names(
    tmp_path, monkeypatch, quick_pictures
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


def test_the_session_works_with_a_run_engine_and_a_plan(RE, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counts, energies_ev, _ = particle_counts()
    session, watched = [text for kind, text in BLOCKS if kind == "python"]
    plan = stack_plan(EnergyImageDevice(counts, energies_ev), particle_scan())
    names = {"RE": RE, "my_stack_plan": lambda: plan}
    exec(session, names)
    exec(watched, names)
    names["page"].close()
    names["live"].close()
    assert names["maps"].status == "complete"
    assert np.isfinite(names["maps"].reliability[names["maps"].phase_index >= 0]).all()
