from pathlib import Path

import made_up_maps as made_up
import numpy as np
import pytest
import xarray
from particles import documents, particle_counts, particle_scan, write_sdf

from stxm_live.cli.export import Format, _result, write_formats
from stxm_live.cli.run_options import Which
from stxm_live.core.recipe import Recipe
from stxm_live.io.catalog import store_documents, store_maps
from stxm_live.io.files import read_stack
from stxm_live.io.results import read_nexus, write_nexus
from stxm_live.live.replay import map_run
from stxm_live.preprocessing.workflow import register


@pytest.fixture
def maps():
    return made_up.maps(shape=(8, 11))


def names(folder):
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def test_all_formats_are_written_from_a_nexus_file(run, maps):
    write_nexus(maps, "first.nxs")
    code, text = run("export", "first.nxs", "--out", "results")
    assert code == 0, text
    written = names("results")
    assert {"maps.nxs", "maps.html", "csv/fractions.csv", "tiff/resolved_index.tif"} <= written
    assert f"{len(written)} files in results" in text
    xarray.testing.assert_identical(read_nexus("results/maps.nxs"), maps.to_xarray())


def test_only_the_formats_asked_for_are_written(run, maps):
    write_nexus(maps, "first.nxs")
    assert run("export", "first.nxs", "-f", "csv", "--pixels", "--out", "r")[0] == 0
    assert names("r") == {f"csv/{n}.csv" for n in ("fractions", "spectra", "images", "pixels")}


def test_of_several_results_each_gets_a_folder(run, maps):
    for folder in ("a", "b"):
        write_nexus(maps, Path(folder) / "maps.nxs")
    code, _ = run("export", "a/maps.nxs", "b/maps.nxs", "-f", "nexus", "--out", "r")
    assert code == 0
    assert names("r") == {"a-maps/maps.nxs", "b-maps/maps.nxs"}


def test_errors_are_a_line_that_names_the_file(run, maps):
    Path("broken.nxs").write_bytes(b"no hdf5")
    code, text = run("export", "broken.nxs")
    assert code == 1
    assert text.startswith("error: broken.nxs: not an HDF5 file")
    write_nexus(maps, "first.nxs")
    code, text = run("export", "first.nxs", "--recipe", "nvpf")
    assert code == 1
    assert "a NeXus file is exported as it is" in text
    assert run("export", "first.nxs", "--format", "pdf")[0] == 2


def test_aligned_images_are_not_made_of_a_result(run, maps):
    write_nexus(maps, "first.nxs")
    code, text = run("export", "first.nxs", "--format", "ncb")
    assert code == 1
    assert text == "error: nxstxm and ncb are written from a run; a NeXus file has no raw counts "


@pytest.mark.slow
def test_the_aligned_images_of_a_run_are_written_for_other_programs(run, tmp_path, nvpf):
    write_sdf(tmp_path, "stack")
    assert run("import", "stack.hdr", "--catalog", "runs")[0] == 0
    command = ["export", "-1", "--catalog", "runs", "--recipe", "nvpf", "--out", "r"]
    code, text = run(*command, "-f", "nxstxm", "-f", "ncb")
    assert code == 0, text
    assert "-1: 2 files in r" in text
    assert names("r") >= {"aligned.hdf5", "aligned.ncb"}
    assert "maps.nxs" not in names("r")
    stack = read_stack("stack.hdr")
    expected = register(stack, nvpf).intensity
    written = read_stack("r/aligned.hdf5")
    np.testing.assert_array_equal(written.intensity(), expected)
    np.testing.assert_allclose(written.energies_ev, stack.energies_ev)
    as_ncb = read_stack("r/aligned.ncb").intensity()
    known = np.isfinite(expected)
    np.testing.assert_allclose(as_ncb[known], expected[known], atol=expected[known].max() / 3e4)


def test_hostile_names_of_phases_write_no_file_outside_the_folder(tmp_path):
    maps = made_up.maps(
        shape=(8, 11), names=("../../x", "/etc/y", "a\nb", "nul", ".."), run="../../run"
    )
    folder = tmp_path / "deep" / "er" / "results"
    files = write_formats(maps.to_xarray(), folder, [Format.all])
    assert all(path.resolve().is_relative_to(folder) for path in files)
    assert names(tmp_path) == {f"deep/er/results/{name}" for name in names(folder)}


@pytest.mark.slow
def test_a_run_is_exported_as_stored_and_mapped_where_nothing_is(broker, nvpf):
    counts, energies_ev, _ = particle_counts()
    events = [
        (None, {"energy": energy_ev, "counts": image})
        for energy_ev, image in zip(energies_ev, counts, strict=True)
    ]
    uid = store_documents(broker, documents(events, particle_scan()))

    anew = _result(broker, uid[:8], None, {"model": None}, Which())
    expected = map_run(broker.v2[uid], nvpf)
    xarray.testing.assert_equal(anew, expected.to_xarray())

    by_correlation = Recipe.load("nvpf").with_changes({"resolver.method": "pearson", "model": None})
    stored = map_run(broker.v2[uid], by_correlation)
    store_maps(broker, stored)
    xarray.testing.assert_identical(_result(broker, uid, None, {}, Which()), stored.to_xarray())
