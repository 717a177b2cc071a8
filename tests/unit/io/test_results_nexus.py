import json
import subprocess
import sys
from dataclasses import replace

import h5py
import made_up_maps as made_up
import numpy as np
import pytest
import xarray

from stxm_live.core.stack import StackKey
from stxm_live.io.results import read_nexus, write_nexus

HOSTILE = ('<script>alert("x")</script>', "../../etc/passwd", "=1+1", "名", "a b/c")


@pytest.fixture
def maps():
    return made_up.maps(shape=(6, 9), provenance={"version": "0.1", "recipe": "nvpf"})


def test_a_written_result_is_read_back_equal_in_values_units_and_types(maps, tmp_path):
    path = write_nexus(maps, tmp_path / "new" / "maps.nxs")

    read, expected = read_nexus(path), maps.to_xarray()
    xarray.testing.assert_identical(read, expected)
    assert {n: v.dtype for n, v in read.variables.items()} == {
        n: v.dtype for n, v in expected.variables.items()
    }


def test_a_dataset_is_written_as_the_result_it_came_from(maps, tmp_path):
    path = write_nexus(maps.to_xarray(), tmp_path / "maps.nxs")
    xarray.testing.assert_identical(read_nexus(path), maps.to_xarray())


def test_products_that_were_not_made_are_not_in_the_file(maps, tmp_path):
    bare = replace(maps, resolved_index=None, resolved_fractions=None, wrong_probability=None)
    path = write_nexus(bare, tmp_path / "maps.nxs")

    xarray.testing.assert_identical(read_nexus(path), bare.to_xarray())
    with h5py.File(path) as file:
        assert file["entry"].attrs["default"] == "phase_index"


def test_hostile_names_and_no_warnings_come_back_unchanged(maps, tmp_path):
    hostile = replace(maps, phase_names=HOSTILE, warnings=())
    path = write_nexus(hostile, tmp_path / "maps.nxs")
    xarray.testing.assert_identical(read_nexus(path), hostile.to_xarray())


def test_no_data_set_of_the_file_is_empty_because_hyperspy_opens_no_such_file(maps, tmp_path):
    of_file = replace(maps, key=StackKey((), source="a.hdr"), warnings=())
    path = write_nexus(of_file, tmp_path / "maps.nxs")
    empty = []
    with h5py.File(path) as file:
        file.visititems(lambda name, node: empty.append(name) if empty_values(node) else None)
    assert empty == []
    assert read_nexus(path).attrs["run_uids"] == []


def empty_values(node):
    return isinstance(node, h5py.Dataset) and node.size == 0


def test_nexusformat_finds_no_error_and_the_default_plot(maps, tmp_path):
    import nexusformat.nexus as nx

    path = write_nexus(maps, tmp_path / "maps.nxs")

    with nx.nxopen(path) as root:
        plotted = root.get_default()
        assert plotted.nxname == "resolved_index"
        np.testing.assert_array_equal(plotted.nxsignal.nxdata, maps.resolved_index)
        y, x = plotted.nxaxes
        np.testing.assert_allclose(y.nxdata[[0, -1]], maps.extent_um[2:])
        assert (x.attrs["units"], plotted.nxsignal.attrs["interpretation"]) == ("um", "image")
        energies = root["entry/od"].nxaxes[0]
        np.testing.assert_array_equal(energies.nxdata, maps.energies_ev)
        assert energies.attrs["units"] == "eV"
    # in a process of its own: its logger keeps the output stream of whoever imports it first
    validate = (
        "import sys; from nexusformat.nexus.validate import validate_file as v; v(sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", validate, path], capture_output=True, text=True)
    printed = done.stdout + done.stderr
    assert "Total number of warnings: 0" in printed
    assert "Total number of errors: 0" in printed


def test_provenance_warnings_and_synthetic_references_are_in_the_file(maps, tmp_path):
    with h5py.File(write_nexus(maps, tmp_path / "maps.nxs")) as file:
        entry = file["entry"]
        assert "(synthetic references)" in entry["title"].asstr()[()]
        assert entry["result/synthetic_references"][()] == 1
        assert entry["result/warnings"].asstr()[()].tolist() == list(maps.warnings)
        assert json.loads(entry["process/provenance/data"].asstr()[()])["recipe"] == "nvpf"
        assert "0 Na3VPF, 1 Na2.4VPF" in entry["phase_index/title"].asstr()[()]


def test_a_file_that_cannot_be_written_is_named_and_what_was_there_stays(maps, tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OSError, match=r"maps.nxs cannot be written .*choose another folder"):
        write_nexus(maps, tmp_path / "file" / "maps.nxs")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_writing_that_breaks_off_leaves_the_earlier_file(maps, tmp_path):
    path = write_nexus(maps, tmp_path / "maps.nxs")
    before = path.read_bytes()
    broken = maps.to_xarray().drop_attrs()
    with pytest.raises(KeyError):
        write_nexus(broken, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["maps.nxs"]


def test_a_disk_that_gets_full_is_one_error_of_one_line(tmp_path):
    script = """
import resource, sys
from stxm_live.io.results import read_nexus, write_nexus
maps = read_nexus(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    write_nexus(maps, sys.argv[2])
except OSError as error:
    print(error)
"""
    files = (
        write_nexus(made_up.maps(shape=(200, 200)), tmp_path / "earlier.nxs"),
        tmp_path / "maps.nxs",
    )
    done = subprocess.run([sys.executable, "-c", script, *files], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(
        "maps.nxs cannot be written (File too large); choose another folder\n"
    )
    assert list(tmp_path.iterdir()) == [files[0]]


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_another_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "other.h5"
    if content is None:
        h5py.File(path, "w").close()
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.h5: not an? (HDF5 file|result of stxm_live)"):
        read_nexus(path)
