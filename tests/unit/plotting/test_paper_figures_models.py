import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from stxm_live.core.recipe import Recipe
from stxm_live.gmvae.components import information_share
from stxm_live.phase_mapping.correlation import pearson
from stxm_live.phase_mapping.latent_space.bundle import Bundle, BundleError
from stxm_live.plotting.paper_figures import model_plates, write_plates
from stxm_live.plotting.paper_figures.latent import view_of_phases, view_of_thickness
from stxm_live.plotting.paper_figures.model import decoder_path


@pytest.fixture(scope="module")
def plates(shipped_bundle):
    loaded = Bundle.load(shipped_bundle)
    return {plate.name: plate for plate in model_plates(loaded, Recipe.load("nvpf"))}


def column(plate, name):
    return np.array([row[plate.table.columns.index(name)] for row in plate.table.rows])


def test_a_bundle_s_figures_are_pictures_and_tables(plates, shipped_bundle, tmp_path):
    names = ["figS5-architecture", "figS9-decoder-path", "figS10-kmeans", "figS11-losses"]
    assert list(plates) == [*names, "components"]
    sha256 = Bundle.load(shipped_bundle).sha256[:8]
    feet = [[t.get_text() for t in plate.figure.texts] for plate in plates.values()]
    assert all(any(f"model {sha256}, stxm_live" in text for text in texts) for texts in feet)
    for file in write_plates(plates.values(), tmp_path):
        assert file.stat().st_size > 200, file


def test_the_decoder_path_begins_at_the_first_reference_and_ends_at_the_last(shipped_bundle):
    bundle = Bundle.load(shipped_bundle)
    latent, od = decoder_path(bundle, 5)
    np.testing.assert_allclose(latent[[0, -1]], bundle.reference_latent[[0, -1]])
    np.testing.assert_allclose(latent[2], latent[[0, -1]].mean(axis=0))
    references = Recipe.load("nvpf").reference_spectra.at(bundle.info.energies_ev)
    ends = pearson(od[[0, -1]].T, references)
    assert ends[0, 0] > 0.99
    assert ends[-1, 1] > 0.99


def test_the_losses_are_those_of_the_training(plates, shipped_bundle):
    history = Bundle.load(shipped_bundle).info.history
    assert column(plates["figS11-losses"], "validation_loss").tolist() == list(
        history["validation_loss"]
    )


def test_groups_in_latent_space_follow_thickness_rather_than_phase(plates):
    table = plates["figS10-kmeans"]
    thickness = column(table, "mean_largest_od")
    assert (np.diff(thickness) > 0.2).all()
    components = plates["components"]
    of_phase = column(components, "phase_information_share")[0]
    of_thickness = column(components, "thickness_information_share")[0]
    assert of_thickness > 0.3 > of_phase
    assert column(components, "mean_responsibility").sum() == pytest.approx(1)


def test_a_bundle_for_other_references_is_refused(shipped_bundle, tmp_path):
    recipe = Recipe.load("nvpf")
    references = recipe.reference_spectra
    changed = type(references)(
        references.phase_names, references.energies_ev, references.od[:, ::-1]
    )
    changed.to_csv(tmp_path / "r.csv")
    other = recipe.with_changes({"references": tmp_path / "r.csv", "name": "other"})
    with pytest.raises(BundleError, match="other references than those of recipe 'other'"):
        list(model_plates(Bundle.load(shipped_bundle), other))


def test_responsibilities_are_those_of_scipy(shipped_bundle):
    from scipy.stats import multivariate_normal

    mixture = Bundle.load(shipped_bundle).mixture
    latent = 3 * np.random.default_rng(0).normal(size=(40, 3))
    density = np.stack(
        [
            pi * multivariate_normal(mu, np.diag(sigma**2)).pdf(latent)
            for pi, mu, sigma in zip(mixture.weights, mixture.mean, mixture.sigma, strict=True)
        ],
        axis=1,
    )
    expected = density / density.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mixture.responsibilities(latent), expected, rtol=1e-9, atol=1e-12)


def test_shared_information_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 5, 3000)
    groups = np.where(rng.random(3000) < 0.6, labels, rng.integers(0, 7, 3000))
    entropy = mutual_info_score(labels, labels)
    expected = mutual_info_score(groups, labels) / entropy
    assert information_share(groups, labels) == pytest.approx(expected, rel=1e-9)
    assert np.isnan(information_share(groups, np.zeros(3000, int)))


def test_the_view_of_phases_finds_the_plane_in_which_they_differ():
    rng = np.random.default_rng(2)
    phase = rng.integers(0, 3, 600)
    centres = np.array([[0.0, 0, 0], [3, 0, 4], [0, 5, 0]])
    latent = centres[phase] + 0.1 * rng.normal(size=(600, 3))
    view = view_of_phases(latent, phase)
    np.testing.assert_allclose(view.directions @ view.directions.T, np.eye(2), atol=1e-9)
    # the plane is spanned by (3, 0, 4) and (0, 5, 0): (4, 0, -3) is seen end on
    np.testing.assert_allclose(view.directions @ [0.8, 0, -0.6], 0, atol=0.1)


def test_the_first_axis_of_the_other_view_is_the_one_thickness_grows_along():
    rng = np.random.default_rng(3)
    latent = rng.normal(size=(2000, 3))
    phase = (latent[:, 1] > 0).astype(int)
    thickness = latent @ [0.6, 0.0, 0.8] + 0.01 * rng.normal(size=2000)
    view = view_of_thickness(latent, thickness, phase)
    np.testing.assert_allclose(view.directions[0], [0.6, 0, 0.8], atol=0.01)
    np.testing.assert_allclose(np.abs(view.directions[1]), [0, 1, 0], atol=0.05)


def test_the_architecture_has_the_layers_of_the_exported_networks(plates, shipped_bundle):
    from ai_edge_litert.interpreter import Interpreter

    def widths(name):
        details = Interpreter(model_path=str(shipped_bundle / name)).get_tensor_details()
        return {int(d["shape"][-1]) for d in details if len(d["shape"]) == 2}

    drawn = column(plates["figS5-architecture"], "width").tolist()
    assert drawn == [13, 512, 256, 128, 64, 3, 64, 128, 256, 512, 13]
    assert set(drawn) == widths("encoder.tflite") == widths("decoder.tflite")


def test_the_losses_have_the_divergence_of_the_validation_spectra_if_it_is_known(shipped_bundle):
    from dataclasses import replace

    from stxm_live.plotting.paper_figures.model import figure_s11

    bundle = Bundle.load(shipped_bundle)
    history = {**bundle.info.history, "validation_divergence": bundle.info.history["divergence"]}
    known = replace(bundle, info=bundle.info.model_copy(update={"history": history}))
    lines = [len(plate.figure.axes[1].lines) for plate in (figure_s11(bundle), figure_s11(known))]
    assert lines == [1, 2]
