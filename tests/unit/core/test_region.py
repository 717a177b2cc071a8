"""A region tells a plan and a control program what to scan, and refuses what is none."""

import numpy as np
import pytest

from stxm_live import Region


def test_a_region_has_the_steps_and_positions_of_its_raster():
    region = Region((2.0, -1.0), (5.0, 6.0), nx=4, ny=3)
    x, y = region.positions_um
    np.testing.assert_allclose(x, [2, 1, 0, -1])
    np.testing.assert_allclose(y, [5, 5.5, 6])
    assert region.step_um == (1.0, 0.5)


def test_a_single_pixel_has_no_step():
    assert Region((1, 1), (2, 2), nx=1, ny=1).step_um == (0.0, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_extent_um": (1.0, 1.0)}, "no size in x"),
        ({"y_extent_um": (0.0, float("nan"))}, "y from 0.0 to nan um is not a region"),
        ({"nx": 0}, "nx is 0"),
        ({"dwell_ms": 0.0}, "dwell_ms is 0"),
    ],
)
def test_what_is_no_region_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Region(
            **({"x_extent_um": (0.0, 1.0), "y_extent_um": (0.0, 1.0), "nx": 4, "ny": 3} | change)
        )
