import made_up_maps as made_up
import numpy as np
import pytest
import tifffile

from stxm_live.io.results import write_tiff


@pytest.fixture
def maps():
    return made_up.maps()


def test_images_come_back_with_values_labels_and_pixel_size(maps, tmp_path):
    files = {path.stem: path for path in write_tiff(maps, tmp_path / "new")}

    with tifffile.TiffFile(files["od"]) as file:
        np.testing.assert_array_equal(file.asarray(), maps.od)
        assert file.imagej_metadata["unit"] == "um"
        assert file.imagej_metadata["Labels"][1] == "513.2 eV"
        numerator, denominator = file.pages[0].tags["XResolution"].value
        assert denominator / numerator == pytest.approx(0.02, rel=1e-6)
    with tifffile.TiffFile(files["resolved_index"]) as file:
        index = file.asarray()
        assert index.dtype == np.uint8
        np.testing.assert_array_equal(index == 255, maps.resolved_index < 0)
        np.testing.assert_array_equal(index[maps.specimen], maps.resolved_index[maps.specimen])
        assert "0 Na3VPF, 1 Na2.4VPF" in file.imagej_metadata["Info"]
        assert "synthetic references" in file.imagej_metadata["Info"]
    mask = tifffile.imread(files["specimen"])
    np.testing.assert_array_equal(mask == 255, maps.specimen)


def test_pixels_that_are_not_square_have_two_sizes(tmp_path):
    maps = made_up.maps(shape=(11, 21), extent_um=(0.0, 1.0, 0.0, 1.0))
    with tifffile.TiffFile(write_tiff(maps, tmp_path)[0]) as file:
        tags = file.pages[0].tags
        sizes = [tags[f"{axis}Resolution"].value for axis in "XY"]
    assert [d / n for n, d in sizes] == pytest.approx([0.05, 0.1], rel=1e-6)


@pytest.mark.parametrize("end_um", [0.0, np.nan, 1e-320])
def test_a_field_without_length_has_no_pixel_size(tmp_path, end_um):
    maps = made_up.maps(shape=(4, 5), extent_um=(0.0, end_um, 0.0, end_um and 1.0))
    with tifffile.TiffFile(write_tiff(maps, tmp_path)[0]) as file:
        assert "unit" not in file.imagej_metadata


def test_quantities_keep_nan_where_there_is_no_value(maps, tmp_path):
    files = {path.stem: path for path in write_tiff(maps, tmp_path)}
    np.testing.assert_array_equal(tifffile.imread(files["correlation"]), maps.correlation)
    assert not set(files) & {"fractions", "i0", "shifts_px", "reference_od"}
