import numpy as np
import pytest
from particles import NX, NY, particle_counts

from stxm_live.preprocessing.i0 import i0_of_images, stack_field
from stxm_live.preprocessing.specimen import Field, edge_jump, find_specimen
from stxm_live.sim.phantom import od_cube

EXTENT_UM = (0.0, 2.13, 1.77, 0.0)
"""30 nm a pixel; y descends."""


@pytest.fixture
def intensity():
    """Counts at a known I0 that changes from energy to energy."""
    counts, _, _ = particle_counts()
    ring = np.linspace(1.0, 0.92, 13, dtype=np.float32)
    return counts * ring[:, None, None]


@pytest.fixture
def energies_ev():
    return particle_counts()[1]


@pytest.fixture
def true_i0():
    return 3000 * np.linspace(1.0, 0.92, 13)


def found_field(intensity, recipe):
    references = recipe.reference_spectra.at(recipe.energies_ev)
    return stack_field(np.log(intensity), references, recipe)


def found_specimen(intensity, recipe):
    log = np.log(intensity)
    references = recipe.reference_spectra.at(recipe.energies_ev)
    return find_specimen(-log.mean(axis=0, dtype=np.float64), edge_jump(log, references))


def half_mask():
    mask = np.zeros((NY, NX), dtype=bool)
    mask[20:40, 30:50] = True
    return mask


def masked(recipe, tmp_path, mask, **changes):
    np.save(tmp_path / "mask.npy", mask)
    return recipe.with_changes({"specimen.mask": tmp_path / "mask.npy", **changes})


def spectrum(recipe, tmp_path, text):
    (tmp_path / "i0.xsp").write_text(text)
    return recipe.with_changes({"i0": {"source": "spectrum", "spectrum": tmp_path / "i0.xsp"}})


def test_the_incident_intensity_is_that_beside_the_specimen(nvpf, intensity, energies_ev, true_i0):
    field = found_field(intensity, nvpf)
    found = i0_of_images(intensity, energies_ev, field, nvpf, EXTENT_UM).i0
    np.testing.assert_allclose(found, true_i0, rtol=3 / np.sqrt(3000 * field.empty.sum()))


def test_a_box_gives_the_mean_of_its_pixels(nvpf, intensity, energies_ev):
    recipe = nvpf.with_changes({"i0": {"source": "region", "region": (0.0, 0.145, 1.77, 1.61)}})
    field = found_field(intensity, recipe)
    found = i0_of_images(intensity, energies_ev, field, recipe, EXTENT_UM).i0
    expected = intensity[:, :6, :5].mean(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_a_spectrum_is_interpolated_between_its_points(nvpf, tmp_path, intensity, energies_ev):
    recipe = spectrum(nvpf, tmp_path, "500 10\n520 30\n540 10\n")
    field = found_field(intensity, recipe)
    found = i0_of_images(intensity, energies_ev, field, recipe, EXTENT_UM).i0
    np.testing.assert_allclose(found, 30 - np.abs(np.array(energies_ev) - 520), rtol=1e-12)


def test_a_spectrum_that_does_not_cover_the_scan_names_the_energies(
    nvpf, tmp_path, intensity, energies_ev
):
    recipe = spectrum(nvpf, tmp_path, "510 10\n531 30\n")
    field = Field(half_mask(), ~half_mask())
    with pytest.raises(ValueError, match=r"i0\.xsp covers 510 to 531 eV, .* 505, 532\.2 eV"):
        i0_of_images(intensity, energies_ev, field, recipe, EXTENT_UM)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0", r"i0\.xsp is not positive at .*515\.6.* eV"),
        ("-3", r"i0\.xsp is not positive at .*515\.6.* eV"),
        ("nan", r"i0\.xsp: contains a value that is not a finite number"),
    ],
)
def test_a_spectrum_without_light_at_an_energy_is_refused(
    nvpf, tmp_path, intensity, energies_ev, value, message
):
    recipe = spectrum(nvpf, tmp_path, f"500 10\n515.6 {value}\n516 9\n540 10\n")
    field = Field(half_mask(), ~half_mask())
    with pytest.raises(ValueError, match=message):
        i0_of_images(intensity, energies_ev, field, recipe, EXTENT_UM)


def test_without_a_mask_the_field_is_found(nvpf, intensity):
    found, expected = found_field(intensity, nvpf), found_specimen(intensity, nvpf)
    assert np.array_equal(found.specimen, expected.specimen)
    assert np.array_equal(found.empty, expected.empty)


def test_a_mask_says_what_is_specimen_and_the_support_is_still_found(nvpf, tmp_path, intensity):
    mask = half_mask()
    mask[:6] = True  # where the support is empty
    field = found_field(intensity, masked(nvpf, tmp_path, mask))
    assert np.array_equal(field.specimen, mask)
    found = found_specimen(intensity, nvpf).empty
    assert np.array_equal(field.empty, found & ~mask)
    assert found[:6].any()


@pytest.mark.parametrize("covered", ["all of the field", "what is empty"])
def test_a_mask_that_leaves_nothing_empty_is_asked_whether_it_is_inverted(
    nvpf, tmp_path, intensity, covered
):
    mask = np.ones((NY, NX), dtype=bool)
    if covered == "what is empty":
        mask = ~found_specimen(intensity, nvpf).specimen
    with pytest.raises(ValueError, match=r"mask\.npy covers all that looks empty.*inverted"):
        found_field(intensity, masked(nvpf, tmp_path, mask))


def test_with_a_mask_and_another_source_nothing_needs_to_look_empty(nvpf, tmp_path):
    source = {"i0.source": "region", "i0.region": (0, 1, 0, 1)}
    recipe = masked(nvpf, tmp_path, half_mask(), **source)
    field = found_field(np.full((13, NY, NX), np.nan), recipe)
    assert np.array_equal(field.specimen, half_mask())
    assert np.array_equal(field.empty, ~half_mask())


def full_field():
    """A field without any empty place."""
    rng = np.random.default_rng(0)
    od = np.repeat(np.repeat(rng.uniform(0.5, 3, (12, 12)), 5, axis=0), 6, axis=1)
    return np.exp(-od * np.linspace(0.8, 1.2, 13)[:, None, None])


def test_a_particle_that_fills_the_field_is_all_specimen_if_i0_comes_from_elsewhere(nvpf):
    recipe = nvpf.with_changes({"i0": {"source": "region", "region": (0, 1, 0, 1)}})
    intensity = full_field()
    intensity[5, 7, 8] = np.nan
    field = found_field(intensity, recipe)
    assert np.array_equal(field.specimen, np.isfinite(intensity[5]))
    assert not field.empty.any()
    with pytest.raises(ValueError, match="nothing in the field looks empty"):
        found_field(intensity, nvpf)


def test_a_mask_of_another_shape_than_the_images_is_refused_by_name(nvpf, tmp_path, intensity):
    with pytest.raises(ValueError, match=r"mask\.npy has shape \(72, 60\).*images have \(60, 72\)"):
        found_field(intensity, masked(nvpf, tmp_path, half_mask().T))


def test_a_support_without_usable_pixels_in_one_image_is_refused(nvpf, intensity, energies_ev):
    field = Field(half_mask(), ~half_mask())
    intensity[4] = np.nan
    with pytest.raises(ValueError, match="region for I0 has no usable pixel"):
        i0_of_images(intensity, energies_ev, field, nvpf, EXTENT_UM)


@pytest.fixture
def by_monitor(nvpf, intensity, energies_ev):
    """I0 of the particle as the recipe takes it from these readings of a monitor."""
    recipe = nvpf.with_changes({"i0.source": "monitor"})
    field = found_specimen(intensity, nvpf)
    return lambda readings: (
        i0_of_images(intensity, energies_ev, field, recipe, EXTENT_UM, readings).i0
    )


def test_the_monitor_is_i0_up_to_a_factor(by_monitor, true_i0):
    np.testing.assert_array_equal(by_monitor(list(true_i0 / 7)), true_i0 / 7)


@pytest.mark.parametrize("reading", [0.0, -1.0, float("nan"), None])
def test_a_monitor_that_reads_nothing_is_refused_with_the_energy(by_monitor, true_i0, reading):
    readings = list(true_i0)
    readings[4] = reading
    with pytest.raises(ValueError, match=r"zero, a negative value or nothing at 517\.5 eV"):
        by_monitor(readings)


def test_a_scan_without_a_monitor_says_how_to_name_one(by_monitor):
    with pytest.raises(ValueError, match="i0_field"):
        by_monitor([None] * 13)


def test_i0_is_as_uncertain_as_the_counts_it_is_the_mean_of(nvpf, intensity, energies_ev):
    field = found_field(intensity, nvpf)
    found = i0_of_images(intensity, energies_ev, field, nvpf, EXTENT_UM)
    # photons scatter as the root of their number, ring current scales both
    ring = np.linspace(1.0, 0.92, 13)
    expected = ring * np.sqrt(3000 / field.empty.sum())
    np.testing.assert_allclose(found.std, expected, rtol=0.1)


def test_an_i0_that_was_measured_is_taken_as_exact_and_the_support_tells_the_dispersion(
    nvpf, tmp_path, intensity, energies_ev
):
    recipe = spectrum(nvpf, tmp_path, "500 10\n520 30\n540 10\n")
    found = i0_of_images(intensity, energies_ev, found_field(intensity, recipe), recipe, EXTENT_UM)
    assert (found.std == 0).all()
    assert found.dispersion == pytest.approx(0.96, rel=0.05)  # of the mean ring current


def test_beside_a_hand_drawn_mask_nothing_is_known_to_be_empty(
    nvpf, tmp_path, intensity, energies_ev
):
    recipe = spectrum(nvpf, tmp_path, "500 10\n520 30\n540 10\n")
    recipe = masked(recipe, tmp_path, half_mask())
    found = i0_of_images(intensity, energies_ev, found_field(intensity, recipe), recipe, EXTENT_UM)
    assert found.dispersion is None


def test_two_images_tell_the_uncertainty_of_i0_by_their_pixels(nvpf, intensity, energies_ev):
    recipe = nvpf.with_changes({"i0": {"source": "region", "region": (0.0, 0.145, 1.77, 1.61)}})
    field = found_field(intensity, recipe)
    found = i0_of_images(intensity[:2], energies_ev[:2], field, recipe, EXTENT_UM)
    assert found.dispersion is None
    pixels = intensity[:2, :6, :5]
    over_mean = (pixels.var(axis=(1, 2), ddof=1) / pixels.mean(axis=(1, 2))).mean()
    np.testing.assert_allclose(found.std, np.sqrt(over_mean * found.i0 / 30), rtol=1e-4)


def test_a_box_of_one_pixel_is_as_uncertain_as_its_photons(nvpf, intensity, energies_ev):
    box = {"i0": {"source": "region", "region": (0.0, 0.01, 1.77, 1.76)}}
    recipe = nvpf.with_changes({**box, "detector.photons_per_count": 0.5})
    found = i0_of_images(intensity, energies_ev, found_field(intensity, recipe), recipe, EXTENT_UM)
    # n counts of half a photon each are n / 2 photons, plus or minus the root of that
    photons = intensity[:, 0, 0] / 2
    np.testing.assert_allclose(found.std / found.i0, 1 / np.sqrt(photons), rtol=1e-6)


def test_references_of_another_material_do_not_hide_the_empty_support(nvpf):
    energies_ev = np.array(nvpf.energies_ev)
    y, x = np.mgrid[:24, :30]
    truth = np.hypot(y - 12, x - 15) < 7
    other = 0.3 + 0.2 * np.sin(energies_ev / 1.7) + 0.1 * np.sin(energies_ev / 7)
    counts = 2000 * np.exp(-2 * other[:, None, None] * truth)
    counts = np.random.default_rng(1).poisson(counts).astype(np.float32)
    log = np.log(counts)
    jump = edge_jump(log, nvpf.reference_spectra.at(energies_ev))
    with pytest.raises(ValueError, match="nothing in the field looks empty"):
        find_specimen(-log.mean(axis=0), jump)
    field = found_field(counts, nvpf)
    assert (field.specimen == truth).mean() > 0.97
    assert field.empty.sum() > 200


@pytest.mark.parametrize("film", [0.0, 0.03])
def test_specimen_of_a_tenth_of_the_thickness_is_found_and_is_no_support(nvpf, film):
    _, energies_ev, particle = particle_counts()
    od = 0.1 * od_cube(particle, nvpf.reference_spectra, energies_ev)  # .09 OD in the mean
    of_film = film * np.sin(np.arange(NX) / 12)
    counts = np.random.default_rng(0).poisson(6000 * np.exp(-od - of_film)).astype(np.float32)
    found = found_field(counts, nvpf)
    assert found.specimen[particle.specimen].mean() > 0.9
    assert found.specimen[~particle.specimen].mean() < 0.01
    assert not (found.empty & particle.specimen).any()
