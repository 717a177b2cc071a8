"""The trained model that belongs to a recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.latent_space.bundle import (
    Bundle,
    BundleError,
    references_fingerprint,
    training_advice,
)


class LatentModel(NamedTuple):
    """A bundle, and its encoder: from spectra (n_spectra, n_energies) to latent coordinates."""

    bundle: Bundle
    encode: Callable[[NDArray[np.float32]], NDArray[np.float32]]


def load_model(recipe: Recipe) -> LatentModel:
    """Return the recipe's model, warmed up.

    Raises
    ------
    BundleError
        If the recipe names none, if it is damaged, was made for other references or cannot be
        run here.
    """
    if recipe.model is None:
        raise BundleError("the recipe names no model")
    try:
        bundle = Bundle.load(recipe.model)
        _check_references(bundle, recipe)
        encoder = bundle.encoder()
        encoder.warm_up()
    except BundleError:
        raise
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise BundleError(f"the model in {recipe.model} cannot be used: {error}") from error
    return LatentModel(bundle, encoder.encode)


def _check_references(bundle: Bundle, recipe: Recipe) -> None:
    theirs = bundle.info.references_sha256
    if references_fingerprint(recipe.reference_spectra, bundle.info.energies_ev) != theirs:
        raise BundleError(f"bundle {bundle.folder}: trained for other references than the recipe's")


def model_that_fits(
    loaded: LatentModel | None, energies_ev: Sequence[float], recipe: Recipe
) -> tuple[LatentModel | None, str]:
    """Return the model for these energies and the recipe's phases; None with a note if none fits.

    Parameters
    ----------
    loaded : LatentModel, optional
        What `load_model` returned; by default it is called here.
    """
    try:
        model = loaded or load_model(recipe)
        model.bundle.check_fits(
            energies_ev, recipe.reference_spectra.phase_names, recipe.energy_tolerance_ev
        )
    except BundleError as problem:
        return None, f"no map from the encoder: {problem}; {training_advice(recipe)}"
    return model, ""
