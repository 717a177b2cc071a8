"""Imports and files that a recipe needs, loaded before the first frame."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.latent_space.bundle import BundleError
from stxm_live.phase_mapping.latent_space.model import LatentModel, load_model

_NEEDED = ("scipy.fft", "scipy.ndimage", "scipy.optimize")
_WITHOUT_REFERENCES = ("sklearn.cluster", "sklearn.decomposition")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A recipe with its model, if one can be used."""

    recipe: Recipe
    model: LatentModel | None


def prepare(recipe: Recipe) -> Prepared:
    """Import and load everything that the analysis with a recipe needs."""
    model, needed = None, [*_NEEDED]
    if recipe.references is None:
        needed += _WITHOUT_REFERENCES
    else:
        with suppress(BundleError):  # the maps say why there is none
            model = load_model(recipe)
    for name in needed:
        import_module(name)
    return Prepared(recipe, model)
