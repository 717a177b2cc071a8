"""Training of a bundle from spectra."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe import Recipe
from stxm_live.gmvae.clusters import accuracies, cluster_statistics, labelled_members, phases_of
from stxm_live.gmvae.components import component_scores, refuse_collapse
from stxm_live.gmvae.data import TrainingSet
from stxm_live.gmvae.options import EpochReport, OnEpoch, TrainingOptions
from stxm_live.phase_mapping.latent_space.bundle import (
    Bundle,
    BundleInfo,
    DataDescription,
    Parity,
    references_fingerprint,
    refuse_to_overwrite,
    write_bundle,
)
from stxm_live.phase_mapping.latent_space.encoder import Encoder, Network

PACKAGES = ("stxm-live", "keras", "ai-edge-litert", "numpy", "scikit-learn")


def train_bundle(
    recipe: Recipe,
    spectra: NDArray[np.floating],
    *,
    out: str | Path,
    options: TrainingOptions | None = None,
    progress: OnEpoch | None = None,
    labels: NDArray[np.integer] | None = None,
    simulated: bool = False,
    note: str = "",
    groups: NDArray[np.integer] | None = None,
    parity_spectra: Mapping[str, NDArray[np.floating]] | None = None,
    force: bool = False,
) -> Bundle:
    """Train a bundle for a recipe: its energies, references and ambiguity threshold.

    The parameters are those of `TrainingSet` and `train`.

    Raises
    ------
    ValueError
        If the recipe has no ``energies_ev``, or the spectra cannot be trained on.
    """
    data = TrainingSet.of_recipe(
        recipe, spectra, labels=labels, simulated=simulated, note=note, groups=groups
    )
    return train(
        data,
        out=out,
        options=options,
        progress=progress,
        parity_spectra=parity_spectra,
        force=force,
    )


def train(
    data: TrainingSet,
    *,
    out: str | Path,
    options: TrainingOptions | None = None,
    progress: OnEpoch | None = None,
    parity_spectra: Mapping[str, NDArray[np.floating]] | None = None,
    force: bool = False,
) -> Bundle:
    """Train the paper's GMVAE, compare its networks with Keras, and write a bundle.

    Parameters
    ----------
    data : TrainingSet
    out : path
        Folder of the bundle.
    options : TrainingOptions, optional
    progress : callable, optional
        Called with an `EpochReport` after every epoch.
    parity_spectra : mapping of str to ndarray of shape (n_spectra, n_energies), optional
        Further spectra on which the exported networks must agree with Keras.
    force : bool
        Replace an existing bundle.

    Raises
    ------
    FileExistsError
        If ``out`` would be overwritten; raised before the training.
    TrainingError
        If the training diverges, if the mixture collapses, or if the exported networks differ
        from Keras.
    """
    refuse_to_overwrite(out, force=force)
    options = options or TrainingOptions()
    # loads TensorFlow, whose notes about its own build are of no use to a user
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from stxm_live.gmvae.export import export_networks
    from stxm_live.gmvae.fit import fit

    split = data.split(options.seed)
    spectra = data.spectra.astype(np.float32)
    model, reports = fit(spectra[split.train], spectra[split.validation], options, progress)
    checks = {**_strange_spectra(spectra.shape[1]), "held-out": spectra[split.test]}
    checks |= {name: od.astype(np.float32) for name, od in (parity_spectra or {}).items()}
    files, parity = export_networks(model, checks)
    encode = Encoder(files["encoder.tflite"]).encode
    latent = encode(spectra)
    trained = data.take(split.train)
    responsibilities = np.asarray(model.responsibilities(latent[split.train]))
    refuse_collapse(responsibilities, beta=options.beta, seed=options.seed)
    clusters = cluster_statistics(latent[split.train], trained)
    test = data.take(split.test)
    scores = {
        "reconstruction": _reconstruction(files["decoder.tflite"], test, latent[split.test]),
        **component_scores(responsibilities, trained.spectra, phases_of(trained)),
        **accuracies(latent[split.test], test, clusters),
    }
    arrays = {
        **clusters.arrays(),
        **labelled_members(latent[split.train], trained).arrays(),
        **model.mixture_arrays(),
        "reference_latent": encode(_of_largest_one(data.reference_od)),
    }
    return write_bundle(
        out, _info(data, options, reports, scores, parity), files, arrays, force=force
    )


def _strange_spectra(n_energies: int) -> dict[str, NDArray[np.float32]]:
    """Return spectra that no specimen has: random ones, and some far out of range."""
    rng = np.random.default_rng(0)
    shape = (4096, n_energies)
    return {
        "random": rng.uniform(0.0, 3.0, shape).astype(np.float32),
        "out-of-range": rng.normal(0.0, 10.0, shape).astype(np.float32),
    }


def _reconstruction(decoder: bytes, data: TrainingSet, latent: NDArray[np.float32]) -> float:
    """Return the squared error of z_mean decoded, summed over energies, mean over spectra."""
    error = Network(decoder)(latent) - data.spectra
    return float((error**2).sum(axis=1).mean(dtype=np.float64))


def _of_largest_one(od: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return spectra scaled to a largest OD of 1."""
    scaled: NDArray[np.float64] = od / np.abs(od).max(axis=1, keepdims=True)
    return scaled


def _info(
    data: TrainingSet,
    options: TrainingOptions,
    reports: list[EpochReport],
    scores: dict[str, float],
    parity: dict[str, Parity],
) -> BundleInfo:
    """Return the contents of ``bundle.json``; values for display are cut to six digits."""
    split = data.split(options.seed)
    history = zip(EpochReport._fields, zip(*reports, strict=True), strict=True)
    return BundleInfo(
        energies_ev=data.energies_ev,
        phase_names=data.references.phase_names,
        references_sha256=references_fingerprint(data.references, data.energies_ev),
        ambiguity_threshold=data.ambiguity_threshold,
        data=DataDescription(
            source="simulated" if data.simulated else "measured",
            synthetic=data.simulated or data.references.synthetic,
            n_train=len(split.train),
            n_validation=len(split.validation),
            n_test=len(split.test),
            note=data.note,
        ),
        options={
            **options.model_dump(mode="json"),
            "split_by": "pixel" if data.groups is None else "particle",
        },
        history={name: tuple(_six_digits(v) for v in values) for name, values in history},
        scores={name: _six_digits(value) for name, value in scores.items()},
        parity=parity,
        versions=_versions(),
        sha256={},
    )


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")


def _versions() -> dict[str, str]:
    """Return the versions of the packages that made the bundle."""
    import tensorflow as tf

    # its distribution is called tensorflow or tensorflow-cpu
    return {name: version(name) for name in PACKAGES} | {"tensorflow": tf.__version__}
