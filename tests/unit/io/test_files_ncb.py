import numpy as np
import pytest

from stxm_live.core.stack import Stack
from stxm_live.io.files import read_ncb, read_stack, write_ncb

CUBE = np.arange(24, dtype=np.float32).reshape(2, 3, 4) + 100
DAT = """4 3 {scale}
{x}
-2.0 2.0
2
 710.5
 712.0
a001.xim 710.5 1.5
a002.xim 712.0 2.5
"""


def write(folder, values, *, scale, x="10.0 13.0", dat=DAT):
    path = folder / "demo.ncb"
    values.tofile(path)
    (folder / "demo.dat").write_text(dat.format(scale=scale, x=x))
    return path


def test_integers_are_divided_by_their_scale(tmp_path):
    path = write(tmp_path, (CUBE * 10).astype("<i2"), scale=10.0)

    stack = read_stack(path)

    np.testing.assert_array_equal(stack.intensity(), CUBE)
    assert stack.energies_ev == (710.5, 712.0)
    assert stack.scan.extent_um == (10.0, 13.0, -2.0, 2.0)
    assert stack.scan.dwell_ms == 2.0


def test_a_negative_scale_stands_for_float32(tmp_path):
    stack = read_ncb(write(tmp_path, CUBE, scale=-1.0))

    np.testing.assert_array_equal(stack.intensity(), CUBE)


def test_axes_may_descend(tmp_path):
    stack = read_ncb(write(tmp_path, CUBE, scale=-1.0, x="13.0 10.0"))

    np.testing.assert_array_equal(stack.intensity(), CUBE)
    assert stack.scan.x_extent_um == (13.0, 10.0)


def test_a_written_stack_is_read_again_with_axes_that_ascend_from_0(tmp_path):
    stack = Stack.from_arrays(CUBE, (710.5, 712.0), extent_um=(13, 10, -2, 2), dwell_ms=1.5)

    write_ncb(tmp_path / "out.ncb", stack)

    again = read_ncb(tmp_path / "out.ncb")
    np.testing.assert_array_equal(again.intensity(), CUBE[:, :, ::-1])
    assert again.energies_ev == stack.energies_ev
    assert again.scan.extent_um == (0.0, 3.0, 0.0, 4.0)
    assert again.scan.dwell_ms == 1.5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.dat", "out.ncb"]


@pytest.mark.parametrize(
    ("dat", "message"),
    [
        ("", "ends after line 0"),
        (DAT.replace("710.5", "71o.5"), r"demo\.dat, line 5: expected 1 number.*found '71o.5'"),
        (DAT.replace("-2.0 2.0", "-2.0"), r"demo\.dat, line 3: expected 2 number.*found '-2.0'"),
        (DAT.replace("4 3", "4 5"), r"demo\.ncb: 96 bytes, its \.dat announces 160"),
        (DAT.replace("4 3", "-4 3"), "-4 columns"),
    ],
)
def test_a_garbled_description_is_named_with_its_line(tmp_path, dat, message):
    path = write(tmp_path, CUBE, scale=-1.0, dat=dat)

    with pytest.raises(ValueError, match=message):
        read_ncb(path)


def test_images_that_a_cut_description_does_not_list_are_noted(tmp_path):
    cut = DAT[: DAT.index("712.0 2.5")]

    stack = read_ncb(write(tmp_path, CUBE, scale=-1.0, dat=cut))

    np.testing.assert_array_equal(stack.intensity(), CUBE)
    assert stack.scan.dwell_ms == 1.5
    assert stack.notes == ("demo.dat: describes 1 of its 2 images; it may be cut",)


def test_an_energy_that_is_cut_is_no_energy(tmp_path):
    cut = DAT[: DAT.index("712.0") + 2]

    with pytest.raises(ValueError, match=r"demo\.dat: may be cut, .* and '71' is shorter"):
        read_ncb(write(tmp_path, CUBE, scale=-1.0, dat=cut))


def test_the_image_after_which_a_file_ends_is_named(tmp_path):
    path = write(tmp_path, CUBE.ravel()[:-1], scale=-1.0)

    with pytest.raises(ValueError, match=r"announces 96: .*; it ends after image 1 of 2$"):
        read_ncb(path)


def test_images_larger_than_any_stack_are_refused_before_they_are_read(tmp_path):
    dat = DAT.replace("4 3", "40000 40000")
    path = write(tmp_path, CUBE, scale=-1.0, dat=dat)
    with path.open("r+b") as file:
        file.truncate(len(CUBE) * 40000**2 * 4)
    with pytest.raises(
        ValueError, match=r"demo\.ncb: images of shape .* at most 67108864 pixels are read"
    ):
        read_ncb(path)


def test_an_ncb_without_its_dat_is_refused(tmp_path):
    path = write(tmp_path, CUBE, scale=-1.0)
    (tmp_path / "demo.dat").unlink()

    with pytest.raises(FileNotFoundError, match=r"demo\.dat: missing"):
        read_ncb(path)


def test_decimal_commas_are_refused_and_never_cut_off(tmp_path):
    stack = Stack.from_arrays(np.ones((2, 3, 4)) * [[[7.0]], [[8.0]]], [700.5, 701.5])
    write_ncb(tmp_path / "s.ncb", stack)
    dat = tmp_path / "s.dat"
    dat.write_text(dat.read_text().replace(".", ","))
    with pytest.raises(ValueError, match=r"s\.dat, line 1: .*decimal points, found '4 3 -1,0'"):
        read_stack(tmp_path / "s.ncb")
