"""Textures of their own code: phases that change from pixel to pixel, and domains."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stxm_live import Stack, map_phases
from stxm_live.phase_mapping.mixtures import Hypotheses
from stxm_live.phase_mapping.phase_frequencies import Mixing
from stxm_live.phase_mapping.texture import common_pairs, log_odds_of, texture_of

SIDE, USUAL = 64, 0.57


def seen(phase, lead, rng):
    """Likelihoods (n_phases, n_pixels) that favor the true phase by so many deviations."""
    log_likelihood = rng.normal(size=(phase.max() + 1, phase.size))
    log_likelihood[phase.ravel(), np.arange(phase.size)] += lead
    return np.exp(lead * log_likelihood)


@pytest.mark.parametrize("lead", [1.0, 2.0, 5.0])
def test_the_odds_of_a_pair_are_found_however_noisy_each_spectrum_is(lead):
    rng = np.random.default_rng(4)
    first = rng.integers(2, size=6000)
    second = np.where(rng.random(6000) < 0.75, first, 1 - first)
    found = log_odds_of(common_pairs(seen(first, lead, rng), seen(second, lead, rng)))
    assert found == pytest.approx(np.log(0.75 / 0.25), abs=0.35)


def test_spectra_without_information_do_not_say_that_neighbors_differ():
    assert log_odds_of(common_pairs(np.ones((3, 500)), np.ones((3, 500)))) > 2


def texture(phase, mask=None, lead=3.0, asked=None):
    likelihood = seen(phase, lead, np.random.default_rng(5))
    n_phases, n_spectra = likelihood.shape
    pairs = np.full((n_phases, n_phases, n_spectra), -np.inf, dtype=np.float32)
    pairs[np.arange(n_phases), np.arange(n_phases)] = np.log(likelihood)
    pure = Mixing(0.0, np.zeros((n_phases, n_phases)))
    mask = np.ones(phase.shape, dtype=bool) if mask is None else mask

    def hypotheses_of(chosen):
        if asked is not None:
            asked.append(chosen)
        return Hypotheses(pairs).at(chosen)

    return texture_of(hypotheses_of, mask, scan=pure, usual=USUAL)


def grains(pixels):
    some = np.random.default_rng(6).integers(3, size=(SIDE // pixels, SIDE // pixels))
    return np.kron(some, np.ones((pixels, pixels), dtype=int))


def test_neighbors_are_heard_in_domains_less_in_fine_grains_and_hardly_in_noise():
    assert texture(grains(1)).heard < 0.3
    assert 0.4 < texture(grains(2)).heard < 0.95
    assert texture(grains(8)).heard == 1


def test_one_direction_is_enough_where_it_shows_domains():
    asked_of_domains, asked_of_grains = [], []
    texture(grains(8), asked=asked_of_domains)
    texture(grains(2), asked=asked_of_grains)
    assert len(asked_of_domains) == 2  # the pixels, and those on one side
    assert len(asked_of_grains) == 6  # on four sides, and beyond the most alike


@pytest.mark.parametrize("turned", [False, True])
def test_neighbors_are_heard_in_lamellae_of_two_pixels(turned):
    lamellae = np.indices((SIDE, SIDE))[int(turned)] // 2 % 2
    assert texture(lamellae).heard == 1


def test_neighbors_are_heard_where_columns_are_half_and_half_by_chance():
    # the larger part is the first phase in 60 % of one half of the field, in 40 % of the other
    share = np.where(np.indices((SIDE, SIDE))[0] < SIDE // 2, 0.6, 0.4)
    first = np.random.default_rng(7).random((SIDE, SIDE)) < np.where(share > 0.5, 0.75, 0.25)
    assert texture(np.where(first, 0, 1)).heard > 0.8


def test_too_few_neighbors_say_nothing_of_the_texture():
    mask = np.zeros((30, 30), dtype=bool)
    mask[::2, ::2] = True
    assert texture(np.zeros((15, 15), dtype=int) + [0, 1, 0] * 5, mask).heard == 1


def test_frequencies_count_where_neighbors_are_hardly_heard():
    found = texture((np.random.default_rng(8).random((SIDE, SIDE)) < 0.1).astype(int))
    odds = np.subtract(*found.log_prior) / (1 - found.heard) ** 2
    assert odds == pytest.approx(np.log(0.9 / 0.1), abs=0.2)
    assert not texture(grains(8)).log_prior.any()


def test_phases_that_change_from_pixel_to_pixel_are_not_erased_by_their_neighbors(nvpf):
    rng = np.random.default_rng(7)
    energies = np.array(nvpf.energies_ev)
    spectra = nvpf.reference_spectra.at(energies)[[0, 3]]
    phase = rng.integers(2, size=(SIDE, SIDE))
    specimen = gaussian_filter(rng.standard_normal((SIDE, SIDE)), 9)
    specimen = specimen > np.quantile(specimen, 0.4)
    od = 0.6 * specimen * np.moveaxis(spectra[phase] / spectra.max(), -1, 0)
    stack = Stack.from_arrays(rng.poisson(800 * np.exp(-od)).astype(float), list(energies))
    maps = map_phases(stack, nvpf.with_changes({"alignment.enabled": False}), quick=True)
    pixels = specimen & (maps.resolved_index >= 0)
    right = maps.resolved_index == np.where(phase, 3, 0)
    assert right[pixels].mean() > 0.98  # 0.91 with neighbors at their usual strength
