import numpy as np
import pytest
import two_phases as two

from stxm_live.core.stack import Stack
from stxm_live.io.files import read_stack, stack_documents, write_ncb, write_nexus_stxm
from stxm_live.io.files.quantity import quantity_of


def written(tmp_path, images, **more):
    path = tmp_path / "s.ncb"
    write_ncb(path, Stack.from_arrays(images, two.ENERGIES, **more))
    return path


def test_negative_small_numbers_are_taken_as_optical_densities_and_that_is_said(tmp_path):
    stack = read_stack(written(tmp_path, two.measured_od()))

    assert stack.scan.quantity == "od"
    assert any("taken as optical densities" in note for note in stack.notes)


def test_counts_need_no_word(tmp_path):
    stack = read_stack(written(tmp_path, two.counts(photons=0.001)))  # 0 to 12 photons
    assert (stack.scan.quantity, stack.notes) == (None, ())


@pytest.mark.parametrize(
    "images",
    [
        np.abs(two.measured_od()),  # no pixel of the field is empty
        two.counts() / two.I0[:, None, None],
        two.measured_od() * 1e3,
        two.measured_yield() * 1e-12,
    ],
)
def test_numbers_that_may_be_several_quantities_are_asked_for(tmp_path, images):
    path = written(tmp_path, images)
    with pytest.raises(ValueError, match=r"s.ncb: the numbers run from .* --quantity \(rate, "):
        read_stack(path)
    assert read_stack(path, quantity="transmission").scan.quantity == "transmission"
    assert read_stack(path, quantity="counts").scan.quantity is None


def test_a_quantity_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'absorbance': expected one of counts, rate"):
        read_stack(written(tmp_path, two.counts()), quantity="absorbance")


@pytest.mark.parametrize(
    ("unit", "detector", "quantity"),
    [
        ("counts", "PMT", "counts"),
        ("Hz", "PMT", "rate"),
        ("kHz", "counter1", "rate"),
        ("counts/s", "", "rate"),
        ("pA", "Analog0", "rate"),
        ("pA", "TEY", "yield"),
        ("counts", "XRF_Fe", "yield"),
        ("OD", "", "od"),
        ("", "phoenix", None),
        (" ", "counter0", None),
    ],
)
def test_the_unit_or_the_name_of_the_detector_says_it(unit, detector, quantity):
    assert quantity_of(unit, detector) == quantity


def test_an_exported_or_imported_stack_keeps_its_quantity(tmp_path):
    stack = Stack.from_arrays(two.measured_od(), two.ENERGIES, quantity="od")
    write_nexus_stxm(tmp_path / "s.hdf5", stack)
    assert read_stack(tmp_path / "s.hdf5").scan.quantity == "od"

    name, start = next(stack_documents(stack))
    assert name == "start"
    assert start["stxm_live"]["quantity"] == "od"


def test_a_transmission_with_noise_below_zero_is_not_taken_for_optical_densities(tmp_path):
    transmission = two.counts() / two.I0[:, None, None]
    transmission[:, :2] -= 1.0  # lines without beam, with the dark counts subtracted
    with pytest.raises(ValueError, match="nothing says what they are"):
        read_stack(written(tmp_path, transmission))
