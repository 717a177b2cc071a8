"""The queue server and blueapi can offer the plans."""

import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from bluesky.utils import MsgGenerator
from run_engines import a_run_engine

from stxm_live import Recipe, Region, plans
from stxm_live.plans import remote
from stxm_live.sim.instrument import SimulatedMicroscope

PROFILE = Path(__file__).parents[3] / "profiles" / "profile_stxm"
OFFERED = [getattr(remote, name) for name in remote.__all__]


def test_what_a_server_is_offered_are_the_plans_that_take_no_object_of_a_session():
    assert [remote.stxm_overview_remote, remote.stxm_stack_remote] == OFFERED


def test_a_plan_told_by_numbers_records_what_the_plan_of_a_region_does():
    def documents(plan):
        docs = []
        scope = SimulatedMicroscope.with_particle(
            Recipe.load("nvpf").reference_spectra, rng=np.random.default_rng(1), shape=(20, 24)
        )
        with a_run_engine() as engine:
            engine.subscribe(lambda name, doc: docs.append((name, doc)))
            engine(plan(scope))
        return docs

    region = Region((-0.4, 0.4), (0.3, -0.3), nx=9, ny=6, dwell_ms=2.0, name="7")
    energies_ev = [505.0, 517.5]
    by_region = documents(
        lambda scope: plans.stxm_stack(
            scope.line, scope.energy, energies_ev, region, y_axis=scope.y, mode="line"
        )
    )
    by_numbers = documents(
        lambda scope: remote.stxm_stack_remote(
            scope.line,
            scope.energy,
            scope.y,
            energies_ev=energies_ev,
            mode="line",
            **json.loads(json.dumps(region.plan_arguments())),
        )
    )
    starts = [docs[0][1] for docs in (by_region, by_numbers)]
    ours = [{k: v for k, v in start.items() if k not in ("uid", "time")} for start in starts]
    assert json.dumps(ours[0], default=str) == json.dumps(ours[1], default=str)
    assert [name for name, _ in by_region] == [name for name, _ in by_numbers]


@pytest.mark.parametrize("plan", OFFERED, ids=lambda plan: plan.__name__)
def test_annotations_resolve_and_defaults_are_json(plan):
    hints = get_type_hints(plan)
    parameters = inspect.signature(plan).parameters
    assert hints.keys() == parameters.keys() | {"return"}
    assert hints["return"] == MsgGenerator[str]
    for parameter in parameters.values():
        assert parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is not parameter.empty:
            json.dumps(parameter.default)


@pytest.mark.parametrize("plan", OFFERED, ids=lambda plan: plan.__name__)
def test_annotations_are_types_and_no_text_which_the_queue_server_cannot_check(plan):
    parameters = inspect.signature(plan).parameters.values()
    assert [p.name for p in parameters if isinstance(p.annotation, str)] == []


@pytest.mark.slow
def test_the_queue_server_lists_plans_and_devices_of_the_profile(tmp_path):
    pytest.importorskip("bluesky_queueserver", reason="needs bluesky-queueserver")
    import yaml

    shutil.copytree(PROFILE / "startup", tmp_path / "profile_stxm" / "startup")
    shutil.copy(PROFILE / "microscope.toml", tmp_path / "profile_stxm")
    startup = tmp_path / "profile_stxm" / "startup"
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("qserver-list-plans-devices")),
            *("--startup-dir", str(startup), "--file-dir", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "STXM_LIVE_CATALOG": str(tmp_path / "runs")},
        cwd=tmp_path,
        check=False,
    )
    listing = tmp_path / "existing_plans_and_devices.yaml"
    assert listing.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    lists = yaml.safe_load(listing.read_text())
    assert {"stxm_stack_remote", "stxm_overview_remote"} <= lists["existing_plans"].keys()
    parameters = {p["name"] for p in lists["existing_plans"]["stxm_stack_remote"]["parameters"]}
    assert {"detector", "energies_ev", "x_extent_um", "shutter", "md"} <= parameters
    devices = lists["existing_devices"]
    assert {"energy", "sample_x", "sample_y", "image", "line", "shutter"} <= devices.keys()
    assert devices["energy"]["is_movable"]
    assert devices["image"]["is_readable"]
