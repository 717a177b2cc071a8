"""One small bundle for a whole test session."""

from pathlib import Path

import numpy as np

from stxm_live.core.recipe import Recipe
from stxm_live.gmvae import TrainingOptions, simulated_spectra, train_bundle


def train_small_bundle(folder: Path) -> Path:
    """Train a bundle for the recipe nvpf in ``folder``: a few epochs on a few spectra."""
    recipe = Recipe.load("nvpf")
    assert recipe.energies_ev is not None
    od, labels, _ = simulated_spectra(
        recipe.reference_spectra, recipe.energies_ev, 5000, np.random.default_rng(7)
    )
    options = TrainingOptions(epochs=4, seed=3)
    train_bundle(recipe, od, out=folder, labels=labels, options=options, simulated=True)
    return folder
