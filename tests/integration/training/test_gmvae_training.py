"""The network in Keras, and the training of small ones."""

import signal
from pathlib import Path

import numpy as np
import pytest

from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra
from stxm_live.gmvae import (
    TrainingError,
    TrainingOptions,
    TrainingSet,
    simulated_spectra,
    train,
    train_bundle,
)
from stxm_live.gmvae.components import effective_components
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


class TestNetwork:
    """The Keras model against the paper and against closed forms."""

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls):
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
        od = np.repeat(np.linspace(0, 1, 13, dtype=np.float32)[None], 50_000, axis=0)
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
        before = np.asarray(model.rho)
        model.rho.assign(np.full((4, 3), -3.0))
        found = [effective_components(np.asarray(model.responsibilities(mu[:n]))) for n in (4, 1)]
        model.rho.assign(before)
        assert found == pytest.approx([4, 1], abs=0.01)


@pytest.fixture
def step_by_step():
    """Trainings of a few steps: to make TensorFlow's graph of a step takes longer than these."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def exported_before(small_bundle, monkeypatch):
    """Networks are not exported; those of the small bundle take their place."""
    bundle = Bundle.load(small_bundle)
    files = {p.name: p.read_bytes() for p in Path(small_bundle).glob("*.tflite")}
    monkeypatch.setattr(
        "stxm_live.gmvae.export.export_networks", lambda *_: (files, dict(bundle.info.parity))
    )


@pytest.mark.slow
class TestTraining:
    def test_it_learns_other_materials_and_ends_at_a_plateau_with_the_best_epoch(self, tmp_path):
        references = two_phases()
        od, labels, _ = simulated_spectra(
            references, references.energies_ev, 1000, np.random.default_rng(0)
        )
        data = TrainingSet(od, references, tuple(references.energies_ev), labels)
        reports = []
        options = TrainingOptions(patience=2, max_minutes=10, n_components=2)
        bundle = train(data, out=tmp_path / "b", options=options, progress=reports.append)
        losses = np.array([report.validation_loss for report in reports])
        assert len(losses) - 1 - losses.argmin() <= 2
        assert bundle.info.history["epoch"] == tuple(range(1, len(losses) + 1))
        bundle.check_fits(references.energies_ev, ("a", "b"), 0.05)
        assert bundle.encoder().encode(od).shape == (1000, 3)
        assert bundle.info.data.source == "measured"
        assert not bundle.info.data.synthetic
        assert bundle.info.scores["pearson_accuracy"] > 0.8

    def test_neither_nan_nor_a_collapse_comes_of_it(self, recipe, small_bundle):
        bundle = Bundle.load(small_bundle)
        od, _, _ = simulate(recipe, 4000)
        for values in bundle.info.history.values():
            assert np.isfinite(values).all()
        assert np.isfinite(bundle.encoder().encode(od)).all()
        assert np.isfinite(bundle.clusters.covariance).all()
        assert bundle.info.scores["components_used"] > 1
        scores = bundle.info.scores
        assert 0 <= scores["component_phase_information"] <= 1
        assert bundle.info.options["split_by"] == "pixel"

    @pytest.mark.usefixtures("step_by_step", "exported_before")
    def test_a_collapsed_mixture_leaves_no_bundle(self, recipe, tmp_path, monkeypatch):
        monkeypatch.setattr("stxm_live.gmvae.components.IN_USE", 0.9)
        od, _, _ = simulate(recipe, 400)
        with pytest.raises(TrainingError, match="the mixture has collapsed: 0 of 5 components"):
            train_bundle(recipe, od, out=tmp_path / "b", options=TrainingOptions(epochs=1))
        assert not list(tmp_path.iterdir())

    @pytest.mark.usefixtures("step_by_step", "exported_before")
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
        assert data.source == "measured"
        assert data.synthetic  # its references are calculated ones

    @pytest.mark.usefixtures("step_by_step", "exported_before")
    def test_ctrl_c_keeps_the_best_epoch_so_far_once_there_is_one(self, recipe, tmp_path, caplog):
        od, _, _ = simulate(recipe, 400)
        options = TrainingOptions(epochs=50)

        def after_two(report):
            if report.epoch == 2:
                signal.raise_signal(signal.SIGINT)

        bundle = train_bundle(recipe, od, out=tmp_path / "b", options=options, progress=after_two)
        assert bundle.info.history["epoch"] == (1, 2)
        assert "stopped by Ctrl-C after epoch 2" in caplog.text

    @pytest.mark.usefixtures("step_by_step")
    def test_a_diverging_loss_is_an_error_with_advice(self, recipe, tmp_path):
        od, _, _ = simulate(recipe, 400)
        od[5] = 1e30
        with pytest.raises(TrainingError, match=r"the loss is .* try a learning rate below 0.001"):
            train_bundle(recipe, od, out=tmp_path / "b")
        assert not list(tmp_path.iterdir())


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
        TrainingSet(od[::8], references, energies, note="ALS 71214078"),
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
