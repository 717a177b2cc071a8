import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.latent_space.bundle import (
    Bundle,
    BundleError,
    references_fingerprint,
    training_advice,
    write_bundle,
)
from stxm_live.phase_mapping.latent_space.clusters import MOST_MEMBERS


@pytest.fixture
def copy(shipped_bundle, tmp_path):
    return shutil.copytree(shipped_bundle, tmp_path / "bundle")


@pytest.fixture(scope="module")
def bundle(shipped_bundle):
    return Bundle.load(shipped_bundle)


def parts(bundle):
    """What `write_bundle` was given."""
    models = {"encoder.tflite": bundle.encoder_model, "decoder.tflite": bundle.decoder_model}
    arrays = {
        **bundle.clusters.arrays(),
        **bundle.members.arrays(),
        "pi": bundle.mixture.weights,
        "mu": bundle.mixture.mean,
        "sigma": bundle.mixture.sigma,
        "reference_latent": bundle.reference_latent,
    }
    return bundle.info, models, arrays


def test_a_bundle_keeps_labelled_points_and_one_without_them_can_be_read(bundle, tmp_path):
    info, models, arrays = parts(bundle)
    members = bundle.members
    assert np.isfinite(members.latent).all()
    counted = np.minimum(bundle.clusters.counts, MOST_MEMBERS)
    assert np.bincount(members.phase_index, minlength=5).tolist() == counted.tolist()
    old = {name: array for name, array in arrays.items() if not name.startswith("member")}
    assert write_bundle(tmp_path / "old", info, models, old).members is None


def test_a_bundle_says_what_it_was_trained_for_and_on(bundle):
    recipe = Recipe.load("nvpf")
    info = bundle.info
    assert info.energies_ev == recipe.energies_ev
    assert info.phase_names == recipe.reference_spectra.phase_names
    assert info.data.synthetic
    assert info.data.source == "simulated"
    assert info.data.n_train + info.data.n_validation + info.data.n_test == 60_000
    assert len(info.history["loss"]) == len(info.history["epoch"]) > 1
    assert set(info.parity) >= {"random", "out-of-range", "held-out"}
    assert info.references_sha256 == references_fingerprint(
        recipe.reference_spectra, info.energies_ev
    )
    assert {"tensorflow", "keras", "ai-edge-litert"} <= set(info.versions)


def test_its_arrays_have_one_row_per_phase_or_component(bundle):
    assert bundle.clusters.mean.shape == bundle.reference_latent.shape == (5, 3)
    assert bundle.clusters.covariance.shape == (5, 3, 3)
    assert bundle.clusters.usable.all()
    assert bundle.mixture.mean.shape == bundle.mixture.sigma.shape == (5, 3)
    assert bundle.mixture.weights.sum() == pytest.approx(1)


def test_the_decoder_undoes_the_encoder_within_the_noise(bundle):
    references = Recipe.load("nvpf").reference_spectra.at(bundle.info.energies_ev)
    od = (references / references.max(axis=1, keepdims=True)).astype(np.float32)
    decoded = bundle.decoder()(bundle.encoder().encode(od))
    assert np.sqrt(((decoded - od) ** 2).mean()) < 0.15


def test_a_bundle_keeps_its_hash_when_it_is_moved(bundle, copy):
    assert Bundle.load(copy).sha256 == bundle.sha256
    assert re.fullmatch("[0-9a-f]{64}", bundle.sha256)


def test_a_bundle_that_is_being_replaced_is_read_a_little_later(bundle, copy, monkeypatch):
    away = copy.parent / f".{copy.name}-x"
    away.mkdir()
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            (away / "new").rename(copy)

    monkeypatch.setattr("stxm_live.phase_mapping.latent_space.bundle.time.sleep", pause)
    copy.rename(away / "new")
    assert Bundle.load(copy).sha256 == bundle.sha256
    assert len(pauses) == 3
    with pytest.raises(BundleError, match=r"bundle.json is missing"):
        Bundle.load(copy.parent / "nothing")
    assert len(pauses) == 4


@pytest.mark.parametrize("name", ["encoder.tflite", "decoder.tflite", "clusters.npz"])
def test_one_changed_bit_in_a_file_is_refused_with_advice(copy, name):
    path = copy / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} is not the file.*stxm-live train"):
        Bundle.load(copy)


@pytest.mark.parametrize("name", ["encoder.tflite", "decoder.tflite", "clusters.npz"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing; train it again"):
        Bundle.load(copy)


def edited(folder, **changes):
    path = folder / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"energies_ev": [1.0, 2.0]}, "changed after training"),
        ({"sha256": {}}, "changed after training"),
        ({"scores": {"pearson_accuracy": 1.0}}, "changed after training"),
        ({"format_version": 2}, "format version 2 is unknown"),
        ({"energies_ev": "many"}, "energies_ev: "),
        ({"surprise": 1}, "surprise: "),
    ],
)
def test_a_description_somebody_edited_is_refused(copy, changes, message):
    edited(copy, **changes)
    with pytest.raises(BundleError, match=message):
        Bundle.load(copy)


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", "null"])
def test_a_description_that_is_none_is_refused(copy, text):
    (copy / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match="is not what stxm-live train writes"):
        Bundle.load(copy)


def test_a_folder_without_a_description_is_no_bundle(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BundleError, match=r"is no bundle: bundle\.json is missing"):
            Bundle.load(folder)


@pytest.mark.parametrize("harm", ["needs pickle", "is missing"])
def test_arrays_that_cannot_be_read_safely_are_refused(bundle, tmp_path, harm):
    info, models, arrays = parts(bundle)
    if harm == "is missing":
        del arrays["mean"]
    else:
        arrays["mean"] = np.array([{"a": 1}], dtype=object)
    with pytest.raises(BundleError, match=r"clusters\.npz cannot be read"):
        write_bundle(tmp_path / "bundle", info, models, arrays)


def test_a_bundle_of_an_older_training_keeps_its_fingerprint_without_its_head(
    shipped_bundle, tmp_path
):
    folder = shutil.copytree(shipped_bundle, tmp_path / "old")
    written = json.loads((folder / "bundle.json").read_text())
    assert "head.tflite" in written["sha256"]
    assert not (folder / "head.tflite").exists()
    assert Bundle.load(folder).sha256 == written["fingerprint"]
    (folder / "head.tflite").write_bytes(b"whatever it was")
    assert Bundle.load(folder).sha256 == written["fingerprint"]
    (folder / "encoder.tflite").write_bytes(b"no encoder")
    with pytest.raises(BundleError, match=r"encoder\.tflite is not the file that was trained"):
        Bundle.load(folder)


def test_no_head_is_written(shipped_bundle, tmp_path):
    loaded = Bundle.load(shipped_bundle)
    models = {"encoder.tflite": loaded.encoder_model, "decoder.tflite": loaded.decoder_model}
    with np.load(shipped_bundle / "clusters.npz") as stored:
        again = write_bundle(tmp_path / "new", loaded.info, models, dict(stored))
    assert again.info.head is None
    assert "head" not in (tmp_path / "new" / "bundle.json").read_text()


class TestFit:
    def fits(self, bundle, energies=None, names=None):
        bundle.check_fits(
            bundle.info.energies_ev if energies is None else energies,
            bundle.info.phase_names if names is None else names,
            0.05,
        )

    def test_its_own_energies_fit_within_the_tolerance(self, bundle):
        energies = np.array(bundle.info.energies_ev)
        self.fits(bundle)
        self.fits(bundle, energies + 0.04)

    def test_energies_in_another_order_are_refused(self, bundle):
        with pytest.raises(BundleError, match="in another order"):
            self.fits(bundle, bundle.info.energies_ev[::-1])

    def test_an_energy_that_is_off_is_named_with_its_offset(self, bundle):
        energies = np.array(bundle.info.energies_ev)
        energies[5] += 0.2
        with pytest.raises(
            BundleError, match=r"trained at 518\.3 eV, the scan is off by \+0\.2 eV"
        ):
            self.fits(bundle, energies)

    def test_a_missing_energy_is_named(self, bundle):
        with pytest.raises(BundleError, match=r"trained with 530\.3 eV, the scan has no such"):
            self.fits(bundle, [e for e in bundle.info.energies_ev if e != 530.3])
        with pytest.raises(BundleError, match="trained with 505 eV, the scan has no such"):
            self.fits(bundle, [])

    def test_an_energy_too_many_is_named(self, bundle):
        with pytest.raises(BundleError, match="13 energies, the scan has 14, among them 540 eV"):
            self.fits(bundle, [*bundle.info.energies_ev, 540.0])

    def test_other_phases_are_refused(self, bundle):
        names = bundle.info.phase_names
        for other in (names[:-1], (*names[:-1], "V2O5"), names[::-1]):
            with pytest.raises(BundleError, match=r"trained for the phases Na3VPF, .*, the recipe"):
                self.fits(bundle, names=other)


class TestWriting:
    def test_what_is_written_is_read_back(self, bundle, tmp_path):
        written = write_bundle(tmp_path / "deep" / "bundle", *parts(bundle))
        again = write_bundle(tmp_path / "again", *parts(Bundle.load(tmp_path / "deep" / "bundle")))
        assert again.sha256 == written.sha256
        assert again.info.scores == bundle.info.scores
        assert [p.name for p in (tmp_path / "deep").iterdir()] == ["bundle"]

    def test_a_bundle_is_replaced_only_by_force(self, bundle, copy):
        with pytest.raises(FileExistsError, match=r"holds a bundle already.*--force"):
            write_bundle(copy, *parts(bundle))
        info, models, arrays = parts(bundle)
        info = info.model_copy(update={"scores": {"a": 1.0}})
        assert write_bundle(copy, info, models, arrays, force=True).info.scores == {"a": 1.0}
        assert [p.name for p in copy.parent.iterdir()] == ["bundle"]

    def test_a_folder_of_something_else_is_never_replaced(self, bundle, tmp_path):
        (tmp_path / "thesis.tex").write_text("x")
        with pytest.raises(FileExistsError, match="is no bundle; choose another folder"):
            write_bundle(tmp_path, *parts(bundle), force=True)
        assert (tmp_path / "thesis.tex").read_text() == "x"


def test_the_advice_is_a_command_with_its_duration():
    recipe = Recipe.load("nvpf")
    assert training_advice(recipe).startswith("stxm-live train --recipe nvpf --simulated 60000")
    assert "minutes" in training_advice(recipe)
    assert "--recipe RECIPE.toml" in training_advice(recipe.with_changes({"name": "mine"}))


def test_the_bundle_that_ships_fits_its_recipe():
    recipe = Recipe.load("nvpf")
    bundle = Bundle.load(recipe.model)
    references = recipe.reference_spectra
    bundle.check_fits(recipe.energies_ev, references.phase_names, recipe.energy_tolerance_ev)
    assert bundle.info.data.synthetic
    assert bundle.clusters.usable.all()
    assert bundle.info.references_sha256 == references_fingerprint(
        references, bundle.info.energies_ev
    )
    assert sum(p.stat().st_size for p in recipe.model.iterdir()) < 3e6


def test_loading_a_bundle_needs_no_tensorflow(shipped_bundle):
    code = (
        "import sys; from stxm_live.phase_mapping.latent_space.bundle import Bundle\n"
        f"Bundle.load({str(shipped_bundle)!r}).encoder().warm_up()\n"
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
