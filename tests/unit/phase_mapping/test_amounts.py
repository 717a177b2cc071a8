"""Composition, thickness and values, with intervals that hold what they say."""

import csv

import made_up_maps as made_up
import numpy as np
import pytest
from particles import particle_counts, particle_stack

from stxm_live import Recipe, Stack, map_phases
from stxm_live.core.amounts import AMOUNT_PRODUCTS, Amounts
from stxm_live.dashboard.stored_maps import maps_of
from stxm_live.io.results import read_nexus, write_csv, write_nexus
from stxm_live.phase_mapping.amounts import expected_shares
from stxm_live.phase_mapping.area_amounts import AreaErrors, area_amounts
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.fitted_products import fitted_products
from stxm_live.phase_mapping.pair_posterior import pair_posterior
from stxm_live.phase_mapping.pixel_amounts import CommonMixtures, common_mixtures, pixel_amounts
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.weighted_products import Baseline

SODIUM = {"Na3VPF": 3.0, "Na2.4VPF": 2.4, "Na2VPF": 2.0, "Na1VPF": 1.0, "Na1-yVPF": 0.5}
VALUES = np.array(list(SODIUM.values()))
QUANTITY = "x in NaxV2(PO4)2F3"
PHOTONS = 4000.0


@pytest.fixture(scope="module")
def recipe():
    changes = {"alignment.enabled": False, "energy_fit": False, "model": None}
    amounts = {"value": SODIUM, "quantity": QUANTITY, "reference_nm": 100.0}
    return Recipe.load("nvpf").with_changes(
        changes | {f"phases.{name}": value for name, value in amounts.items()}
    )


@pytest.fixture(scope="module")
def maps(recipe):
    return map_phases(particle_stack(), recipe)


def spectra(recipe, kind, n=1500, seed=0):
    """OD and photons of pixels whose composition (n_phases, n) and thickness (n,) are known."""
    rng = np.random.default_rng(seed)
    thickness = rng.uniform(0.6, 2.2, n)
    composition = np.zeros((5, n))
    columns = np.arange(n)
    if kind == "domains":
        composition[rng.integers(0, 5, n), columns] = 1
    elif kind == "core and shell":
        composition[0] = rng.uniform(0, 1, n)
        composition[3] = 1 - composition[0]
    else:
        x = rng.uniform(0.7, 2.9, n)
        above = 4 - np.searchsorted(VALUES[::-1], x)
        share = (x - VALUES[above + 1]) / (VALUES[above] - VALUES[above + 1])
        composition[above, columns], composition[above + 1, columns] = share, 1 - share
    references = recipe.corrected_references.at(recipe.energies_ev)
    counts = rng.poisson(PHOTONS * np.exp(-references.T @ (composition * thickness)))
    noise = SpectrumNoise(
        1.0, True, Baseline.slope(np.array(recipe.energies_ev), constant_std=0.01, slope_std=0.005)
    )
    return (
        -np.log(counts / PHOTONS),
        counts.astype(float),
        references,
        noise,
        composition,
        thickness,
    )


def amounts_in(od, photons, references, noise, areas, values=None, **errors):
    counted = CountedSpectra(od, photons, references, noise)
    return area_amounts(counted, areas, AreaErrors(1.0, **errors), values=values)


def pixels_of(od, photons, references, noise, values=None):
    counted = CountedSpectra(od, photons, references, noise)
    return pixel_amounts(counted, common_mixtures(counted), values)


@pytest.mark.parametrize("kind", ["domains", "core and shell", "solid solution"])
def test_the_value_of_a_pixel_is_within_its_interval_as_often_as_it_says(recipe, kind):
    od, photons, references, noise, composition, thickness = spectra(recipe, kind)
    found = pixels_of(od, photons, references, noise, VALUES)
    off = np.abs(found.value - VALUES @ composition) / found.value_std
    assert 0.64 < np.mean(off < 1) < 0.73
    assert 0.93 < np.mean(off < 1.96) < 0.98
    assert np.sqrt(np.mean(np.square(found.value - VALUES @ composition))) < 0.19
    np.testing.assert_allclose(found.share.sum(axis=0), 1, atol=1e-5)
    assert found.share.min() >= 0
    assert found.thickness.mean() == pytest.approx(thickness.mean(), rel=0.01)
    thick = np.abs(found.thickness - thickness) / found.thickness_std
    assert np.mean(thick < 1.96) > 0.93


@pytest.mark.parametrize("reverse", [False, True])
def test_the_posterior_of_two_references_is_that_of_numerical_integration(recipe, reverse):
    od, photons, references, noise, *_ = spectra(recipe, "solid solution", n=12)
    two = references[[3, 1] if reverse else [1, 3]]
    products = fitted_products(CountedSpectra(od, photons, two, noise))
    found = pair_posterior(products, 1.0)
    (own, across, other), (first, second) = products.square, products.along
    s = np.linspace(-0.3, 1.3, 40_001)[:, None]
    along = (1 - s) * first + s * second
    square = (1 - s) ** 2 * own + 2 * s * (1 - s) * across + s**2 * other
    exponent, thickness = 0.5 * along**2 / square, along / square
    inside = (s > 0) & (s < 1)
    best = np.where(inside, exponent, -np.inf).argmax(axis=0), np.arange(12)
    step = (1 - s) * (across - own) + s * (other - across)
    apart = other - 2 * across + own - step**2 / square
    beyond = np.minimum(0.35 / (thickness[best] * np.sqrt(apart[best])), 0.3)
    allowed = (s >= -beyond) & (s <= 1 + beyond)
    p = np.where(allowed, np.exp(exponent - exponent.max(axis=0)) / np.sqrt(square), 0)
    p /= p.sum(axis=0)
    share, thick = (p * s).sum(axis=0), (p * thickness).sum(axis=0)
    std = np.sqrt((p * (s - share) ** 2).sum(axis=0))
    thick_std = np.sqrt((p * ((thickness - thick) ** 2 + 1 / square)).sum(axis=0))
    np.testing.assert_allclose(found.share[0], share, atol=0.02)
    np.testing.assert_allclose(np.sqrt(found.share_variance[0]), std, rtol=0.05)
    np.testing.assert_allclose(found.thickness[0], thick, rtol=0.01)
    np.testing.assert_allclose(np.sqrt(found.thickness_variance[0]), thick_std, rtol=0.05)


def test_mixtures_that_a_scan_does_not_hold_do_not_count(recipe):
    """Na3VPF in Na1VPF in all proportions looks like Na2.4VPF and Na2VPF too."""
    *four, composition, _ = spectra(recipe, "core and shell")
    counted = CountedSpectra(*four)
    learned = common_mixtures(counted)
    alike = CommonMixtures(np.full(10, 0.1), 1.0)
    off = [
        pixel_amounts(counted, mixtures, VALUES).value - VALUES @ composition
        for mixtures in (learned, alike)
    ]
    assert learned.dispersion == pytest.approx(1, abs=0.05)
    rms = np.sqrt(np.square(off).mean(axis=1))
    assert rms[0] < 0.9 * rms[1]
    assert abs(off[0].mean()) < abs(off[1].mean())


def test_a_background_that_all_pixels_share_is_not_taken_for_a_phase(recipe):
    od, photons, references, noise, composition, thickness = spectra(recipe, "domains")
    area, options = np.ones((1, 1500), bool), {"values": VALUES}
    volume = composition @ thickness
    baseline = Baseline.slope(np.array(recipe.energies_ev), constant_std=0.03, slope_std=0.02)
    wide = noise._replace(baseline=baseline)
    for background in baseline.shapes * [[0.04], [0.05]]:
        leaning = od + background[:, None]
        found = amounts_in(leaning, photons, references, wide, area, **options)
        off = found.value[0] - VALUES @ volume / volume.sum()
        assert abs(off) < 0.04
        assert abs(off) < 2.5 * found.value_std[0]


def test_references_that_do_not_fit_make_an_area_less_sure(recipe):
    od, photons, references, noise, composition, thickness = spectra(recipe, "domains")
    area, options = np.ones((1, 1500), bool), {"values": VALUES}
    sure = amounts_in(od, photons, references, noise, area, **options)
    odd = references * (1 + 0.04 * np.random.default_rng(5).normal(size=references.shape))
    found = amounts_in(od, photons, odd, noise, area, **options)
    assert found.value_std[0] > 3 * sure.value_std[0]
    volume = composition @ thickness
    assert abs(found.value[0] - VALUES @ volume / volume.sum()) < 2.5 * found.value_std[0]


def test_an_energy_axis_that_was_found_and_not_applied_makes_an_area_less_sure(recipe):
    od, photons, references, noise, composition, thickness = spectra(recipe, "domains")
    off_ev = recipe.corrected_references.at(np.array(recipe.energies_ev) + 0.1)
    shifted = od + (off_ev - references).T @ (composition * thickness)
    area, options = np.ones((1, 1500), bool), {"values": VALUES}
    volume = composition @ thickness
    truth = VALUES @ volume / volume.sum()
    sure = amounts_in(shifted, photons, references, noise, area, **options)
    change = off_ev - references
    found = amounts_in(
        shifted, photons, references, noise, area, reference_change=change, **options
    )
    assert abs(sure.value[0] - truth) > 2 * sure.value_std[0]
    assert abs(found.value[0] - truth) < 1.96 * found.value_std[0]


@pytest.mark.parametrize("kind", ["domains", "core and shell", "solid solution"])
def test_the_mean_value_of_an_area_is_that_of_its_volume(recipe, kind):
    off, std, thin = [], [], []
    for seed in range(4):
        od, photons, references, noise, composition, thickness = spectra(recipe, kind, seed=seed)
        areas = np.array([np.ones(1500, bool), np.arange(1500) < 500])
        found = amounts_in(od, photons, references, noise, areas, values=VALUES)
        for k, area in enumerate(areas):
            volume = composition[:, area] @ thickness[area]
            off.append(found.value[k] - VALUES @ volume / volume.sum())
            std.append(found.value_std[k])
            thin.append(found.thickness[k] / thickness[area].mean() - 1)
            assert (np.abs(found.share[k] - volume / volume.sum()) < 4 * found.share_std[k]).all()
    assert np.abs(np.mean(off)) < 0.02
    assert np.abs(off).max() < 0.05
    assert np.mean(np.abs(off) < np.multiply(1.96, std)) >= 0.75
    assert np.abs(thin).max() < 0.01


def test_compositions_that_look_the_same_have_intervals_as_wide(recipe):
    """Na2VPF is a mixture of others within the noise of one pixel, and of an area too."""
    od, photons, references, noise, _, _ = spectra(recipe, "domains")
    found = pixels_of(od, photons, references, noise)
    assert np.median(found.share_std[2]) > 0.1
    area = np.ones((1, 1500), dtype=bool)
    whole = amounts_in(od, photons, references, noise, area)
    assert whole.share_std[0, 2] > 3 * whole.share_std[0, 4]
    assert found.value is None
    assert whole.value is None


def test_references_with_equal_spectra_share_and_the_interval_says_so(recipe):
    od, photons, references, noise, composition, _ = spectra(recipe, "domains")
    equal = references[[0, 1, 2, 3, 3]]
    found = pixels_of(od, photons, equal, noise)
    third = composition[3] == 1
    np.testing.assert_allclose(found.share[3, third], found.share[4, third], atol=1e-4)
    assert found.share_std[3, third].mean() > 0.2
    areas = np.ones((1, 1500), dtype=bool)
    whole = amounts_in(od, photons, equal, noise, areas)
    assert np.isfinite(whole.share_std).all()
    assert whole.share_std[0, 3:].min() > 0.05


def test_errors_that_all_pixels_share_do_not_become_less_with_their_number(recipe):
    od, photons, references, noise, *_ = spectra(recipe, "solid solution")
    areas = np.ones((1, 1500), dtype=bool)
    options = {"values": VALUES}
    alone = amounts_in(od, photons, references, noise, areas, **options)
    i0 = np.full(13, 0.01)
    shared = amounts_in(od, photons, references, noise, areas, common_std=i0, **options)
    errors = amounts_in(
        od, photons, references, noise, areas, reference_std=0.02 * references, **options
    )
    assert shared.value_std[0] > 2 * alone.value_std[0]
    assert errors.value_std[0] > 2 * alone.value_std[0]


def test_pixels_that_lack_energies_have_amounts_that_are_less_sure(recipe):
    od, photons, references, noise, composition, _ = spectra(recipe, "solid solution")
    photons[[2, 5, 8, 11], :700] = 0
    found = pixels_of(od, photons, references, noise, VALUES)
    assert found.value_std[:700].mean() > 1.1 * found.value_std[700:].mean()
    off = np.abs(found.value - VALUES @ composition) / found.value_std
    assert np.mean(off[:700] < 1.96) > 0.9


def test_neighbors_that_are_wrong_together_make_shares_less_sure():
    share, std = expected_shares(np.array([[0.9] * 400, [0.1] * 400]))
    np.testing.assert_allclose(share, [0.9, 0.1])
    independent = np.sqrt(400 * 0.09) / 400
    assert std[0] > 4 * independent
    weighted, _ = expected_shares(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([3.0, 1.0]))
    np.testing.assert_allclose(weighted, [0.75, 0.25])


def test_a_map_has_the_amounts_of_the_particle(maps):
    particle = particle_counts()[2]
    inside = np.isfinite(maps.thickness)
    volume = particle.fractions[:, inside] * particle.thickness_nm[inside]
    truth = VALUES @ volume.sum(axis=1) / volume.sum()
    amounts = maps.amounts
    assert amounts.area_value[0] == pytest.approx(truth, abs=0.03)
    assert amounts.area_thickness[0] == pytest.approx(
        particle.thickness_nm[inside].mean(), rel=0.03
    )
    assert amounts.unit == "nm"
    assert amounts.area_pixels[0] == inside.sum()
    assert amounts.area_pixels[1:].sum() <= inside.sum()
    assert (amounts.particle_number[inside] != 0).all()
    off = np.abs(maps.composition[:, inside] - particle.fractions[:, inside])
    assert np.mean(off < 1.96 * maps.composition_std[:, inside] + 0.02) > 0.8
    assert not amounts.composition.flags.writeable
    assert maps.amounts is amounts


def test_amounts_go_through_files_and_stored_results(maps, tmp_path):
    dataset = maps.to_xarray()
    for name, product in AMOUNT_PRODUCTS.items():
        assert dataset[name].dims == product.dims
    assert dataset["thickness"].attrs["units"] == "nm"
    assert QUANTITY in dataset["value"].attrs["long_name"]
    back = read_nexus(write_nexus(maps, tmp_path / "maps.nxs"))
    stored = maps_of(back)
    for name in AMOUNT_PRODUCTS:
        np.testing.assert_array_equal(getattr(stored.amounts, name), getattr(maps.amounts, name))
    assert stored.amounts.quantity == QUANTITY
    files = write_csv(maps, tmp_path, pixels=True)
    with next(path for path in files if path.name == "amounts.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert [row["area"] for row in rows][:3] == [
        "labels, by pixels",
        "labels, by volume",
        "specimen",
    ]
    assert float(rows[2][QUANTITY]) == pytest.approx(maps.amounts.area_value[0], rel=1e-5)
    assert float(rows[0]["share Na2VPF, std"]) > 0
    assert "composition Na2VPF" in files[-1].read_text()


def test_an_area_of_ones_own_has_its_amounts(maps):
    particle = particle_counts()[2]
    left = np.zeros(maps.specimen.shape, dtype=bool)
    left[:, :36] = True
    inside = left & np.isfinite(maps.thickness)
    volume = (particle.fractions * particle.thickness_nm)[:, inside].sum(axis=1)
    found = maps.amounts.within(left)
    assert found.n_pixels == inside.sum()
    assert found.value == pytest.approx(VALUES @ volume / volume.sum(), abs=4 * found.value_std)
    everywhere = maps.amounts.within(np.ones_like(left))
    assert everywhere.value == pytest.approx(maps.amounts.area_value[0], rel=1e-6)
    with pytest.raises(ValueError, match=r"the mask has shape \(3, 3\), the maps have"):
        maps.amounts.within(np.ones((3, 3), dtype=bool))
    with pytest.raises(ValueError, match="holds no pixel with a label"):
        maps.amounts.within(np.zeros_like(left))
    with pytest.raises(ValueError, match="amounts from a file"):
        maps_of(maps.to_xarray()).amounts.within(left)


def test_a_result_of_before_has_no_amounts():
    older = made_up.maps(shape=(12, 15))
    assert older.amounts is None
    assert older.composition is None
    assert Amounts.stored(older.to_xarray()) is None


def test_a_phase_without_a_value_is_named(recipe):
    fewer = {name: x for name, x in SODIUM.items() if name != "Na2VPF"}
    with pytest.raises(
        ValueError, match=r"value lacks Na2VPF; it needs one number for each of Na3"
    ):
        map_phases(particle_stack(), recipe.with_changes({"phases.value": fewer}))
    other = recipe.with_changes({"phases.value": {**SODIUM, "LiFePO4": 1.0}})
    with pytest.raises(ValueError, match="value names LiFePO4"):
        other.read_files()


def test_recipes_without_values_keep_their_fingerprint(recipe):
    plain = recipe.with_changes({"phases": {}})
    assert plain.fingerprint != recipe.fingerprint
    assert "phases" in plain.model_dump()


def test_a_pixel_brighter_than_i0_has_no_negative_thickness(recipe):
    _, photons, references, noise, *_ = spectra(recipe, "domains")
    bright = -0.3 * references[0][:, None] * np.ones(1500)
    found = pixels_of(bright, photons, references, noise, VALUES)
    assert found.thickness.min() >= 0
    assert found.thickness.max() < 0.1
    assert all(np.isfinite(values).all() for values in found)
    area = np.ones((1, 1500), dtype=bool)
    whole = amounts_in(bright, photons, references, noise, area, values=VALUES)
    assert whole.thickness[0] >= 0
    assert np.isfinite([*whole.value, *whole.value_std, *whole.share_std[0]]).all()


def test_an_area_brighter_than_i0_has_a_thickness_and_a_value_of_which_little_is_known(recipe):
    _, photons, references, noise, *_ = spectra(recipe, "domains")
    bright = -0.3 * references[0][:, None] * np.ones(1500)
    area = np.ones((1, 1500), dtype=bool)
    whole = amounts_in(bright, photons, references, noise, area, values=VALUES)
    assert whole.thickness_std[0] > 0.2
    assert whole.share.sum() == pytest.approx(1)
    assert VALUES.min() < whole.value[0] < VALUES.max()
    assert whole.value_std[0] > 0.3


def test_a_mask_of_three_pixels_has_amounts_with_wide_intervals(recipe, tmp_path):
    mask = np.zeros(particle_counts()[0].shape[1:], dtype=bool)
    mask[30, 34:37] = True
    np.save(tmp_path / "mask.npy", mask)
    few = map_phases(
        particle_stack(), recipe.with_changes({"specimen.mask": tmp_path / "mask.npy"})
    )
    assert few.amounts.area_pixels.tolist() == [3]
    assert any(note.startswith("only 3 pixels are specimen") for note in few.warnings)
    assert np.isfinite(few.amounts.area_value_std).all()
    assert few.amounts.area_value_std[0] > 0.02
    assert np.isfinite(few.composition[:, mask]).all()


def test_maps_that_are_shown_until_refined_ones_are_there_have_amounts_only_on_request(recipe):
    quick = map_phases(particle_stack(), recipe, quick=True)
    assert "composition" not in quick.to_xarray()
    assert quick.amounts is not None


def test_a_field_without_specimen_has_no_amounts(recipe):
    rng = np.random.default_rng(0)
    nothing = rng.poisson(3000, particle_counts()[0].shape).astype(np.float32)
    empty = map_phases(Stack.from_arrays(nothing, particle_counts()[1]), recipe)
    assert not (empty.specimen & empty.valid).any()
    assert empty.amounts is None
    assert "composition" not in empty.to_xarray()


def test_lines_that_single_images_lack_do_not_change_an_area(recipe, maps):
    """They are in the middle of the particle, which is of another composition than its rim."""
    counts, energies_ev, _ = particle_counts()
    gaps = counts.copy()
    gaps[np.arange(13), 8 + 3 * np.arange(13)] = np.nan
    hurt = map_phases(Stack.from_arrays(gaps, energies_ev), recipe).amounts
    assert hurt.area_value[0] == pytest.approx(maps.amounts.area_value[0], abs=0.02)
    assert hurt.area_value_std[0] < 3 * maps.amounts.area_value_std[0]


def test_few_energies_do_not_know_a_background_that_all_pixels_share(recipe):
    stack = particle_stack()
    few = Stack(stack.key, stack.scan, stack.frames[:4], finished=False)
    found = map_phases(few, recipe).amounts
    assert found.area_thickness_std[0] > 5
    assert np.isfinite(found.area_value_std).all()
