"""Files of several kinds into the catalogue and out again, by the commands as well."""

import hashlib
import resource
from dataclasses import replace

import nexus_files as nx
import numpy as np
import pytest
import sdf_files
import two_phases as two
from particles import write_sdf
from typer.testing import CliRunner

from stxm_live.cli import app
from stxm_live.core.phase_maps import same_array
from stxm_live.core.stack import Stack
from stxm_live.io.catalog import list_runs
from stxm_live.io.catalog.reading import documents
from stxm_live.io.files import (
    import_stack,
    read_stack,
    stack_documents,
    write_ncb,
    write_nexus_stxm,
)
from stxm_live.live.replay import stack_of_run
from stxm_live.phase_mapping.workflow import map_phases


def test_the_documents_of_a_file_carry_its_ring_current_back_to_the_frames(tmp_path):
    stack = read_stack(nx.write_cls(tmp_path / "a.hdf5"))

    again = stack_of_run(stack_documents(stack))

    assert [frame.monitor for frame in again.frames] == [250.0, 249.0, 248.0]
    np.testing.assert_array_equal(again.intensity(), stack.intensity())


def test_a_ring_current_nobody_knows_stays_unknown_in_the_documents(tmp_path):
    import h5py

    path = nx.write_cls(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["entry0/control/data"][1] = np.nan

    again = stack_of_run(stack_documents(read_stack(path)))

    assert [frame.monitor for frame in again.frames] == [250.0, None, 248.0]


@pytest.mark.slow
def test_an_imported_stack_comes_back_from_the_catalogue_bit_for_bit(tmp_path, broker):
    write_sdf(tmp_path, "stack")
    path = tmp_path / "stack.hdr"
    files = [path, *sorted(tmp_path.glob("*.xim"))]

    uid = import_stack(broker, path, md={"sample": "NVPF"})

    replayed = list(documents(broker[uid]))
    images = np.stack([doc["data"]["counts"] for name, doc in replayed if name == "event"])
    np.testing.assert_array_equal(images, read_stack(path).intensity())
    assert images.dtype == np.float32
    start = replayed[0][1]
    assert start["source_file"] == "stack.hdr"
    contents = b"".join(file.read_bytes() for file in files)
    assert start["source_sha256"] == hashlib.sha256(contents).hexdigest()
    listed = next(run for run in list_runs(broker) if run.uid == uid)
    of_file, of_run = read_stack(path).origin, stack_of_run(broker[uid]).origin
    assert of_run == listed.origin == replace(of_file, sample="NVPF")
    assert of_file.measured == "2007-12-14T18:52:00"  # not the day of the import


@pytest.mark.slow
def test_a_chosen_region_and_detector_come_back_from_the_catalogue(tmp_path, broker):
    path = nx.write_pystxmcontrol_3(tmp_path / "a.stxm", regions=2)

    uid = import_stack(broker, path, region="entry1", detector="default")

    stack = stack_of_run(broker[uid])
    np.testing.assert_array_equal(stack.intensity(), nx.CUBE + 1000)
    assert stack.key.region == "entry1"
    start = broker[uid].start
    assert start["source_detector"] == "default"
    assert start["source_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
def test_the_hash_of_a_stack_in_two_files_is_that_of_both(tmp_path, broker):
    write_ncb(tmp_path / "a.ncb", Stack.from_arrays(nx.CUBE, nx.ENERGIES))
    both = (tmp_path / "a.ncb").read_bytes() + (tmp_path / "a.dat").read_bytes()

    uid = import_stack(broker, tmp_path / "a.ncb")

    start = broker[uid].start
    assert start["source_sha256"] == hashlib.sha256(both).hexdigest()


@pytest.mark.slow
def test_a_disk_that_is_full_in_mid_import_leaves_nothing_of_the_run(tmp_path, broker):
    counts = np.random.default_rng(1).integers(1, 9999, (2, 1500, 1500)).astype(np.float32)
    path = tmp_path / "large.hdf5"
    write_nexus_stxm(path, Stack.from_arrays(counts, (500.0, 501.0)))
    runs = set(broker.v2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, hard))  # an image has 9 MB
    try:
        with pytest.raises(OSError, match=r"large\.hdf5 was read, but the catalogue cannot store"):
            import_stack(broker, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert set(broker.v2) == runs
    uid = import_stack(broker, path)
    np.testing.assert_array_equal(stack_of_run(broker[uid]).intensity(), counts)


def test_the_command_map_names_the_regions_to_choose_from(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = nx.write_pystxmcontrol_3(tmp_path / "a.stxm", regions=2)

    done = CliRunner().invoke(app, ["map", str(path), "--recipe", "nvpf"])

    assert done.exit_code == 1
    assert "has 2 regions; choose one with region=: entry0, entry1" in done.output


def _with_nan_lines(images):
    images[3, 9:11] = np.nan
    return images


def _cut_short(images):
    images[-1, 15:] = np.nan
    return images


@pytest.mark.parametrize(
    ("images", "quantity"),
    [
        (two.counts(), None),
        (_with_nan_lines(two.counts()), None),
        (_cut_short(two.counts()), None),
        (two.measured_od(), "od"),
        (two.measured_yield(), "yield"),
        (two.counts() / 4.0, "rate"),
    ],
)
def test_a_file_and_its_run_give_the_same_maps(tmp_path, images, quantity):
    path = tmp_path / "s.hdf5"
    write_nexus_stxm(path, Stack.from_arrays(images, two.ENERGIES, quantity=quantity))
    recipe = two.recipe(tmp_path)
    stack = read_stack(path)

    of_file = map_phases(stack, recipe)
    of_run = map_phases(stack_of_run(stack_documents(stack)), recipe)

    assert of_file.status == of_run.status
    for name in ("od", "phase_index", "resolved_index", "wrong_probability", "valid"):
        assert same_array(getattr(of_file, name), getattr(of_run, name)), name
    assert str(of_file.quality) == str(of_run.quality)


@pytest.mark.slow
def test_an_import_of_many_goes_on_after_what_is_no_stack(tmp_path, run):
    images = two.counts()
    sdf_files.write_sdf(tmp_path / "a.hdr", images, two.ENERGIES)
    sdf_files.write_sdf(tmp_path / "b.hdr", images, two.ENERGIES, scan_type="NEXAFS Line Scan")
    for name, k in (("c1", 2), ("c2", 4)):
        sdf_files.write_sdf(
            tmp_path / f"{name}.hdr", images[k : k + 1], two.ENERGIES[k : k + 1], flags="Image"
        )

    code, text = run("import", "?.hdr", "c1.hdr", "--catalog", "sub/../ru#ns?")
    assert code == 1
    assert "a.hdr │ run " in text
    assert "b.hdr │ skipped: 'NEXAFS Line Scan' is a line scan" in text
    assert "c1.hdr │ skipped: a single image, at 709.2 eV" in text

    code, text = run("import", "a.hdr", "--catalog", "ru#ns?")
    assert (code, "already there as run" in text) == (0, True)
    code, text = run("import", "--join", "c1.hdr", "c2.hdr", "--catalog", "ru#ns?")
    assert (code, "c1.hdr, c2.hdr: run " in text) == (0, True)
    code, text = run("runs", "--catalog", "ru#ns?")
    assert text.count(" success") == 2
