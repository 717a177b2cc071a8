"""Files that documents name: only regular ones in the roots, through all links, of known size."""

import os
import signal
import sys
import threading
import time
from functools import partial

import h5py
import numpy as np
import pytest

from stxm_live.io.documents import Roots, file_reader, hdf5_sources
from stxm_live.io.documents.file_reader import FileReader, ReaderProcess, StalledError
from stxm_live.io.documents.handlers import read_image
from stxm_live.io.documents.hdf5_images import Hdf5Images

SHAPE = (4, 5, 6)
SECRET = np.arange(120, dtype="f4").reshape(SHAPE) + 7000


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A root, a folder outside, and the folder of the process; two files in each of the others."""
    folders = {name: tmp_path / name for name in ("root", "outside", "process")}
    for folder in folders.values():
        folder.mkdir()
    for name in ("outside", "process"):
        plain(folders[name] / "s.h5")
        SECRET.tofile(folders[name] / "raw.bin")
    monkeypatch.chdir(folders["process"])
    return folders


def plain(path):
    with h5py.File(path, "w", libver="latest") as file:
        file["data"] = SECRET
    return path


def linked(path, to, name="data", inner="data"):
    with h5py.File(path, "w", libver="latest") as file:
        file[name] = h5py.ExternalLink(str(to), inner)
    return path


def virtual(path, source, inner="data", name="data"):
    with h5py.File(path, "a", libver="latest") as file:
        layout = h5py.VirtualLayout(SHAPE, dtype="f4")
        layout[:] = h5py.VirtualSource(str(source), inner, SHAPE)
        file.create_virtual_dataset(name, layout)
    return path


def raw(path, data):
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("data", SHAPE, "f4", external=[(str(data), 0, SECRET.nbytes)])
    return path


def soft(path, target, **links):
    with h5py.File(path, "a", libver="latest") as file:
        file["data"] = h5py.SoftLink(target)
        for name, link in links.items():
            file[name] = link
    return path


def in_a_virtual_one_of_its_own(path, to):
    return virtual(linked(path, to, "link"), ".", "link")


def symlink(path, to):
    path.symlink_to(to)
    return path


WAYS_OUT = {
    "external link": lambda root, out: linked(root / "a.h5", out / "s.h5"),
    "link of a link": lambda root, out: linked(
        root / "a.h5", linked(root / "b.h5", out / "s.h5"), inner="data"
    ),
    "soft link to a link": lambda root, out: soft(
        root / "a.h5", "/l", l=h5py.ExternalLink(str(out / "s.h5"), "data")
    ),
    "soft link through a linked group": lambda root, out: soft(
        root / "a.h5", "l/data", l=h5py.ExternalLink(str(out / "s.h5"), "/")
    ),
    "link by the process's folder": lambda root, out: linked(root / "a.h5", "s.h5"),
    "link by its last part": lambda root, out: linked(root / "a.h5", "/nowhere/s.h5"),
    "external storage": lambda root, out: raw(root / "a.h5", out / "raw.bin"),
    "storage by the process's folder": lambda root, out: raw(root / "a.h5", "raw.bin"),
    "storage with ..": lambda root, out: raw(root / "a.h5", "../outside/raw.bin"),
    "virtual": lambda root, out: virtual(root / "a.h5", out / "s.h5"),
    "virtual by the process's folder": lambda root, out: virtual(root / "a.h5", "s.h5"),
    "virtual to external storage": lambda root, out: virtual(
        root / "a.h5", raw(root / "b.h5", out / "raw.bin")
    ),
    "virtual to virtual": lambda root, out: virtual(
        root / "a.h5", virtual(root / "b.h5", out / "s.h5")
    ),
    "virtual to a link": lambda root, out: virtual(
        root / "a.h5", linked(root / "b.h5", out / "s.h5")
    ),
    "virtual to a link of its own": lambda root, out: in_a_virtual_one_of_its_own(
        root / "a.h5", out / "s.h5"
    ),
    "virtual to a symbolic link": lambda root, out: virtual(
        root / "a.h5", symlink(root / "b.h5", out / "s.h5")
    ),
    "virtual to a pattern of names": lambda root, out: virtual(root / "a.h5", out / "s%%.h5"),
    "symbolic link": lambda root, out: symlink(root / "a.h5", out / "s.h5"),
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_way_out_of_the_roots_is_taken_by_an_hdf5_file(places, way):
    path = WAYS_OUT[way](places["root"], places["outside"])
    with pytest.raises(ValueError, match=r"lies outside|parts '\.\.'|pattern of names"):
        read_row(str(path), Roots([places["root"]]))


@pytest.mark.parametrize("prefix", ["HDF5_VDS_PREFIX", "HDF5_EXT_PREFIX"])
def test_names_that_the_environment_redirects_are_refused(places, prefix, monkeypatch):
    monkeypatch.setenv(prefix, str(places["outside"]))
    make = virtual if "VDS" in prefix else linked
    path = make(places["root"] / "a.h5", "s.h5")
    with pytest.raises(ValueError, match=prefix):
        read_row(str(path), Roots([places["root"]]))


WAYS_INSIDE = {
    "external link": lambda root: linked(root / "a.h5", plain(root / "b.h5")),
    "relative link": lambda root: linked(root / "a.h5", plain(root / "b.h5").name),
    "soft link": lambda root: soft(linked(root / "a.h5", plain(root / "b.h5"), "l"), "/l"),
    "relative virtual": lambda root: virtual(root / "a.h5", plain(root / "b.h5").name),
    "virtual of virtual": lambda root: virtual(
        root / "a.h5", virtual(root / "c.h5", plain(root / "b.h5"))
    ),
    "external storage": lambda root: raw(root / "a.h5", binary(root / "raw.bin")),
    "symbolic link": lambda root: symlink(root / "a.h5", plain(root / "b.h5")),
}


def binary(path):
    SECRET.tofile(path)
    return path


@pytest.mark.parametrize("way", WAYS_INSIDE)
def test_links_and_sources_within_the_roots_are_followed(places, way):
    path = WAYS_INSIDE[way](places["root"])
    images = Hdf5Images(str(path), "data", Roots([places["root"]]))
    np.testing.assert_array_equal(images.event(2, 1), SECRET[2:3])
    images.close()


def test_a_virtual_dataset_waits_for_the_file_of_its_row_only(places):
    path = places["root"] / "a.h5"
    layout = h5py.VirtualLayout((2, 5, 6), dtype="f4")
    for k in range(2):
        layout[k] = h5py.VirtualSource(f"{k}.h5", "data", SHAPE)[k]
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("data", layout)
    plain(places["root"] / "0.h5")
    images = Hdf5Images(str(path), "data", Roots([places["root"]]))
    np.testing.assert_array_equal(images.event(0, 1)[0], SECRET[0])
    with pytest.raises(OSError, match=r"1\.h5 is not there yet"):  # it would be read as zeros
        images.event(1, 1)


def test_a_virtual_dataset_may_have_more_files_than_are_open_at_a_time(places, monkeypatch):
    monkeypatch.setattr(hdf5_sources, "MAX_FILES", 3)
    layout = h5py.VirtualLayout((6, 5, 6), dtype="f4")
    for k in range(6):
        plain(places["root"] / f"{k}.h5")
        layout[k] = h5py.VirtualSource(f"{k}.h5", "data", SHAPE)[k % 4]
    with h5py.File(places["root"] / "a.h5", "w", libver="latest") as file:
        file.create_virtual_dataset("data", layout)
    images = Hdf5Images(str(places["root"] / "a.h5"), "data", Roots([places["root"]]))
    for k in (0, 1, 2, 3, 4, 5, 0):
        np.testing.assert_array_equal(images.event(k, 1)[0], SECRET[k % 4])
    images.close()


def test_links_in_a_circle_end(places):
    path = linked(places["root"] / "a.h5", places["root"] / "a.h5")
    with pytest.raises(ValueError, match="more than 32 links"):
        read_row(str(path), Roots([places["root"]]))


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("suffix", ["h5", "tiff", "npy"])
@pytest.mark.parametrize(
    ("make", "roots", "words"),
    [
        (pipe, ["."], "not a regular file"),
        (os.mkdir, ["."], "not a regular file"),
        (device, ["."], "lies outside"),
        (device, [".", "/dev"], "not a regular file"),
    ],
    ids=["pipe", "folder", "device", "device in a root"],
)
def test_only_regular_files_are_opened_and_none_is_waited_for(
    tmp_path, monkeypatch, suffix, make, roots, words
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"image.{suffix}"
    make(path)
    read = read_row if suffix == "h5" else partial(read_image, suffix)
    with pytest.raises(ValueError, match=words):
        read(str(path), Roots(roots))


def read_row(path, roots):
    return Hdf5Images(path, "data", roots).event(0, 1)


def test_external_storage_that_is_a_pipe_is_refused(places):
    pipe(places["root"] / "raw.bin")
    path = raw(places["root"] / "a.h5", places["root"] / "raw.bin")
    with pytest.raises(ValueError, match="not a regular file"):
        read_row(str(path), Roots([places["root"]]))


def test_a_link_put_in_place_of_a_file_meanwhile_is_noticed(tmp_path, monkeypatch):
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "day", outside):
        folder.mkdir(parents=True)
        np.save(folder / "a.npy", SECRET)
    roots = Roots([root])
    confined = roots.confined

    def then_replaced(path):
        found = confined(path)
        if (root / "day").is_dir() and not (root / "day").is_symlink():
            (root / "day").rename(root / "before")
            (root / "day").symlink_to(outside)
        return found

    monkeypatch.setattr(roots, "confined", then_replaced)
    with pytest.raises(ValueError, match="lies outside"):
        read_image("npy", str(root / "day" / "a.npy"), roots)


# sizes


@pytest.mark.parametrize("shape", [(4, 50, 60), (4, 10**6, 10**6)])
def test_rows_larger_than_announced_are_not_read(tmp_path, shape):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", shape, "f4", chunks=(1, 50, 60))
    images = Hdf5Images(str(tmp_path / "a.h5"), "data", Roots([tmp_path]))
    with pytest.raises(ValueError, match="more than the 30 values that were announced"):
        images.event(0, 1, 30)


def test_a_chunk_larger_than_any_event_is_not_unpacked(tmp_path):
    shape = (10**7, 5, 6)
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        file.create_dataset("data", shape, "f4", chunks=shape, maxshape=shape, compression="gzip")
    with pytest.raises(ValueError, match="has chunks of more than"):
        read_row(str(tmp_path / "a.h5"), Roots([tmp_path]))


@pytest.mark.parametrize("kind", ["npy", "tiff"])
def test_an_image_file_larger_than_announced_is_not_read(tmp_path, kind):
    import tifffile

    path = tmp_path / f"a.{kind}"
    image = np.zeros((50, 60), "f4")
    np.save(path, image) if kind == "npy" else tifffile.imwrite(path, image)
    with pytest.raises(ValueError, match="more than the 30 values that were announced"):
        read_image(kind, str(path), Roots([tmp_path]), 30)


def test_an_npy_header_that_promises_more_than_there_is_allocates_nothing(tmp_path):
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(ValueError, match="has more than"):
        read_image("npy", str(tmp_path / "a.npy"), Roots([tmp_path]), 10**13)


# the process


@pytest.fixture
def reader(tmp_path):
    plain(tmp_path / "a.h5")
    found = FileReader(Roots([tmp_path]))
    found.max_values = SECRET.size
    return found


@pytest.fixture
def process(monkeypatch):
    """A process of its own for the test, with little patience and no rest."""
    own = ReaderProcess()
    monkeypatch.setattr(file_reader, "_process", own)
    monkeypatch.setattr(file_reader, "ANSWER_S", 0.2)
    monkeypatch.setattr(file_reader, "REST_S", 0.0)
    yield own
    own.end()


def test_a_file_that_does_not_answer_is_given_up_and_the_next_one_read(
    process, reader, tmp_path, caplog
):
    path = str(tmp_path / "a.h5")
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(file_reader, "ANSWER_S", 60.0)
        reader.hdf5(path, "data", index=0, n_frames=1)
    os.kill(process.pid, signal.SIGSTOP)  # as a disk that does not answer
    with pytest.raises(StalledError, match=r"a\.h5 did not answer within 0\.2 s"):
        reader.hdf5(path, "data", index=0, n_frames=1)
    assert "a.h5' did not answer" in caplog.text
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(file_reader, "ANSWER_S", 60.0)
        found = reader.hdf5(path, "data", index=1, n_frames=1)
    np.testing.assert_array_equal(found, SECRET[1:2])


def test_a_damaged_file_that_hdf5_reads_on_and_on_is_given_up(process, reader, tmp_path):
    damaged = bytearray((tmp_path / "a.h5").read_bytes())
    of_the_data = damaged.rindex(b"OHDR")
    damaged[of_the_data + 30] ^= 0xFF  # as with SWMR, HDF5 waits for the checksum to be right
    (tmp_path / "b.h5").write_bytes(damaged)
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(file_reader, "ANSWER_S", 60.0)
        reader.hdf5(str(tmp_path / "a.h5"), "data", index=0, n_frames=1)
    with pytest.raises(StalledError, match=r"b\.h5 did not answer"):
        reader.hdf5(str(tmp_path / "b.h5"), "data", index=0, n_frames=1)


def test_a_folder_that_did_not_answer_is_left_alone_for_a_while(process):
    process._resting["/data"] = time.monotonic() + 60
    with pytest.raises(StalledError, match=r"b\.h5 does not answer"):
        process.ask({}, "/data/b.h5")


def test_a_process_that_does_not_start_is_named_with_the_first_image(
    process, reader, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    reader.start()
    with pytest.raises(ValueError, match=r"a\.h5: the process that reads files does not start"):
        reader.hdf5(str(tmp_path / "a.h5"), "data", index=0, n_frames=1)


def test_a_file_that_ends_the_process_is_refused_from_then_on(process, reader, tmp_path):
    path = str(tmp_path / "a.h5")
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(file_reader, "ANSWER_S", 60.0)
        reader.hdf5(path, "data", index=0, n_frames=1)
        pid = process.pid
        threading.Timer(0.2, os.kill, [pid, signal.SIGKILL]).start()
        os.kill(pid, signal.SIGSTOP)
        for _ in range(2):
            with pytest.raises(ValueError, match=r"a\.h5 ended the process"):
                reader.hdf5(path, "data", index=0, n_frames=1)
        (tmp_path / "b.h5").write_bytes((tmp_path / "a.h5").read_bytes())
        found = reader.hdf5(str(tmp_path / "b.h5"), "data", index=0, n_frames=1)
    np.testing.assert_array_equal(found, SECRET[:1])
