"""Domains, solid solutions and layers, and the map of a composition that changes gradually."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stxm_live import Recipe, ReferenceSpectra, Stack, map_phases
from stxm_live.core.recipe_options import PhaseOptions
from stxm_live.core.series import series_of
from stxm_live.phase_mapping.composition.evidence import evidence
from stxm_live.phase_mapping.composition.meeting import Mixtures
from stxm_live.phase_mapping.composition.models import Gradual
from stxm_live.phase_mapping.composition.neighborhood import Witnesses, box_sum, steepness
from stxm_live.phase_mapping.composition.nodes import nodes_along, of_background
from stxm_live.phase_mapping.composition.smooth_pixels import smooth_pixels
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.fitted_products import fitted_products
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.weighted_products import Baseline, products

ENERGIES = np.linspace(700, 712, 13)
NAMES = ("one", "two", "three")
VALUES = {"one": 1.0, "two": 2.0, "three": 3.0}
SIDE, PHOTONS = 40, 3000.0


def line(center, width=1.2):
    return np.exp(-0.5 * ((ENERGIES - center) / width) ** 2)


REFERENCES = 0.2 + np.array([line(704), line(706.5), line(709)])
"""The one in the middle is no mixture of the others."""


def composition(kind):
    """Shares (3, ny, nx) of a domain, a solid solution, or layers of the first and the last."""
    y, x = np.indices((SIDE, SIDE)) / SIDE
    if kind == "domains":
        return np.eye(3)[(x > 0.35).astype(int) + (x + 0.2 * y > 0.8)].transpose(2, 0, 1)
    if kind == "layers":
        return np.stack([x, np.zeros_like(x), 1 - x])
    number = 2 * (0.2 + 0.6 * x + 0.2 * y)
    return np.stack([np.clip(1 - number, 0, 1), 1 - np.abs(number - 1), np.clip(number - 1, 0, 1)])


def counted(kind, seed=0, photons=PHOTONS):
    """OD and counts (n_energies, ny, nx) of a specimen, and its shares as blurred."""
    rng = np.random.default_rng(seed)
    shares = composition(kind)
    thickness = 1.2 * (1 + 0.1 * gaussian_filter(rng.normal(size=(SIDE, SIDE)), 3))
    od = np.einsum("ke,kyx->eyx", REFERENCES, shares * thickness)
    expected = photons * np.stack([gaussian_filter(np.exp(-image), 0.6) for image in od])
    counts = np.maximum(rng.poisson(expected), 1)
    i0 = photons * np.exp(rng.normal(0, 0.003, (len(ENERGIES), 1, 1)))
    return np.log(i0 / counts), counts.astype(float), shares


def found_in(kind, seed=0, photons=PHOTONS):
    od, counts, _ = counted(kind, seed, photons)
    mask = np.ones((SIDE, SIDE), dtype=bool)
    noise = SpectrumNoise(1.0, True, Baseline.slope(ENERGIES, constant_std=0.01, slope_std=0.005))
    return evidence(
        CountedSpectra(od.reshape(13, -1), counts.reshape(13, -1), REFERENCES, noise),
        mask,
        series_of(references(), PhaseOptions(value=VALUES, quantity="x")),
        shared_std=0.005,
    )


def references():
    return ReferenceSpectra(NAMES, ENERGIES, REFERENCES)


@pytest.mark.parametrize("kind", ["domains", "solid solution", "layers"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_scan_says_whether_it_holds_domains_a_solid_solution_or_layers(kind, seed):
    found = found_in(kind, seed)
    assert found.supported == kind
    assert found.layers == ((2, 0) if kind == "layers" else None)
    words = found.in_words(NAMES, "x")
    if kind == "solid solution":
        assert "x varies continuously between 1.6 and 2.8" in words
    assert words.startswith(f"the scan supports {'a ' if 'solid' in kind else ''}{kind}")


@pytest.mark.parametrize("kind", ["domains", "solid solution", "layers"])
@pytest.mark.parametrize("photons", [3.0, 1e9])
def test_hardly_any_light_and_very_much_of_it_give_numbers(kind, photons):
    found = found_in(kind, photons=photons)
    assert found is None or np.isfinite([found.significance, found.low, found.high]).all()


@pytest.mark.parametrize("n_energies", [4, 5])
@pytest.mark.parametrize("kind", ["domains", "solid solution"])
def test_few_energies_decide_nothing(kind, n_energies):
    """Pixels have backgrounds of their own, like those of their neighbors."""
    (od, _, _), photons = counted(kind, photons=1e9), 16000.0
    rng = np.random.default_rng(3)
    background = 0.05 * gaussian_filter(rng.normal(size=(SIDE, SIDE)), 4) * 14
    counts = np.maximum(rng.poisson(photons * np.exp(-od - background)), 1)[:n_energies]
    noise = SpectrumNoise(1.0, True, Baseline.slope(ENERGIES[:n_energies]))
    counts = counts.reshape(n_energies, -1).astype(float)
    found = evidence(
        CountedSpectra(np.log(photons / counts), counts, REFERENCES[:, :n_energies], noise),
        np.ones((SIDE, SIDE), dtype=bool),
        series_of(references(), PhaseOptions(value=VALUES, quantity="x")),
        shared_std=0.005,
    )
    assert found is None or not found.supported


def test_a_small_specimen_decides_nothing():
    od, counts, _ = counted("solid solution")
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[:10, :30] = True
    series = series_of(references(), PhaseOptions(value=VALUES))
    noise = SpectrumNoise(1.0, True, Baseline.none(13))
    found = evidence(
        CountedSpectra(od[:, mask], counts[:, mask], REFERENCES, noise),
        mask,
        series,
        shared_std=0.005,
    )
    assert found is None


def recipe_of(folder, **changes):
    references().to_csv(folder / "references.csv")
    return Recipe.model_validate(
        {
            "name": "three",
            "references": folder / "references.csv",
            "alignment": {"enabled": False},
            "energy_fit": False,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return recipe_of(
        tmp_path_factory.mktemp("three"), phases={"value": VALUES, "quantity": "x of it"}
    )


@pytest.fixture(scope="module")
def stack():
    _, counts, _ = counted("solid solution", photons=300.0)
    field = np.random.default_rng(9).poisson(300, (13, SIDE, SIDE + 10)).astype(np.float32)
    field[:, :, :SIDE] = counts
    return Stack.from_arrays(field, ENERGIES)


@pytest.fixture(scope="module")
def by_phases(stack, recipe):
    return map_phases(stack, recipe)


def test_the_map_of_a_composition_is_nearer_to_the_truth_than_that_of_phases(
    stack, recipe, by_phases
):
    maps = map_phases(stack, recipe.with_changes({"resolver.model": "composition"}))
    for each in (maps, by_phases):
        assert any("a solid solution" in note and "x of it" in note for note in each.warnings)
    true = np.tensordot([1.0, 2.0, 3.0], composition("solid solution"), 1)
    inside = (slice(None), slice(2, SIDE - 2))
    off, before = ((each.amounts.value[:, :SIDE] - true)[inside] for each in (maps, by_phases))
    assert np.nanstd(off) < 0.7 * np.nanstd(before)
    sigmas = np.abs(off) / maps.amounts.value_std[:, :SIDE][inside]
    assert 0.9 < np.nanmean(sigmas < 1.96) < 0.99
    nearest = np.round(true).astype(int) - 1
    assert np.mean((maps.resolved_index[:, :SIDE] == nearest)[inside]) > 0.9
    assert maps.provenance["method"] == "composition"
    assert maps.to_xarray()["value"].attrs["long_name"].endswith("x of it")
    shares = maps.composition[:, :, :SIDE][(slice(None), *inside)].sum(axis=0)
    np.testing.assert_allclose(shares[np.isfinite(shares)], 1, atol=1e-5)


def test_the_default_is_phases_bit_for_bit_and_has_the_fingerprint_of_before(
    stack, recipe, by_phases
):
    named = recipe.with_changes({"resolver.model": "phases"})
    assert named.fingerprint == recipe.fingerprint
    assert recipe.with_changes({"resolver.model": "composition"}).fingerprint != recipe.fingerprint
    quick = map_phases(stack, named, quick=True)
    assert quick.identical(by_phases)
    assert not any("supports" in note for note in quick.warnings)


def test_references_that_are_no_series_are_refused_by_name(tmp_path):
    mixed_up = REFERENCES[[0, 2, 1]]
    ReferenceSpectra(("a", "b", "c"), ENERGIES, mixed_up).to_csv(tmp_path / "mixed.csv")
    asked_for = {"resolver": {"model": "composition"}, "references": tmp_path / "mixed.csv"}
    recipe = Recipe.model_validate({"name": "mixed", **asked_for})
    with pytest.raises(ValueError, match="a, b, c are none; give each a number of its own"):
        recipe.read_files()
    recipe.with_changes({"phases.value": {"a": 1.0, "b": 3.0, "c": 2.0}}).read_files()


def test_without_values_the_place_in_the_series_is_the_value():
    found = series_of(references(), PhaseOptions())
    assert found.quantity == "the place in the series from one (0) to three (2)"
    np.testing.assert_array_equal(found.values, [0, 1, 2])


def test_equal_values_are_no_series():
    assert series_of(references(), PhaseOptions(value=dict.fromkeys(NAMES, 1.0))) is None


def test_nodes_stand_for_the_widths_between_them():
    nodes = nodes_along(np.array([0, 1, 2]), np.array([0.0, 1.0, 3.0]), per_gap=2)
    np.testing.assert_allclose(nodes.x, [0, 0.5, 1, 2, 3])
    np.testing.assert_allclose(nodes.weight, np.array([0.25, 0.5, 0.75, 1.0, 0.5]) / 3)


def test_the_part_of_the_background_is_that_of_a_generalized_least_squares_fit():
    rng = np.random.default_rng(4)
    expected = rng.uniform(500, 2000, 13)
    baseline = Baseline.slope(ENERGIES, constant_std=0.02, slope_std=0.03)
    found = products(np.ones((13, 1)), expected[:, None], REFERENCES, baseline)
    shared = baseline.shapes.T @ np.diag(1 / baseline.precision) @ baseline.shapes
    inverse = np.linalg.inv(np.diag(1 / expected) + shared)
    parts = []
    for a, b in ((0, 1), (1, 2)):
        both = np.stack([(REFERENCES[a] + REFERENCES[b]) / 2, REFERENCES[b] - REFERENCES[a]])
        estimate = (np.linalg.inv(both @ inverse @ both.T) @ both @ inverse)[1]
        total = estimate @ (np.diag(1 / expected) + shared) @ estimate
        parts.append(estimate @ shared @ estimate / total)
    order = np.array([0, 1, 2])
    np.testing.assert_allclose(of_background(found, order, baseline), np.mean(parts))
    for without_prior in (Baseline.slope(ENERGIES), Baseline.none(13)):
        found = products(np.ones((13, 1)), expected[:, None], REFERENCES, without_prior)
        assert of_background(found, order, without_prior) == 0


def test_neighbors_do_not_make_x_surer_than_the_background_that_they_share():
    rng, side = np.random.default_rng(5), 21
    broad = 0.2 + np.array([line(705.5, 3.0), line(706.5, 3.0), line(707.5, 3.0)])
    background = rng.normal(0, 0.05, 2) @ Baseline.slope(ENERGIES).shapes
    od = np.repeat((broad[1:].mean(axis=0) + background)[:, None], side**2, axis=1)
    counts = np.maximum(rng.poisson(300 * np.exp(-od)), 1).astype(float)
    noise = SpectrumNoise(1.0, True, Baseline.slope(ENERGIES, constant_std=0.05, slope_std=0.05))
    spectra = CountedSpectra(np.log(300 / counts), counts, broad, noise)
    beside, apart = np.ones((side, side), dtype=bool), np.zeros((side, side), dtype=bool)
    apart[::3, ::3] = True
    some = np.flatnonzero(apart)
    std, std_alone = (
        smooth_pixels(
            spectra.at(np.flatnonzero(mask)),
            mask,
            series_of(references(), PhaseOptions(value=VALUES)),
            gradual=Gradual(0.05, 1.0, 0.02),
            scatter=1.0,
        ).amounts.value_std
        for mask in (beside, apart)
    )
    order = np.array([0, 1, 2])
    shared = of_background(fitted_products(spectra), order, noise.baseline)
    assert shared > 0.1
    assert np.all(std[some] ** 2 > 0.9 * shared * std_alone**2)


@pytest.mark.parametrize("seed", [0, 1])
def test_x_where_two_phases_meet_that_are_no_neighbors_is_that_of_their_mixture(seed):
    """The spectrum of such a mixture is none of the series."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIDE, SIDE))
    share = gaussian_filter((np.hypot(y - 20, x - 20) < 12).astype(float), 1.0)
    od = np.einsum("ke,kyx->eyx", REFERENCES[::2], np.stack([share, 1 - share]))
    counts = np.maximum(rng.poisson(PHOTONS * np.exp(-od)), 1).reshape(13, -1)
    found = smooth_pixels(
        CountedSpectra(
            np.log(PHOTONS / counts),
            counts.astype(float),
            REFERENCES,
            SpectrumNoise(1.0, True, Baseline.none(13)),
        ),
        np.ones((SIDE, SIDE), dtype=bool),
        series_of(references(), PhaseOptions(value=VALUES)),
        gradual=Gradual(0.4, 0.3, 0.1),
        scatter=1.0,
    ).amounts
    true = (3 - 2 * share).ravel()
    border = (share.ravel() > 0.1) & (share.ravel() < 0.9)
    off = (found.value - true)[border]
    assert np.sqrt(np.mean(off**2)) < 0.06
    assert np.mean(np.abs(off) < 1.96 * found.value_std[border]) > 0.85  # of 180 pixels


def test_mixtures_of_two_phases_are_along_the_series_or_straight():
    series = series_of(references(), PhaseOptions(value=VALUES))
    path = nodes_along(series.order, series.values, per_gap=2)
    typical = products(np.ones((13, 1)), np.full((13, 1), 900.0), REFERENCES, Baseline.none(13))
    found = Mixtures.of(path, typical, series, scatter=1.0)
    np.testing.assert_allclose(found.of_two.sum(axis=0), 1)
    np.testing.assert_allclose(found.of_two[:5, 0], [1 / 3, 1 / 3, 1 / 3, 0, 0])
    straight = found.of_two[:, 1] > 0
    assert not straight[:5].any()
    assert np.all(found.shares[straight, 1] == 0)
    np.testing.assert_allclose(found.shares @ [1.0, 2.0, 3.0], found.x)


def test_box_sums_are_those_of_a_loop():
    images = np.random.default_rng(0).normal(size=(2, 6, 7)).astype(np.float32)
    expected = np.zeros_like(images)
    for y in range(6):
        for x in range(7):
            box = images[:, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
            expected[:, y, x] = box.sum(axis=(1, 2))
    np.testing.assert_allclose(box_sum(images, 2), expected, atol=1e-5)


def test_a_pixel_is_no_witness_of_itself_nor_are_those_beside_it():
    mask = np.ones((7, 7), dtype=bool)
    likelihood = np.ones((2, 7, 7))
    likelihood[0, 3, 3] = 100
    found = Witnesses.of(likelihood.reshape(2, -1), np.ones(49), mask).log_sum
    says = (found[0] != found[1]).reshape(7, 7)
    near = np.hypot(*(np.indices((7, 7)) - 3))
    assert not says[near < 1.5].any()
    assert says[3, 1]
    assert says[5, 5]


def test_steepness_is_the_change_across_a_pixel():
    y, x = np.indices((9, 9)).astype(float)
    mask = np.ones((9, 9), dtype=bool)
    found = steepness((0.1 * x + 0.2 * y).ravel(), np.ones(81), mask).reshape(9, 9)
    np.testing.assert_allclose(found[4, 4], 3 * np.hypot(0.1, 0.2))
