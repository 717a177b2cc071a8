"""Stacks that another program writes, mapped while they grow."""

import shutil

import h5py
import nexus_files as nx
import numpy as np
import pytest
import sdf_files
import two_phases as two

from stxm_live.core.phase_maps import same_array
from stxm_live.core.stack import Stack
from stxm_live.io.files import read_stack, write_nexus_stxm
from stxm_live.io.files.growing import GrowingStack
from stxm_live.live.folder import LiveFolder
from stxm_live.phase_mapping.workflow import map_phases


class Seen:
    def __init__(self):
        self.cubes, self.maps, self.errors = [], [], []

    def on_cube(self, cube):
        self.cubes.append(int(cube.measured.sum()))

    def on_maps(self, maps):
        self.maps.append(maps)

    def on_error(self, uid, error):
        self.errors.append(error)


@pytest.fixture
def watched(tmp_path):
    """A folder that is looked into by hand, and what its mapper reported."""
    folder = tmp_path / "today"
    folder.mkdir()
    seen = Seen()
    with LiveFolder(folder, two.recipe(tmp_path), poll_s=0) as watching:
        watching.live.add_sink(seen)
        yield watching, seen
    assert seen.errors == []


def look_thrice(watching):
    for _ in range(3):
        watching.look()


def check_same_labels(maps, expected):
    for name in ("od", "phase_index", "resolved_index", "probability"):
        assert same_array(getattr(maps, name), getattr(expected, name)), name


def write_single(folder, k, energy_ev, name=None):
    return sdf_files.write_sdf(
        folder / (name or f"e{k:02d}.hdr"),
        two.counts()[k : k + 1],
        [energy_ev],
        x_um=two.X_UM,
        y_um=two.Y_UM,
    )


def test_single_images_are_joined_to_a_stack_as_they_come(tmp_path, watched):
    watching, seen = watched
    files = []
    for k, energy_ev in enumerate(two.ENERGIES):
        files.append(write_single(watching.folder, k, energy_ev))
        look_thrice(watching)
        assert max(seen.cubes, default=0) == (k + 1 if k else 0)
    assert seen.errors == []
    write_single(watching.folder, 0, two.ENERGIES[0], "next.hdr")  # the next stack begins
    look_thrice(watching)
    assert seen.maps[-1].status == "complete"
    expected = map_phases(read_stack(files), two.recipe(tmp_path))
    check_same_labels(seen.maps[-1], expected)


def test_a_series_of_tiff_images_is_joined_with_the_energies_beside_it(tmp_path, watched):
    import tifffile

    watching, seen = watched
    (watching.folder / "scan.txt").write_text("\n".join(f"{e:g}" for e in two.ENERGIES))
    files = []
    for k, image in enumerate(two.counts().astype(np.float32), start=1):
        files.append(watching.folder / f"scan_{k:03d}.tif")
        tifffile.imwrite(files[-1], image)
        look_thrice(watching)
    assert max(seen.cubes) == len(two.ENERGIES)
    watching.close()
    expected = map_phases(read_stack(files), two.recipe(tmp_path))
    check_same_labels(seen.maps[-1], expected)


def write_elsewhere(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    path = sdf_files.write_sdf(
        elsewhere / "s.hdr", two.counts(), two.ENERGIES, x_um=two.X_UM, y_um=two.Y_UM
    )
    return path, sorted(elsewhere.glob("*.xim"))


def check_same(maps, finished, recipe):
    expected = map_phases(read_stack(finished), recipe)
    for name in ("od", "phase_index", "resolved_index", "probability", "wrong_probability"):
        assert same_array(getattr(maps, name), getattr(expected, name)), name


def test_an_sdf_stack_is_mapped_image_by_image_as_it_is_written(tmp_path, watched):
    watching, seen = watched
    header, images = write_elsewhere(tmp_path)
    shutil.copy(header, watching.folder)
    watching.look()
    assert seen.cubes == []
    for image in images[:3]:
        shutil.copy(image, watching.folder)
        watching.look()
    assert max(seen.cubes) == 2  # the third may still be written
    watching.look()
    assert max(seen.cubes) == 3

    text = images[3].read_text()
    part = watching.folder / images[3].name
    part.write_text(text[: len(text) // 2])
    for _ in range(3):
        watching.look()
    assert max(seen.cubes) == 3
    part.write_text(text)
    for image in images[4:]:
        shutil.copy(image, watching.folder)
    watching.look()
    watching.look()

    assert seen.maps[-1].status == "complete"
    check_same(seen.maps[-1], header, watching.live.recipe)


def test_an_hdf5_stack_is_mapped_while_its_images_fill(tmp_path, watched):
    watching, seen = watched
    path, images = watching.folder / "s.hdf5", two.counts()
    empty = Stack.from_arrays(np.full_like(images, np.nan), two.ENERGIES)
    write_nexus_stxm(path, empty)
    watching.look()
    for k, image in enumerate(images):
        with h5py.File(path, "a") as file:
            file["entry1/counter0/data"][k] = image
        watching.look()
    assert max(seen.cubes) == len(images) - 1
    watching.look()

    check_same(seen.maps[-1], path, watching.live.recipe)


def test_what_was_there_before_is_left_alone_until_it_changes(tmp_path):
    path = nx.write_cls(tmp_path / "old.hdf5")
    with LiveFolder(tmp_path, two.recipe(tmp_path), poll_s=0) as watching:
        watching.look()
        assert watching.live.results() == []
        assert watching._growing == {}
        nx.write_cls(path, energies=nx.ENERGIES + 1)
        watching.look()
        assert list(watching._growing) == [path]


def test_a_stack_that_is_not_continued_ends_with_what_it_has(tmp_path, watched):
    watching, seen = watched
    header, images = write_elsewhere(tmp_path)
    for file in (header, *images[:5]):
        shutil.copy(file, watching.folder)
    watching.look()
    watching.look()
    watching._idle_timeout_s = -1.0
    watching.look()
    assert [maps.status for maps in seen.maps] == ["incomplete"]
    assert len(seen.maps[0].energies_ev) == 5


def test_a_file_that_is_written_anew_is_a_new_run(tmp_path):
    path = tmp_path / "s.hdf5"
    stack = GrowingStack(path)
    write_nexus_stxm(path, Stack.from_arrays(two.counts(), two.ENERGIES))
    names = [name for _ in range(3) for name, _ in stack.look()]
    assert names == ["start", "descriptor", *["event"] * 8, "stop"]

    write_nexus_stxm(path, Stack.from_arrays(two.counts(), two.ENERGIES), title="the same")
    assert [name for _ in range(3) for name, _ in stack.look()] == []

    for again in (
        Stack.from_arrays(two.counts(), two.ENERGIES + 1),
        Stack.from_arrays(two.counts(seed=8), two.ENERGIES + 1),
    ):
        write_nexus_stxm(path, again)
        names = [name for _ in range(3) for name, _ in stack.look()]
        assert names == ["start", "descriptor", *["event"] * 8, "stop"]


def test_a_file_that_is_no_stack_is_waited_for_and_named(tmp_path):
    stack = GrowingStack(tmp_path / "s.hdr")
    (tmp_path / "s.hdr").write_text("ScanDefinition = {")
    assert list(stack.look()) == []
    assert "s.hdr, line 1" in stack.problem
