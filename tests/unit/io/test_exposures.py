"""Exposures of an image in events of their own: added where the plan says how many there are."""

import numpy as np
import pytest
import shapes
from shapes import array_key, compose, number_key

from stxm_live.live.replay import stack_of_run

NY, NX = 3, 4
KEYS = {"energy": {**number_key(), "units": "eV"}, "cam": array_key((NY, NX)), "i0": number_key()}
RNG = np.random.default_rng(0)
IMAGES = RNG.poisson(100, (6, NY, NX)).astype(np.float32)
ENERGIES = (515.0, 517.0)


def events(energies, images=IMAGES):
    pairs = enumerate(zip(energies, images, strict=False))
    return [(k + 1, {"energy": e, "cam": im, "i0": 10.0 + k}) for k, (e, im) in pairs]


def stack(md, sent, **options):
    return stack_of_run(list(compose(md, sent, keys=KEYS, **options)))


def mine(num=3):
    return {"plan_name": "mine", "motors": ["energy"], "plan_args": {"num": num}}


def test_exposures_of_one_energy_are_added():
    energies = np.repeat(ENERGIES, 3) + [0, 0.01, -0.01] * 2
    found = stack(mine(), events(energies))
    np.testing.assert_array_equal(found.intensity(), [IMAGES[:3].sum(0), IMAGES[3:].sum(0)])
    assert found.energies_ev == pytest.approx(ENERGIES)


def test_exposures_that_are_sent_again_replace_the_earlier_ones():
    sent = shapes.rewound(events(np.repeat(ENERGIES, 3)), after=5, back_to=3)
    spoilt = [(n, data | {"cam": data["cam"] * 0 + 7}) for n, data in sent[3:5]]
    found = stack(mine(), [*sent[:3], *spoilt, *sent[5:]])
    np.testing.assert_array_equal(found.intensity(), [IMAGES[:3].sum(0), IMAGES[3:].sum(0)])


@pytest.mark.parametrize(
    "md",
    [
        {"plan_name": "list_scan", "motors": ["energy"], "num_points": 3, "plan_args": {"num": 3}},
        mine(3),
        mine(True),
        mine("3"),
    ],
    ids=["points", "other energies", "a bool", "a text"],
)
def test_a_number_that_is_not_of_exposures_adds_nothing(md):
    found = stack(md, events([515.0, 516.0, 517.0]))
    np.testing.assert_array_equal(found.intensity(), IMAGES[:3])


def test_events_without_an_energy_are_not_added():
    from stxm_live.core.scan import StackScan

    scan = StackScan(
        shape=(3, NY, NX),
        energies_ev=(515.0, 516.0, 517.0),
        x_extent_um=(0, 3),
        y_extent_um=(0, 2),
        data_field="cam",
    )
    sent = [(n, {"cam": data["cam"]}) for n, data in events([0.0] * 3)]
    docs = compose(scan.metadata() | {"num": 3}, sent, keys={"cam": KEYS["cam"]})
    np.testing.assert_array_equal(stack_of_run(list(docs)).intensity(), IMAGES[:3])


def test_an_image_that_lacks_exposures_is_left_out_and_named():
    found = stack(mine(2), events(np.repeat([515.0, 516.0, 517.0], 2)[:5]), exit_status="abort")
    assert found.energies_ev == (515.0, 516.0)
    assert any("image 3 has 1 of 2 exposures; left out" in note for note in found.notes)


def test_fewer_exposures_than_the_plan_says_are_added_and_named():
    found = stack(mine(5), events(np.repeat(ENERGIES, 3)))
    np.testing.assert_array_equal(found.intensity(), [IMAGES[:3].sum(0), IMAGES[3:].sum(0)])
    assert any("each image has 3 exposures; the plan says 5" in note for note in found.notes)


def test_a_count_of_several_is_one_image_of_a_stack_of_several_runs():
    from stxm_live.core.scan import StackScan

    scan = StackScan(
        shape=(2, NY, NX),
        energies_ev=ENERGIES,
        x_extent_um=(0, 3),
        y_extent_um=(0, 2),
        data_field="cam",
        i0_field="i0",
        stack_id="a",
    )
    runs = []
    for k in range(2):
        md = scan.model_copy(update={"energy_index": k}).metadata()
        md |= {"plan_name": "count", "num_points": 3, "plan_args": {"num": 3}}
        sent = [(n - 3 * k, {**d, "energy": ENERGIES[k]}) for n, d in events([0] * 6)[3 * k :][:3]]
        runs.append(list(compose(md, sent, keys=KEYS)))
    found = stack_of_run(runs)
    np.testing.assert_array_equal(found.intensity(), [IMAGES[:3].sum(0), IMAGES[3:].sum(0)])
    assert [frame.monitor for frame in found.frames] == [33.0, 42.0]
