import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import ENERGIES, IMAGES, MUTATIONS, SHAPES, FaultError, a_tester, cells, gone_through

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")


@pytest.fixture(scope="module")
def tester():
    with a_tester() as one:
        yield one


@pytest.mark.parametrize("shape", SHAPES)
def test_no_way_to_spoil_a_stream_at_any_place_reaches_the_scan_or_loses_a_frame(tester, shape):
    """Every way and every place; all pairs of them are in `benchmarks.robustness.harm`."""
    own = [cell for cell in cells() if cell[0] == shape]
    n_places = len({place for _, _, place in own})
    done = set()
    for n, cell in enumerate(own):
        if (n // n_places + n % n_places + list(SHAPES).index(shape)) % 2:
            tester.check(*cell, random.Random(f"{shape} {n}"))
            done |= set(cell)
    assert done == {name for cell in own for name in cell}
    assert done > set(MUTATIONS)


LOST_BEFORE = [
    *(
        ("image", "shortened", place, f"image {n}")
        for place in ("middle", "last")
        for n in (15, 22)
    ),
    ("pixel", "huge", "middle", "pixel 40"),
    ("pixel", "huge", "last", "pixel 69"),
    ("pixel", "wrongly_typed", "last", "1 5688"),
    ("cls", "nan", "last", "0 4528"),
]
"""An image cut to one row passed for a line of another; a pixel's number was 10^18, or 1.5; a stack
with a last line of NaN was finished, and its image was not whole."""


@pytest.mark.parametrize(("shape", "mutation", "position", "seed"), LOST_BEFORE)
def test_an_event_of_another_kind_or_far_beyond_the_scan_spoils_no_other(
    tester, shape, mutation, position, seed
):
    tester.check(shape, mutation, position, random.Random(seed))


def test_one_pixel_with_the_number_of_another_image_spoils_no_more_than_that_pixel(tester):
    tester.mapped_of("pixel", lambda docs: docs[-2][1].update(seq_num=1))
    (stack,) = tester.mapped.values()
    found = {frame.announced_ev: frame for frame in stack.frames}
    assert list(found) == list(ENERGIES)
    assert (found[510.0].intensity != IMAGES[0]).sum() == 1
    assert found[510.0].energy_ev == 510.0
    np.testing.assert_array_equal(found[516.6].intensity, IMAGES[1])
    assert not stack.finished


@settings(max_examples=40)
@given(cell=st.sampled_from(cells()), rand=st.randoms(use_true_random=False))
def test_streams_that_hypothesis_spoils_do_no_harm(tester, cell, rand):
    tester.check(*cell, rand)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_checks_themselves_see_a_frame_that_was_changed(tester, shape, monkeypatch):
    monkeypatch.setattr("streams.IMAGES", IMAGES + 1)
    with pytest.raises(FaultError):
        tester.check(shape, "doubled", "first", random.Random(0))


def test_going_through_cells_as_the_benchmark_does_counts_each_and_finds_no_fault():
    counts, faults, longest_ms = gone_through(20, 3)
    assert faults == []
    assert counts.total() == 20
    assert longest_ms > 0
