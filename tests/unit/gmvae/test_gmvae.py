import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra
from stxm_live.gmvae import (
    TrainingError,
    TrainingSet,
    recipe_energies_ev,
    simulated_spectra,
)
from stxm_live.gmvae.clusters import accuracies, cluster_statistics
from stxm_live.gmvae.components import (
    component_scores,
    refuse_collapse,
)
from stxm_live.gmvae.data import split_groups, split_rows

ALS = Path(__file__).parents[4] / "shared" / "data" / "als_fe_l23_71214078.h5"


@pytest.fixture(scope="module")
def recipe():
    return Recipe.load("nvpf")


def two_phases():
    energies = np.array([700.0, 705.0, 710.0, 715.0])
    return ReferenceSpectra(("a", "b"), energies, np.array([[1.0, 2, 3, 2], [1.0, 3, 2, 2]]))


def simulate(recipe, n, seed=0):
    rng = np.random.default_rng(seed)
    return simulated_spectra(recipe.reference_spectra, recipe.energies_ev, n, rng)


class TestSimulatedSpectra:
    def test_phases_come_in_equal_shares_and_photons_in_equal_decades(self, recipe):
        _, labels, photons = simulate(recipe, 10_000)
        assert np.bincount(labels).tolist() == [2000] * 5
        assert photons.min() >= 100
        assert photons.max() <= 30_000
        assert np.median(photons) == pytest.approx(np.sqrt(100 * 30_000), rel=0.1)

    def test_every_value_is_finite_and_float32(self, recipe):
        od, _, _ = simulate(recipe, 10_000)
        assert od.dtype == np.float32
        assert np.isfinite(od).all()

    def test_the_largest_od_is_uniform_from_0_1_to_3_whatever_the_unit(self):
        references = two_phases()
        scaled = ReferenceSpectra(
            references.phase_names, references.energies_ev, 1000 * references.od
        )
        od, _, photons = simulated_spectra(
            scaled, scaled.energies_ev, 40_000, np.random.default_rng(1)
        )
        largest = od[photons > 10_000].max(axis=1)
        quartiles = np.quantile(largest, [0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(quartiles, [0.1, 0.825, 1.55, 2.275, 3.0], atol=0.1)

    def test_the_noise_is_that_of_counting_both_intensities(self):
        flat = ReferenceSpectra(
            ("a", "b"), np.array([1.0, 2, 3]), np.array([[1.0, 1, 1.0001], [1, 1.0001, 1]])
        )
        od, _, photons = simulated_spectra(flat, flat.energies_ev, 60_000, np.random.default_rng(2))
        bright = photons > 3000
        od, photons = od[bright], photons[bright]
        # flat references: the energies differ by noise only
        expected = (1 + np.exp(od.mean(axis=1))) / photons
        assert np.mean(od.var(axis=1, ddof=1) / expected) == pytest.approx(1, abs=0.03)

    def test_one_in_five_is_a_mixture_of_which_the_label_is_the_larger_part(self):
        references = two_phases()
        od, labels, photons = simulated_spectra(
            references, references.energies_ev, 200_000, np.random.default_rng(3)
        )
        clear = (photons > 20_000) & (od.max(axis=1) > 1.0)
        share = np.array(
            [np.linalg.lstsq(references.od.T, s, rcond=None)[0] for s in od[clear].astype(float)]
        )
        share /= share.sum(axis=1, keepdims=True)
        own = share[np.arange(len(share)), labels[clear]]
        assert np.mean(own < 0.9) == pytest.approx(0.2 * 0.8, abs=0.02)
        assert np.mean(own > 0.45) > 0.99

    def test_the_same_seed_gives_the_same_spectra(self, recipe):
        for a, b in zip(simulate(recipe, 500), simulate(recipe, 500), strict=True):
            assert np.array_equal(a, b)


class TestTrainingSet:
    def test_spectra_that_are_not_finite_are_counted(self, recipe):
        od, _, _ = simulate(recipe, 500)
        od[3, 4] = od[7, 1] = np.nan
        with pytest.raises(ValueError, match="2 of 500 spectra contain a value that is not finite"):
            TrainingSet.of_recipe(recipe, od)

    def test_another_number_of_energies_is_refused(self, recipe):
        with pytest.raises(ValueError, match=r"expected \(n_spectra, 13\) for 13 energies"):
            TrainingSet.of_recipe(recipe, np.zeros((500, 12)))

    def test_energies_must_ascend(self, recipe):
        energies = recipe.energies_ev[::-1]
        with pytest.raises(ValueError, match="must ascend"):
            TrainingSet(np.zeros((500, 13)), recipe.reference_spectra, energies)

    def test_labels_must_be_as_many_as_spectra(self, recipe):
        with pytest.raises(ValueError, match="500 spectra came with 3 labels"):
            TrainingSet.of_recipe(recipe, np.zeros((500, 13)), labels=np.zeros(3, int))

    def test_excluded_energies_are_not_trained_on(self, recipe):
        changed = recipe.with_changes({"exclude_energies_ev": [505.0]})
        assert recipe_energies_ev(changed) == recipe.energies_ev[1:]

    def test_a_recipe_without_energies_is_refused(self, recipe):
        with pytest.raises(ValueError, match=r"'nvpf' has no energies_ev.*add the energies"):
            recipe_energies_ev(recipe.with_changes({"energies_ev": None}))

    def test_95_2_5_2_5_percent_share_no_spectrum(self):
        split = split_rows(60_000, seed=1)
        assert [len(rows) for rows in split] == [57_000, 1500, 1500]
        assert np.array_equal(np.sort(np.concatenate(split)), np.arange(60_000))

    def test_particles_are_held_back_as_a_whole(self):
        rng = np.random.default_rng(0)
        groups = rng.permutation(np.repeat(np.arange(10), rng.integers(300, 3000, 10)))
        for seed in range(5):
            split = split_groups(groups, seed)
            assert np.array_equal(np.sort(np.concatenate(split)), np.arange(len(groups)))
            kinds = [set(groups[rows].tolist()) for rows in split]
            assert not kinds[0] & kinds[1] | kinds[0] & kinds[2] | kinds[1] & kinds[2]
            assert min(len(rows) for rows in split) >= 0.025 * len(groups)
            assert len(split.train) > 0.5 * len(groups)

    def test_of_three_particles_one_is_trained_on(self):
        groups = np.repeat([7, 8, 9], [5, 20, 1000])
        for seed in range(6):
            assert [len(set(groups[rows])) for rows in split_groups(groups, seed)] == [1, 1, 1]

    def test_two_particles_cannot_be_held_back(self):
        with pytest.raises(ValueError, match="at least three, got 2; give more runs, or split by"):
            split_groups(np.repeat([0, 1], 500), seed=0)

    def test_groups_must_be_as_many_as_spectra(self, recipe):
        with pytest.raises(ValueError, match="500 spectra came with 3 groups"):
            TrainingSet.of_recipe(recipe, np.zeros((500, 13)), groups=np.zeros(3, int))

    def test_too_few_spectra_are_refused(self):
        with pytest.raises(ValueError, match=r"399 spectra are too few.*at least 400"):
            split_rows(399, seed=1)


class TestClusters:
    def planted(self, recipe):
        """Noise-free thick spectra of known phases, and latent points around known centres."""
        rng = np.random.default_rng(5)
        labels = np.repeat(np.arange(5), 400)
        od = recipe.reference_spectra.at(recipe.energies_ev)[labels]
        centres = 10 * rng.normal(size=(5, 3))
        root = np.array([[1.0, 0, 0], [0.5, 2, 0], [0, 0.3, 0.7]])
        latent = centres[labels] + rng.normal(size=(2000, 3)) @ root.T
        return TrainingSet.of_recipe(recipe, od, labels=labels), latent, centres, root @ root.T

    def test_planted_means_and_covariances_come_back(self, recipe):
        data, latent, centres, covariance = self.planted(recipe)
        clusters = cluster_statistics(latent, data)
        assert clusters.counts.tolist() == [400] * 5
        np.testing.assert_allclose(clusters.mean, centres, atol=0.4)
        np.testing.assert_allclose(clusters.covariance.mean(axis=0), covariance, atol=0.4)

    def test_ambiguous_spectra_belong_to_no_cluster(self, recipe):
        data, latent, _, _ = self.planted(recipe)
        pure = data.references.at(data.energies_ev)
        data.spectra[::2] = pure[0] + pure[1]
        clusters = cluster_statistics(latent, data)
        assert clusters.counts.sum() == 1000

    def test_a_phase_nobody_is_has_no_cluster(self, recipe):
        data, latent, _, _ = self.planted(recipe)
        keep = data.labels != 3
        clusters = cluster_statistics(latent[keep], data.take(np.flatnonzero(keep)))
        assert clusters.counts.tolist() == [400, 400, 400, 0, 400]
        assert np.isnan(clusters.mean[3]).all()
        assert not clusters.usable[3]

    def test_scores_are_shares_of_true_phases(self, recipe):
        data, latent, _, _ = self.planted(recipe)
        scores = accuracies(latent, data, cluster_statistics(latent, data))
        assert scores["pearson_accuracy"] == 1.0
        assert scores["ambiguous_share"] == 0.0
        unlabelled = TrainingSet.of_recipe(recipe, data.spectra)
        assert accuracies(latent, unlabelled, cluster_statistics(latent, unlabelled)) == {}


class TestComponents:
    def test_a_mixture_that_merged_is_an_error_with_advice(self):
        merged = np.tile([0.98, 0.011, 0.004, 0.004, 0.001], (100, 1))
        with pytest.raises(
            TrainingError, match=r"collapsed: 2 of 5 components.*another seed than 4.*than 1e-05"
        ):
            refuse_collapse(merged, beta=1e-5, seed=4)
        merged[:, 2] = 0.02
        refuse_collapse(merged, beta=1e-5, seed=4)

    def test_components_that_follow_thickness_know_nothing_of_phases(self):
        rng = np.random.default_rng(0)
        spectra = rng.uniform(0.1, 3.0, (5000, 1)) * np.ones((1, 13))
        phase = rng.integers(0, 5, 5000)
        component = np.digitize(spectra[:, 0], np.quantile(spectra[:, 0], [0.2, 0.4, 0.6, 0.8]))
        scores = component_scores(np.eye(5)[component], spectra, phase)
        assert scores["components_used"] == pytest.approx(5, abs=0.01)
        assert scores["component_thickness_information"] == pytest.approx(1, abs=0.01)
        assert scores["component_phase_information"] == pytest.approx(0, abs=0.01)

    def test_one_phase_alone_has_no_information_to_share(self):
        spectra = np.random.default_rng(0).uniform(0.1, 3.0, (500, 13))
        scores = component_scores(np.ones((500, 1)), spectra, np.zeros(500, int))
        assert set(scores) == {"components_used", "component_thickness_information"}


def test_importing_the_package_loads_no_tensorflow():
    code = (
        "import sys, stxm_live.gmvae\n"
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
