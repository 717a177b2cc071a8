import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from stxm_live.io.files import read_stack

REAL = Path(__file__).parents[4] / "shared" / "data"
CUBE = np.arange(24, dtype=np.uint16).reshape(2, 3, 4) + 100
HDF5 = """
file = "scan.h5"
data = "exchange/data"
axes = ["y", "x", "energy"]
energies = "/exchange/energy"
pixel_size_um = 0.5
"""
TIFF = """
file = "scan.tif"
energies = [710.5, 712.0]
pixel_size_um = [0.5, 2.0]
dwell_ms = 3.0
"""


def write(folder, text):
    with h5py.File(folder / "scan.h5", "w") as file:
        file["exchange/data"] = CUBE.transpose(1, 2, 0)
        file["exchange/energy"] = [710.5, 712.0]
    tifffile.imwrite(folder / "scan.tif", CUBE)
    for k, image in enumerate(CUBE):
        tifffile.imwrite(folder / f"e{k}.tif", image)
    (folder / "scan.toml").write_text(text)
    return folder / "scan.toml"


@pytest.mark.parametrize(
    ("text", "y_stop_um"),
    [
        (HDF5, 1.0),
        (TIFF, 4.0),
        (TIFF.replace('"scan.tif"', '["e0.tif", "e1.tif"]'), 4.0),
        (TIFF.replace("[710.5, 712.0]", '[0.7105, 0.712]\nenergy_unit = "keV"'), 4.0),
        (TIFF.replace("[710.5, 712.0]", '"energies.txt"'), 4.0),
    ],
)
def test_a_plain_file_is_read_as_its_mapping_says(tmp_path, text, y_stop_um):
    (tmp_path / "energies.txt").write_text("710.5 1\n712.0 1\n")

    stack = read_stack(write(tmp_path, text))

    np.testing.assert_array_equal(stack.intensity(), CUBE)
    assert stack.energies_ev == (710.5, 712.0)
    assert stack.scan.extent_um == (0.0, 1.5, 0.0, y_stop_um)
    assert stack.scan.dwell_ms == (3.0 if "dwell" in text else 0.0)


def test_a_folder_with_a_mapping_is_read_by_it(tmp_path):
    write(tmp_path, HDF5)

    assert len(read_stack(tmp_path).frames) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HDF5.replace("exchange/data", "exchange/dat"), "no data set /exchange/dat"),
        (HDF5.replace('data = "exchange/data"', ""), "data: name the data set of the counts"),
        (HDF5.replace('"energy"]', '"x"]'), "axes: .*each of energy, y and x once"),
        (HDF5 + "speed = 3", "speed: Extra inputs"),
        (TIFF.replace("pixel_size_um", "#"), "pixel_size_um: Field required"),
        (TIFF.replace("[0.5, 2.0]", "inf"), "pixel_size_um: .*less than or equal to 10000"),
        (TIFF.replace("[0.5, 2.0]", "1e-320"), "pixel_size_um: .*greater than or equal to"),
        (TIFF.replace("3.0", "nan"), "dwell_ms: Input should be"),
        (TIFF.replace("[710.5,", "[["), "toml: Unclosed array .at line 4"),
        (TIFF.replace("[710.5, 712.0]", "[710.5]"), r"shape \(2, 3, 4\).*\(1, 3, 4\)"),
        (TIFF.replace("[710.5, 712.0]", "[1.0, 2.0, 3.0]"), r"shape \(2, 3, 4\).*\(3, 3, 4\)"),
        (TIFF.replace("[710.5, 712.0]", '"no.txt"'), "energies: there is no file"),
        (TIFF.replace("scan.tif", "scan.toml"), "data: name the data set"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_with_its_field(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_stack(write(tmp_path, text))


def test_images_cut_off_or_of_different_shapes_are_named(tmp_path):
    path = write(tmp_path, TIFF.replace('"scan.tif"', '["e0.tif", "e1.tif"]'))
    tifffile.imwrite(tmp_path / "e1.tif", CUBE[1, :2])
    with pytest.raises(ValueError, match=r"different shapes: e0\.tif \(3, 4\), e1\.tif \(2, 4\)"):
        read_stack(path)

    for contents in (b"", b"II*\0\x08"):
        (tmp_path / "e1.tif").write_bytes(contents)
        with pytest.raises(ValueError, match=r"e1\.tif: cannot be read"):
            read_stack(path)


def test_complex_images_are_refused_and_their_real_part_is_not_taken(tmp_path):
    mapping = write(tmp_path, TIFF)
    tifffile.imwrite(tmp_path / "scan.tif", CUBE.astype(np.complex64), photometric="minisblack")
    with pytest.raises(ValueError, match="holds complex64, expected counts"):
        read_stack(mapping)


def test_files_that_are_missing_or_lead_out_of_the_folder_are_refused(tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    (tmp_path / "secret.h5").touch()
    path = write(folder, HDF5.replace("scan.h5", "../secret.h5"))
    with pytest.raises(ValueError, match=r"secret\.h5: leads out of its folder"):
        read_stack(path)

    path.write_text(HDF5.replace("scan.h5", "other.h5"))
    with pytest.raises(FileNotFoundError, match=r"other\.h5 is not there"):
        read_stack(path)


@pytest.mark.real
def test_the_measured_stack_in_plain_hdf5_equals_the_beamlines_own_files(tmp_path, real_folder):
    shutil.copy(REAL / "als_fe_l23_71214078.h5", tmp_path / "als.h5")
    (tmp_path / "als.toml").write_text(
        'file = "als.h5"\ndata = "counts"\nenergies = "energy"\npixel_size_um = 0.08\n'
    )

    stack = read_stack(tmp_path / "als.toml")

    theirs = read_stack(real_folder / "71214078.hdr")
    np.testing.assert_array_equal(stack.intensity(), theirs.intensity())
    assert stack.energies_ev == theirs.energies_ev
