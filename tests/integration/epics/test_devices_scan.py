"""Scans over real Channel Access: IOC and session are processes of their own."""

import re

import pytest
from epics_process import run_client

from stxm_live.core.recipe import Recipe

pytestmark = pytest.mark.slow


SCENARIOS = (
    "nobody_answers",
    "scan",
    "pause_and_abort",
    "lines_and_overview",
    "refusals",
    "faults",
    "ioc_dies",
    "suspended_through_an_outage",
)


@pytest.fixture(scope="module")
def told_of():
    """What happened in one session at the microscope, of which the IOC dies at last."""
    return run_client(*SCENARIOS)


def test_thirteen_energies_are_mapped_live_as_they_are_replayed(told_of):
    told = told_of["scan"]
    assert told["status"] == "complete"
    assert told["live_and_replayed_differ"] == []
    assert told["energies_ev"] == pytest.approx(Recipe.load("nvpf").energies_ev, abs=1e-3)
    # what is stored is what the simulated specimen shows at the energies read back
    assert told["cube_error"] == 0
    assert told["keys"] == ["energy", "energy_setpoint", "image", "image_index", "ring_current"]
    assert told["image_key"]["shape"] == [48 * 40]
    assert told["image_key"]["units"] == "counts"
    assert told["hints"] == {"fields": []}
    assert told["open_after"] is False


def test_a_pause_closes_the_shutter_and_leaves_no_trace_and_an_abort_ends_well(told_of):
    told = told_of["pause_and_abort"]
    n_images, was_open = told["paused"]
    assert n_images in (2, 3)
    assert was_open is False
    assert told["resumed_differs_by"] == 0
    assert told["after_resume"] == ["success", False]
    assert told["aborted"][0] == "abort"
    assert told["aborted"][2] is False
    assert told["counter_state"] == 0
    assert told["dark"] == pytest.approx(3.0, abs=0.2)


def test_lines_and_some_of_the_rows_make_the_same_image_and_what_was_moved_goes_back(told_of):
    told = told_of["lines_and_overview"]
    assert told["lines_and_images_differ_by"] == 0
    assert told["rows"] == [[0, 2, 4], [1, 3, 5]]
    assert told["rows_and_lines_differ_by"] == 0
    assert told["rows_ended"] == [False, pytest.approx(0.3)]
    assert told["y_um"][:6] == pytest.approx(told["y_um"][6:])
    assert told["y_um"][0] == -told["y_um"][5]
    assert told["y_after"] == pytest.approx(0.3)
    assert told["overview"] == ["success", {"primary": 2}]
    assert told["energy_after"] == pytest.approx(510.0, abs=1e-3)
    assert told["open_after"] is False


def test_what_is_out_of_reach_is_refused_before_anything_moves(told_of):
    told = told_of["refusals"]
    refused = {key: error for key, (_, error) in told["refused"].items()}
    assert refused == {
        "energy": "energy: 3000 eV is beyond the high limit, 2500 eV (STXM:ENERGY)",
        "x": "sample_x: 51 um is beyond the high limit, 50 um (STXM:FINE:X)",
        "y": "sample_y: -51 um is beyond the low limit, -50 um (STXM:FINE:Y)",
        "new limit": "sample_x: 0.6 um is beyond the high limit, 0.5 um (STXM:FINE:X)",
    }
    assert told["moved"] is False
    assert told["documents"] == 0


def test_every_fault_of_the_hardware_is_named_with_its_pv(told_of):
    told = told_of["faults"]
    assert "STXM:IMAGE:GO did not complete within 3.88 s" in told["counter hangs"][1]
    assert told["reason"] == told["counter hangs"][1]
    assert told["seconds"] > 3.8
    assert told["open"] is False
    assert "STXM:IMAGE:INDEX did not move from" in told["image dropped"][1]
    assert "STXM:ENERGY:RBV reads" in told["energy stuck"][1]
    assert "wanted 530 +- 0.05 eV" in told["energy stuck"][1]
    assert told["stage stuck"][0] == "TimeoutError"
    assert "STXM:FINE:X is at 0 um, wanted 5 +- 0.5 um" in told["stage stuck"][1]
    assert "STXM:FINE:X is at 55 um on its high limit switch" in told["limit switch"][1]
    well, badly, stands = told["stopped"]
    assert well is None
    assert badly == ["RuntimeError", "energy was stopped"]
    assert stands
    lost = told["disconnected"][1]
    # on a busy machine the shutter may not be back when it is to close, and that is told instead
    assert lost.startswith(("image: STXM:IMAGE:", "shutter was not set to close"))
    assert re.search("[Ii]s (its|the) IOC running", lost)
    assert told["afterwards"] == "success"


def test_an_ioc_that_dies_fails_the_scan_clearly_and_the_next_one_runs(told_of):
    told = told_of["ioc_dies"]
    kind, error = told["error"]
    assert kind == "ConnectionError"
    assert error.startswith("shutter was not set to close and has not moved: ")
    assert "STXM:SHUTTER" in error
    assert told["stop"] == ["fail", error]
    assert told["n_images"] == told["n_energies"] in (4, 5)
    assert told["status"] == "incomplete"
    assert any(warning.startswith("the scan lacks ") for warning in told["warnings"])
    assert told["again"] is None
    assert told["status_again"] == "complete"


def test_pvs_that_do_not_answer_are_named_and_nothing_is_recorded(told_of):
    told = told_of["nobody_answers"]
    assert told["message"].startswith("105 PVs do not answer within 0.5 s: STXM:ENERGY:RBV, ")
    assert "and 95 more; searched in 127.0.0.1, port " in told["message"]
    assert told["plan"][0] == "ConnectionError"
    assert "STXM:IMAGE:DATA" in told["plan"][1]


def test_nothing_waits_long_for_a_pv_that_is_lost_and_not_yet_known_to_be():
    # in a session of its own: pyepics tells those who share a PV at once
    told = run_client("ioc_is_lost_unnoticed")["ioc_is_lost_unnoticed"]
    assert all(seconds < 5 for seconds, _, _ in told.values()), told
    failed = {act: kind for act, (_, kind, _) in told.items() if kind}
    assert failed == dict.fromkeys(["energy", "shutter", "stage", "image"], "ConnectionError")
    assert told["shutter"][2].startswith("shutter was not set to close and has not moved: ")
    assert "STXM:ENERGY was disconnected and was not set to 510" in told["energy"][2]


def test_a_scan_that_waits_for_the_beam_outlives_its_ioc(told_of):
    told = told_of["suspended_through_an_outage"]
    assert told["error"] is None
    assert told["tripped"] is True
    assert told["open"] is False
    assert told["n_images"] in (2, 3)
    assert (told["exit"], told["status"], told["open_after"]) == ("success", "complete", False)
    # the IOC came back with the counter and the monochromator as they are when it starts
    assert told["differs_by"] == 0
    assert told["repeated_differs_by"] == 0
