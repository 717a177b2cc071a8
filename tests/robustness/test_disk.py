"""A file system that is really full: a small one in memory, which root may mount."""

import contextlib
import logging
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from catalog_fixtures import EnergyImageDevice, stack_plan
from made_up_maps import maps
from particles import image_documents, particle_counts, particle_scan

from stxm_live import LivePhaseMapper, Recipe
from stxm_live.core.recipe_saving import save_recipe
from stxm_live.core.shift_files import write_shifts
from stxm_live.dashboard.offline_page.page import write_page
from stxm_live.io.catalog import RawWriter, backup, close_catalog, open_catalog
from stxm_live.io.catalog.backup import second_folder
from stxm_live.io.catalog.upkeep import repair
from stxm_live.io.results import write_csv, write_nexus, write_tiff
from stxm_live.plotting.pictures import write_pictures


def mounted(folder, size):
    """A file system of this size at the folder, or None without leave to mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return folder if done.returncode == 0 else None


@pytest.fixture
def small_disk(tmp_path):
    folder = mounted(tmp_path / "disk", "32m")
    if folder is None:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder):
    """Take all the space that is left; the file that takes it."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (2**20, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    assert shutil.disk_usage(folder).free == 0
    return ballast


@pytest.mark.slow
@pytest.mark.parametrize("has_second_disk", [True, False])
def test_a_full_disk_ends_no_scan_is_told_at_once_and_refuses_the_next_run(
    small_disk, tmp_path, nvpf, RE, caplog, monkeypatch, has_second_disk
):
    monkeypatch.setattr(backup, "SPARE_BYTES", 0 if has_second_disk else 2**62)
    counts, energies_ev, _ = particle_counts()
    broker = open_catalog(small_disk / "runs")
    told, told_after, ballast = [], [], []
    writer = RawWriter(broker, on_error=lambda uid, error: told.append(str(error)))
    RE.subscribe(writer)
    writer.guard(RE)

    def see(name, doc):
        if name == "event" and doc["seq_num"] == 3:
            writer.flush(120)
            ballast.append(fill(small_disk))
        elif name == "event" and doc["seq_num"] == 5:
            writer.flush(120)
            told_after.extend(told)

    seeing = RE.subscribe(see)
    with LivePhaseMapper(nvpf) as live, caplog.at_level(logging.CRITICAL):
        RE.subscribe(live)
        device = EnergyImageDevice(counts, energies_ev)
        (uid,) = RE(stack_plan(device, particle_scan()))
        RE.unsubscribe(seeing)
        assert live.wait(uid, timeout_s=60).status == "complete"
        writer.flush(120)
        with pytest.raises(RuntimeError, match="could not be stored"):
            writer.wait(uid, 60)
        assert any("No space left on device" in text for text in told_after)
        with pytest.raises(RuntimeError, match=rf"run {uid[:8]}.*disk is full"):
            RE(stack_plan(device, particle_scan()))
        assert device.reads == len(energies_ev)

        ballast[0].unlink()
        if has_second_disk:
            writer.retry()
            stored = broker[uid].v2.v3["primary"]["counts"].read()
            np.testing.assert_array_equal(stored, counts)
        else:
            # what came after the disk was full is not in the file: it must not pass for whole
            with pytest.raises(RuntimeError, match=rf"run {uid[:8]}.*backup.*ends early"):
                writer.retry()
            writer.acknowledge()
        assert not any(second_folder(small_disk / "runs" / "backup").iterdir())
        (again,) = RE(stack_plan(device, particle_scan()))
        writer.wait(again, 60)
        stored = broker[again].v2.v3["primary"]["counts"].read()
        np.testing.assert_array_equal(stored, counts)
    writer.close()
    close_catalog(broker)


@pytest.mark.slow
def test_with_its_backup_on_another_disk_a_run_is_stored_when_there_is_room_again(
    small_disk, tmp_path, RE, caplog
):
    counts, energies_ev, _ = particle_counts()
    broker = open_catalog(small_disk / "runs")
    writer = RawWriter(broker, backup_folder=tmp_path / "backup")
    RE.subscribe(writer)
    ballast = fill(small_disk)
    with caplog.at_level(logging.CRITICAL):
        (uid,) = RE(stack_plan(EnergyImageDevice(counts, energies_ev), particle_scan()))
        writer.flush(120)
    with pytest.raises(RuntimeError, match="could not be stored"):
        writer.preflight()
    ballast.unlink()
    writer.retry()
    writer.preflight()
    stored = broker[uid].v2.v3["primary"]["counts"].read()
    np.testing.assert_array_equal(stored, counts)
    writer.close()
    close_catalog(broker)


def copied_over(path):
    """Put a copy in the place of a file that is open."""
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.replace(path)


def read_only(folder):
    """Take the right to write."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


GOES_WRONG = {
    "renamed": lambda folder: folder.rename(folder.with_name("elsewhere")),
    "database replaced": lambda folder: copied_over(folder / "catalog.db"),
    "tables replaced": lambda folder: copied_over(folder / "tables.db"),
    "read-only": read_only,
}


@pytest.mark.slow
@pytest.mark.parametrize("what", GOES_WRONG)
def test_a_catalogue_that_goes_in_mid_run_is_told_and_repair_brings_the_run_home(
    tmp_path, what, caplog
):
    folder, told = tmp_path / "runs", []
    tmp_path.chmod(0o555)
    if what == "read-only" and os.access(tmp_path, os.W_OK):
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o755)
    broker = open_catalog(folder)
    writer = RawWriter(broker, on_error=lambda uid, error: told.append(str(error)))
    documents = list(image_documents())
    uid = documents[0][1]["uid"]
    with caplog.at_level(logging.CRITICAL):
        for number, document in enumerate(documents):
            if number == 6:
                writer.flush(120)
                GOES_WRONG[what](folder)
            writer(*document)
            if number == 6:
                writer.flush(120)
                assert len(told) == 1
        writer.flush(120)
        assert not (folder / "data").exists() or what != "renamed"
        with pytest.raises(RuntimeError, match=r"unmounted|cannot be written"):
            writer.preflight()
    writer.close()
    close_catalog(broker)
    if what == "renamed":
        folder.with_name("elsewhere").rename(folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    done, left = repair(folder)
    assert any(f"run {uid[:8]} was stored" in line for line in done)
    assert not left
    broker = open_catalog(folder)
    counts, _, _ = particle_counts()
    np.testing.assert_array_equal(broker[uid].v2.v3["primary"]["counts"].read(), counts)
    close_catalog(broker)


@pytest.mark.slow
def test_a_run_begun_without_a_file_descriptor_left_is_told_and_the_next_one_is_stored(
    tmp_path, caplog
):
    broker = open_catalog(tmp_path / "runs")
    told, held = [], []
    first, documents = list(image_documents()), list(image_documents())
    writer = RawWriter(broker, on_error=lambda uid, error: told.append(str(error)))
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    n_open = len(list(Path("/dev/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_open + 50, limits[1]))
    with caplog.at_level(logging.CRITICAL):
        try:
            with contextlib.suppress(OSError):
                while True:
                    held.append(os.open(os.devnull, os.O_RDONLY))
            for document in first:
                writer(*document)
            writer.flush(120)
        finally:
            for descriptor in held:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert any("Too many open files" in text for text in told)
    assert not any("right to write" in text for text in told)
    with pytest.raises(RuntimeError, match="has no backup file"):
        writer.retry()
    writer.acknowledge()
    for document in documents:
        writer(*document)
    writer.wait(documents[0][1]["uid"], 60)
    writer.close()
    close_catalog(broker)


RECIPE = Recipe.load("nvpf")

WRITERS = {
    "references": lambda _, folder: RECIPE.reference_spectra.to_csv(folder / "references.csv"),
    "recipe": lambda _, folder: save_recipe(RECIPE, folder),
    "shifts": lambda found, folder: write_shifts(
        folder / "shifts.csv", found.energies_ev, found.shifts_px
    ),
    "pictures": write_pictures,
    "pdf": lambda found, folder: write_pictures(found, folder, picture_format="pdf"),
    "nexus": lambda found, folder: write_nexus(found, folder / "maps.nxs"),
    "csv": write_csv,
    "tiff": write_tiff,
    "page": lambda found, folder: write_page(found, folder / "maps.html"),
}


@pytest.mark.parametrize("what", WRITERS)
def test_a_result_that_finds_no_room_leaves_what_was_there_and_nothing_half_written(
    small_disk, what
):
    result, folder = maps(), small_disk / "results"
    WRITERS[what](result, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    fill(small_disk)
    with pytest.raises(OSError, match=r"cannot be written.*choose another folder"):
        WRITERS[what](result, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


COMMANDS = {
    "energies.toml": ("choose-energies", "--recipe", "nvpf", "--n", 4, "--fewest", 4, "--out"),
    "new.toml": ("recipe", "new"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_whose_file_finds_no_room_leaves_nothing_of_it(small_disk, run, name):
    fill(small_disk)
    code, text = run(*COMMANDS[name], small_disk / name)
    assert code == 1
    assert "cannot be written (No space left on device); choose another folder" in text
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


def test_a_sink_that_finds_no_room_is_told_and_the_maps_are_there(small_disk, nvpf, RE, caplog):
    counts, energies_ev, _ = particle_counts()
    fill(small_disk)
    told = []
    with LivePhaseMapper(nvpf) as live, caplog.at_level(logging.CRITICAL):
        live.add_sink(
            on_maps=lambda found: write_nexus(found, small_disk / "maps.nxs"),
            on_error=lambda uid, error: told.append(str(error)),
        )
        RE.subscribe(live)
        (uid,) = RE(stack_plan(EnergyImageDevice(counts, energies_ev), particle_scan()))
        assert live.wait(uid, timeout_s=60).status == "complete"
    assert all("No space left on device" in text for text in told)
    assert told
