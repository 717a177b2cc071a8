"""Training of the paper's GMVAE; Keras and TensorFlow are loaded when a training starts."""

# TensorFlow carries an SQLite without full-text search, and the one that a process loads first
# serves all: the catalogue needs Python's own.
import sqlite3  # noqa: F401

from stxm_live.gmvae.data import TrainingSet, recipe_energies_ev
from stxm_live.gmvae.options import EpochReport, OnEpoch, TrainingError, TrainingOptions
from stxm_live.gmvae.simulated import simulated_spectra
from stxm_live.gmvae.train import train, train_bundle

__all__ = [
    "EpochReport",
    "OnEpoch",
    "TrainingError",
    "TrainingOptions",
    "TrainingSet",
    "recipe_energies_ev",
    "simulated_spectra",
    "train",
    "train_bundle",
]
