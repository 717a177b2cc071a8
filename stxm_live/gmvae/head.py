"""The posterior head: from latent coordinates and photons to phases and mixtures of two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.references import ReferenceSpectra
from stxm_live.gmvae.simulated import LARGEST_OD, PHOTONS
from stxm_live.phase_mapping.hypotheses import head_inputs
from stxm_live.phase_mapping.latent_space.bundle import HeadDescription

WIDTHS = (96, 96)
"""Hidden layers."""

MOST_SPECTRA = 400_000
"""Simulated spectra that a head is trained on; a fortieth more are held back."""

SPECTRA_EACH = 7
"""Simulated spectra for each that the encoder is trained on: a trial is quick throughout."""

EPOCHS = 20

BATCH = 1024

Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class LabelledSpectra(NamedTuple):
    """Simulated spectra with their truth.

    Parameters
    ----------
    od : ndarray of shape (n_spectra, n_energies)
    photons : ndarray of shape (n_spectra,)
        Effective photons of the incident beam.
    hypothesis : ndarray of shape (n_spectra,)
        Majority times n_phases plus minority; the same phase twice for a pure spectrum.
    """

    od: NDArray[np.float32]
    photons: NDArray[np.float64]
    hypothesis: NDArray[np.int64]


def labelled_spectra(
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    n_spectra: int,
    rng: np.random.Generator,
) -> LabelledSpectra:
    """Noisy spectra of pure phases and of two in proportions, all in equal shares.

    The smaller share is uniform from 0 to 1/2 of the spectrum's length, and the length such that
    the largest OD of an average phase is uniform in 0.1 to 3, whatever the references' unit:
    were it that of each phase, a thin pixel would be told by its thickness. I0 is taken as
    known, since a scan has it from many pixels. A spectrum with a zero count has no OD and is
    drawn again.
    """
    pure = references.at(energies_ev)
    pure = pure / np.linalg.norm(pure, axis=1, keepdims=True)
    n_phases, peak = len(pure), np.abs(pure).max(axis=1).mean()
    hypothesis = rng.permutation(np.arange(n_spectra) % n_phases**2)
    majority, minority = np.divmod(hypothesis, n_phases)
    photons = PHOTONS[0] * (PHOTONS[1] / PHOTONS[0]) ** rng.random(n_spectra)
    od = np.full((n_spectra, pure.shape[1]), np.nan, dtype=np.float32)
    missing = np.arange(n_spectra)
    while missing.size:
        share = rng.uniform(0.0, 0.5, (missing.size, 1))
        length = rng.uniform(*LARGEST_OD, (missing.size, 1)) / peak
        expected = (1 - share) * pure[majority[missing]] + share * pure[minority[missing]]
        expected *= length / np.linalg.norm(expected, axis=1, keepdims=True)
        counts = rng.poisson(photons[missing, None] * np.exp(-expected))
        with np.errstate(divide="ignore"):
            od[missing] = np.log(photons[missing, None] / counts)
        missing = missing[~np.isfinite(od[missing]).all(axis=1)]
    return LabelledSpectra(od, photons, hypothesis)


class TrainedHead(NamedTuple):
    """``head.tflite``, and what the bundle says of it."""

    content: bytes
    description: HeadDescription


def train_head(
    encode: Encode,
    references: ReferenceSpectra,
    energies_ev: Sequence[float],
    *,
    seed: int = 0,
    n_spectra: int = MOST_SPECTRA,
    epochs: int = EPOCHS,
) -> TrainedHead:
    """Train the head of an encoder on simulated spectra of its references.

    Its inputs are those of `head_inputs`, its outputs logarithms of likelihoods up to a constant,
    since all hypotheses are equally frequent in the training.

    Parameters
    ----------
    encode : callable
        From spectra (n_spectra, n_energies) to z_mean (n_spectra, n_latent).
    references : ReferenceSpectra
    energies_ev : sequence of float
    seed : int
    n_spectra, epochs : int

    Returns
    -------
    TrainedHead

    Raises
    ------
    TrainingError
        If the exported head differs from Keras.
    """
    import keras

    from stxm_live.gmvae.export import checked_tflite

    keras.utils.set_random_seed(seed)
    held_out = n_spectra // 40
    data = labelled_spectra(
        references, energies_ev, n_spectra + held_out, np.random.default_rng([seed, 1])
    )
    rows = head_inputs(encode(data.od), data.od, data.photons)
    train, test = slice(held_out, None), slice(held_out)
    model = _build_head(rows[train], references.n_phases**2)
    steps = -(-n_spectra // BATCH) * epochs
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=50,
        jit_compile=False,
    )
    model.fit(rows[train], data.hypothesis[train], batch_size=BATCH, epochs=epochs, verbose=0)
    entropy = model.evaluate(rows[test], data.hypothesis[test], batch_size=4096, verbose=0)
    return TrainedHead(
        checked_tflite(model, {"held-out": rows[test]}),
        HeadDescription(
            photons=PHOTONS, n_spectra=n_spectra, cross_entropy=float(f"{entropy:.6g}")
        ),
    )


def _build_head(rows: NDArray[np.float32], n_outputs: int) -> Any:
    """A network that scales its inputs by the mean and deviation of ``rows``."""
    import keras

    scale = keras.layers.Normalization(mean=rows.mean(axis=0), variance=rows.var(axis=0))
    inputs = keras.Input((rows.shape[1],), name="inputs")
    hidden = scale(inputs)
    for width in WIDTHS:
        hidden = keras.layers.Dense(width, activation="relu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(n_outputs, name="log_likelihood")(hidden))
