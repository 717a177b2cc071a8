"""The steps from images to maps; each is a function that a caller may replace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.energy_axis import EnergyAxis
from stxm_live.core.phase_maps import Quality
from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.assignment import Resolution, resolve_spectra
from stxm_live.phase_mapping.correlation import Correlated, correlate
from stxm_live.phase_mapping.energy_calibration.corrected_map import find_energy_axis
from stxm_live.phase_mapping.facts import Facts
from stxm_live.phase_mapping.latent_space.model import LatentModel
from stxm_live.phase_mapping.quality import assess
from stxm_live.preprocessing.alignment.stack_alignment import Alignment
from stxm_live.preprocessing.i0 import I0
from stxm_live.preprocessing.normalization import AlignedStack, ODStack, optical_density
from stxm_live.preprocessing.stack_i0 import find_i0
from stxm_live.preprocessing.stack_images import StackImages
from stxm_live.preprocessing.workflow import align, refine


@dataclass(frozen=True)
class Steps:
    """The steps of the paper, one after the other; what is not given is the default.

    A step must be a function of its arguments alone: then live, replayed and offline maps are
    the same bit for bit. Live, ``align``, ``i0``, ``optical_density`` and ``correlate`` are called
    after every image, with the images so far.

    Parameters
    ----------
    align : callable
        ``(images: StackImages, recipe) -> Alignment``: the shift of every image (section 3.1).
    refine : callable
        ``(images, alignment, recipe) -> Alignment``: the shifts found once more, for the final
        maps only.
    i0 : callable
        ``(aligned: AlignedStack, recipe) -> I0``: incident intensity, specimen and support.
    optical_density : callable
        ``(intensity, i0) -> od``: ln(I0/I), arrays of shapes (n_energies, ny, nx) and
        (n_energies, 1, 1).
    correlate : callable
        ``(od, references, recipe) -> Correlated``: spectra (n_energies, n_spectra) compared with
        references (n_phases, n_energies) (section 3.2).
    resolve : callable
        ``(spectra: Correlated, stack: ODStack, recipe, model) -> Resolution``: final labels and
        their probabilities (section 3.3); ``model`` is None where there is no latent space.
    energy_axis : callable
        ``(spectra, stack, recipe) -> EnergyAxis``: offset and width of the energy axis.
    assess : callable
        ``(facts: Facts, recipe) -> Quality``: the verdict.
    """

    align: Callable[[StackImages, Recipe], Alignment] = align
    refine: Callable[[StackImages, Alignment, Recipe], Alignment] = refine
    i0: Callable[[AlignedStack, Recipe], I0] = find_i0
    optical_density: Callable[[NDArray[np.float32], NDArray[np.float64]], NDArray[np.float32]] = (
        optical_density
    )
    correlate: Callable[[NDArray[np.float32], NDArray[np.float64], Recipe], Correlated] = correlate
    resolve: Callable[[Correlated, ODStack, Recipe, LatentModel | None], Resolution] = (
        resolve_spectra
    )
    energy_axis: Callable[[Correlated, ODStack, Recipe], EnergyAxis] = find_energy_axis
    assess: Callable[[Facts, Recipe], Quality] = assess

    @property
    def replaced(self) -> dict[str, str]:
        """Steps that are not the default, and the qualified names of what takes their place.

        Examples
        --------
        >>> Steps(optical_density=np.subtract).replaced
        {'optical_density': 'numpy.subtract'}
        """
        return {
            step.name: _qualified_name(getattr(self, step.name))
            for step in fields(self)
            if getattr(self, step.name) is not step.default
        }


DEFAULT = Steps()
"""All steps as the paper has them, or as the decisions of this project say."""


def _qualified_name(function: Any) -> str:
    """Return module and name; for an object that can be called those of its class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{getattr(named, '__module__', None) or type(named).__module__}.{named.__qualname__}"
