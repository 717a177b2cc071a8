import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from stxm_live.core.scan import StackScan
from stxm_live.io.files import read_sdf, read_spectrum, read_stack, stack_documents
from stxm_live.io.files.sdf_header import MAX_HEADER_BYTES, read_header

ALS = Path(__file__).parents[4] / "shared" / "data"

HEADER = """
ScanDefinition = {{ Label = "demo.hdr"; Type = "{scan_type}"; Flags = "{flags}";
\tDwell = 0.433;
\tRegions = ({n_regions},
{regions});

\tStackAxis = {{ Name = "Energy"; Unit = "eV"; Min = 700; Max = 702; Dir = 1;
\t\tPoints = ({n_energies}, {energies});
}};

\tChannels = ({n_channels},
{channels});
}};
 Time = "2007 December 14 18:52:00"; BeamFeedback = true; Dwell2 = -6.2774386e+066;

EPUGap = {{ Name = "EPU Gap"; LastPosition = 25.326; Vel = 200;}};
{images}
"""
REGION = """{
\t\t\tPAxis = { Name = "Sample X"; Unit = "um"; Min = -2; Max = 1; Dir = 1;
\t\t\t\tPoints = (4, -2.0, -1.5, -1.0, -0.5);
};

\t\t\tQAxis = { Name = "Sample Y"; Unit = "um"; Min = 10; Max = 12; Dir = 1;
\t\t\t\tPoints = (3, 10.0, 11.0, 12.0);
};
}"""
ENERGIES = (700.0, 701.5, 702.0)
ROWS, COLUMNS = 3, 4


def pixel(k, row, column):
    return 100.0 * k + 10.0 * row + column


def write_stack(
    folder,
    *,
    energies=ENERGIES,
    regions=(REGION,),
    channels=("counter1",),
    scan_type="NEXAFS Image Scan",
    flags="Image Stack",
    images="",
    missing=(),
):
    path = folder / "demo.hdr"
    header = HEADER.format(
        flags=flags,
        scan_type=scan_type,
        n_channels=len(channels),
        channels=",".join(f'{{ Name = "{c}"; Unit = "counts";}}' for c in channels),
        n_regions=len(regions),
        regions=",\n".join(regions),
        n_energies=len(energies),
        energies=", ".join(f"{e:.3f}" for e in energies),
        images=images,
    )
    path.write_text(header)
    for k in range(len(energies)):
        if k not in missing:
            lines = (
                "".join(f"{pixel(k, r, c):.6f}\t" for c in range(COLUMNS)) for r in range(ROWS)
            )
            (folder / f"demo_a{k:03d}.xim").write_text("\n".join(lines) + "\n")
    return path


def write_image(path, value):
    path.write_text(("\t".join([str(value)] * COLUMNS) + "\t\n") * ROWS)


def test_the_first_line_of_an_image_file_is_row_0_at_the_first_point_of_the_q_axis(tmp_path):
    stack = read_sdf(write_stack(tmp_path))

    k, row, column = np.indices((3, ROWS, COLUMNS))
    np.testing.assert_array_equal(stack.intensity(), pixel(k, row, column))
    assert stack.intensity().dtype == np.float32
    assert stack.scan.y_extent_um == (10.0, 12.0)
    assert stack.scan.x_extent_um == (-2.0, -0.5)


def test_energies_dwell_and_shape_come_from_the_header(tmp_path):
    stack = read_sdf(write_stack(tmp_path))

    assert stack.energies_ev == stack.scan.energies_ev == ENERGIES
    assert stack.scan.dwell_ms == 0.433
    assert stack.scan.shape == (3, ROWS, COLUMNS)
    assert stack.finished
    assert stack.notes == ()


def test_a_descending_list_of_energies_gives_ascending_frames(tmp_path):
    stack = read_sdf(write_stack(tmp_path, energies=ENERGIES[::-1]))

    assert stack.energies_ev == ENERGIES
    assert stack.intensity()[0, 0, 0] == pixel(2, 0, 0)


def test_the_energy_noted_with_an_image_is_what_the_frame_had(tmp_path):
    images = """Image000_0 = {StorageRingCurrent = 0.00; Energy = 700.03; Time = "2020 Jan 01";};
Image001_0 = {StorageRingCurrent = 0.00; Energy = 0.00; Time = "2020 Jan 01";};"""

    stack = read_sdf(write_stack(tmp_path, images=images))

    assert stack.energies_ev == (700.03, 701.5, 702.0)
    assert [frame.announced_ev for frame in stack.frames] == list(ENERGIES)


def test_a_brace_too_many_in_an_array_of_a_converted_header_is_passed_over(tmp_path):
    path = write_stack(tmp_path, regions=[REGION + "}"])

    assert read_sdf(path).scan.shape == (3, ROWS, COLUMNS)


def test_missing_images_of_an_aborted_stack_are_noted_with_their_energy(tmp_path):
    stack = read_sdf(write_stack(tmp_path, missing=(1,)))

    assert stack.energies_ev == (700.0, 702.0)
    assert stack.missing_ev == (701.5,)
    assert not stack.finished
    assert stack.notes == ("demo_a001.xim: no image of 701.5 eV",)


def test_missing_lines_of_an_image_are_nan_and_noted(tmp_path):
    path = write_stack(tmp_path)
    image = tmp_path / "demo_a002.xim"
    image.write_text(image.read_text().split("\n")[0] + "\n")

    stack = read_sdf(path)

    assert np.isfinite(stack.intensity()[2, 0]).all()
    assert np.isnan(stack.intensity()[2, 1:]).all()
    assert not stack.finished
    assert stack.missing_ev == (702.0,)
    assert stack.notes == ("demo_a002.xim: 1 of 3 lines of the image at 702 eV",)


@pytest.mark.parametrize("n_numbers", [2, 5, 11])
def test_an_image_that_was_cut_off_within_a_line_has_the_lines_above(tmp_path, n_numbers):
    path = write_stack(tmp_path)
    image = tmp_path / "demo_a001.xim"
    lines = image.read_text().splitlines()
    cells = "\n".join(lines).split("\t")
    image.write_text("\t".join(cells[:n_numbers])[:-1])

    stack = read_sdf(path)

    whole = n_numbers // COLUMNS
    assert stack.notes == (f"demo_a001.xim: {whole} of 3 lines of the image at 701.5 eV",)
    assert not stack.finished
    assert np.isfinite(stack.intensity()[1, :whole]).all()
    assert np.isnan(stack.intensity()[1, whole:]).all()
    assert np.isfinite(stack.intensity()[[0, 2]]).all()


def test_an_image_file_that_is_still_empty_counts_as_missing(tmp_path):
    path = write_stack(tmp_path)
    (tmp_path / "demo_a002.xim").write_text("")

    assert read_sdf(path).missing_ev == (702.0,)


def test_an_energy_at_the_seam_of_two_ranges_is_mapped_once_and_noted(tmp_path):
    stack = read_sdf(write_stack(tmp_path, energies=(700.0, 701.0, 701.0)))

    assert stack.energies_ev == (700.0, 701.0)
    assert stack.scan.energies_ev == (700.0, 701.0, 701.0)
    assert stack.intensity()[1, 0, 0] == pixel(1, 0, 0)
    assert [check.intensity[0, 0] for check in stack.checks] == [pixel(2, 0, 0)]
    assert stack.finished
    assert stack.notes == ("demo.hdr: 2 images of 701 eV, the first one is used",)


def test_of_several_regions_one_is_to_be_chosen(tmp_path):
    other = REGION.replace("-2.0, -1.5, -1.0, -0.5", "5.0, 6.0, 7.0, 8.0")
    path = write_stack(tmp_path, regions=(REGION, other), flags="Multi-Region Image Stack")
    for k in range(3):
        for region in range(2):
            write_image(tmp_path / f"demo_a{k:03d}{region}.xim", 100 * region + k)

    stack = read_sdf(path, region="2")

    np.testing.assert_array_equal(stack.intensity()[:, 0, 0], [100, 101, 102])
    assert stack.scan.x_extent_um == (5.0, 8.0)
    assert (stack.scan.region, stack.scan.n_regions, stack.key.region) == ("2", 2, "2")
    with pytest.raises(ValueError, match=r"demo\.hdr: has 2 regions; choose one .*: 1, 2"):
        read_sdf(path)


def test_of_several_channels_one_is_to_be_chosen_by_its_name(tmp_path):
    path = write_stack(tmp_path, channels=("counter1", "VCO"))
    for k in range(3):
        write_image(tmp_path / f"demo_b{k:03d}.xim", k)

    stack = read_sdf(path, detector="VCO")

    np.testing.assert_array_equal(stack.intensity()[:, 0, 0], [0, 1, 2])
    with pytest.raises(ValueError, match=r"has 2 detectors; choose one .*: counter1, VCO"):
        read_sdf(path)


def test_the_ring_current_noted_with_an_image_is_its_monitor_and_may_be_0(tmp_path):
    images = "Image000_0 = {StorageRingCurrent = 301.5;}; Image001_0 = {StorageRingCurrent = 0;};"
    path = write_stack(tmp_path, images=images)

    assert [frame.monitor for frame in read_sdf(path).frames] == [301.5, 0.0, None]


def test_an_image_that_is_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "scan").mkdir()
    path = write_stack(tmp_path / "scan")
    image = tmp_path / "scan" / "demo_a001.xim"
    image.rename(tmp_path / "elsewhere.txt")
    image.symlink_to(tmp_path / "elsewhere.txt")

    with pytest.raises(ValueError, match=r"demo_a001\.xim: leads out of its folder"):
        read_sdf(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_an_image_that_is_no_regular_file_is_refused_and_not_waited_for(tmp_path, make):
    path = write_stack(tmp_path)
    (tmp_path / "demo_a001.xim").unlink()
    make(tmp_path / "demo_a001.xim")
    with pytest.raises(ValueError, match=r"demo_a001\.xim: not a regular file"):
        read_sdf(path)


def test_a_header_of_many_megabytes_is_refused_at_once(tmp_path):
    (tmp_path / "s.hdr").write_text('"' * (MAX_HEADER_BYTES + 1))
    with pytest.raises(ValueError, match=r"s\.hdr: a header of more than"):
        read_stack(tmp_path / "s.hdr")


def test_a_header_that_is_nested_too_deeply_is_named(tmp_path):
    (tmp_path / "s.hdr").write_text("a = " + "(" * 100_000)
    with pytest.raises(ValueError, match=r"s\.hdr: cannot be read; it is nested too deeply"):
        read_stack(tmp_path / "s.hdr")


def test_a_folder_with_one_stack_is_read_and_one_with_two_is_refused(tmp_path):
    write_stack(tmp_path)
    (tmp_path / "._demo.hdr").write_bytes(b"\0" * 10)
    assert len(read_stack(tmp_path).frames) == 3

    (tmp_path / "other.hdr").touch()
    with pytest.raises(ValueError, match=r"has 2 stacks: demo\.hdr, other\.hdr; name one"):
        read_stack(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no stack in this folder"):
        read_stack(tmp_path / "empty")


@pytest.mark.parametrize("bracket", list("{}()"))
def test_a_header_that_lacks_any_one_of_its_brackets_is_refused_or_still_right(tmp_path, bracket):
    path = write_stack(tmp_path)
    text = path.read_text()
    whole = read_sdf(path)

    for k in [k for k, letter in enumerate(text) if letter == bracket]:
        path.write_text(text[:k] + text[k + 1 :])
        with suppress(ValueError):
            assert read_sdf(path).scan == whole.scan


def test_an_empty_header_is_refused(tmp_path):
    path = write_stack(tmp_path)
    path.write_bytes(b"")

    with pytest.raises(ValueError, match=r"demo\.hdr: an empty header"):
        read_sdf(path)


def test_a_stack_without_any_image_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"demo_a000\.xim: none of the stack's images"):
        read_sdf(write_stack(tmp_path, missing=range(3)))


def test_something_that_is_no_number_is_named_with_file_and_line(tmp_path):
    path = write_stack(tmp_path)
    image = tmp_path / "demo_a001.xim"
    image.write_text(image.read_text().replace("112.000000", "1l2"))

    with pytest.raises(ValueError, match=r"demo_a001\.xim, line 2: '1l2' is not a number"):
        read_sdf(path)


def test_a_line_of_another_length_is_named_with_file_and_line(tmp_path):
    path = write_stack(tmp_path)
    image = tmp_path / "demo_a001.xim"
    image.write_text(image.read_text().replace("123.000000\t", ""))

    with pytest.raises(ValueError, match=r"demo_a001\.xim, line 3: 3 numbers, .* have 4"):
        read_sdf(path)


def test_an_image_of_another_shape_than_announced_is_refused(tmp_path):
    path = write_stack(tmp_path)
    (tmp_path / "demo_a001.xim").write_text("1\t2\t\n" * ROWS)

    with pytest.raises(ValueError, match=r"demo_a001\.xim: 3 lines of 2 numbers.*3 of 4"):
        read_sdf(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flags": "Image"}, "a single image, and the header does not say at which"),
        ({"flags": "Spectra", "scan_type": "NEXAFS Point Scan"}, "is a point scan: a spectrum"),
        ({"scan_type": "NEXAFS Line Scan"}, "is a line scan"),
        ({"scan_type": "Focus Scan"}, "is a focus scan"),
        ({"energies": (-2.0, -1.0, 0.0)}, "from -2 to 0: these are not photon energies"),
        ({"energies": (700.0,)}, "a single image, at 700 eV"),
        ({"images": 'ScanningStage = "MagnetField";'}, "a scan of the magnet, not of the energy"),
        (
            {"images": "Image000_0 = {Energy = 778.2;}; Image002_0 = {Energy = 778.2;};"},
            "from 700 to 702, but 2 images were taken at 778.2 eV: a scan of something else",
        ),
        ({"regions": (REGION.replace("-1.5", "l.5"),)}, "line 7: PAxis: 'l.5' is not a number"),
    ],
)
def test_what_is_no_stack_is_refused_with_the_reason(tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_stack(write_stack(tmp_path, **change))
    assert "demo.hdr" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A = 1;\nB 2;\n", "line 2: expected B = ..., found 2"),
        ("A = {\n B = 1;\n", "line 2: expected }, found the end of the file"),
        ("A = (3, 1, 2);", "line 1: expected an array that begins with 2, its length, found 3"),
        ("A = (2, 1 2);", "line 1: expected ',' or '\\)', found 2"),
        ("A = ;", "line 1: expected a value, found ;"),
        ("\n\n", "an empty header"),
    ],
)
def test_a_header_that_is_cut_off_or_garbled_is_refused_with_its_line(tmp_path, text, message):
    path = tmp_path / "bad.hdr"
    path.write_text(text)

    with pytest.raises(ValueError, match=message):
        read_header(path)


def test_a_file_of_unknown_kind_is_refused_with_what_is_known(tmp_path):
    (tmp_path / "stack.doc").touch()

    with pytest.raises(ValueError, match=r"cannot read \.doc; known suffixes are \.h5, .*\.hdr"):
        read_stack(tmp_path / "stack.doc")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_stack(tmp_path / "other.hdr")


def test_the_spectrum_of_a_point_scan_is_read_by_its_header(tmp_path):
    path = write_stack(tmp_path, scan_type="NEXAFS Point Scan", flags="Spectra")
    (tmp_path / "demo_0.xsp").write_text("700.0\t5.5\t\n701.0\t6.5\t\n")

    energies_ev, counts = read_spectrum(path)

    np.testing.assert_array_equal(energies_ev, [700.0, 701.0])
    np.testing.assert_array_equal(counts, [5.5, 6.5])
    with pytest.raises(ValueError, match="'NEXAFS Image Scan', expected a point scan"):
        read_spectrum(write_stack(tmp_path))


def test_the_documents_of_a_stack_are_a_valid_run_with_one_event_per_image(tmp_path):
    from event_model import DocumentNames, schema_validators

    stack = read_sdf(write_stack(tmp_path))

    documents = list(stack_documents(stack, md={"sample": "NVPF"}))

    for name, doc in documents:
        schema_validators[DocumentNames[name]].validate(doc)
    start = documents[0][1]
    assert StackScan.from_start(start) == stack.scan
    assert (start["plan_name"], start["sample"]) == ("import", "NVPF")
    events = [doc for name, doc in documents if name == "event"]
    assert [event["data"]["energy"] for event in events] == list(ENERGIES)
    np.testing.assert_array_equal([e["data"]["counts"] for e in events], stack.intensity())
    assert documents[-1][1]["exit_status"] == "success"


def test_the_documents_have_nan_in_the_missing_lines_of_an_unfinished_image(tmp_path):
    path = write_stack(tmp_path)
    image = tmp_path / "demo_a000.xim"
    image.write_text(image.read_text().split("\n")[0] + "\n")

    documents = list(stack_documents(read_sdf(path)))

    events = [doc for name, doc in documents if name == "event"]
    assert [event["seq_num"] for event in events] == [1, 2, 3]
    assert np.isnan(events[0]["data"]["counts"][1:]).all()
    assert documents[-1][1]["reason"] == "demo_a000.xim: 1 of 3 lines of the image at 700 eV"


def test_the_documents_of_an_unfinished_stack_leave_a_gap_and_end_aborted(tmp_path):
    documents = list(stack_documents(read_sdf(write_stack(tmp_path, missing=(1,)))))

    assert [doc["seq_num"] for name, doc in documents if name == "event"] == [1, 3]
    stop = documents[-1][1]
    assert stop["exit_status"] == "abort"
    assert stop["reason"] == "demo_a001.xim: no image of 701.5 eV"


@pytest.mark.parametrize("n_cut", [1, 3])
def test_the_last_number_of_a_cut_image_is_left_out(tmp_path, n_cut):
    path = write_stack(tmp_path)
    image = tmp_path / "demo_a001.xim"
    whole = read_sdf(path).intensity()
    image.write_text(image.read_text().rstrip()[:-n_cut])

    stack = read_sdf(path)

    assert np.isnan(stack.intensity()[1, -1, -1])
    assert np.argwhere(stack.intensity() != whole).tolist() == [[1, 2, 3]]
    assert stack.notes == ("demo_a001.xim: the last number does not end; it is left out",)


def test_images_whose_energy_a_cut_header_does_not_note_are_named(tmp_path):
    images = "".join(f"Image{k:03d}_0 = {{Energy = {700 + k}.25;}};\n" for k in range(2))

    stack = read_sdf(write_stack(tmp_path, images=images))

    assert [frame.energy_ev for frame in stack.frames] == [700.25, 701.25, 702.0]
    assert stack.notes == (
        "demo.hdr: the energy is not noted with the images at 702 eV; the announced one is taken",
    )


@pytest.mark.real
def test_the_als_stack_equals_the_same_stack_in_hdf5(real_folder):
    import h5py

    stack = read_sdf(real_folder / "71214078.hdr")

    with h5py.File(ALS / "als_fe_l23_71214078.h5") as file:
        np.testing.assert_array_equal(stack.intensity(), file["counts"][:])
        np.testing.assert_array_equal(stack.energies_ev, file["energy"][:])
        assert stack.scan.x_extent_um == tuple(file["x"][[0, -1]])
        assert stack.scan.y_extent_um == tuple(file["y"][[0, -1]])
    assert stack.finished


@pytest.mark.real
def test_the_als_i0_spectrum_is_read_to_the_last_digit(real_folder):
    import h5py

    energies_ev, i0 = read_spectrum(real_folder / "i0.xsp")

    with h5py.File(ALS / "als_fe_l23_71214078.h5") as file:
        np.testing.assert_array_equal(np.column_stack([energies_ev, i0]), file["i0"][:])


def test_an_energy_repeated_at_the_end_of_a_file_is_repeated_in_its_run(tmp_path):
    from stxm_live.io.files.documents import stack_documents

    stack = read_sdf(write_stack(tmp_path, energies=(700.0, 701.0, 700.0)))

    events = [doc for name, doc in stack_documents(stack) if name == "event"]
    assert [event["seq_num"] for event in events] == [1, 2, 3]
    assert events[2]["data"]["energy"] == 700.0
    np.testing.assert_array_equal(events[2]["data"]["counts"], stack.checks[0].intensity)


def test_a_stack_from_a_file_is_called_by_its_name(tmp_path):
    path = write_stack(tmp_path)
    assert str(read_stack(path).key) == f"{path.name} region 1"
    odd = path.rename(path.with_name("it\x1b[31m is\n" + "long" * 30 + ".hdr"))
    for image in tmp_path.glob("*.xim"):
        image.rename(image.with_name(image.name.replace(path.stem, odd.stem)))
    shown = str(read_stack(odd).key)
    assert shown.isprintable()
    assert len(shown) < 80
