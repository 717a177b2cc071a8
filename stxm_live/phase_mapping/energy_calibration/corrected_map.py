"""The energy axis of a scan from its own spectra, and the map with references to match it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.energy_axis import EnergyAxis
from stxm_live.core.file_arrays import empty_as, in_bands
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import listed_ev
from stxm_live.phase_mapping.assignment import Resolution, resolve_spectra
from stxm_live.phase_mapping.correlation import Correlated, correlate
from stxm_live.phase_mapping.energy_calibration.fit import EnergyAxisError, fit_energy_axis
from stxm_live.phase_mapping.scan_noise import noisy_spectra
from stxm_live.preprocessing.normalization import ODStack

WIDTH_WARNING_EV = 0.1
"""Extra width above which the verdict speaks of it."""

_STRANGE_LEFT = 0.2
"""Share of the specimen that agrees with no reference, from which an energy axis mends nothing."""

AS_GOOD = 1.03
"""Ratio of dispersions up to which two explanations are as good; and, less one, by how much more
of the specimen may agree with no reference."""


@dataclass(frozen=True, eq=False)
class CorrectedMap:
    """The scan's own energy axis, and the map that follows from it.

    Parameters
    ----------
    axis : EnergyAxis or None
        None if the scan cannot tell; ``notes`` then says why.
    resolution : Resolution or None
        The second map; None where the axis is as the recipe says.
    reference_od : ndarray of shape (n_phases, n_energies) or None
        The references with the axis that was found, at the scan's nominal energies; NaN where
        they no longer reach.
    notes : tuple of str
    """

    axis: EnergyAxis | None
    resolution: Resolution | None = None
    reference_od: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()


def find_energy_axis(spectra: Correlated, stack: ODStack, recipe: Recipe) -> EnergyAxis:
    """Find offset and width of the energy axis at which the references fit the spectra best.

    Both are counted from the references as measured, so that they confirm a recipe that holds
    the right ones.

    Raises
    ------
    EnergyAxisError
        If the scan cannot tell.
    """
    seen = noisy_spectra(spectra, stack, recipe)
    noise = seen.noise
    return fit_energy_axis(
        seen.spectra.od,
        seen.photons,
        recipe.reference_spectra,
        np.array(stack.energies_ev),
        baseline=noise.baseline.in_units_of(noise.gain),
        gain=noise.gain if noise.from_support else None,
        around_ev=recipe.energy_offset_ev,
    )


def corrected_map(
    spectra: Correlated,
    stack: ODStack,
    recipe: Recipe,
    *,
    energy_axis: Callable[[Correlated, ODStack, Recipe], EnergyAxis] = find_energy_axis,
    correlate: Callable[..., Correlated] = correlate,
    resolve: Callable[..., Resolution] = resolve_spectra,
) -> CorrectedMap:
    """Find the energy axis, and map a second time if it is not that of the recipe.

    The map as the recipe asks for it is not touched.

    Parameters
    ----------
    spectra : Correlated
    stack : ODStack
    recipe : Recipe
    energy_axis, correlate, resolve : callable, optional
        Steps of ``stxm_live.phase_mapping.Steps``.
    """
    try:
        axis = energy_axis(spectra, stack, recipe)
    except EnergyAxisError as problem:
        return CorrectedMap(None, notes=(f"the energy axis was not checked: {problem}",))
    if not departs(axis, recipe):
        return CorrectedMap(axis, notes=axis.notes)
    references = recipe.reference_spectra.corrected(axis.offset_ev, axis.width_ev)
    energies = np.array(stack.energies_ev)
    covered = (energies >= references.energies_ev[0]) & (energies <= references.energies_ev[-1])
    reference_od = np.full((references.n_phases, len(energies)), np.nan)
    reference_od[:, covered] = references.at(energies[covered])
    again = resolve(
        correlate(_at(spectra.od, covered), reference_od[:, covered], recipe),
        stack.at_energies(np.flatnonzero(covered).tolist()),
        recipe,
        None,  # a model was trained for one energy axis: with another there is no latent space
    )
    strange = float(again.unidentified.mean()) if again.unidentified.size else 0.0
    if strange > _STRANGE_LEFT:
        note = (
            f"the energy axis is not judged: at the most probable offset {100 * strange:.0f} % of "
            "the specimen still agrees with no reference"
        )
        return CorrectedMap(None, notes=(*axis.notes, note))
    notes = (
        axis_in_words(axis, recipe),
        *axis.notes,
        *_differences(again, energies[~covered], recipe),
    )
    return CorrectedMap(axis, again, reference_od, notes)


def _at(od: NDArray[np.float32], covered: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the spectra at some energies, energy by energy in memory."""
    chosen = empty_as(od, (int(covered.sum()), od.shape[1]))
    return in_bands(lambda some: od[:, some][covered], chosen)


def known_by_axis(resolution: Resolution, corrected: CorrectedMap | None) -> Resolution:
    """Return the labels with the probabilities of the second map, if the axis explains the scan.

    Offset and width of the axis are two numbers. Where they leave less of the spectra than the
    references do, or as little as errors that the pixels share, which are many more numbers,
    they are what is wrong. Lines of other strengths can imitate an offset, and make wrong labels
    look sure.
    """
    again = None if corrected is None else corrected.resolution
    if again is None or again.shared_errors is not None:
        return resolution
    if again.unidentified.mean() > resolution.unidentified.mean() + AS_GOOD - 1:
        return resolution
    noise = 0.0 if again.noise is None else again.noise.gain
    if resolution.shared_errors is None:
        explains = AS_GOOD * again.dispersion < resolution.dispersion
    else:
        explains = again.dispersion < AS_GOOD * max(resolution.dispersion, noise)
    if not explains:
        return resolution
    return replace(
        resolution,
        probability=again.probability,
        wrong_probability=1 - _of_labels(again.probability, resolution.index),
        entropy=again.entropy,
        mixed=again.mixed,
        unidentified=again.unidentified,
        dispersion=again.dispersion,
        layered=(),
        shared_errors=None,
    )


def _of_labels(probability: NDArray[np.float32], index: NDArray[np.int8]) -> NDArray[np.float32]:
    chosen = np.take_along_axis(probability, index[None].astype(np.intp), axis=0)[0]
    return np.asarray(chosen, dtype=np.float32)


def departs(axis: EnergyAxis, recipe: Recipe) -> bool:
    """Return True if offset or width differ significantly from those of the recipe.

    One at the end of what was tried is no finding: something else is amiss.
    """
    if axis.at_the_end:
        return False
    return axis.has_offset(recipe.energy_offset_ev, recipe.energy_warning_ev) or axis.has_width(
        recipe.energy_width_ev, WIDTH_WARNING_EV
    )


def axis_in_words(axis: EnergyAxis, recipe: Recipe) -> str:
    """Offset and width of an axis that is not the recipe's, with both readings of it."""
    return (
        "energy offset or composition between references: the spectra fit best if true energies "
        f"are nominal ones {axis.offset_ev:+.3f} ± {axis.offset_std_ev:.3f} eV and the beam is "
        f"wider by {axis.width_ev:.2f} ± {axis.width_std_ev:.2f} eV "
        f"(the recipe: {recipe.energy_offset_ev:+g} and {recipe.energy_width_ev:g} eV)"
    )


def _differences(again: Resolution, uncovered_ev: NDArray[np.float64], recipe: Recipe) -> list[str]:
    """In what the second map was made otherwise than the one asked for."""
    notes = []
    if uncovered_ev.size:
        notes.append(
            "the map with the energy axis corrected is made without "
            f"{listed_ev(uncovered_ev)} eV, which the references no longer cover"
        )
    if again.method != recipe.resolver.method:
        notes.append(
            f"the map with the energy axis corrected is resolved by {again.method} instead of "
            f"{recipe.resolver.method}: the model belongs to the uncorrected energy axis"
        )
    return notes
