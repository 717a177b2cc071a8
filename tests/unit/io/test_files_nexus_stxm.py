import subprocess
import sys

import h5py
import nexus_files as nx
import numpy as np
import pytest

from stxm_live.io.files import read_nexus_stxm, read_spectrum, read_stack


@pytest.mark.parametrize(
    ("write", "dwell_ms"),
    [
        (nx.write_cls, 1.0),
        (nx.write_pollux, 10.0),
        (nx.write_pollux_2017, 10.0),
        (lambda path: nx.write_pollux(path, old_axes=True), 10.0),
        (lambda path: nx.write_pollux(path, photon_energy=True), 10.0),
        (lambda path: nx.write_pollux(path, photon_energy=True, old_axes=True), 10.0),
        (nx.write_pystxmcontrol_3, 2.5),
        (nx.write_pystxmcontrol_2, 2.5),
    ],
)
def test_every_layout_gives_the_same_stack(tmp_path, write, dwell_ms):
    stack = read_stack(write(tmp_path / "stack.hdf5"))

    np.testing.assert_array_equal(stack.intensity(), nx.CUBE.astype(np.float32))
    assert stack.energies_ev == stack.scan.energies_ev == tuple(nx.ENERGIES)
    assert stack.scan.extent_um == pytest.approx((-2.0, -0.5, 10.0, 12.0))
    assert stack.scan.dwell_ms == dwell_ms
    assert stack.finished
    assert stack.notes == ()


def test_points_beside_the_requested_pixels_are_averaged_and_an_empty_pixel_stays_nan(tmp_path):
    path = nx.write_pystxmcontrol_2(tmp_path / "a.stxm", binned=False)

    images = read_stack(path).intensity()

    expected = nx.CUBE.astype(np.float32)
    expected[:, 0, 3] = np.nan
    np.testing.assert_array_equal(images, expected)


def test_energies_that_were_not_measured_are_missing_frames(tmp_path):
    cube = nx.CUBE.copy()
    cube[1, 2] = np.nan
    cube[2] = np.nan

    stack = read_stack(nx.write_cls(tmp_path / "a.hdf5", cube=cube))

    assert stack.energies_ev == (700.0, 701.5)
    assert stack.missing_ev == (701.5, 702.0)
    assert not stack.finished
    assert stack.notes == (
        "a.hdf5: 2 of 3 lines of the image at 701.5 eV",
        "a.hdf5: no image of 702 eV",
    )
    assert np.isnan(stack.intensity()[1, 2]).all()


def test_a_missing_pixel_stays_nan_and_leaves_its_image_whole(tmp_path):
    cube = nx.CUBE.copy()
    cube[1, 0, 2] = np.nan

    stack = read_stack(nx.write_cls(tmp_path / "a.hdf5", cube=cube))

    np.testing.assert_array_equal(stack.intensity(), cube.astype(np.float32))
    assert stack.finished


def test_zeros_that_pystxmcontrol_began_with_count_as_not_measured(tmp_path):
    cube = nx.CUBE.copy()
    cube[1, 1:] = 0
    cube[2] = 0

    stack = read_stack(nx.write_pystxmcontrol_3(tmp_path / "a.stxm", cube=cube))

    assert stack.missing_ev == (701.5, 702.0)
    assert np.isnan(stack.intensity()[1, 1:]).all()


def test_of_several_regions_one_is_to_be_chosen(tmp_path):
    path = nx.write_pystxmcontrol_3(tmp_path / "a.stxm", regions=2)

    with pytest.raises(ValueError, match=r"has 2 regions; choose one.*: entry0, entry1"):
        read_stack(path)
    with pytest.raises(ValueError, match=r"has no region 7; there are entry0, entry1"):
        read_stack(path, region="7")
    stack = read_stack(path, region="entry1")
    assert stack.intensity()[0, 0, 0] == 2000.0
    assert (stack.scan.region, stack.scan.n_regions, stack.key.region) == ("entry1", 2, "entry1")


def test_of_several_detectors_one_is_to_be_chosen(tmp_path):
    path = nx.write_cls(tmp_path / "a.hdf5", detectors=2)

    with pytest.raises(ValueError, match=r"has 2 detectors; choose one.*: counter0, counter1"):
        read_stack(path)
    stack = read_stack(path, detector="counter1")
    assert stack.intensity()[0, 0, 0] == 1001.0


def test_an_energy_at_the_seam_of_two_ranges_is_mapped_once_and_noted(tmp_path):
    path = nx.write_cls(tmp_path / "a.hdf5", energies=np.array([700.0, 701.0, 701.0]))

    stack = read_stack(path)

    assert stack.energies_ev == (700.0, 701.0)
    assert stack.intensity()[1, 0, 0] == 1100.0
    assert [check.intensity[0, 0] for check in stack.checks] == [1200.0]
    assert stack.notes == ("a.hdf5: 2 images of 701 eV, the first one is used",)
    assert stack.finished


def test_the_monitor_of_each_frame_is_its_mean_ring_current(tmp_path):
    path = nx.write_cls(tmp_path / "a.hdf5")

    stack = read_stack(path)
    assert [frame.monitor for frame in stack.frames] == [250.0, 249.0, 248.0]
    assert stack.scan.i0_field == "ring_current"
    without = read_stack(nx.write_pollux(tmp_path / "b.hdf5"))
    assert [frame.monitor for frame in without.frames] == [None] * 3
    assert without.scan.i0_field is None


def test_a_ring_current_that_was_not_recorded_for_an_image_is_unknown(tmp_path):
    path = nx.write_cls(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["entry0/control/data"][1] = np.nan
        file["entry0/control/data"][2, 0] = np.nan

    assert [frame.monitor for frame in read_stack(path).frames] == [250.0, None, 248.0]


@pytest.mark.parametrize(
    ("scan_type", "reason"),
    [
        (b"sample focus", "a focus scan"),
        (b"SAMPLE LINE SPECTRUM", "a line scan"),
        ("Sample Point Spectrum", "a point scan"),
        (b"osa image", "order-sorting aperture"),
    ],
)
def test_what_is_no_stack_is_refused_with_the_reason(tmp_path, scan_type, reason):
    path = nx.write_cls(tmp_path / "a.hdf5", scan_type=scan_type)

    with pytest.raises(ValueError, match=reason):
        read_nexus_stxm(path)


def test_the_spectrum_of_a_point_scan_is_read_without_what_was_not_measured(tmp_path):
    counts = np.array([50.0, np.nan, 70.0])
    path = nx.write_cls(tmp_path / "a.hdf5", cube=counts, scan_type=b"sample point spectrum")

    energies_ev, values = read_spectrum(path)

    np.testing.assert_array_equal(energies_ev, nx.ENERGIES[[0, 2]])
    np.testing.assert_array_equal(values, [50.0, 70.0])
    with pytest.raises(ValueError, match="'SAMPLE IMAGE STACK', expected a point scan"):
        read_spectrum(nx.write_cls(tmp_path / "b.hdf5"))


def test_a_single_image_is_refused(tmp_path):
    path = nx.write_cls(tmp_path / "a.hdf5", cube=nx.CUBE[0], energies=nx.ENERGIES[:1])

    with pytest.raises(ValueError, match="a single image, at 700 eV"):
        read_stack(path)


def test_a_unit_nobody_knows_is_refused_and_kev_are_understood(tmp_path):
    path = nx.write_cls(tmp_path / "a.hdf5", energies=nx.ENERGIES / 1000)
    with h5py.File(path, "a") as file:
        file["entry0/counter0/energy"].attrs["units"] = "keV"
        file["entry0/counter0/sample_x"].attrs["units"] = "mm"
    stack = read_stack(path)
    assert stack.energies_ev == pytest.approx(tuple(nx.ENERGIES))
    assert stack.scan.x_extent_um == (-2000.0, -500.0)

    with h5py.File(path, "a") as file:
        file["entry0/counter0/energy"].attrs["units"] = "furlong"
    with pytest.raises(ValueError, match=r"energy is in 'furlong'; known units are eV, keV"):
        read_stack(path)


def test_any_other_hdf5_file_is_refused_with_what_to_do(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["counts"] = nx.CUBE

    with pytest.raises(ValueError, match=r"no stack of a known.*mapping.*/counts \(3, 3, 4\)"):
        read_stack(tmp_path / "a.h5")


def test_a_file_that_is_cut_off_empty_or_no_hdf5_is_named(tmp_path):
    path = nx.write_cls(tmp_path / "a.hdf5")
    whole = path.read_bytes()

    for contents, reason in (
        (whole[: len(whole) // 2], "incomplete or damaged"),
        (b"", "an empty file"),
        (b"ScanDefinition = {", "not an HDF5 file"),
    ):
        path.write_bytes(contents)
        with pytest.raises(ValueError, match=rf"a\.hdf5: .*{reason}"):
            read_stack(path)


def test_texts_where_numbers_belong_are_named(tmp_path):
    path = nx.write_cls(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        del file["entry0/counter0/energy"]
        file["entry0/counter0/energy"] = [b"700", b"many", b"702"]

    with pytest.raises(ValueError, match=r"a\.hdf5: /entry0/counter0/energy holds .*expected num"):
        read_stack(path)


def test_counts_that_lie_in_a_file_elsewhere_on_the_disk_are_refused(tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    path = nx.write_cls(folder / "a.hdf5")
    nx.write_cls(tmp_path / "other.hdf5")
    nx.write_cls(folder / "beside.hdf5")
    with h5py.File(path, "a") as file:
        del file["entry0/counter0/data"]
        file["entry0/counter0/data"] = h5py.ExternalLink("beside.hdf5", "entry0/counter0/data")
    np.testing.assert_array_equal(read_stack(path).intensity(), nx.CUBE)

    with h5py.File(path, "a") as file:
        del file["entry0/counter0/data"]
        file["entry0/counter0/data"] = h5py.ExternalLink("../other.hdf5", "entry0/counter0/data")
    with pytest.raises(ValueError, match="leads out of its folder"):
        read_stack(path)


def test_an_entry_that_lies_in_a_file_elsewhere_on_the_disk_is_refused(tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    nx.write_cls(tmp_path / "other.hdf5")
    with h5py.File(folder / "a.hdf5", "w") as file:
        file["entry0"] = h5py.ExternalLink("../other.hdf5", "entry0")

    with pytest.raises(ValueError, match=r"other\.hdf5: leads out of its folder"):
        read_stack(folder / "a.hdf5")


def test_a_virtual_data_set_of_a_file_elsewhere_is_refused(tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    path = nx.write_cls(folder / "a.hdf5")
    nx.write_cls(tmp_path / "other.hdf5")
    layout = h5py.VirtualLayout(shape=(3, 3, 4), dtype="f4")
    layout[:] = h5py.VirtualSource("../other.hdf5", "entry0/counter0/data", shape=(3, 3, 4))
    with h5py.File(path, "a") as file:
        del file["entry0/counter0/data"]
        file["entry0/counter0"].create_virtual_dataset("data", layout)

    with pytest.raises(ValueError, match=r"other\.hdf5: leads out of its folder"):
        read_stack(path)


def test_a_virtual_data_set_that_leads_elsewhere_through_a_file_beside_is_refused(tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    path = nx.write_cls(folder / "a.hdf5")
    nx.write_cls(tmp_path / "other.hdf5")
    with h5py.File(folder / "beside.hdf5", "w") as file:
        file["data"] = h5py.ExternalLink("../other.hdf5", "entry0/counter0/data")
    layout = h5py.VirtualLayout(shape=(3, 3, 4), dtype="f4")
    layout[:] = h5py.VirtualSource("beside.hdf5", "data", shape=(3, 3, 4))
    with h5py.File(path, "a") as file:
        del file["entry0/counter0/data"]
        file["entry0/counter0"].create_virtual_dataset("data", layout)

    with pytest.raises(ValueError, match=r"other\.hdf5' has parts '\.\.'"):
        read_stack(path)


def test_a_data_set_far_larger_than_the_memory_is_refused(tmp_path):
    path = nx.write_cls(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        data = file["entry0/counter0"]
        del data["data"]
        data.create_dataset("data", shape=(3, 10**7, 10**7), dtype="f4", chunks=(1, 64, 64))

    with pytest.raises(
        ValueError, match=r"a\.hdf5: images of shape .* at most 67108864 pixels are read"
    ):
        read_stack(path)


def test_a_file_whose_writer_never_closed_it_can_be_read(tmp_path):
    path = nx.write_pystxmcontrol_3(tmp_path / "a.stxm")
    writer = (
        "import h5py, os, sys\n"
        "file = h5py.File(sys.argv[1], 'a', libver='latest')\n"
        "file.swmr_mode = True\n"
        "file.flush()\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", writer, path], check=True)

    assert len(read_stack(path).frames) == 3


def test_a_line_that_was_lost_on_the_way_is_nan_in_an_image_that_is_whole(tmp_path):
    cube = nx.CUBE.copy()
    cube[0, 1] = np.nan

    stack = read_stack(nx.write_cls(tmp_path / "a.hdf5", cube=cube))

    assert stack.finished
    assert stack.missing_ev == ()
    assert stack.notes == ("a.hdf5: 2 of 3 lines of the image at 700 eV",)
    np.testing.assert_array_equal(stack.intensity(), cube.astype(np.float32))


def test_descending_energies_give_ascending_frames(tmp_path):
    stack = read_stack(nx.write_cls(tmp_path / "a.hdf5", energies=nx.ENERGIES[::-1]))

    assert stack.energies_ev == tuple(nx.ENERGIES)
    assert stack.scan.energies_ev == tuple(nx.ENERGIES[::-1])
    np.testing.assert_array_equal(stack.intensity(), nx.CUBE[::-1])
    assert [frame.monitor for frame in stack.frames] == [248.0, 249.0, 250.0]


def test_monitors_are_no_detectors_and_the_ring_current_is_that_of_each_image(tmp_path):
    stack = read_stack(nx.write_pollux_2017(tmp_path / "a.hdf5"))
    assert [frame.monitor for frame in stack.frames] == [401.0] * 3


@pytest.mark.parametrize("values", [np.array([300.0]), np.arange(7.0)])
def test_a_ring_current_that_is_not_of_each_image_is_left_out_with_a_note(tmp_path, values):
    path = nx.write_pollux_2017(tmp_path / "a.hdf5", monitors=())
    with h5py.File(path, "a") as file:
        file["entry1/control/data"] = values
    stack = read_stack(path)
    assert stack.scan.i0_field is None
    assert stack.notes == (
        f"a.hdf5: the ring current is not used: {len(values)} values for 3 energies",
    )


@pytest.mark.parametrize("counter", ["Counter0", "counter0"])
def test_a_file_without_definition_is_read_by_its_names_and_says_so(tmp_path, counter):
    stack = read_stack(nx.write_hermes(tmp_path / "a.hdf5", counter=counter))

    np.testing.assert_array_equal(stack.intensity(), nx.CUBE.astype(np.float32))
    assert stack.scan.extent_um == pytest.approx((-2.0, -0.5, 10.0, 12.0))
    assert stack.notes == (
        "a.hdf5: no definition; read as NXstxm, by the names of its data",
        "a.hdf5: the positions sample_y and sample_x are without unit; taken as um (pixels of "
        "500 nm)",
        "a.hdf5: the energies have no unit; taken as eV",
    )


def test_a_file_of_another_definition_is_not_read_by_its_names(tmp_path):
    path = nx.write_hermes(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["entry1/definition"] = "NXptycho"
    with pytest.raises(ValueError, match="no stack of a known layout"):
        read_stack(path)


def test_positions_without_unit_are_in_the_one_that_makes_possible_pixels(tmp_path):
    stack = read_stack(nx.write_i08(tmp_path / "a.nxs"))
    assert stack.scan.extent_um == pytest.approx((-0.2, -0.05, 1.0, 1.2))
    assert any("taken as mm (pixels of 50 nm)" in note for note in stack.notes)


@pytest.mark.parametrize(
    ("unit", "x_um"),
    [
        *((unit, -2.0) for unit in ("µm", "micron", "Micrometers", "micrometre", "[um]")),
        *((unit, -2000.0) for unit in ("mm", "millimeter")),
        *((unit, -0.002) for unit in ("nm", "nanometre")),
        *((unit, -2.0) for unit in (b"\xb5m", b"\xce\xbcm", b"\xc2\xb5m", b"\xe6m")),
    ],
)
def test_units_are_known_in_all_their_spellings(tmp_path, unit, x_um):
    path = nx.write_cls(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["entry0/counter0/sample_x"].attrs["units"] = (
            np.bytes_(unit) if isinstance(unit, bytes) else unit
        )
        file["entry0/counter0/energy"].attrs["units"] = "electronvolt"
        file["entry0/counter0/count_time"].attrs["units"] = "msec"
    stack = read_stack(path)
    assert stack.scan.x_extent_um[0] == pytest.approx(x_um)
    assert stack.scan.dwell_ms == 0.001


def test_optional_values_in_strange_units_are_said_and_do_not_refuse_a_stack(tmp_path):
    path = nx.write_cls(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["entry0/counter0/sample_x"].attrs["units"] = "steps"
        file["entry0/counter0/count_time"].attrs["units"] = "clicks"
        file["entry0/counter0/sample_y"][...] = 4.0
    stack = read_stack(path)
    assert stack.scan.extent_um == (-2.0, -0.5, 0.0, 2.0)
    assert stack.scan.dwell_ms == 0
    assert [note.removeprefix("a.hdf5: ") for note in stack.notes] == [
        "count_time is in 'clicks', which is no time; it is not used",
        "the positions sample_y are missing or no raster; a pixel is 1 um",
        "the positions sample_x are in 'steps', which is no length; taken as um (pixels of 500 nm)",
    ]


def test_pixels_that_no_microscope_has_are_said(tmp_path):
    path = nx.write_cls(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["entry0/counter0/sample_x"].attrs["units"] = "m"
    assert any("pixels of 500 mm are not those" in note for note in read_stack(path).notes)


def test_an_order_of_axes_that_nothing_says_is_found_from_their_lengths(tmp_path):
    cube = nx.CUBE[:2]
    path = nx.write_hermes(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        data = file["entry1/Counter0"]
        del data["data"], data["energy"]
        data["data"], data["energy"] = cube.transpose(2, 1, 0), nx.ENERGIES[:2]
    np.testing.assert_array_equal(read_stack(path).intensity(), cube.astype(np.float32))

    with h5py.File(path, "a") as file:
        data = file["entry1/Counter0"]
        del data["data"]
        data["data"] = np.ones((2, 3, 5))
    with pytest.raises(
        ValueError, match=r"shape \(2, 3, 5\), but energy 2, sample_y 3, sample_x 4"
    ):
        read_stack(path)


def test_a_compression_filter_that_is_missing_is_named(tmp_path):
    path = nx.write_hermes(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        data = file["entry1/Counter0"]
        del data["data"]
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((3, 3, 4))
        settings.set_filter(32099, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((3, 3, 4))
        made = h5py.h5d.create(data.id, b"data", h5py.h5t.IEEE_F64LE, space, settings)
        made.write_direct_chunk((0, 0, 0), nx.CUBE.tobytes(), 0)
    with pytest.raises(
        ValueError, match=r"Counter0/data .* filter 32099, .* pip install hdf5plugin"
    ):
        read_stack(path)


def test_a_file_with_a_filter_of_hdf5plugin_is_read(tmp_path):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    path = nx.write_hermes(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        data = file["entry1/Counter0"]
        del data["data"]
        data.create_dataset("data", data=nx.CUBE, **hdf5plugin.Bitshuffle())
    np.testing.assert_array_equal(read_stack(path).intensity(), nx.CUBE.astype(np.float32))


def test_of_several_entries_the_one_that_is_a_stack_is_read(tmp_path):
    path = nx.write_pollux_2017(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file.copy("entry1", "entry2")
        file["entry2/counter0/stxm_scan_type"][...] = b"sample focus"
    stack = read_stack(path)
    assert (stack.key.region, stack.scan.n_regions) == ("entry1", 2)
    with pytest.raises(ValueError, match="a focus scan"):
        read_stack(path, region="entry2")


def test_a_single_image_is_turned_as_its_axes_say(tmp_path):
    image = nx.CUBE[0]
    paths = []
    for k, energy in enumerate((700.0, 705.0)):
        paths.append(nx.write_hermes(tmp_path / f"{k}.hdf5"))
        with h5py.File(paths[-1], "a") as file:
            data = file["entry1/Counter0"]
            del data["data"], data["energy"]
            data["data"], data["energy"] = image.T + k, [energy]
            if k:
                data.attrs["axes"] = ["sample_x", "sample_y"]
    np.testing.assert_array_equal(read_stack(paths).intensity(), np.stack([image, image + 1]))


def test_a_file_that_is_a_link_to_a_missing_one_names_it(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["entry1"] = h5py.ExternalLink("raw.hdf5", "/entry1")
    with pytest.raises(ValueError, match=r"a.hdf5: it is a link to raw.hdf5, which is not there"):
        read_stack(tmp_path / "a.hdf5")
