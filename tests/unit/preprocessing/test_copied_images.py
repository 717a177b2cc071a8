"""A detector that hands out an old image: found, named and left out, and nothing else is."""

import numpy as np
import pytest
from particles import particle_counts

from stxm_live.core.stack import Frame, Stack, StackKey
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.preprocessing.copied_images import CopiedImages
from stxm_live.preprocessing.stack_images import ImageCache


@pytest.fixture
def recipe(nvpf):
    return nvpf.with_changes({"energy_fit": False, "alignment.refine": False})


def images(mean=1000, n=13, side=24, seed=3):
    """Independent counts that look the same apart from their noise."""
    scene = np.random.default_rng(1).uniform(0.2, 1, (side, side)) * mean
    return np.random.default_rng(seed).poisson(scene, (n, side, side)).astype(np.float32)


def stack_of(counts, energies_ev=None, **options):
    energies_ev = np.linspace(505, 530, len(counts)) if energies_ev is None else energies_ev
    return Stack.from_arrays(counts, energies_ev, **options)


def copies(stack):
    """Place of each copy and of the image that it is a copy of."""
    places = {frame: k for k, frame in enumerate((*stack.frames, *stack.checks))}
    found = CopiedImages().of(stack)
    return {places[copy]: places[first] for copy, first in found.items()}


AS_HANDED_OUT = {
    "identical": lambda image: image.copy(),
    "scaled": lambda image: image * np.float32(1.7),
    "scaled to whole counts": lambda image: np.round(image * 1.3),
    "scaled down and cut off": lambda image: np.floor(image * 0.6),
    "halved and cut off": lambda image: np.floor(image / 2),
    "a tenth": lambda image: np.round(image / 10),
    "normalised to the ring current": lambda image: image / np.float32(301.7),
    "with a hot pixel": lambda image: spoilt(image, 60000),
    "with a dead pixel": lambda image: spoilt(image, 0),
    "with an infinite pixel": lambda image: np.where(image > image.max() - 30, np.inf, image),
    "with a pixel that is not there": lambda image: spoilt(image, np.nan),
}


MOVED = {
    "a column": lambda image: np.roll(image, 1, axis=1),
    "three columns back": lambda image: np.roll(image, -3, axis=1),
    "a line": lambda image: np.roll(image, 1, axis=0),
    "a pixel of the stream": lambda image: np.roll(image, 1),
    "a column and a line, with an edge": lambda image: np.pad(image, ((1, 0), (1, 0)))[:-1, :-1],
}


@pytest.mark.parametrize("way", MOVED)
@pytest.mark.parametrize(
    ("mean", "side", "ring_current"), [(3, 24, 1), (1000, 70, 301.7), (900, 400, 1)]
)
def test_an_old_image_moved_by_whole_pixels_is_found(way, mean, side, ring_current):
    counts = images(mean, side=side) / np.float32(ring_current)
    counts[7] = MOVED[way](counts[3])
    assert copies(stack_of(counts)) == {7: 3}


TURNED = {
    "mirrored left to right": lambda image: image[:, ::-1],
    "mirrored upside down": lambda image: image[::-1],
    "rotated by 180 degrees": lambda image: image[::-1, ::-1],
    "transposed": lambda image: image.T,
    "rotated by 270 degrees": lambda image: np.rot90(image),
    "rotated by 90 degrees": lambda image: np.rot90(image, -1),
    "transposed and rotated": lambda image: image[::-1, ::-1].T,
}


@pytest.mark.parametrize("way", TURNED)
@pytest.mark.parametrize(("mean", "side"), [(3, 24), (1000, 71), (900, 600), (900, 601)])
def test_an_old_image_that_was_mirrored_or_rotated_is_found(way, mean, side):
    counts = images(mean, n=4, side=side)
    counts[3] = TURNED[way](counts[1])
    assert copies(stack_of(counts)) == {3: 1}


def test_a_mirrored_image_that_is_no_square_is_found_and_moved_or_not():
    counts = images(side=40)[:, :, :31]
    counts[3] = counts[1, :, ::-1]
    counts[5] = np.roll(counts[2, ::-1], 2, axis=1)
    assert copies(stack_of(counts)) == {3: 1, 5: 2}


@pytest.mark.parametrize("mean", [0.3, 1, 20, 1000, 30_000])
def test_images_of_a_scene_that_looks_the_same_mirrored_and_rotated_are_no_copies(mean):
    scene = np.random.default_rng(1).uniform(0.2, 1, (40, 40)) * mean
    for turn in TURNED.values():
        scene = (scene + turn(scene)) / 2
    counts = np.random.default_rng(2).poisson(scene, (6, 40, 40)).astype(np.float32)
    assert copies(stack_of(counts)) == {}


def test_a_turned_copy_is_named_and_left_out(recipe):
    counts, energies_ev, _ = particle_counts()
    counts = counts.copy()
    counts[8] = counts[7, :, ::-1]
    found = ImageCache(recipe).usable(Stack.from_arrays(counts, energies_ev))
    assert found.copied_ev == (energies_ev[8],)
    assert "mirrored left to right, noise included" in " ".join(found.notes)


def test_a_scene_that_moved_between_images_with_noise_of_their_own_is_no_copy():
    scene = np.random.default_rng(1).uniform(200, 1000, (40, 40))
    moved = [np.roll(scene, n, axis=1) for n in range(6)]
    counts = np.random.default_rng(2).poisson(moved).astype(np.float32)
    assert copies(stack_of(counts)) == {}


def test_a_moved_copy_is_named_with_its_distance_and_left_out(recipe):
    counts, energies_ev, _ = particle_counts()
    counts = counts.copy()
    counts[8] = np.roll(counts[7], (1, -2), axis=(0, 1))
    found = ImageCache(recipe).usable(Stack.from_arrays(counts, energies_ev))
    assert found.copied_ev == (energies_ev[8],)
    assert "moved by -2 columns and 1 rows, noise included" in " ".join(found.notes)


def spoilt(image, value):
    image = image.copy()
    image[3, 4] = value
    return image


@pytest.mark.parametrize("way", AS_HANDED_OUT)
def test_an_old_image_is_found_however_it_is_handed_out(way):
    counts = images()
    counts[7] = AS_HANDED_OUT[way](counts[3])
    assert copies(stack_of(counts)) == {7: 3}
    assert copies(scanned(np.linspace(530, 505, 13), counts)) == {12 - 7: 12 - 3}


def test_all_images_of_a_detector_that_stays_stuck_are_found():
    counts = images()
    counts[5:] = counts[4]
    assert copies(stack_of(counts)) == dict.fromkeys(range(5, 13), 4)


@pytest.mark.parametrize("mean", [0.05, 0.5, 3, 30, 1000, 40000])
@pytest.mark.parametrize(
    "as_recorded",
    [lambda c: c, lambda c: c / 100, lambda c: np.minimum(c, max(5, np.percentile(c, 60)))],
)
def test_images_with_noise_of_their_own_are_no_copies(mean, as_recorded):
    for seed in range(3):
        assert copies(stack_of(as_recorded(images(mean, seed=seed)))) == {}


@pytest.mark.parametrize("levels", [100, 255, 1000])
def test_images_that_hardly_scatter_are_no_copies(levels):
    """A camera of few levels with so much light that its steps are larger than the noise."""
    counts = images(1e5)
    assert copies(stack_of(np.round(counts / counts.max() * levels))) == {}


def test_few_photons_are_enough_to_find_an_identical_image():
    counts = images(0.5)
    counts[2] = counts[1]
    assert copies(stack_of(counts)) == {2: 1}


def test_an_energy_measured_once_more_is_no_copy_and_a_copy_among_them_is_left_out(recipe):
    counts, energies_ev, _ = particle_counts()
    counts = np.concatenate([counts, counts[3:4], counts[5:6]])
    stack = stack_of(counts, [*energies_ev, energies_ev[3], energies_ev[6]])
    assert copies(stack) == {14: 5}
    found = ImageCache(recipe).usable(stack)
    assert [first for first, _ in found.checks] == [energies_ev[3]]
    assert f"repeated image at {energies_ev[6]:g} eV is identical" in " ".join(found.notes)


def scanned(energies_ev, counts, **changes):
    """A stack that was scanned in this order."""
    scan = stack_of(counts, energies_ev).scan
    scan = scan.model_copy(update={"energies_ev": tuple(energies_ev), **changes})
    frames = [Frame(e, image, e) for e, image in zip(energies_ev, counts, strict=True)]
    return Stack(StackKey(()), scan, tuple(sorted(frames, key=lambda frame: frame.energy_ev)))


def test_the_first_one_of_the_scan_is_kept_whatever_its_energy():
    counts = images()
    counts[7] = counts[3]  # of the energies from the highest to the lowest
    assert copies(scanned(np.linspace(530, 505, 13), counts)) == {12 - 7: 12 - 3}


def test_where_the_order_of_the_scan_is_not_known_neither_is_kept():
    counts = images()
    counts[7] = counts[3]
    assert copies(scanned(np.linspace(505, 530, 13), counts, skipping="any-order")) == {7: 3, 3: 7}


def test_a_growing_stack_finds_what_the_whole_one_does():
    counts = images()
    counts[7], counts[9] = counts[3], counts[3]
    stack, growing = stack_of(counts), CopiedImages()
    frames = stack.frames
    growing = CopiedImages()
    for n in range(1, 14):
        so_far = Stack(stack.key, stack.scan, frames[:n])
        last = growing.of(so_far)
    assert last == CopiedImages().of(stack)


@pytest.fixture
def stuck():
    counts, energies_ev, _ = particle_counts()
    counts = np.array(counts)
    counts[8] = counts[7]
    return Stack.from_arrays(counts, energies_ev), energies_ev


def test_an_old_image_is_named_in_verdict_and_warnings_and_no_map_is_made_from_it(stuck, recipe):
    stack, energies_ev = stuck
    maps = map_phases(stack, recipe)
    assert maps.status == "incomplete"
    assert maps.energies_ev == tuple(e for e in energies_ev if e != energies_ev[8])
    assert maps.quality.verdict == "poor"
    assert f"noise included: {energies_ev[8]:g} eV" in maps.quality.cause
    told = f"image at {energies_ev[8]:g} eV is identical to the image at {energies_ev[7]:g} eV"
    assert told in " ".join(maps.warnings)


def test_the_maps_are_those_of_a_scan_without_the_energy(stuck, recipe):
    stack, energies_ev = stuck
    recipe = recipe.with_changes({"exclude_energies_ev": [energies_ev[8]]})
    without = [frame for frame in stack.frames if frame.energy_ev != energies_ev[8]]
    less = Stack(stack.key, stack.scan, tuple(without))
    maps = map_phases(stack, recipe)
    assert maps.status == "complete"
    assert maps.identical(map_phases(less, recipe))


def test_an_image_of_an_energy_that_is_not_mapped_is_recognized_as_well(stuck, recipe):
    stack, energies_ev = stuck
    recipe = recipe.with_changes({"exclude_energies_ev": [energies_ev[7]]})
    assert ImageCache(recipe).usable(stack).copied_ev == (energies_ev[8],)


def test_the_error_of_a_stack_of_nothing_but_copies_says_so(recipe):
    same = np.repeat(images(n=1), 3, axis=0)
    with pytest.raises(
        ValueError, match=r"there is one, at 505 eV; those at 513.2, 515.6 eV repea"
    ):
        map_phases(stack_of(same, recipe.energies_ev[:3]), recipe)


@pytest.mark.parametrize("lines", [slice(0, 12), slice(12, 24), slice(9, 12)])
@pytest.mark.parametrize("mean", [5, 1000, 40000])
def test_two_images_that_share_lines_are_both_found(lines, mean):
    counts = images(mean)
    counts[7, lines] = counts[6, lines]
    assert copies(stack_of(counts)) == {7: 6, 6: 7}


def test_a_growing_stack_finds_torn_images_as_the_whole_one_does():
    counts = images()
    counts[4, :10] = counts[3, :10]
    counts[9, 10:] = counts[3, 10:]
    stack = stack_of(counts)
    growing = CopiedImages()
    for n in range(1, len(stack.frames) + 1):
        found = growing.of(Stack(stack.key, stack.scan, stack.frames[:n]))
    assert found == CopiedImages().of(stack)
    assert copies(stack) == {4: 3, 3: 4, 9: 3}


def test_equal_lines_without_noise_of_their_own_are_not_torn():
    counts = images()
    counts[:, :8] = 0  # dark
    counts[:, 8:12] = 900  # saturated
    counts[:, 12] = counts[0, 12]  # one line alone
    assert copies(stack_of(counts)) == {}
    assert copies(stack_of(np.repeat(counts[:1] / 7, 2, axis=0) * [[[1.0]], [[1.0]]])) == {1: 0}


def test_a_torn_image_is_named_with_its_lines_and_left_out(recipe):
    counts, energies_ev, _ = particle_counts()
    counts = counts.copy()
    counts[8, :5] = counts[7, :5]
    found = ImageCache(recipe).usable(Stack.from_arrays(counts, energies_ev))
    assert found.copied_ev == (energies_ev[7], energies_ev[8])
    assert f"has lines 1 to 5 of the image at {energies_ev[7]:g} eV" in " ".join(found.notes)
