"""Arrays in temporary files: what is in one, what disk and memory must have, and what is left."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from stxm_live.core import file_arrays
from stxm_live.core.file_arrays import (
    MEMORY,
    SCRATCH,
    check_disk,
    empty,
    empty_as,
    empty_like,
    in_bands,
    is_in_file,
    kept_as,
    of_pixels,
    to_file,
    too_large_for_memory,
)

GIB = 2**30
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(SCRATCH, str(tmp_path))
    monkeypatch.setattr(file_arrays, "_FILE_BYTES", 2**16)
    monkeypatch.setattr(file_arrays, "_open", None)
    return tmp_path


def test_parts_and_views_of_an_array_in_a_file_are_in_it_and_what_is_computed_is_not(folder):
    images = empty((3, 4, 5))
    images[...] = np.arange(60).reshape(3, 4, 5)
    for part in (images, images[1], images.T, images[:, ::2].view("i4")):
        assert is_in_file(part)
    for other in (images + 1, images.copy(), images[:, images[0] > 3], np.ones(3)):
        assert not is_in_file(other)
    np.testing.assert_array_equal(images.ravel(), np.arange(60))


def test_what_is_kept_beside_images_in_a_file_is_in_one_too():
    image, other = empty((4, 5)), np.ones((4, 5), np.float32)
    assert is_in_file(kept_as(image, other))
    assert is_in_file(empty_as(image, (2, 2)))
    assert kept_as(other, other) is other
    assert not is_in_file(empty_as(other, (2, 2)))
    assert kept_as(image, image) is image


def test_arrays_of_nothing_need_no_file():
    assert empty((0, 3)).shape == (0, 3)


def test_copies_have_the_order_in_memory_of_what_they_are_made_of():
    pixel_by_pixel = np.arange(12.0).reshape(4, 3).T
    copied = to_file(pixel_by_pixel)
    assert copied.strides == pixel_by_pixel.strides == empty_like(copied).strides
    np.testing.assert_array_equal(copied, pixel_by_pixel)


def test_spectra_of_pixels_are_those_of_an_array_in_memory(rng, monkeypatch):
    monkeypatch.setattr(file_arrays, "_BAND_BYTES", 400)
    monkeypatch.setattr(file_arrays, "_PIXELS", 7)
    cube = rng.normal(size=(6, 9, 10)).astype(np.float32)
    mask = rng.random((9, 10)) > 0.4
    plain, in_file = of_pixels(cube, mask, np.exp), of_pixels(to_file(cube), mask, np.exp)
    assert is_in_file(in_file)
    assert in_file.strides == plain.strides
    np.testing.assert_array_equal(in_file, plain)
    doubled = in_bands(lambda part: 2 * in_file[:, part], empty_like(in_file))
    np.testing.assert_array_equal(doubled, 2 * plain)


def test_values_stay_when_the_memory_that_shows_them_is_given_back():
    images = empty((4, 64, 64))
    images[...] = 7
    file_arrays._let_go(list(file_arrays._maps))
    images[2] += 1
    file_arrays._let_go(list(file_arrays._maps))
    assert images.sum() == 4 * 64**2 * 7 + 64**2


def test_a_file_has_no_name_and_is_gone_with_its_last_array(folder):
    images = empty((4, 64, 64))
    assert not list(folder.iterdir())
    assert len(file_arrays._maps) == 1
    part = images[3]
    del images
    assert len(file_arrays._maps) == 1
    assert part.shape == (64, 64)
    del part
    assert not len(file_arrays._maps)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at open files")
def test_nothing_is_left_of_a_process_that_is_killed(folder):
    program = (
        "from stxm_live.core.file_arrays import empty; a = empty((2**20,)); a[:] = 1; "
        "print('made', flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "made\n"
    opened = [link.readlink() for link in Path(f"/proc/{process.pid}/fd").iterdir()]
    assert any(path.parent == folder for path in opened)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list(folder.iterdir())


def test_a_full_disk_is_an_error_in_words_and_leaves_nothing(folder, monkeypatch):
    def full(fd, start, n_bytes):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(
        OSError, match=r"of temporary files .* No space left .* STXM_LIVE_SCRATCH"
    ) as e:
        empty((64, 64))
    assert e.value.errno == errno.ENOSPC
    assert e.value.filename == str(folder)
    assert not list(folder.iterdir())
    assert not len(file_arrays._maps)


def test_memory_and_disk_are_looked_at_before_anything_is_read(folder, monkeypatch):
    monkeypatch.setenv(MEMORY, "4")
    assert not too_large_for_memory(GIB // 2)
    assert too_large_for_memory(GIB // 2 + 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 9 * GIB))
    check_disk(GIB)
    with pytest.raises(
        ValueError,
        match=r"images of 2 GiB .*4 GiB may be used, 16 GiB are needed.*"
        r"18 GiB of temporary files .* \(9 GiB are free\); make space",
    ):
        check_disk(2 * GIB)


def test_a_folder_that_is_not_there_is_named(folder, monkeypatch):
    monkeypatch.setenv(SCRATCH, str(folder / "gone"))
    with pytest.raises(ValueError, match=r"gone: cannot be used .*No such file"):
        check_disk(1)
    with pytest.raises(OSError, match="No such file"):
        empty((3,))


@pytest.mark.parametrize("text", ["much", "-1", "0", "nan", "inf"])
def test_a_memory_that_is_no_size_is_an_error(text, monkeypatch):
    monkeypatch.setenv(MEMORY, text)
    with pytest.raises(ValueError, match=rf"STXM_LIVE_MEMORY={text}: expected a number of GiB"):
        too_large_for_memory(1)
