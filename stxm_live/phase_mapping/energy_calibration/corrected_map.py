"""The energy axis of a scan from its own spectra, and the map with references to match it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.energy_axis import EnergyAxis
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import listed_ev
from stxm_live.phase_mapping.assignment import Spectra, compared, has_baseline, resolve_spectra
from stxm_live.phase_mapping.energy_calibration.fit import EnergyAxisError, fit_energy_axis
from stxm_live.phase_mapping.latent_space.bundle import BundleError
from stxm_live.preprocessing.normalization import ODStack

WIDTH_WARNING_EV = 0.1
"""Extra width above which the verdict speaks of it."""


@dataclass(frozen=True, eq=False)
class Correction:
    """What the scan says of its energy axis, and what follows from it.

    Parameters
    ----------
    axis : EnergyAxis or None
        None if the scan cannot tell; ``notes`` then says why.
    products : dict
        ``corrected_index``, ``corrected_probability`` and ``corrected_wrong_probability`` as
        flat arrays (..., n_spectra); empty where the axis is as the recipe says.
    reference_od : ndarray of shape (n_phases, n_energies) or None
        The references with the axis that was found, at the scan's nominal energies; NaN where
        they no longer reach.
    notes : tuple of str
    """

    axis: EnergyAxis | None
    products: dict[str, NDArray[Any]]
    reference_od: NDArray[np.float64] | None
    notes: tuple[str, ...]


def correct(
    spectra: Spectra,
    registered: ODStack,
    mapped: NDArray[np.bool_],
    recipe: Recipe,
) -> Correction:
    """Look for offset and width, and map a second time if they are not those of the recipe.

    The map as the recipe asks for it is not touched. Offset and width are counted from the
    references as measured, so that they confirm a recipe that holds the right ones.
    """
    photons = registered.intensity[:, mapped] * np.float32(recipe.detector.photons_per_count)
    try:
        axis = fit_energy_axis(
            spectra.od,
            photons,
            recipe.reference_spectra,
            np.array(registered.energies_ev),
            baseline=has_baseline(recipe),
            around_ev=recipe.energy_offset_ev,
        )
    except EnergyAxisError as problem:
        return Correction(None, {}, None, (f"the energy axis was not checked: {problem}",))
    if not departs(axis, recipe):
        return Correction(axis, {}, None, axis.notes)
    references = recipe.reference_spectra.corrected(axis.offset_ev, axis.width_ev)
    energies = np.array(registered.energies_ev)
    covered = (energies >= references.energies_ev[0]) & (energies <= references.energies_ev[-1])
    reference_od = np.full((references.n_phases, len(energies)), np.nan)
    reference_od[:, covered] = references.at(energies[covered])
    products, notes = _mapped_again(spectra, reference_od, registered, mapped, recipe)
    return Correction(axis, products, reference_od, (in_words(axis, recipe), *axis.notes, *notes))


def departs(axis: EnergyAxis, recipe: Recipe) -> bool:
    """Whether offset or width are not those of the recipe, beyond doubt and beyond its limits."""
    return axis.has_offset(recipe.energy_offset_ev, recipe.energy_warning_ev) or axis.has_width(
        recipe.energy_width_ev, WIDTH_WARNING_EV
    )


def in_words(axis: EnergyAxis, recipe: Recipe) -> str:
    """Offset and width of an axis that is not the recipe's, with both readings of it."""
    return (
        "energy offset or composition between references: the spectra fit best if true energies "
        f"are nominal ones {axis.offset_ev:+.3f} ± {axis.offset_std_ev:.3f} eV and the beam is "
        f"wider by {axis.width_ev:.2f} ± {axis.width_std_ev:.2f} eV "
        f"(the recipe: {recipe.energy_offset_ev:+g} and {recipe.energy_width_ev:g} eV)"
    )


def _mapped_again(
    spectra: Spectra,
    reference_od: NDArray[np.float64],
    registered: ODStack,
    mapped: NDArray[np.bool_],
    recipe: Recipe,
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The second map, and what there is to say of how it was made.

    A model was trained for one energy axis: with another there is no latent space.
    """
    no_model = BundleError("the model belongs to the uncorrected energy axis")
    covered = np.isfinite(reference_od).all(axis=0)
    energies = np.array(registered.energies_ev)
    again = resolve_spectra(
        compared(spectra.od[covered], reference_od[:, covered], recipe),
        replace(
            registered,
            energies_ev=tuple(energies[covered].tolist()),
            intensity=registered.intensity[covered],
        ),
        mapped,
        recipe,
        no_model,
    )
    names = {
        "resolved_index": "corrected_index",
        "probability": "corrected_probability",
        "wrong_probability": "corrected_wrong_probability",
    }
    notes = []
    if not covered.all():
        notes.append(
            "the map with the energy axis corrected is made without "
            f"{listed_ev(energies[~covered])} eV, which the references no longer cover"
        )
    if again.method != recipe.resolver.method:
        notes.append(
            f"the map with the energy axis corrected is resolved by {again.method} instead of "
            f"{recipe.resolver.method}: {no_model}"
        )
    return {new: again.products[old] for old, new in names.items()}, notes
