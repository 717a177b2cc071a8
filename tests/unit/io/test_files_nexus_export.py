import h5py
import nexus_files as nx
import numpy as np
import pytest
from particles import particle_stack

from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Frame, Stack
from stxm_live.io.files import read_stack, write_nexus_stxm
from stxm_live.preprocessing.normalization import aligned_stack
from stxm_live.preprocessing.workflow import register


def test_an_exported_stack_is_read_again_as_it_was(tmp_path):
    stack = read_stack(nx.write_cls(tmp_path / "in.hdf5"))

    write_nexus_stxm(tmp_path / "out.hdf5", stack)

    again = read_stack(tmp_path / "out.hdf5")
    np.testing.assert_array_equal(again.intensity(), stack.intensity())
    assert again.scan == stack.scan
    assert [f.monitor for f in again.frames] == [250.0, 249.0, 248.0]


def test_descending_extents_and_the_energies_that_were_really_had_are_exported(tmp_path):
    made = Stack.from_arrays(nx.CUBE, nx.ENERGIES, extent_um=(3.0, 0.0, 2.0, 0.0), dwell_ms=2.0)
    frames = tuple(Frame(f.energy_ev + 0.02, f.intensity, f.announced_ev) for f in made.frames)

    write_nexus_stxm(tmp_path / "out.hdf5", Stack(made.key, made.scan, frames))

    again = read_stack(tmp_path / "out.hdf5")
    assert again.scan.extent_um == (3.0, 0.0, 2.0, 0.0)
    assert again.scan.dwell_ms == 2.0
    assert again.energies_ev == tuple(nx.ENERGIES + 0.02)
    with h5py.File(tmp_path / "out.hdf5") as file:
        assert file["entry1/definition"][0] == b"NXstxm"
        assert file["entry1/counter0/stxm_scan_type"][0] == b"sample image stack"
        assert file["entry1/instrument/detector/data"] == file["entry1/counter0/data"]
        assert "control" not in file["entry1"]


def test_a_file_is_replaced_only_when_the_new_one_is_complete(tmp_path):
    path = tmp_path / "out.hdf5"
    path.write_text("what was there")
    stack = Stack.from_arrays(nx.CUBE, nx.ENERGIES)

    with pytest.raises(AttributeError):
        write_nexus_stxm(path, stack, title=7)

    assert path.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [path]


def test_aligned_images_are_exported_with_nan_where_they_left_the_field(tmp_path):
    stack, recipe = particle_stack(), Recipe.load("nvpf")
    registered = register(stack, recipe)

    write_nexus_stxm(tmp_path / "out.hdf5", aligned_stack(stack, registered))

    again = read_stack(tmp_path / "out.hdf5")
    np.testing.assert_array_equal(again.intensity(), registered.intensity)
    assert again.scan.extent_um == stack.scan.extent_um


def test_nexusformat_finds_no_error_in_an_exported_stack(tmp_path, capsys):
    from nexusformat.nexus.validate import validate_application

    stack = read_stack(nx.write_cls(tmp_path / "in.hdf5"))
    write_nexus_stxm(tmp_path / "out.hdf5", stack)

    validate_application(str(tmp_path / "out.hdf5"), path="/entry1", application="NXstxm")

    assert "Total number of errors: 0" in capsys.readouterr().out
