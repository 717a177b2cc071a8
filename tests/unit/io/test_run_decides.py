"""What a run itself says decides over its block: motors, snaking, positions, units, streams."""

import numpy as np
import pytest
from event_model import compose_run
from shapes import array_key, number_key

from stxm_live.core.scan import StackScan
from stxm_live.io.documents import RunFrames, announced
from stxm_live.io.documents.scan_order import ENERGY, X, Y

ENERGIES = (515.0, 516.0, 518.0, 521.0)
NY, NX = 5, 6
COUNTS = np.arange(4.0 * NY * NX, dtype=np.float32).reshape(4, NY, NX) + 100


def block(**changes):
    values = {
        "shape": (4, NY, NX),
        "energies_ev": ENERGIES,
        "x_extent_um": (0, 5),
        "y_extent_um": (0, 4),
        "x_motor": "sx",
        "y_motor": "sy",
        "data_field": "apd",
    }
    return StackScan(**(values | changes))


def grid(*axes, snaking=None, **more):
    """Start document of a grid scan over (motor, positions)."""
    args = [part for motor, steps in axes for part in (f"Motor(name='{motor}')", list(steps))]
    return {
        "uid": "grid",
        "plan_name": "list_grid_scan",
        "motors": [motor for motor, _ in axes],
        "shape": [len(steps) for _, steps in axes],
        "snaking": snaking or [False] * len(axes),
        "plan_pattern_args": {"args": args},
        **more,
    }


E, YS, XS = ("energy", ENERGIES), ("sy", range(NY)), ("sx", range(NX))


@pytest.mark.parametrize(
    ("start", "axes", "snaking"),
    [
        (grid(E, YS, XS), (ENERGY, Y, X), (False, False, False)),
        (
            grid(E, YS, XS, snaking=[False, True, True]),
            (ENERGY, Y, X),
            (False, True, True),
        ),
        (grid(E, XS, YS), (ENERGY, X, Y), (False, False, False)),
        (grid(YS, XS, E), (Y, X, ENERGY), (False, False, False)),
        (grid(XS, YS, snaking=[False, True]), (ENERGY, X, Y), (False, False, True)),
        (grid(("pgm", ENERGIES), YS, XS), (ENERGY, Y, X), (False, False, False)),
        (grid(E, YS, snaking=[False, True]), (ENERGY, Y, X), (False, True, False)),
    ],
    ids=["plain", "snaking", "x slower", "energy fastest", "one run", "another name", "lines"],
)
def test_the_order_is_that_of_the_motors_that_the_run_steps(start, axes, snaking):
    scan = block(stack_id="a" if len(start["motors"]) == 2 and "sx" in start["motors"] else None)
    (stack,) = announced({**start, **scan.metadata()}).stacks
    assert stack.order.axes == axes
    assert stack.order.snaking == snaking


def test_energies_and_extents_are_in_the_order_of_the_run():
    start = grid(("energy", ENERGIES[::-1]), ("sy", range(NY)[::-1]), XS)
    (stack,) = announced({**start, **block().metadata()}).stacks
    assert stack.scan.energies_ev == ENERGIES[::-1]
    assert stack.scan.y_extent_um == (4, 0)
    assert stack.scan.x_extent_um == (0, 5)


def test_a_list_scan_from_high_to_low_needs_no_readback():
    start = {
        "uid": "list",
        "plan_name": "list_scan",
        "motors": ["pgm"],
        "num_points": 4,
        "plan_pattern_args": {"args": ["Motor(name='pgm')", [e / 1000 for e in ENERGIES[::-1]]]},
    }
    (stack,) = announced({**start, **block(energy_motor="pgm").metadata()}).stacks
    assert stack.scan.energies_ev == ENERGIES[::-1]


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (
            grid(E, ("sy", range(4)), XS),
            "announces 5 steps in y, the run itself steps 'sy' 4 times",
        ),
        (grid(("energy", (600, 601, 602, 603)), YS, XS), "steps 'energy' from 600 to 603"),
        (grid(("a", range(4)), ("b", range(5)), ("c", range(6))), "unclear which axes"),
        (grid(E, XS), "lines along y"),
    ],
)
def test_a_block_that_contradicts_the_run_is_refused(start, words):
    with pytest.raises(ValueError, match=words):
        announced({**start, **block().metadata()})


def run(streams, scan=None, start=None, num_events=None):
    """The stack of streams of (name, data keys, list of data)."""
    made = compose_run(metadata={**(start or {}), **(scan or block()).metadata()})
    reader = RunFrames({**made.start_doc, "uid": "run"})
    for name, keys, events in streams:
        stream = made.compose_descriptor(name=name, data_keys=keys)
        reader("descriptor", stream.descriptor_doc)
        for data in events:
            reader(
                "event",
                stream.compose_event(data=data, timestamps=dict.fromkeys(data, 1), validate=False),
            )
    reader("stop", {**made.compose_stop(), "num_events": num_events or {}})
    return reader.stacks[0].stack()


def pixels(x=lambda row, column: column, y=lambda row, column: row):
    places = [(k, row, col) for k in range(4) for row in range(NY) for col in range(NX)]
    return [
        {
            "energy": ENERGIES[k],
            "sx": float(x(r, c)),
            "sy": float(y(r, c)),
            "apd": float(COUNTS[k, r, c]),
        }
        for k, r, c in places
    ]


def pixel_keys(**units):
    return {key: number_key() | units.get(key, {}) for key in ("energy", "sx", "sy", "apd")}


def turned(row, column):
    return NX - 1 - column if row % 2 else column


@pytest.mark.parametrize(
    ("places", "key"),
    [
        ({"x": turned}, "sx"),
        ({"x": lambda row, column: -column}, "sx"),
        ({"x": lambda row, column: row, "y": lambda row, column: column}, "sy"),
        ({"y": lambda row, column: NY - row}, "sy"),
    ],
    ids=["snaking", "mirrored", "exchanged", "upside down"],
)
def test_positions_that_contradict_the_block_make_no_map(places, key):
    stack = run([("primary", pixel_keys(), pixels(**places))])
    assert f"the positions of '{key}' contradict the announced order" in stack.refusal
    assert stack.frames == ()


def test_positions_that_agree_or_stand_still_are_no_contradiction(rng):
    jitter = rng.normal(0, 0.1, (NY, NX))
    moved = pixels(x=lambda row, column: column + jitter[row, column])
    still = pixels(x=lambda row, column: jitter[row, column], y=lambda row, column: 7.0)
    for events in (moved, still):
        stack = run([("primary", pixel_keys(), events)])
        assert stack.refusal == ""
        np.testing.assert_array_equal(stack.intensity(), COUNTS)


def test_positions_of_another_size_in_a_known_unit_make_no_map():
    keys = pixel_keys(sx={"units": "mm"}, sy={"units": "um"})
    assert "extend over 5000 um, announced are 5 um" in run([("primary", keys, pixels())]).refusal


def images(order=range(4), key="energy", unit=1.0):
    return [{key: ENERGIES[k] / unit, "apd": COUNTS[k]} for k in order]


def image_keys(key="energy", unit=None):
    more = {} if unit is None else {"units": unit}
    return {key: number_key() | more, "apd": array_key((NY, NX))}


@pytest.mark.parametrize(
    ("unit", "in_ev"), [("eV", 1.0), ("keV", 1000.0), (None, 1.0), ("mm", 1.0)]
)
def test_a_readback_is_read_in_its_unit(unit, in_ev):
    stack = run([("primary", image_keys(unit=unit), images(range(4)[::-1], unit=in_ev))])
    np.testing.assert_array_equal(stack.intensity(), COUNTS)
    assert stack.energies_ev == pytest.approx(ENERGIES)


@pytest.mark.parametrize("unit", [None, "eV", "deg"])
def test_readbacks_that_are_no_energies_make_no_map(unit):
    stack = run([("primary", image_keys(unit=unit), images(range(4)[::-1], unit=1000.0))])
    assert "0.518 " in stack.refusal
    assert "'energy' is no energy near the announced 515 to 521 eV" in stack.refusal


def test_one_impossible_readback_is_ignored_with_a_note():
    events = images()
    events[2]["energy"] = 0.0
    stack = run([("primary", image_keys(), events)])
    np.testing.assert_array_equal(stack.intensity(), COUNTS)
    assert any("event 3: the readback 0 (no unit) of 'energy'" in note for note in stack.notes)


def test_without_the_energy_motor_the_only_key_in_ev_is_the_energy():
    stack = run([("primary", image_keys("pgm", "eV"), images(range(4)[::-1], "pgm"))])
    np.testing.assert_array_equal(stack.intensity(), COUNTS)
    assert "the energy is read from 'pgm', the only data key in eV" in stack.notes[0]


def test_without_any_energy_the_order_is_used_with_a_warning_that_lists_the_keys():
    stack = run([("primary", image_keys("pgm"), images(key="pgm"))])
    assert "no readback of 'energy' was found" in stack.notes[0]
    assert stack.notes[0].endswith("the data keys are: apd, pgm")


def test_a_dark_image_is_subtracted_and_a_flat_one_divided_by():
    relative = np.full((NY, NX), 1.0)
    relative[:, ::2] = 3.0
    dark, flat = np.full((NY, NX), 10.0), relative * 100 + 10
    measured = [e | {"apd": (e["apd"] - 10) * relative / 2 + 10} for e in images()]
    stack = run(
        [
            ("dark", image_keys(), [{"energy": 515.0, "apd": dark}]),
            ("flat", image_keys(), [{"energy": 515.0, "apd": flat}]),
            ("primary", image_keys(), measured),
        ]
    )
    np.testing.assert_allclose(stack.intensity(), COUNTS - 10, rtol=1e-6)
    assert any("the dark of stream 'dark' is subtracted" in note for note in stack.notes)


def test_a_dark_image_after_the_first_image_changes_nothing():
    dark = ("dark", image_keys(), [{"energy": 515.0, "apd": COUNTS[0]}])
    stack = run([("primary", image_keys(), images()), dark])
    np.testing.assert_array_equal(stack.intensity(), COUNTS)
    assert any("came after the first image" in note for note in stack.notes)


def test_the_stack_is_taken_from_primary_whatever_came_before():
    other = ("snapshot", image_keys(), [{"energy": 515.0, "apd": COUNTS[3]}] * 2)
    stack = run([other, ("primary", image_keys(), images())])
    np.testing.assert_array_equal(stack.intensity(), COUNTS)
    assert stack.finished


def test_another_stream_with_as_many_events_as_images_is_named():
    one = [{"energy": 515.0, "apd": COUNTS[3]}]
    streams = [("before", image_keys(), one), ("stack", image_keys(), images())]
    stack = run(streams, num_events={"before": 1, "stack": 4})
    assert "taken from stream 'before', but 'stack' has as many" in stack.refusal


def test_images_at_each_step_of_a_raster_are_no_stack():
    start = grid(E, YS, XS)
    events = [{"energy": e, "apd": COUNTS[0]} for e in ENERGIES for _ in range(NY * NX)]
    stack = run(
        [("primary", image_keys(), events)], start={k: start[k] for k in start if k != "uid"}
    )
    assert "each event holds one image, but the motors" in stack.refusal
