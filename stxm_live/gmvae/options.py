"""Settings of a training, and its reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt

N_LATENT = 3
"""Dimensions of latent space."""

WIDTHS = (512, 256, 128, 64)
"""Widths of the encoder's layers; the decoder has them in reverse."""

DROPOUT = 0.1
"""Share of the values behind the encoder's last hidden layer that a training step leaves out."""


class TrainingOptions(BaseModel):
    """Settings of a training; the defaults of the network are from the paper's section 3.3.

    Parameters
    ----------
    beta : float
        Weight of the Kullback-Leibler term.
    epochs : int, optional
        Passes over the training spectra; the paper takes 400. Default: until the validation loss
        has not improved for ``patience`` epochs, or ``max_minutes`` are over.
    batch_size : int
    learning_rate : float
        Learning rate of Adam.
    n_components : int
        Number of components K of the mixture.
    seed : int
        Seed of all random numbers: split, initial weights, order, dropout, sampling.
    patience : int
        Epochs without improvement after which a training without ``epochs`` ends.
    max_minutes : float
        Time after which a training without ``epochs`` ends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    beta: NonNegativeFloat = 1e-5
    epochs: PositiveInt | None = None
    batch_size: PositiveInt = 128
    learning_rate: PositiveFloat = 1e-3
    n_components: PositiveInt = 5
    seed: int = 0
    patience: PositiveInt = 25
    max_minutes: PositiveFloat = 9.0


class EpochReport(NamedTuple):
    """The state of a training after an epoch; errors are squared and summed over energies."""

    epoch: int
    elapsed_s: float
    loss: float
    reconstruction: float
    divergence: float
    validation_loss: float
    validation_reconstruction: float
    validation_divergence: float


OnEpoch = Callable[[EpochReport], None]


class TrainingError(ValueError):
    """A training that cannot go on or whose result must not be used."""
