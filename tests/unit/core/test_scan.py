import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stxm_live.core.scan import StackScan

SCAN = {
    "shape": (3, 4, 5),
    "energies_ev": (515.6, 517.5, 524.0),
    "x_extent_um": (2.0, 2.4),
    "y_extent_um": (-1.0, -1.3),
    "data_field": "counts",
}

ALS_BLOCK = {
    "contract_version": 1,
    "shape": [3, 4, 5],
    "energies": [515.6, 517.5, 524.0],
    "dwell_ms": 1.5,
    "x_extent": [2.0, 2.4],
    "y_extent": [-1.0, -1.3],
    "x_motor": "CoarseX",
    "y_motor": "CoarseY",
    "energy_motor": "Energy",
    "data_field": "counter0",
}
"""As the ALS writes it, without a block of ours."""


def start(**changes):
    return {"uid": "3f2a91c0-aaaa", "stxm": {**ALS_BLOCK, **changes}}


coordinate = st.floats(-1e4, 1e4, allow_nan=False)


@st.composite
def scans(draw):
    energies = draw(st.lists(st.floats(50, 3000), min_size=1, max_size=6, unique=True))
    ny, nx = draw(st.integers(1, 999)), draw(st.integers(1, 999))
    return StackScan(
        shape=(len(energies), ny, nx),
        energies_ev=tuple(energies),
        dwell_ms=draw(st.floats(0, 1e4)),
        x_extent_um=draw(st.tuples(coordinate, coordinate)),
        y_extent_um=draw(st.tuples(coordinate, coordinate)),
        data_field=draw(st.text(min_size=1)),
        region=draw(st.text()),
        n_regions=draw(st.integers(1, 9)),
        group_uid=draw(st.none() | st.uuids().map(str)),
        polarization=draw(st.sampled_from(["", "LH", "CR"])),
        i0_field=draw(st.none() | st.text(min_size=1)),
        snake=draw(st.booleans()),
        parent=draw(st.none() | st.text()),
    )


@settings(max_examples=10)
@given(scan=scans())
def test_the_blocks_survive_json_and_come_back_the_same(scan):
    start_doc = json.loads(json.dumps({"uid": "u", **scan.metadata()}))
    assert StackScan.from_start(start_doc) == scan


def test_the_first_block_is_the_als_contract_word_for_word():
    assert StackScan.from_start(start()).metadata()["stxm"] == ALS_BLOCK


def test_a_block_of_the_als_alone_is_one_region_without_polarization():
    scan = StackScan.from_start(start())
    assert (scan.region, scan.n_regions, scan.polarization, scan.snake) == ("1", 1, "", False)
    assert scan.image_shape == (4, 5)


def test_extents_keep_their_direction_and_their_order():
    assert StackScan.from_start(start()).extent_um == (2.0, 2.4, -1.0, -1.3)


def test_energies_keep_the_order_they_are_scanned_in():
    scan = StackScan.from_start(start(energies=[524.0, 515.6, 517.5]))
    assert scan.energies_ev == (524.0, 515.6, 517.5)


def test_keys_that_other_programs_add_to_the_block_are_no_error():
    assert StackScan.from_start(start(operator="A. N. Other")) == StackScan.from_start(start())


@pytest.mark.parametrize("block", [None, "stxm", 3])
def test_without_a_block_the_message_says_how_to_give_one(block):
    with pytest.raises(ValueError, match=r"run 3f2a91c0: .*no stxm block.*scan=StackScan\(") as e:
        StackScan.from_start({"uid": "3f2a91c0-aaaa", "stxm": block})
    assert ".metadata()" in str(e.value)


def test_another_version_of_the_contract_is_refused():
    with pytest.raises(ValueError, match=r"contract_version 2.*reads version 1"):
        StackScan.from_start(start(contract_version=2))


@pytest.mark.parametrize("name", ["shape", "energies", "x_extent", "y_extent", "data_field"])
def test_a_missing_field_is_named_as_the_block_calls_it(name):
    document = start()
    del document["stxm"][name]
    with pytest.raises(ValueError, match=rf"run 3f2a91c0: .*{name}: Field required"):
        StackScan.from_start(document)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"shape": [2, 4, 5]}, "announces 2 energies, the list has 3"),
        ({"shape": [3, 0, 5]}, "all at least 1"),
        ({"energies": [515.6, -1.0, 524.0]}, "positive numbers in eV"),
        ({"energies": [515.6, float("nan"), 524.0]}, "positive numbers in eV"),
        ({"dwell_ms": -1}, "dwell_ms: .*greater than or equal to 0"),
        ({"x_extent": [0, "left"]}, r"x_extent\.1: .*valid number"),
        ({"shape": [3, 4]}, r"shape\.2: Field required"),
    ],
)
def test_a_block_that_contradicts_itself_says_where(changes, problem):
    with pytest.raises(ValueError, match=problem):
        StackScan.from_start(start(**changes))


def test_every_fault_of_a_block_is_told_at_once():
    with pytest.raises(ValueError, match=r"dwell_ms: .*; y_extent"):
        StackScan.from_start(start(dwell_ms=-1, y_extent=[0]))


def test_a_scan_does_not_change_and_takes_no_unknown_option():
    scan = StackScan(**SCAN)
    with pytest.raises(ValidationError, match="frozen"):
        scan.snake = True
    with pytest.raises(ValidationError, match="dwell"):
        StackScan(**SCAN, dwell=3)
