"""Damaged files of every reader; the long run is `python -m benchmarks.robustness.files`."""

import json
import os
import signal

import h5py
import nexus_files
import numpy as np
import pytest
import tifffile
from spoilt_files import gone_through

from stxm_live.io.files import (
    read_mapped,
    read_nexus_stxm,
    read_spectrum,
    read_stack,
    reading_apart,
)

MAPPING = 'file = "s.{}"\ndata = "data"\nenergies = [700.0, 701.5, 702.0]\npixel_size_um = 0.5\n'


@pytest.fixture
def little_patience(monkeypatch, tmp_path):
    write_sound(tmp_path / "sound.hdf5")
    read_stack(tmp_path / "sound.hdf5")  # the process has started
    monkeypatch.setattr(reading_apart, "PATIENCE_S", 1.0)


def write_sound(path):
    nexus_files.write_cls(path)
    return path


def with_an_endless_text(path):
    """A text of variable length whose place in the file has parts of no size."""
    raw = bytearray(write_sound(path).read_bytes())
    heap = raw.index(b"GCOL")
    raw[heap + 16 : heap + 272] = bytes(256)
    path.write_bytes(raw)
    return path


def test_no_damaged_file_ends_the_process_or_a_command_with_a_traceback(tmp_path):
    counts, faults, _ = gone_through(tmp_path, seed=3, n_files=96)
    assert faults == []
    assert counts["read"] > 0
    assert counts["refused"] > 0


def test_a_truncated_file_of_the_latest_format_is_refused_at_once(tmp_path):
    path = tmp_path / "s.hdf5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_group("entry0")["definition"] = [b"NXstxm"]
        file["entry0/counts"] = np.zeros(1000)
    path.write_bytes(path.read_bytes()[:1200])
    with pytest.raises(ValueError, match="truncated file"):
        read_stack(path)


@pytest.mark.parametrize("read", [read_stack, read_nexus_stxm, read_spectrum])
def test_a_damaged_file_that_its_library_never_gives_back_is_given_up(
    tmp_path, little_patience, read
):
    path = with_an_endless_text(tmp_path / "s.hdf5")
    with pytest.raises(TimeoutError, match=r"s\.hdf5: not read within 1 s"):
        read(path)
    reading_apart.PATIENCE_S = 60.0
    assert len(read_stack(tmp_path / "sound.hdf5").frames) == 3


@pytest.mark.parametrize("read", [read_stack, read_mapped])
def test_a_tiff_file_that_never_comes_back_is_given_up(tmp_path, little_patience, read):
    tifffile.imwrite(tmp_path / "s.tif", nexus_files.CUBE, photometric="minisblack")
    (tmp_path / "s.toml").write_text(MAPPING.format("tif"))
    os.kill(reading_apart._process.pid, signal.SIGSTOP)  # as in a chain of pages without an end
    with pytest.raises(TimeoutError, match=r"s\.toml: not read within 1 s"):
        read(tmp_path / "s.toml")


def test_a_file_that_ends_its_process_does_not_end_this_one(tmp_path, monkeypatch):
    path = with_an_endless_text(tmp_path / "s.hdf5")
    answering = reading_apart._process.answering

    def killed(timeout_s):
        os.kill(reading_apart._process.pid, signal.SIGKILL)
        return answering(timeout_s)

    monkeypatch.setattr(reading_apart._process, "answering", killed)
    with pytest.raises(OSError, match=r"s\.hdf5: it ended the process that read it"):
        read_stack(path)


def test_ctrl_c_while_a_file_is_read_ends_the_reading_and_the_next_file_is_read(
    tmp_path, little_patience, monkeypatch
):
    def pressed(request, patience_s):
        reading_apart._process.start().send_bytes(json.dumps(request).encode())
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reading_apart, "_answer", pressed)
        with pytest.raises(KeyboardInterrupt):
            read_stack(tmp_path / "sound.hdf5")
    monkeypatch.setattr(reading_apart, "PATIENCE_S", 60.0)
    assert read_stack(tmp_path / "sound.hdf5").scan.shape == nexus_files.CUBE.shape


def test_a_small_file_does_not_take_the_memory_that_it_announces(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.create_dataset("data", (5, 8192, 8192), "u1", chunks=(1, 2048, 8192))
    (tmp_path / "s.toml").write_text(MAPPING.format("h5"))
    with pytest.raises(ValueError, match="larger than the memory"):
        read_stack(tmp_path / "s.toml")


def test_the_files_that_a_file_is_read_from_count_as_well(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["data"] = np.ones((3, 64, 64), "f4")
    layout = h5py.VirtualLayout((3, 64, 64), "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "images.h5", "data", (3, 64, 64))
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.create_virtual_dataset("data", layout)
    (tmp_path / "s.toml").write_text(MAPPING.format("h5"))
    given = []
    heard = reading_apart._process.header

    def header(timeout_s):
        given.append(timeout_s)
        return heard(timeout_s)

    monkeypatch.setattr(reading_apart._process, "header", header)
    monkeypatch.setattr(reading_apart, "_BYTES_PER_S", 1000.0)
    assert len(read_stack(tmp_path / "s.toml").frames) == 3
    assert given[1] - given[0] > (tmp_path / "images.h5").stat().st_size / 1001


def test_a_file_is_named_as_the_user_named_it(tmp_path, monkeypatch):
    (tmp_path / "s.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^s\.hdf5: "):
        read_stack("s.hdf5")


def test_a_file_is_read_from_a_folder_that_was_removed(tmp_path, monkeypatch):
    path = write_sound(tmp_path / "s.hdf5")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert len(read_stack(path).frames) == 3
