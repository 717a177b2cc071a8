import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra
from stxm_live.gmvae import (
    TrainingError,
    TrainingOptions,
    TrainingSet,
    recipe_energies_ev,
    simulated_spectra,
    train,
    train_bundle,
)
from stxm_live.gmvae.clusters import accuracies, cluster_statistics
from stxm_live.gmvae.components import (
    component_scores,
    effective_components,
    refuse_collapse,
)
from stxm_live.gmvae.data import split_groups, split_rows
from stxm_live.phase_mapping.latent_space.bundle import Bundle

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


class TestNetwork:
    """The Keras model against the paper and against closed forms."""

    @pytest.fixture
    def model(self):
        from stxm_live.gmvae.network import GMVAE

        return GMVAE(n_energies=13, n_components=4, beta=1e-5, seed=0)

    def test_the_layers_are_those_of_the_paper(self, model):
        def described(network):
            return [
                getattr(layer, "units", getattr(layer, "rate", type(layer).__name__))
                for layer in network.layers
            ]

        assert described(model.encoder) == [
            "InputLayer", 512, 256, 128, 64, "BatchNormalization", 0.1, 3, 3
        ]  # fmt: skip
        assert described(model.decoder) == ["InputLayer", 64, 128, 256, 512, 13]
        assert model.decoder.layers[-1].activation.__name__ == "linear"

    def test_the_mixture_density_is_that_of_scipy(self, model):
        from scipy.stats import multivariate_normal

        z = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
        mixture = model.mixture_arrays()
        expected = np.stack(
            [
                np.log(pi) + multivariate_normal(mu, np.diag(sigma**2)).logpdf(z)
                for pi, mu, sigma in zip(*mixture.values(), strict=True)
            ],
            axis=1,
        )
        np.testing.assert_allclose(model.component_log_density(z), expected, rtol=1e-4)
        responsibilities = np.exp(expected - expected.max(axis=1, keepdims=True))
        responsibilities /= responsibilities.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(model.responsibilities(z), responsibilities, atol=1e-5)

    def test_the_divergence_of_one_component_has_the_closed_form_on_average(self):
        from stxm_live.gmvae.network import GMVAE

        model = GMVAE(n_energies=13, n_components=1, beta=1.0, seed=0)
        od = np.repeat(np.linspace(0, 1, 13, dtype=np.float32)[None], 200_000, axis=0)
        mean, logvar = (np.asarray(part)[0].astype(float) for part in model.encoder(od[:1]))
        mu, sigma = (model.mixture_arrays()[name][0] for name in ("mu", "sigma"))
        closed = 0.5 * np.sum(
            np.log(sigma**2) - logvar + (np.exp(logvar) + (mean - mu) ** 2) / sigma**2 - 1
        )
        model(od)
        assert float(model.divergence.result()) == pytest.approx(closed, abs=0.02)

    def test_all_parts_of_the_prior_are_learned(self, model):
        assert {"pi", "mu", "rho"} <= {v.name for v in model.trainable_variables}

    def test_components_used_counts_those_in_use(self, model):
        mu = model.mixture_arrays()["mu"].astype(np.float32)
        model.rho.assign(np.full((4, 3), -3.0))
        for n in (4, 1):
            responsibilities = np.asarray(model.responsibilities(mu[:n]))
            assert effective_components(responsibilities) == pytest.approx(n, abs=0.01)


@pytest.mark.slow
class TestTraining:
    def test_it_ends_at_a_plateau_and_keeps_the_best_epoch(self, recipe, tmp_path):
        od, _, _ = simulate(recipe, 600)
        reports = []
        options = TrainingOptions(patience=2, max_minutes=1)
        bundle = train_bundle(
            recipe, od, out=tmp_path / "b", options=options, progress=reports.append
        )
        losses = np.array([report.validation_loss for report in reports])
        assert len(losses) - 1 - losses.argmin() <= 2
        assert bundle.info.history["epoch"] == tuple(range(1, len(losses) + 1))
        assert bundle.info.data.source == "measured"
        # its references are calculated ones
        assert bundle.info.data.synthetic

    @pytest.mark.parametrize("seed", range(2))
    def test_no_seed_gives_nan_or_a_collapse(self, recipe, tmp_path, seed):
        od, labels, _ = simulate(recipe, 4000, seed=seed)
        options = TrainingOptions(epochs=4, seed=seed)
        bundle = train_bundle(
            recipe, od, out=tmp_path / "b", options=options, labels=labels, simulated=True
        )
        for values in bundle.info.history.values():
            assert np.isfinite(values).all()
        assert np.isfinite(bundle.encoder().encode(od)).all()
        assert np.isfinite(bundle.clusters.covariance).all()
        assert bundle.info.scores["components_used"] > 1
        scores = bundle.info.scores
        assert 0 <= scores["component_phase_information"] <= 1
        assert bundle.info.options["split_by"] == "pixel"

    def test_a_collapsed_mixture_leaves_no_bundle(self, recipe, tmp_path, monkeypatch):
        monkeypatch.setattr("stxm_live.gmvae.components.IN_USE", 0.9)
        od, _, _ = simulate(recipe, 400)
        with pytest.raises(TrainingError, match="the mixture has collapsed: 0 of 5 components"):
            train_bundle(recipe, od, out=tmp_path / "b", options=TrainingOptions(epochs=1))
        assert not list(tmp_path.iterdir())

    def test_it_ends_by_the_clock_and_is_scored_on_particles_never_seen(self, recipe, tmp_path):
        od, labels, _ = simulate(recipe, 1200)
        bundle = train_bundle(
            recipe,
            od,
            out=tmp_path / "b",
            options=TrainingOptions(max_minutes=1e-6),
            labels=labels,
            groups=np.repeat(np.arange(4), 300),
        )
        assert len(Bundle.load(tmp_path / "b").info.history["epoch"]) == 1
        data = bundle.info.data
        assert (data.n_train, data.n_validation, data.n_test) == (600, 300, 300)
        assert bundle.info.options["split_by"] == "particle"

    def test_a_diverging_loss_is_an_error_with_advice(self, recipe, tmp_path):
        od, _, _ = simulate(recipe, 400)
        od[5] = 1e30
        with pytest.raises(TrainingError, match=r"the loss is .* try a learning rate below 0.001"):
            train_bundle(recipe, od, out=tmp_path / "b")
        assert not list(tmp_path.iterdir())

    def test_it_learns_other_materials_from_arrays(self, tmp_path):
        references = two_phases()
        od, labels, _ = simulated_spectra(
            references, references.energies_ev, 2000, np.random.default_rng(0)
        )
        data = TrainingSet(od, references, tuple(references.energies_ev), labels)
        options = TrainingOptions(epochs=3, n_components=2)
        bundle = train(data, out=tmp_path / "b", options=options)
        bundle.check_fits(references.energies_ev, ("a", "b"), 0.05)
        assert bundle.encoder().encode(od).shape == (2000, 3)
        assert bundle.info.data.source == "measured"
        assert not bundle.info.data.synthetic
        assert bundle.info.scores["pearson_accuracy"] > 0.8


def test_a_folder_that_is_taken_is_refused_before_the_training(recipe, small_bundle):
    with pytest.raises(FileExistsError, match="holds a bundle already"):
        train_bundle(recipe, simulate(recipe, 400)[0], out=small_bundle)


def test_the_exported_networks_agree_with_keras_to_1e_5(small_bundle):
    for parity in Bundle.load(small_bundle).info.parity.values():
        assert parity.encoder_relative <= 1e-5
        assert parity.decoder_relative <= 1e-5
    # in the range of real spectra not only relative to the largest output
    assert Bundle.load(small_bundle).info.parity["held-out"].encoder_absolute <= 1e-5


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif(not ALS.exists(), reason="../shared/data is not there")
def test_networks_trained_on_a_measured_stack_agree_with_keras_on_all_of_it(tmp_path):
    od, energies, references = measured_stack()
    bundle = train(
        TrainingSet(od, references, energies, note="ALS 71214078"),
        out=tmp_path / "b",
        options=TrainingOptions(epochs=1),
        parity_spectra={"whole stack": od},
    )
    parity = bundle.info.parity["whole stack"]
    assert parity.n_spectra == len(od) > 10_000
    assert max(parity.encoder_relative, parity.decoder_relative) <= 1e-5
    assert bundle.clusters.usable.all()
    assert bundle.info.data.source == "measured"
    assert not bundle.info.data.synthetic


def measured_stack():
    """Raw OD spectra of the ALS stack, its energies in eV and its two end members."""
    import h5py

    with h5py.File(ALS) as file:
        energies, counts = file["energy"][:], file["counts"][:]
        i0 = np.interp(energies, *file["i0"][:].T)
        ends = {name: file[f"ref/{name}.t"][:].T for name in ("oxidized", "reduced")}
    with np.errstate(divide="ignore", invalid="ignore"):
        od = np.log(i0[:, None] / counts.reshape(len(energies), -1)).T
    references = ReferenceSpectra.from_spectra(ends)
    covered = (energies >= references.energies_ev[0]) & (energies <= references.energies_ev[-1])
    od = od[np.isfinite(od).all(axis=1)][:, covered]
    return od.astype(np.float32), tuple(energies[covered].tolist()), references


def test_importing_the_package_loads_no_tensorflow():
    code = (
        "import sys, stxm_live.gmvae\n"
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
