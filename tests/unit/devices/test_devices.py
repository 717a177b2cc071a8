"""The file of PV names, and statuses that tell what went wrong; no EPICS needed."""

import time
import tomllib
from pathlib import Path

import pytest
from ophyd import Device, Signal

from stxm_live.devices import Outcome
from stxm_live.devices.names import load_names, names_from

SHIPPED = Path(__file__).parents[3] / "profiles" / "profile_stxm" / "microscope.toml"


def values():
    return tomllib.loads(SHIPPED.read_text())


def test_the_shipped_names_are_read_and_frozen():
    names = load_names(SHIPPED)
    assert names.energy.setpoint == "STXM:ENERGY"
    assert set(names.stages) == {"sample_x", "sample_y", "coarse_x", "coarse_y"}
    assert names.image.y_n == "STXM:IMAGE:Y:N"
    with pytest.raises(ValueError, match="frozen"):
        names.connect_timeout_s = 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda v: v["energy"].pop("stop"), "energy.stop: Field required"),
        (lambda v: v["image"].update(go="two words"), "image.go: String should match"),
        (lambda v: v["line"].update(indx="STXM:X"), "line.indx: Extra inputs"),
        (lambda v: v["energy"].update(limits=[600, 500]), r"energy: limits \[600.0, 500.0\] must"),
        (lambda v: v["energy"].update(tolerance_ev=0), "energy.tolerance_ev: Input should be"),
        (lambda v: v["stages"].pop("sample_y"), r"file: \[stages\] has no sample_y, which"),
        (lambda v: v["stages"].update({"a b": {"record": "X"}}), r"stages.a b.\[key\]: String"),
        (lambda v: v.pop("shutter"), "shutter: Field required"),
    ],
)
def test_a_wrong_key_is_named(change, complaint):
    changed = values()
    change(changed)
    with pytest.raises(ValueError, match=complaint):
        names_from(changed, source="microscope.toml")


def test_all_wrong_keys_are_named_at_once():
    with pytest.raises(ValueError, match="mine:\n") as caught:
        names_from({"energy": {}}, source="mine")
    assert len(str(caught.value).splitlines()) == 1 + 3 + 5


def test_what_is_no_toml_is_refused_with_the_file_and_the_line(tmp_path):
    path = tmp_path / "names.toml"
    path.write_text("[energy\n")
    with pytest.raises(ValueError, match=r"names.toml: .*line 1"):
        load_names(path)


@pytest.fixture
def device():
    return Device(name="thing")


def test_the_text_of_a_failed_status_is_what_went_wrong(device):
    outcome = Outcome(device)
    assert "thing" in str(outcome)
    outcome.end(RuntimeError("STXM:X is on its limit switch"))
    with pytest.raises(RuntimeError, match="limit switch"):
        outcome.wait(60)
    assert str(outcome) == "STXM:X is on its limit switch"


def test_a_status_ends_once(device):
    outcome = Outcome(device)
    outcome.end()
    outcome.end(RuntimeError("too late"))
    outcome.wait(60)
    assert outcome.success


def test_a_deadline_ends_what_nothing_else_did(device):
    late, early = Outcome(device), Outcome(device)
    for outcome in (late, early):
        outcome.deadline(0.05, lambda: "STXM:X did not move")
    early.end()
    with pytest.raises(TimeoutError, match="STXM:X did not move"):
        late.wait(60)
    time.sleep(0.1)
    assert early.success


def test_an_explanation_that_cannot_be_read_does_not_keep_a_deadline_from_ending(device):
    def unreadable():
        raise TimeoutError("STXM:ENERGY:RBV cannot be read")

    outcome = Outcome(device)
    outcome.deadline(0.01, unreadable)
    error = outcome.exception(timeout=60)
    assert isinstance(error, TimeoutError)
    assert "thing was not done within 0.01 s" in str(error)
    assert "STXM:ENERGY:RBV cannot be read" in str(error)


def test_a_step_that_raises_ends_the_status_and_none_follows(device):
    outcome = Outcome(device)
    taken = []
    outcome.step(lambda: taken.append(1))(pvname="STXM:GO")
    outcome.step(lambda: taken[5])()
    assert isinstance(outcome.exception(timeout=60), IndexError)
    outcome.step(lambda: taken.append(2))()
    assert taken == [1]


def test_a_connection_that_was_lost_just_before_is_not_waited_for(device):
    signal = Signal(name="readback")
    signal.pvname = "STXM:ENERGY:RBV"
    signal._metadata["connected"] = False
    outcome = Outcome(device)
    outcome.fail_if_lost(signal)
    with pytest.raises(ConnectionError, match="thing: STXM:ENERGY:RBV was disconnected"):
        outcome.wait(60)
