import h5py
import numpy as np
import pytest
import tifffile
from sdf_files import write_sdf

from stxm_live.io.files import read_stack

ENERGIES = (700.0, 704.5, 707.2)
CUBE = np.random.default_rng(3).poisson(900, (3, 4, 5)).astype(float)


def write_images(folder, **changes):
    """An SDF file for each energy, the middle one with other settings."""
    return [
        write_sdf(
            folder / f"e{k}.hdr",
            image[None],
            [energy],
            flags="Image",
            scan_type="Image Scan",
            **(changes if k == 1 else {}),
        )
        for k, (image, energy) in enumerate(zip(CUBE, ENERGIES, strict=True))
    ]


def test_single_images_are_joined_in_order_of_their_energies(tmp_path):
    files = write_images(tmp_path)

    stack = read_stack(files[::-1])

    np.testing.assert_array_equal(stack.intensity(), CUBE.astype(np.float32))
    assert stack.energies_ev == ENERGIES
    assert stack.scan.energies_ev == ENERGIES[::-1]
    assert stack.scan.extent_um == pytest.approx((0.0, 0.4, 0.0, 0.3))
    assert [frame.monitor for frame in stack.frames] == [300.0] * 3
    assert (stack.finished, stack.notes) == (True, ())


def test_one_image_alone_is_refused_and_asks_for_the_others(tmp_path):
    first, *_ = write_images(tmp_path)
    with pytest.raises(ValueError, match=r"e0.hdr: a single image, at 700 eV; .* the others too"):
        read_stack(first)
    with pytest.raises(ValueError, match="2 images, all at 700 eV"):
        read_stack([first, first])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"x_um": 0.2 * np.arange(5)}, "fields of 0.4 and 0.8 um in x"),
        ({"y_um": 40 + 0.1 * np.arange(4)}, "their fields are 40 um apart in y"),
        ({"counter": ("counter0", "OD")}, "counts and od"),
    ],
)
def test_images_that_do_not_belong_together_are_named(tmp_path, changes, reason):
    with pytest.raises(ValueError, match=f"e0.hdr and e1.hdr do not make one stack: .*{reason}"):
        read_stack(write_images(tmp_path, **changes))


def test_images_of_other_sizes_are_named(tmp_path):
    files = write_images(tmp_path)
    write_sdf(files[2], CUBE[:1, :3], [707.2], flags="Image", scan_type="Image Scan")
    with pytest.raises(ValueError, match=r"images of \(4, 5\) and \(3, 5\) pixels"):
        read_stack(files)


def test_other_dwells_are_noted(tmp_path):
    stack = read_stack(write_images(tmp_path, dwell_ms=3.0))
    assert any("dwells of 1, 3 ms" in note for note in stack.notes)


def test_a_repeated_energy_is_mapped_from_the_first_image(tmp_path):
    files = write_images(tmp_path)
    stack = read_stack([*files, files[0]])
    assert len(stack.frames) == 3
    assert [frame.energy_ev for frame in stack.checks] == [700.0]


def test_a_mapping_file_may_list_files_of_any_reader(tmp_path):
    write_images(tmp_path)
    path = tmp_path / "all.toml"
    path.write_text('file = ["e0.hdr", "e1.hdr", "e2.hdr"]\n')

    np.testing.assert_array_equal(read_stack(path).intensity(), CUBE.astype(np.float32))

    path.write_text('file = ["e0.hdr", "all.toml"]\n')
    with pytest.raises(ValueError, match=r"name the data set of the counts in all.toml"):
        read_stack(path)


def test_a_mapping_file_may_list_plain_hdf5_images(tmp_path):
    for k, image in enumerate(CUBE):
        with h5py.File(tmp_path / f"e{k}.h5", "w") as file:
            file["image"] = image
    path = tmp_path / "all.toml"
    path.write_text(
        'file = ["e0.h5", "e1.h5", "e2.h5"]\ndata = "image"\n'
        f"energies = {list(ENERGIES)}\npixel_size_um = 0.1\n"
    )
    np.testing.assert_array_equal(read_stack(path).intensity(), CUBE.astype(np.float32))


def write_ssrf(path, image, energy_ev, x_um, y_um):
    with h5py.File(path, "w") as file:
        group = file.create_group("FPGA control board")
        group["PMT counter"] = image
        group["positon 1 data"], group["positon 2 data"] = x_um, y_um
        group["step size(um)"] = np.array([0.1, 0.1])
        group["pixel dwell time(ms)"], group["energy(eV)"] = np.array([1.0]), np.array([energy_ev])
    return path


def test_images_of_ssrf_are_joined(tmp_path):
    y_um, x_um = np.meshgrid(9 - 0.1 * np.arange(4), 2 + 0.1 * np.arange(5), indexing="ij")
    files = [
        write_ssrf(tmp_path / f"{k}.h5", image, energy, x_um, y_um)
        for k, (image, energy) in enumerate(zip(CUBE, ENERGIES, strict=True))
    ]
    stack = read_stack(files)
    np.testing.assert_array_equal(stack.intensity(), CUBE.astype(np.float32))
    assert stack.scan.extent_um == pytest.approx((2.0, 2.4, 9.0, 8.7))
    assert stack.notes == ()


def test_an_image_of_ssrf_that_was_scanned_to_and_fro_is_put_on_a_raster(tmp_path):
    y_um, x_um = np.meshgrid(0.1 * np.arange(30), 0.1 * np.arange(40), indexing="ij")
    x_um[1::2] = x_um[1::2, ::-1]
    files = [
        write_ssrf(tmp_path / f"{e:g}.h5", 100 * x_um + 10 * y_um + e, e, x_um, y_um)
        for e in ENERGIES
    ]
    stack = read_stack(files)

    x0, x1, y0, y1 = stack.scan.extent_um
    ny, nx = stack.scan.image_shape
    y, x = np.meshgrid(np.linspace(y0, y1, ny), np.linspace(x0, x1, nx), indexing="ij")
    np.testing.assert_allclose(stack.frames[0].intensity, 100 * x + 10 * y + 700, atol=0.01)
    assert any("interpolated between the recorded positions" in note for note in stack.notes)


def write_exchange(path, images, *, axes=None, x=None, y=None):
    with h5py.File(path, "w") as file:
        file["implements"] = "information:exchange:spectromicroscopy"
        file["exchange/data"], file["exchange/energy"] = images, np.array(ENERGIES)
        file["exchange/energy"].attrs["units"] = "ev"
        if axes:
            file["exchange/data"].attrs["axes"] = axes
        file["exchange/x"] = 0.1 * np.arange(5) if x is None else x
        file["exchange/y"] = 0.1 * np.arange(4) if y is None else y
        for name in "xy":
            file[f"exchange/{name}"].attrs["units"] = "um"
        file["information/detector/pixel_size/horizontal"] = 0.2
        file["information/detector/pixel_size/vertical"] = 0.3
    return path


@pytest.mark.parametrize(
    ("order", "axes"),
    [
        ((2, 1, 0), "x:y:energy"),
        ((2, 1, 0), None),
        ((1, 2, 0), "y:x:energy"),
        ((1, 2, 0), None),
        ((0, 1, 2), None),
    ],
)
def test_data_exchange_is_read_in_any_order_of_its_axes(tmp_path, order, axes):
    path = write_exchange(tmp_path / "m.hdf5", CUBE.transpose(order), axes=axes)
    stack = read_stack(path)
    np.testing.assert_array_equal(stack.intensity(), CUBE.astype(np.float32))
    assert stack.scan.extent_um == pytest.approx((0.0, 0.4, 0.0, 0.3))
    assert stack.notes == ()


def test_positions_of_each_pixel_say_which_axis_is_which_and_may_be_no_raster(tmp_path):
    square = np.random.default_rng(1).poisson(500, (3, 6, 6)).astype(float)
    y, x = np.meshgrid(8 - 0.1 * np.arange(6), 0.1 * np.arange(6), indexing="ij")
    path = write_exchange(tmp_path / "s.hdf5", square.transpose(1, 2, 0), x=x, y=y)
    stack = read_stack(path)
    np.testing.assert_array_equal(stack.intensity(), square.astype(np.float32))
    assert stack.scan.extent_um == pytest.approx((0.0, 0.5, 8.0, 7.5))

    x[1::2] = x[1::2, ::-1]
    write_exchange(path, square.transpose(1, 2, 0), x=x, y=y)
    stack = read_stack(path)
    assert stack.scan.extent_um == pytest.approx((0.0, 1.0, 0.0, 1.5))
    assert any("make no raster; taken from the pixel size" in note for note in stack.notes)


def test_a_tiff_is_read_with_the_energies_beside_it_also_page_by_page(tmp_path):
    path = tmp_path / "m.tif"
    with pytest.raises(FileNotFoundError):
        read_stack(path)
    with tifffile.TiffWriter(path) as writer:
        for image in CUBE.astype("u2"):
            writer.write(image, contiguous=False)
    with pytest.raises(ValueError, match=r"m.tif: .* write them into m.txt .*mapping file"):
        read_stack(path)

    path.with_suffix(".txt").write_text("* energies\n700.0\n704.5\n707.2\n")
    stack = read_stack(path)
    np.testing.assert_array_equal(stack.intensity(), CUBE.astype(np.float32))
    assert stack.energies_ev == ENERGIES
    assert stack.notes == ("m.tif: no pixel size; a pixel is taken as 1 um",)

    path.with_suffix(".txt").write_text("700,0\n704,5\n707,2\n")
    with pytest.raises(ValueError, match=r"m.txt, line 1: '700,0' may have a decimal comma"):
        read_stack(path)
    path.with_suffix(".txt").write_text("700.0\n704.5\n70")
    with pytest.raises(ValueError, match=r"m.txt: may be cut, .* and '70' is shorter"):
        read_stack(path)
    path.with_suffix(".txt").write_text("700,0;1\n704,5;1\n707;1")
    with pytest.raises(ValueError, match=r"m.txt: may be cut, .* and '707;1' is shorter"):
        read_stack(path)
    path.with_suffix(".txt").write_text("700.0\n704.5\n")
    with pytest.raises(ValueError, match=r"3 pages, but m.txt has 2 energies"):
        read_stack(path)


@pytest.mark.parametrize(
    ("listed", "is_read"),
    [
        ("700.25 700.5 700.75 701", True),
        ("701.75 701.5 701.25 701", True),
        ("700.25 700.75 701", False),  # as from 701.25
        ("699.75 700.25 700.75 701", False),
        ("700.25 700.5 700.75 70", False),
    ],
)
def test_a_short_last_energy_without_an_end_is_taken_if_it_continues_the_series(
    tmp_path, listed, is_read
):
    tifffile = pytest.importorskip("tifffile")
    lines = listed.split()
    images = np.ones((len(lines), 4, 5), np.float32)
    tifffile.imwrite(tmp_path / "m.tif", images, photometric="minisblack")
    (tmp_path / "m.toml").write_text('file = "m.tif"\nenergies = "m.txt"\npixel_size_um = 0.05\n')
    (tmp_path / "m.txt").write_text("\n".join(lines))
    for name in ("m.tif", "m.toml"):
        if is_read:
            stack = read_stack(tmp_path / name)
            np.testing.assert_allclose(sorted(stack.energies_ev), sorted(map(float, lines)))
            assert "m.txt: its last line does not end; 701 continues the series" in str(stack.notes)
        else:
            with pytest.raises(ValueError, match=r"m.txt: may be cut"):
                read_stack(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("scan.hdr", "ENVI\ndescription = {cube}\nsamples = 5\n", "a header of ENVI"),
        ("ptycho.cxi", "", "ptychography scan"),
        ("s_a000.xim", "1 2\n", r"open its header \(.hdr\)"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, name, content, reason):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=f"{name}: .*{reason}"):
        read_stack(tmp_path / name)


def test_positions_whose_axes_have_other_units_are_said(tmp_path):
    path = write_sdf(tmp_path / "s.hdr", CUBE, ENERGIES, x_um=0.0001 * np.arange(5))
    assert any("pixels of 0.1 nm are not those" in note for note in read_stack(path).notes)
    path = write_sdf(tmp_path / "s.hdr", CUBE, ENERGIES, y_um=15.0 * np.arange(4))
    assert any("15 um in y: the unit of one axis" in note for note in read_stack(path).notes)


def test_nanometres_without_unit_are_not_taken_for_micrometres(tmp_path):
    x, y = 50.0 * np.arange(5), 50.0 * np.arange(4)
    path = write_sdf(tmp_path / "s.hdr", CUBE, ENERGIES, x_um=x, y_um=y, unit="")
    assert read_stack(path).scan.x_extent_um == pytest.approx((0.0, 0.2))


@pytest.mark.parametrize("scan_type", ["Image (point by point)", "NEXAFS Image Scan, line mode"])
def test_an_image_that_was_scanned_in_lines_or_points_is_an_image(tmp_path, scan_type):
    assert read_stack(write_sdf(tmp_path / "s.hdr", CUBE, ENERGIES, scan_type=scan_type)).frames


def test_a_header_has_its_units_read(tmp_path):
    x, y = 0.0001 * np.arange(5), 0.0001 * np.arange(4)
    for unit, taken in (("mm", False), ("", True), ("clicks", True)):
        path = write_sdf(tmp_path / "s.hdr", CUBE, ENERGIES, x_um=x, y_um=y, unit=unit)
        stack = read_stack(path)
        assert stack.scan.x_extent_um == pytest.approx((0.0, 0.4))
        assert any("taken as mm (pixels of 100 nm)" in note for note in stack.notes) == taken
