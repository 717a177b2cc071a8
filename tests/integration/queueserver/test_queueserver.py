"""The queue server and blueapi can offer the plans."""

import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
from bluesky.utils import MsgGenerator

from stxm_live import plans
from stxm_live.plans import remote

PROFILE = Path(__file__).parents[3] / "profiles" / "profile_stxm"
OFFERED = [getattr(remote, name) for name in remote.__all__]


def test_what_a_server_is_offered_are_the_plans_that_take_no_object_of_a_session():
    assert [plans.stxm_overview, plans.stxm_stack] == OFFERED


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
    assert {"stxm_stack", "stxm_overview"} <= lists["existing_plans"].keys()
    parameters = {p["name"] for p in lists["existing_plans"]["stxm_stack"]["parameters"]}
    assert {"detector", "energy", "energies_ev", "shutter", "md"} <= parameters
    devices = lists["existing_devices"]
    assert {"energy", "sample_x", "sample_y", "image", "line", "shutter"} <= devices.keys()
    assert devices["energy"]["is_movable"]
    assert devices["image"]["is_readable"]
