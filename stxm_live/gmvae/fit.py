"""One training run: its batches, epochs and end."""

from __future__ import annotations

import logging
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from stxm_live.gmvae.network import GMVAE
from stxm_live.gmvae.options import EpochReport, OnEpoch, TrainingError, TrainingOptions

_log = logging.getLogger(__name__)

STEPS_PER_CALL = 50
"""Batches per call into TensorFlow: 1.5 times faster than one at a time."""

WORTH_WAITING_FOR = 1e-3
"""Relative decrease of the validation loss that counts as improvement."""

NO_END = 1_000_000
"""Epochs of a training that ends at a plateau or by the clock."""


def fit(
    train: NDArray[np.float32],
    validation: NDArray[np.float32],
    options: TrainingOptions,
    progress: OnEpoch | None = None,
) -> tuple[GMVAE, list[EpochReport]]:
    """Train a network on spectra of shape (n_spectra, n_energies).

    The weights are those of the epoch with the smallest validation loss. Ctrl-C ends the training
    and keeps the best of the epochs so far. Sets the random seeds of Python, numpy and TensorFlow.

    Raises
    ------
    TrainingError
        If the loss is no longer a finite number.
    KeyboardInterrupt
        If Ctrl-C is pressed before the first epoch has ended.
    """
    keras.utils.set_random_seed(options.seed)
    model = GMVAE(train.shape[1], options.n_components, options.beta, options.seed)
    batch = min(options.batch_size, len(train))
    model.compile(
        optimizer=keras.optimizers.Adam(options.learning_rate),
        steps_per_execution=min(STEPS_PER_CALL, len(train) // batch),
        jit_compile=False,
    )
    watch = _Watch(options, progress)
    try:
        model.fit(
            _batches(train, batch, options.seed),
            validation_data=tf.data.Dataset.from_tensor_slices(validation).batch(4096).cache(),
            epochs=options.epochs or NO_END,
            shuffle=False,
            verbose=0,
            callbacks=[watch],
        )
    except KeyboardInterrupt:
        if not watch.reports:
            raise
        _log.warning(
            "stopped by Ctrl-C after epoch %d: the best epoch so far is kept; writing the bundle",
            watch.reports[-1].epoch,
        )
    model.set_weights(watch.best_weights)
    return model, watch.reports


def _batches(spectra: NDArray[np.float32], batch: int, seed: int) -> tf.data.Dataset:
    """Return batches in a new order each epoch; a last incomplete one is left out."""
    dataset = tf.data.Dataset.from_tensor_slices(spectra)
    return dataset.shuffle(len(spectra), seed=seed).batch(batch, drop_remainder=True).prefetch(4)


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Report every epoch, keep the best weights, stop at a plateau, by the clock or on NaN."""

    def __init__(self, options: TrainingOptions, progress: OnEpoch | None) -> None:
        super().__init__()
        self.options = options
        self.progress = progress
        self.reports: list[EpochReport] = []
        self.best_weights: list[NDArray[np.float32]] = []
        self._best = np.inf
        self._best_epoch = 0
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        report = EpochReport(
            epoch=epoch + 1,
            elapsed_s=time.monotonic() - self._start,
            loss=float(logs["loss"]),
            reconstruction=float(logs["reconstruction"]),
            divergence=float(logs["divergence"]),
            validation_loss=float(logs["val_loss"]),
            validation_reconstruction=float(logs["val_reconstruction"]),
            validation_divergence=float(logs["val_divergence"]),
        )
        self._check(report)
        self.reports.append(report)
        if report.validation_loss < self._best * (1 - WORTH_WAITING_FOR):
            self._best, self._best_epoch = report.validation_loss, report.epoch
            self.best_weights = self.model.get_weights()
        self.model.stop_training = self.options.epochs is None and (
            report.epoch - self._best_epoch >= self.options.patience
            or report.elapsed_s > 60 * self.options.max_minutes
        )
        if self.progress is not None:
            self.progress(report)

    def _check(self, report: EpochReport) -> None:
        if not np.all(np.isfinite(report)):
            raise TrainingError(
                f"the loss is {report.loss} after epoch {report.epoch}: the training diverged; "
                f"try a learning rate below {self.options.learning_rate:g} and look for extreme "
                "optical densities in the spectra"
            )
