"""Files of other beamlines, where they are at hand; their README says what is right."""

from pathlib import Path

import numpy as np
import pytest

from stxm_live.io.files import read_stack

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "beamlines"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the files of other beamlines are not in ../shared/data"
)


def test_a_stack_of_pollux_has_the_ring_current_of_each_image():
    stack = read_stack(FOLDER / "Sample_Stack_2021-03-16_128.hdf5")

    assert stack.scan.shape == (4, 50, 50)
    assert stack.energies_ev == (280.0, 284.5, 285.0, 320.0)
    x0, x1, *_ = stack.scan.extent_um
    assert (x1 - x0) / 49 == pytest.approx(0.5)
    current = np.array([frame.monitor for frame in stack.frames])
    means = stack.intensity().mean(axis=(1, 2), dtype=float) / current * np.median(current)
    np.testing.assert_allclose(means, [1020.87, 457.82, 469.36, 1482.80], atol=0.01)
    assert stack.notes == ()
    assert stack.origin.measured == "2021-03-16T16:50:18+01:00"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Sample_Line_2021-03-16_096.hdf5", "a line scan"),
        ("Focus_2021-03-16_051.hdf5", "a focus scan"),
    ],
)
def test_other_scans_of_pollux_are_refused_by_name(name, kind):
    with pytest.raises(ValueError, match=kind):
        read_stack(FOLDER / name)


def test_hermes_is_read_without_a_definition():
    stack = read_stack(FOLDER / "hermes_small.hdf5")
    assert stack.scan.shape == (2, 2, 2)
    assert stack.energies_ev == (100.1, 101.1)
    assert stack.scan.extent_um == (1.1, 2.1, 11.1, 22.1)


def test_diamond_i08_has_positions_in_mm():
    stack = read_stack(FOLDER / "small_diamond_nxs.nxs")
    assert stack.scan.shape == (8, 7, 6)
    x0, x1, *_ = stack.scan.extent_um
    assert (x1 - x0) / 5 == pytest.approx(0.0667, abs=1e-4)
    assert any("taken as mm" in note for note in stack.notes)


def test_max_iv_records_a_rate_at_the_energies_that_it_noted():
    stack = read_stack(FOLDER / "max_iv.hdr")
    assert stack.scan.quantity == "rate"
    assert stack.energies_ev == (698.0, 718.0)
    assert stack.origin.measured == "2020-10-15T11:59:33"


def test_ssrf_is_read_as_data_exchange_with_the_pixel_size_that_it_gives():
    stack = read_stack(FOLDER / "SF20221202061732_DEx.hdf5")
    assert stack.scan.shape == (2, 200, 201)
    assert stack.energies_ev == (703.0, 704.0)
    assert stack.scan.extent_um == pytest.approx((0.0, 100.0, 0.0, 99.5))
    assert (stack.origin.sample, stack.origin.when) == ("SampleonSiN", "2023-02-18 17:05")
