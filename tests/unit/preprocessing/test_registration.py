from dataclasses import replace

import numpy as np
import pytest
from particles import NX, NY, particle_counts, particle_stack

from stxm_live.core.recipe import Recipe
from stxm_live.core.shift_files import write_shifts
from stxm_live.core.stack import Stack
from stxm_live.phase_mapping.correlation import pearson
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.preprocessing.stack_images import ImageCache
from stxm_live.preprocessing.workflow import align_stack, register
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube


@pytest.fixture
def still(nvpf):
    """The recipe without alignment: what is tested has no drift."""
    return nvpf.with_changes({"alignment.enabled": False})


def drifting(drift_px, **options):
    """The particle, displaced by whole pixels (y, x) at each energy; its border is empty."""
    counts, energies_ev, _ = particle_counts(**options)
    moved = [np.roll(c, tuple(d), axis=(0, 1)) for c, d in zip(counts, drift_px, strict=True)]
    return Stack.from_arrays(np.array(moved), energies_ev)


def with_frames(stack, change, unfinished=()):
    """The same stack with its images changed: ``change(k, image)`` is the new one, or None."""
    frames = []
    for k, frame in enumerate(stack.frames):
        image = change(k, frame.intensity.copy())
        if image is not None:
            frames.append(replace(frame, intensity=image, is_whole=k not in unfinished))
    return replace(stack, frames=tuple(frames))


def test_without_drift_the_optical_density_is_that_of_the_counts(still):
    counts, energies_ev, particle = particle_counts()
    registered = register(particle_stack(), still)
    assert registered.energies_ev == energies_ev
    assert registered.missing_ev == ()
    assert registered.od.shape == (13, NY, NX)
    assert registered.od.dtype == np.float32
    i0 = counts[:, registered.field.empty].mean(axis=1, dtype=np.float64)
    np.testing.assert_allclose(registered.i0, i0, rtol=1e-7)
    np.testing.assert_allclose(registered.od, np.log(i0[:, None, None] / counts), atol=2e-6)
    assert registered.valid.all()
    assert registered.common_field == 1
    assert not registered.shifts_px.any()
    assert abs(registered.od[:, ~particle.specimen].mean()) < 0.01


def test_a_planted_drift_is_taken_back(nvpf):
    drift = np.random.default_rng(0).integers(-3, 4, (13, 2))
    registered = register(drifting(drift), nvpf)
    anchor = registered.energies_ev.index(registered.anchor_ev)
    np.testing.assert_allclose(registered.shifts_px, drift[anchor] - drift, atol=0.5)
    assert np.sqrt(np.mean((registered.shifts_px + drift - drift[anchor]) ** 2)) < 0.15
    lost = np.ptp(registered.shifts_px, axis=0) / (NY, NX)
    assert registered.common_field == pytest.approx((1 - lost[0]) * (1 - lost[1]))
    # what not every image shows has no spectrum
    assert registered.valid.mean() == pytest.approx(registered.common_field, abs=0.03)
    assert np.isnan(registered.od).any(axis=0)[~registered.valid].all()


def test_the_order_in_which_frames_were_given_does_not_matter(nvpf):
    counts, energies_ev, _ = particle_counts()
    order = np.random.default_rng(1).permutation(13)
    shuffled = Stack.from_arrays(counts[order], [energies_ev[k] for k in order])
    one, other = (register(s, nvpf) for s in (Stack.from_arrays(counts, energies_ev), shuffled))
    assert one.energies_ev == other.energies_ev
    np.testing.assert_array_equal(one.od, other.od)
    np.testing.assert_array_equal(one.shifts_px, other.shifts_px)


def test_energies_that_the_recipe_leaves_out_take_no_part_and_are_not_missing(still):
    energies_ev = particle_counts()[1]
    recipe = still.with_changes({"exclude_energies_ev": (505.0, 524.0)})
    registered = register(particle_stack(), recipe)
    assert registered.energies_ev == tuple(e for e in energies_ev if e not in (505, 524))
    assert registered.missing_ev == ()


def test_missing_unfinished_and_dead_images_are_told_and_left_out(still):
    def change(k, image):
        if k == 4:
            image[30:] = np.nan
        if k == 6:
            image[:] = 0
        return None if k == 2 else image

    stack = with_frames(particle_stack(), change, unfinished=[4])
    energies_ev = particle_counts()[1]
    registered = register(stack, still)
    assert registered.missing_ev == tuple(energies_ev[k] for k in (2, 4, 6))
    assert registered.energies_ev == tuple(
        e for k, e in enumerate(energies_ev) if k not in (2, 4, 6)
    )
    assert len(registered.od) == 10
    assert registered.notes == (
        f"image at {energies_ev[4]:g} eV is unfinished and was left out",
        f"image at {energies_ev[6]:g} eV has no usable pixel and was left out",
    )


def test_unusable_pixels_are_counted_image_by_image_and_are_gaps(still):
    recipe = still.with_changes({"detector.saturation_counts": 9000})

    def change(k, image):
        if k == 1:
            image[20, 30:33] = [0, -1, np.nan]
        if k == 7:
            image[21, 31] = 9000
        return image

    registered = register(with_frames(particle_stack(), change), recipe)
    energies_ev = particle_counts()[1]
    assert registered.notes == (
        f"image at {energies_ev[1]:g} eV: unusable pixels: 1 missing, 2 zero or negative",
        f"image at {energies_ev[7]:g} eV: unusable pixels: 1 saturated",
    )
    assert registered.valid.all()
    gaps = np.argwhere(np.isnan(registered.od)).tolist()
    assert gaps == [[1, 20, 30], [1, 20, 31], [1, 20, 32], [7, 21, 31]]


def test_one_energy_is_registered_but_is_not_enough_for_a_map(still):
    stack = with_frames(particle_stack(), lambda k, image: image if k == 3 else None)
    assert register(stack, still).energies_ev == (516.6,)
    with pytest.raises(ValueError, match=r"at least two images.*there is one, at 516\.6 eV"):
        map_phases(stack, still)


def test_no_usable_image_is_an_error_that_names_what_was_announced(still):
    stack = with_frames(particle_stack(), lambda k, image: None)
    with pytest.raises(ValueError, match=r"no usable image.*announced 505, 513\.2"):
        register(stack, still)


def test_a_shift_beyond_the_recipes_limit_is_an_error(nvpf):
    drift = np.zeros((13, 2), dtype=int)
    drift[8] = [0, 9]
    stack = drifting(drift)
    assert register(stack, nvpf).common_field < 0.9
    with pytest.raises(ValueError, match=r"image at 524 eV is shifted by .* max_shift_px = 4"):
        register(stack, nvpf.with_changes({"alignment.max_shift_px": 4}))


def test_few_photons_and_a_drift_leave_holes_but_no_warning(nvpf):
    """Beside bright pixels the spline swings below zero where hardly a photon was counted."""
    drift = np.zeros((13, 2), dtype=int)
    stack = drifting(drift, photons=12)
    registered = register(stack, nvpf)
    assert registered.shifts_px.any(), "without a shift there is nothing to interpolate"
    assert any("pixels are not positive after correction and" in n for n in registered.notes)
    known = np.isfinite(registered.intensity)
    assert (registered.intensity[known] > 0).all()
    assert np.isfinite(registered.od[known]).all()
    enough = known.sum(axis=0) >= 2
    assert not registered.valid[~enough].any()


@pytest.mark.parametrize("grey", [1.1, 2.0, 4.0])
@pytest.mark.parametrize("photons", [1.0, 1e6])
def test_a_grey_absorber_is_invalid_though_rounding_makes_it_a_spectrum(still, nvpf, grey, photons):
    references = nvpf.reference_spectra.at(nvpf.energies_ev)
    od = np.zeros((13, 40, 50))
    od[:, 8:20, 12:30] = 3 * references[0][:, None, None]
    od[:, 27:35, 12:30] = grey
    i0 = photons * np.linspace(0.9, 1.5, 13)[:, None, None]
    registered = register(Stack.from_arrays(i0 * np.exp(-od), nvpf.energies_ev), still)
    assert not registered.valid[27:35, 12:30].any()
    assert registered.valid[8:20, 12:30].all()
    assert np.isfinite(pearson(registered.od[:, registered.valid], references)).all()


def test_images_seen_as_they_came_give_what_they_give_at_once(nvpf):
    rng = np.random.default_rng(4)
    drift = np.cumsum(rng.integers(-1, 2, (13, 2)), axis=0)
    stack = drifting(drift)
    # one energy at a time, in an order in which the image of most contrast changes twice
    order = [0, 12, 3, 9, 1, 5, 4, 2, 6, 7, 8, 11, 10]
    cache = ImageCache(nvpf)
    for n in range(1, 14):
        frames = tuple(stack.frames[k] for k in sorted(order[:n]))
        (register if n % 2 else align_stack)(replace(stack, frames=frames), nvpf, seen=cache)
    seen, anew = register(stack, nvpf, seen=cache), register(stack, nvpf)
    assert seen.anchor_ev == anew.anchor_ev
    for name in ("od", "intensity", "shifts_px", "i0", "valid"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(anew, name), err_msg=name)
    assert seen.notes == anew.notes


def roughly(registered, drift, atol=0.5):
    """The drift is taken back, but for an offset common to all."""
    left = registered.shifts_px + drift
    np.testing.assert_allclose(left - np.median(left, axis=0), 0, atol=atol)


def some_drift(seed=0, largest=3):
    return np.random.default_rng(seed).integers(-largest, largest + 1, (13, 2))


@pytest.mark.parametrize(
    "changes",
    [
        {"alignment.reference": "constant", "alignment.reference_ev": 518.2},
        {"alignment.reference": "preceding"},
        {"alignment.edges": False},
        {"alignment.region_um": [4, 67, 55, 4]},
    ],
)
def test_every_way_to_register_takes_a_planted_drift_back(nvpf, changes):
    drift = some_drift()
    registered = register(drifting(drift), nvpf.with_changes(changes))
    roughly(registered, drift, atol=1.0 if "alignment.edges" in changes else 0.7)
    assert np.isfinite(registered.shift_quality).all()


def test_a_constant_reference_is_the_image_nearest_to_its_energy(nvpf):
    changes = {"alignment.reference": "constant", "alignment.reference_ev": 518.2}
    registered = register(drifting(some_drift()), nvpf.with_changes(changes))
    assert registered.anchor_ev == 518.3
    assert not registered.shifts_px[registered.energies_ev.index(518.3)].any()


def test_what_moves_outside_the_region_does_not_matter(nvpf):
    drift = np.zeros((13, 2), dtype=int)
    stack = drifting(drift)

    def change(k, image):
        image[:, 56:] = 3000 * np.random.default_rng(k).uniform(0.1, 1, (NY, NX - 56))
        return image

    recipe = nvpf.with_changes({"alignment.region_um": [0, 54, 0, NY - 1]})
    roughly(align_stack(with_frames(stack, change), recipe), drift)


@pytest.mark.parametrize(
    ("region", "said"), [([0, 5, 0, 5], "6 x 6 pixels"), ([900, 950, 0, 9], "outside the image")]
)
def test_a_region_without_enough_pixels_is_an_error(nvpf, region, said):
    with pytest.raises(ValueError, match=f"alignment region.*{said}"):
        register(particle_stack_in_px(), nvpf.with_changes({"alignment.region_um": region}))


def particle_stack_in_px():
    return drifting(np.zeros((13, 2), dtype=int))


def test_shifts_of_a_file_are_applied_and_written_shifts_are_read_again(nvpf, tmp_path):
    drift = some_drift()
    energies_ev = particle_counts()[1]
    path = tmp_path / "shifts.csv"
    write_shifts(path, energies_ev, -drift)
    recipe = nvpf.with_changes({"alignment.shifts": str(path)})
    registered = register(drifting(drift), recipe)
    np.testing.assert_array_equal(registered.shifts_px, -drift)
    refined = register(drifting(drift), recipe, refining=True)
    np.testing.assert_array_equal(refined.shifts_px, -drift)


def test_a_file_of_shifts_is_read_once(nvpf, tmp_path):
    """What a long scan needs at its end is read at its beginning."""
    drift = some_drift()
    path = tmp_path / "shifts.csv"
    write_shifts(path, particle_counts()[1], -drift)
    recipe = nvpf.with_changes({"alignment.shifts": str(path)})
    recipe.read_files()
    path.unlink()
    np.testing.assert_array_equal(register(drifting(drift), recipe).shifts_px, -drift)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("energy,y,x\n505,0,0\n", "first line must read energy_ev,shift_y_px,shift_x_px"),
        ("energy_ev,shift_y_px,shift_x_px\n505,0\n", "line 2: expected 3 numbers, got '505,0'"),
        ("energy_ev,shift_y_px,shift_x_px\n505,0,nan\n", "not finite numbers"),
        ("energy_ev,shift_y_px,shift_x_px\n505,0,0\n", "no shift within 0.05 eV of 513.2 eV"),
        ("", "expected a header energy_ev,shift_y_px,shift_x_px"),
    ],
)
def test_a_broken_file_of_shifts_is_an_error_that_names_it(nvpf, tmp_path, text, said):
    path = tmp_path / "shifts.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"shifts\.csv.*{said}"):
        register(particle_stack(), nvpf.with_changes({"alignment.shifts": str(path)}))


def test_refined_shifts_move_the_raw_images_and_the_first_ones_are_kept(nvpf):
    drift = some_drift()
    seen = ImageCache(nvpf)
    first = register(drifting(drift), nvpf, seen=seen)
    refined = register(drifting(drift), nvpf, refining=True, seen=seen)
    np.testing.assert_array_equal(refined.shifts_before_px, first.shifts_px)
    roughly(refined, drift, atol=0.2)
    anew = register(drifting(drift), nvpf, refining=True)
    np.testing.assert_array_equal(refined.shifts_px, anew.shifts_px)
    np.testing.assert_array_equal(refined.od, anew.od)
    again = register(drifting(drift), nvpf, seen=seen)
    np.testing.assert_array_equal(again.od, first.od)


def test_a_scan_without_drift_is_not_moved_by_the_refinement(nvpf):
    for seed in (5, 6):
        refined = register(particle_stack(seed=seed), nvpf, refining=True)
        assert not refined.shifts_px.any()
        assert (refined.shift_quality < 0.1).all()


def test_an_image_of_nothing_but_noise_is_named_and_the_others_are_registered(nvpf):
    drift = some_drift()

    def change(k, image):
        return np.random.default_rng(0).poisson(2000, image.shape) if k == 4 else image

    registered = register(with_frames(drifting(drift), change), nvpf, refining=True)
    energy_ev = registered.energies_ev[4]
    told = [note for note in registered.notes if f"image at {energy_ev:g} eV" in note]
    assert any("too little contrast to be aligned" in note for note in told)
    left = np.delete(registered.shifts_px + drift, 4, axis=0)
    np.testing.assert_allclose(left - np.median(left, axis=0), 0, atol=0.4)


def test_a_jump_of_a_fifth_of_the_field_is_found_or_fails_by_the_limit(nvpf):
    recipe = nvpf.with_changes({"alignment.max_shift_px": 10})
    drift = np.zeros((13, 2), dtype=int)
    drift[7:] = [0, 14]
    stack = drifting(drift)
    refined = register(stack, nvpf, refining=True)
    roughly(refined, drift - np.median(drift, axis=0))
    with pytest.raises(ValueError, match=r"image at .* eV is shifted by .* max_shift_px = 10"):
        register(stack, recipe)


def jumped(n_px, jump_px, photons=1000):
    """A field into which a particle's stage jumps: what leaves it is lost, nothing wraps."""
    recipe = Recipe.load("nvpf")
    rng = np.random.default_rng(5)
    particle = make_particle((n_px, n_px), phase_weights=STATES_OF_CHARGE["Na2VPF"], rng=rng)
    clear = np.exp(-od_cube(particle, recipe.reference_spectra, recipe.energies_ev))
    drift = np.zeros((13, 2), dtype=int)
    drift[7:] = jump_px
    margin = max(abs(v) for v in jump_px)
    wide = np.pad(clear, ((0, 0), (margin, margin), (margin, margin)), constant_values=1)
    seen = [
        image[margin - dy : margin - dy + n_px, margin - dx : margin - dx + n_px]
        for image, (dy, dx) in zip(wide, drift, strict=True)
    ]
    counts = rng.poisson(photons * np.array(seen)).astype(np.float32)
    return Stack.from_arrays(counts, recipe.energies_ev), drift


@pytest.mark.parametrize("jump_px", [(0, 24), (-24, 0), (17, -17)])
def test_a_jump_of_24_px_in_a_field_of_120_is_found(nvpf, jump_px):
    stack, drift = jumped(120, jump_px)
    for refine in (False, True):
        roughly(register(stack, nvpf, refining=refine), drift, atol=0.3)


def test_a_jump_of_24_px_fails_by_a_limit_of_10_naming_energy_and_limit(nvpf):
    stack, _ = jumped(120, (0, 24))
    recipe = nvpf.with_changes({"alignment.max_shift_px": 10})
    with pytest.raises(ValueError, match=r"max_shift_px = 10") as error:
        register(stack, recipe)
    energies_ev = particle_counts()[1]
    named = [e for e in energies_ev if f"image at {e:g} eV is shifted by 2" in str(error.value)]
    assert len(named) == 1
