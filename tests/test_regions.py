"""Regions are suggested where a scan would help, within limits, and say why."""

import numpy as np
import pytest
from made_up_maps import maps as made_up

from stxm_live.regions import suggest_regions


def doubtful(*places, shape=(60, 80), **changes):
    """Maps that are certain of everything but for these (row, column) squares of 6 pixels."""
    maps = made_up(shape=shape, **changes)
    mapped = maps.phase_index >= 0
    certain = np.where(np.arange(5)[:, None, None] == 2, 1.0, 0.0)
    probability = np.where(mapped, certain, np.nan)
    for row, column in places:
        square = (slice(row - 3, row + 3), slice(column - 3, column + 3))
        probability[:, *square] = np.array([0, 0, 0.5, 0.5, 0])[:, None, None]
    probability[:, ~mapped] = np.nan
    values = {
        "probability": probability.astype(np.float32),
        "resolved_index": np.where(mapped, 2, -1).astype(np.int8),
        "dispersion": 1.0,
        "i0_std": np.zeros(13),
    }
    return made_up(shape=shape, **(values | changes))


def middle(region):
    return tuple(np.mean(extent) for extent in (region.x_extent_um, region.y_extent_um))


def position(maps, row, column):
    """Motor coordinates of a place between pixels."""
    x0, x1, y0, y1 = maps.extent_um
    ny, nx = maps.specimen.shape
    return x0 + (x1 - x0) * column / (nx - 1), y0 + (y1 - y0) * row / (ny - 1)


def test_the_region_lies_on_the_planted_doubt_and_keeps_the_direction_of_the_scan():
    maps = doubtful((20, 50))
    (region,) = suggest_regions(maps, 1, size_um=0.2, step_um=0.01)
    np.testing.assert_allclose(middle(region), position(maps, 19.5, 49.5), atol=0.05)
    first, last = region.y_extent_um
    assert first > last  # y of these maps descends
    assert region.x_extent_um[0] < region.x_extent_um[1]
    assert (region.nx, region.ny) == (20, 20)
    assert region.step_um == pytest.approx((0.01, 0.01))
