import numpy as np
import pytest

from stxm_live import ReferenceSpectra, Stack, map_phases
from stxm_live.core.mixed_reference import MixedReference
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.layers import layered_phases, shared_with_layers
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.weighted_products import Baseline

NAMES = ("a", "b", "c")
ENERGIES = np.linspace(500.0, 520.0, 13)
A, C = (0.1 + np.exp(-0.5 * ((ENERGIES - centre) / 2) ** 2) for centre in (507.0, 513.0))
REFERENCES = np.array([A, 0.5 * A + 0.5 * C, C])
B_IS_A_AND_C = MixedReference("b", {"a": 0.5, "c": 0.5}, 0.0)
SIDE = 30


def layered(
    of_a, rng, *, labels=1, mixed=(B_IS_A_AND_C,), photons=1000.0, more_od=0.0, thickness=1.0
):
    """Of columns (30, 30) with this share of a, the rest c, all labelled alike."""
    column = of_a[..., None] * A + (1 - of_a[..., None]) * C
    od = (np.asarray(thickness)[..., None] * column + more_od).reshape(-1, len(ENERGIES)).T
    counts = rng.poisson(photons * np.exp(-od))
    noise = SpectrumNoise(1.0, True, Baseline.slope(ENERGIES))
    return layered_phases(
        CountedSpectra(np.log(photons / counts), counts.astype(float), REFERENCES, noise),
        np.broadcast_to(labels, of_a.size).astype(np.int8),
        mapped=np.ones(of_a.shape, dtype=bool),
        mixed=mixed,
        phase_names=NAMES,
    )


def ramp(low, high):
    return np.broadcast_to(np.linspace(low, high, SIDE), (SIDE, SIDE))


def test_composition_that_changes_gradually_is_that_of_layers(rng):
    (found,) = layered(ramp(0.35, 0.65), rng)
    assert found.phase == 1
    assert found.share == 1.0
    assert found.significance > 10
    assert found.remaining == 0.5
    np.testing.assert_allclose(found.others, [0.5, 0.0, 0.5])


def test_a_change_that_few_photons_hardly_show_is_noticed_and_moves_no_probability(rng):
    (found,) = layered(ramp(0.3, 0.7), rng, photons=150.0, thickness=0.1)
    assert 3 < found.significance < 6
    assert not found.is_significant
    assert found.remaining == 1.0


def test_a_phase_whose_composition_changes_while_both_parts_grow_is_a_solid_solution(rng):
    assert layered(ramp(0.4, 0.6), rng, thickness=ramp(0.5, 1.5).T) == ()


def test_a_core_that_grows_in_a_shell_that_does_not_is_layers(rng):
    thickness = ramp(0.8, 1.2)
    assert layered(1 - 0.5 / thickness, rng, thickness=thickness) != ()


@pytest.mark.parametrize("photons", [300.0, 10_000.0])
def test_a_phase_with_one_composition_is_a_phase_however_many_photons_there_are(photons, rng):
    assert layered(ramp(0.5, 0.5), rng, photons=photons) == ()


def test_a_reference_that_is_wrong_by_the_same_everywhere_makes_no_layers(rng):
    assert layered(ramp(0.45, 0.45), rng, photons=10_000.0) == ()


def test_a_change_too_small_to_matter_is_none_at_any_dose(rng):
    assert layered(ramp(0.49, 0.51), rng, photons=1e6) == ()


def test_a_background_that_changes_gradually_is_not_taken_for_layers(rng):
    background = np.linspace(0.0, 0.4, SIDE)[:, None, None]
    assert layered(ramp(0.5, 0.5), rng, more_od=background) == ()


@pytest.mark.parametrize("mixed", [(), (MixedReference("b", {"c": 1.0}, 0.9),)])
def test_a_phase_that_no_mixture_looks_like_is_never_layers(mixed, rng):
    assert layered(ramp(0.2, 0.8), rng, mixed=mixed) == ()


def test_without_a_pixel_of_the_phase_nothing_is_found(rng):
    assert layered(ramp(0.35, 0.65), rng, labels=-1) == ()


def test_small_areas_between_layers_are_judged_with_them(rng):
    mixed = (B_IS_A_AND_C, MixedReference("c", {"a": 0.2, "c": 0.8}, 0.5))
    labels = np.where(np.arange(SIDE * SIDE) % SIDE < 27, 1, 2)
    found = layered(ramp(0.65, 0.35), rng, labels=labels, mixed=mixed)
    assert [one.phase for one in found] == [1, 2]


def test_a_large_area_that_does_not_change_is_no_layer_beside_one_that_does(rng):
    mixed = (B_IS_A_AND_C, MixedReference("c", {"a": 0.2, "c": 0.8}, 0.5))
    of_a = np.hstack([ramp(0.35, 0.65), ramp(0.2, 0.2)])
    labels = np.where(np.arange(of_a.size) % (2 * SIDE) < SIDE, 1, 2)
    assert [one.phase for one in layered(of_a, rng, labels=labels, mixed=mixed)] == [1]


@pytest.mark.parametrize("width", [8, 4])
def test_boundaries_of_domains_are_no_layers(width, rng):
    """Domains of a, b and c, with two pixels between them that are half of each."""
    domains = np.repeat([1.0, 0.5, 0.0, 0.5] * 8, width)[: 4 * SIDE]
    of_a = np.broadcast_to(np.convolve(domains, [0.5, 0.5], mode="same"), (SIDE, 4 * SIDE))
    labels = np.broadcast_to((domains == 0.5), of_a.shape).ravel()
    assert layered(of_a, rng, labels=np.where(labels, 1, 0), photons=10_000.0) == ()


def test_layers_take_their_part_of_the_probability_and_labels_keep_the_rest(rng):
    found = layered(ramp(0.35, 0.65), rng)
    probability = np.array([[0.0, 0.1], [0.8, 0.2], [0.2, 0.7]], dtype=np.float32)
    shared = shared_with_layers(probability, np.array([1, 2], dtype=np.int8), found)
    np.testing.assert_allclose(shared[:, 0], [0.2, 0.4, 0.4], atol=1e-6)
    np.testing.assert_array_equal(shared[:, 1], probability[:, 1])


@pytest.mark.parametrize("core", ["Na3VPF", "Na1VPF"])
@pytest.mark.parametrize("photons", [1000.0, 4000.0])
def test_a_core_in_its_shell_is_never_called_good(core, photons, nvpf, rng):
    maps, is_particle = core_and_shell(nvpf, core, photons, rng)
    assert maps.quality.verdict != "good"
    assert "as layers do" in maps.quality.cause
    absent = is_particle & (maps.resolved_index == maps.phase_names.index("Na2VPF"))
    assert absent.mean() > 0.3 * is_particle.mean()
    assert maps.wrong_probability[absent].min() > 0.6


def test_what_is_no_layer_beside_layers_is_as_sure_as_elsewhere(nvpf, rng):
    maps, _ = core_and_shell(nvpf, "Na3VPF", 1000.0, rng)
    shell = maps.resolved_index == maps.phase_names.index("Na1VPF")
    assert maps.wrong_probability[shell & ~maps.unidentified].mean() < 0.2


def core_and_shell(nvpf, core, photons, rng):
    """Return maps of a sphere of Na3VPF and Na1VPF, and where its columns have any thickness."""
    shell = {"Na3VPF": "Na1VPF", "Na1VPF": "Na3VPF"}[core]
    recipe = nvpf.with_changes({"alignment.enabled": False, "energy_fit": False})
    references: ReferenceSpectra = recipe.reference_spectra
    spectra = references.at(recipe.energies_ev)
    y, x = np.indices((60, 60)) - 29.5
    thickness = np.sqrt(np.maximum(1 - (y**2 + x**2) / 23**2, 0))
    within = np.maximum(thickness - 0.44, 0)
    of_core, of_shell = (spectra[references.phase_names.index(name)] for name in (core, shell))
    od = of_core[:, None, None] * within + of_shell[:, None, None] * (thickness - within)
    counts = rng.poisson(photons * np.exp(-1.6 * od / spectra.max()))
    maps = map_phases(Stack.from_arrays(counts, recipe.energies_ev), recipe)
    return maps, thickness > 0.3
