"""Stacks whose maps do not fit into memory: the same bits with their arrays in files."""

import errno
import os

import numpy as np
import pytest
from particles import (
    documents,
    image_events,
    line_events,
    particle_counts,
    particle_scan,
    particle_stack,
)

from stxm_live import map_phases
from stxm_live.core import file_arrays
from stxm_live.core.file_arrays import MEMORY, SCRATCH, is_in_file
from stxm_live.core.stack import Stack
from stxm_live.io.documents import OpenStacks, RunFrames
from stxm_live.io.files import read_stack, write_nexus_stxm
from stxm_live.io.files.reading import read_here
from stxm_live.io.large_stacks import with_images_in_files
from stxm_live.live.replay import stack_of_run
from stxm_live.phase_mapping.exploration import explore_stack


@pytest.fixture
def little_memory(tmp_path, monkeypatch):
    """Make every stack larger than memory, and let there be many bands of it."""

    def begin():
        monkeypatch.setenv(MEMORY, "1e-6")
        monkeypatch.setenv(SCRATCH, str(tmp_path))
        monkeypatch.setattr(file_arrays, "_BAND_BYTES", 40_000)
        monkeypatch.setattr(file_arrays, "_PIXELS", 333)

    return begin


def spoilt_stack():
    """A stack with stray light, a lost line, an unfinished image and pixels without counts."""
    counts, energies_ev, _ = particle_counts()
    counts = counts + np.random.default_rng(3).poisson(240, size=counts.shape).astype(np.float32)
    counts[3, 20:22] = 0
    counts[7, 40:] = np.nan
    counts[5, ::7, ::5] = 0
    return Stack.from_arrays(counts, energies_ev)


@pytest.mark.parametrize("stack", [particle_stack(), spoilt_stack()], ids=["whole", "spoilt"])
def test_maps_are_the_same_bits(stack, nvpf, little_memory, tmp_path):
    expected = map_phases(stack, nvpf)
    products = expected.to_xarray()
    little_memory()
    in_files = with_images_in_files(stack)
    assert all(is_in_file(frame.intensity) for frame in in_files.frames)
    maps = map_phases(in_files, nvpf)
    assert is_in_file(maps.od)
    assert is_in_file(maps.od_std)
    found = maps.to_xarray()
    for name, values in products.items():
        np.testing.assert_array_equal(found[name].values, values.values, err_msg=str(name))
    assert (maps.warnings, maps.quality) == (expected.warnings, expected.quality)
    again = maps.redo({"exclude_energies_ev": [524.0]})
    assert is_in_file(again.od)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_files_are_read_into_files(tmp_path, little_memory):
    stack = particle_stack()
    plain, _sdf = tmp_path / "stack.hdf5", tmp_path / "sdf"
    write_nexus_stxm(plain, stack)
    little_memory()
    for read in (read_stack(plain), read_here(plain)):
        for frame, expected in zip(read.frames, stack.frames, strict=True):
            assert is_in_file(frame.intensity)
            np.testing.assert_array_equal(frame.intensity, expected.intensity)


@pytest.mark.parametrize("events", [image_events, line_events])
def test_images_of_a_run_are_put_into_files_as_they_are_read(events, little_memory):
    expected = stack_of_run(list(documents(events(), particle_scan())))
    little_memory()
    open_stacks = OpenStacks(large_in_files=True)
    begun, *rest = documents(events(), particle_scan())
    run = RunFrames(begun[1], open_stacks=open_stacks)
    for name, doc in rest:
        run(name, doc)
        (frames,) = run.stacks
        whole = [frame for frame in frames.stack().frames if frame.is_whole]
        assert all(is_in_file(frame.intensity) for frame in whole)
    assert len(whole) == len(expected.frames)
    stack = stack_of_run(list(documents(events(), particle_scan())))
    for frame, other in zip(stack.frames, expected.frames, strict=True):
        assert is_in_file(frame.intensity)
        np.testing.assert_array_equal(frame.intensity, other.intensity)


def test_a_past_run_for_which_the_disk_is_too_small_is_refused(little_memory, monkeypatch):
    little_memory()
    monkeypatch.setattr(file_arrays, "CUBES_ON_DISK", 10**9)
    with pytest.raises(ValueError, match=r"images of .* do not fit into memory .* make space"):
        stack_of_run(list(documents(image_events(), particle_scan())))


def test_a_stack_for_which_the_disk_is_too_small_is_refused_in_words(
    tmp_path, little_memory, monkeypatch
):
    path = tmp_path / "stack.hdf5"
    write_nexus_stxm(path, particle_stack())
    little_memory()
    monkeypatch.setattr(file_arrays, "CUBES_ON_DISK", 10**9)
    with pytest.raises(
        ValueError, match=r"stack\.hdf5: images of .* do not fit into memory .* make space"
    ):
        read_here(path)


def test_a_disk_that_is_full_on_the_way_is_an_error_in_words(tmp_path, little_memory, monkeypatch):
    path = tmp_path / "stack.hdf5"
    write_nexus_stxm(path, particle_stack())
    little_memory()

    def full(fd, start, n_bytes):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full, raising=False)
        for read in (read_stack, read_here):
            with pytest.raises(
                OSError, match=r"of temporary files .* No space left on device; make"
            ):
                read(path)
    assert read_stack(path).frames


def test_a_look_without_references_says_that_it_needs_the_memory(little_memory):
    little_memory()
    with pytest.raises(ValueError, match=r"too large for the memory: .* need all spectra at once"):
        explore_stack(with_images_in_files(particle_stack()))
