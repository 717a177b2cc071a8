import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra
from stxm_live.gmvae.head import labelled_spectra, train_head
from stxm_live.phase_mapping.hypotheses import Hypotheses, effective_photons
from stxm_live.phase_mapping.latent_space.bundle import HEAD, Bundle, BundleError, write_bundle
from stxm_live.phase_mapping.mixtures import fit_mixtures
from stxm_live.phase_mapping.phase_frequencies import by_frequencies

ENERGIES = (1.0, 2.0, 3.0, 4.0, 5.0)
REFERENCES = ReferenceSpectra(
    ("a", "b"),
    np.array(ENERGIES),
    np.array([[0.2, 0.9, 0.3, 0.4, 0.5], [0.2, 0.3, 0.9, 0.4, 0.5]]),
    synthetic=True,
)


def projection(od):
    """An encoder that anybody can follow: the first three values."""
    return np.asarray(od, dtype=np.float32)[:, :3]


def test_simulated_spectra_come_in_equal_shares_over_the_whole_range():
    data = labelled_spectra(REFERENCES, ENERGIES, 8000, np.random.default_rng(0))
    np.testing.assert_array_equal(np.bincount(data.hypothesis), 2000)
    assert data.photons.min() < 110
    assert data.photons.max() > 27_000
    np.testing.assert_allclose(np.median(np.log(data.photons)), np.log(1732), atol=0.1)
    largest = data.od[data.photons > 3000].max(axis=1)
    assert largest.min() < 0.2
    assert 2.7 < largest.max() < 3.4


def test_a_unit_of_the_references_changes_nothing():
    large = ReferenceSpectra(("a", "b"), np.array(ENERGIES), 40 * REFERENCES.od, synthetic=True)
    one, other = (
        labelled_spectra(references, ENERGIES, 50, np.random.default_rng(1))
        for references in (REFERENCES, large)
    )
    np.testing.assert_allclose(one.od, other.od, rtol=1e-5)


def test_gain_and_fano_factor_divide_the_photons():
    od = np.array([[0.0, 1.0], [0.5, 2.0]])
    counts = 3000 * np.exp(-od)
    np.testing.assert_allclose(effective_photons(od, counts, 6.0), 500)


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    trained = train_head(projection, REFERENCES, ENERGIES, n_spectra=40_000, epochs=10)
    path = tmp_path_factory.mktemp("head") / HEAD
    path.write_bytes(trained.content)
    return path, trained.description


@pytest.mark.slow
def test_a_head_agrees_with_the_likelihood_it_was_not_told(head):
    from stxm_live.phase_mapping.latent_space.encoder import Network

    rng = np.random.default_rng(2)
    labels = rng.integers(2, size=3000)
    counts = rng.poisson(1000 * np.exp(-0.6 * REFERENCES.od[labels].T)).astype(float)
    od = np.log(1000 / counts)
    said = Hypotheses.of_head(Network(head[0]), projection(od.T), od, counts, dispersion=1.0)
    computed = fit_mixtures(od, counts, REFERENCES.od, dispersion=1.0).hypotheses
    one, other = (by_frequencies(h).probability[1] for h in (said, computed))
    assert np.abs(one - other).mean() < 0.03
    assert ((one > 0.5) == labels).mean() > ((other > 0.5) == labels).mean() - 0.01


@pytest.mark.slow
def test_a_head_describes_itself(head):
    description = head[1]
    assert description.photons == (100.0, 30_000.0)
    assert description.n_spectra == 40_000
    # four hypotheses: less than by guessing
    assert 0 < description.cross_entropy < np.log(4)


@pytest.mark.slow
def test_more_photons_make_a_head_surer(head):
    from stxm_live.phase_mapping.latent_space.encoder import Network

    od = np.repeat(0.3 * REFERENCES.od[0][:, None], 2, axis=1)
    photons = np.array([200.0, 20_000.0]) * np.exp(-od)
    said = Hypotheses.of_head(Network(head[0]), projection(od.T), od, photons, dispersion=1.0)
    pure = np.einsum("kkn->kn", said.log_likelihood)
    lead = pure[0] - pure[1]
    assert 0 < lead[0] < lead[1]


def test_the_shipped_bundle_has_a_head_for_its_phases():
    bundle = Bundle.load(Recipe.load("nvpf").model)
    head = bundle.head()
    assert head is not None
    assert head.n_outputs == len(bundle.info.phase_names) ** 2
    assert bundle.info.head.photons == (100.0, 30_000.0)


def test_a_bundle_without_a_head_can_be_read(tmp_path):
    shipped = Bundle.load(Recipe.load("nvpf").model)
    models = {"encoder.tflite": shipped.encoder_model, "decoder.tflite": shipped.decoder_model}
    with np.load(Path(Recipe.load("nvpf").model) / "clusters.npz") as stored:
        bundle = write_bundle(tmp_path / "old", shipped.info, models, dict(stored))
    assert bundle.head() is None
    assert "head" not in json.loads((tmp_path / "old" / "bundle.json").read_text())


def test_a_changed_head_is_refused(tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(Recipe.load("nvpf").model, folder)
    content = bytearray((folder / HEAD).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / HEAD).write_bytes(content)
    with pytest.raises(BundleError, match=r"head\.tflite is not the file that was trained"):
        Bundle.load(folder)
