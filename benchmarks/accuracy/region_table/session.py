"""One field of particles: its overview, and what any zoom into it would show.

The mathematics of the package is called directly for the zooms, with the incident intensity and
the specimen known: neither registration nor the search for I0 is what is compared here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from simulated_landscapes import Landscape, make_landscape

from stxm_live import PhaseMaps, Recipe, Region, Stack, map_phases
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.probabilities import phase_probabilities
from stxm_live.phase_mapping.spectrum_noise import spectrum_noise
from stxm_live.phase_mapping.weighted_products import Baseline
from stxm_live.sim.phantom import od_cube

STEP_UM = 0.03
"""Of the finest grid, on which labels are scored."""

Window = tuple[slice, slice]
"""Rows and columns of the finest grid."""


@dataclass(frozen=True)
class Conditions:
    """How the overview and the zooms are taken.

    Photons are those of the empty beam per pixel and energy. The beam is as wide as the step:
    an overview pixel shows the mean transmission of ``coarse`` x ``coarse`` fine ones.
    ``changing`` is the chance of a particle to hold several phases. ``background_od`` is the
    standard deviation of a constant, and of a slope from end to end, that each overview pixel has.
    """

    side: int = 192
    coarse: int = 3
    overview_photons: float = 300.0
    zoom_photons: float = 5000.0
    zoom_px: int = 64
    n_zooms: int = 3
    changing: float = 0.5
    background_od: float = 0.0


@dataclass(frozen=True, eq=False)
class Session:
    """A field with its truth, and the maps of its overview."""

    conditions: Conditions
    seed: int
    recipe: Recipe
    landscape: Landscape
    od: NDArray[np.float64]
    overview: PhaseMaps

    @classmethod
    def of(cls, seed: int, conditions: Conditions) -> Session:
        """Make a field and map its overview with the package."""
        changes = {"model": None, "alignment.enabled": False, "energy_fit": False}
        recipe = Recipe.load("nvpf").with_changes(changes)
        rng = np.random.default_rng([seed, 0])
        landscape = make_landscape(
            (conditions.side, conditions.side), rng=rng, changing=conditions.changing
        )
        od = od_cube(landscape.particle, recipe.reference_spectra, recipe.energies_ev or ())
        c = conditions.coarse
        n = conditions.side // c
        shapes = Baseline.slope(np.array(recipe.energies_ev)).shapes
        sizes = np.random.default_rng([seed, 2]).standard_normal((2, n, n))
        background = np.tensordot(shapes.T, sizes, axes=1)
        background = np.repeat(np.repeat(background, c, axis=1), c, axis=2)
        od += conditions.background_od * background * (landscape.particle.phase_index >= 0)
        light = np.exp(-od).reshape(len(od), n, c, n, c).mean(axis=(2, 4))
        counts = rng.poisson(conditions.overview_photons * light)
        first, last = (c - 1) / 2 * STEP_UM, (conditions.side - (c + 1) / 2) * STEP_UM
        stack = Stack.from_arrays(
            counts.astype(np.float32), recipe.energies_ev or (), extent_um=(first, last) * 2
        )
        return cls(conditions, seed, recipe, landscape, od, map_phases(stack, recipe, quick=True))

    @property
    def energies(self) -> tuple[float, ...]:
        """In eV."""
        return self.recipe.energies_ev or ()

    @property
    def truth(self) -> NDArray[np.int8]:
        """The phase of every fine pixel; -1 beside the specimen."""
        return self.landscape.particle.phase_index

    @cached_property
    def first_labels(self) -> NDArray[np.int8]:
        """Those of the overview, on the finest grid."""
        c = self.conditions.coarse
        return np.repeat(np.repeat(self.overview.final_index, c, axis=0), c, axis=1)

    def errors(self, labels: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Where the specimen has a wrong label, or none."""
        return (labels != self.truth) & (self.truth >= 0)

    @cached_property
    def absorbed(self) -> NDArray[np.float64]:
        """Energy that each fine pixel absorbs per photon and energy, in eV."""
        energies = np.array(self.energies)
        return np.asarray(np.tensordot(energies, 1 - np.exp(-self.od), axes=1))

    def window(self, region: Region) -> Window:
        """The fine pixels of a region, all within the field."""
        spans = []
        for extent in (region.y_extent_um, region.x_extent_um):
            start = round(min(extent) / STEP_UM)
            start = min(max(start, 0), self.conditions.side - self.conditions.zoom_px)
            spans.append(slice(start, start + self.conditions.zoom_px))
        return spans[0], spans[1]

    def photons_for(self, windows: list[Window]) -> float:
        """Photons with which zooms put the session's energy into the specimen, and no more.

        The energy is that of as many zooms at the nominal photons which the field's mean
        specimen fills to two thirds. Zooms on little specimen get 3 times the nominal
        photons at most.
        """
        c = self.conditions
        per_pixel = self.absorbed[self.truth >= 0].mean() * 2 / 3
        nominal = c.n_zooms * c.zoom_px**2 * per_pixel
        seen = np.zeros(self.truth.shape)
        for window in windows:
            seen[window] += 1
        return c.zoom_photons * min(3.0, nominal / max(float((seen * self.absorbed).sum()), 1e-9))

    def zoomed(self, window: Window, photons: float) -> NDArray[np.int8]:
        """Labels of a zoom, -1 where there is no specimen."""
        specimen = self.truth[window] >= 0
        labels = np.full(specimen.shape, -1, dtype=np.int8)
        if not specimen.any():
            return labels
        rng = np.random.default_rng([self.seed, 1, window[0].start, window[1].start])
        light = np.exp(-self.od[:, *window][:, specimen])
        counts = np.maximum(rng.poisson(photons * light), 0.5).astype(np.float32)
        od = np.log(photons / counts).astype(np.float32)
        references = self.recipe.reference_spectra.at(self.energies)
        energies = np.array(self.energies)
        noise = spectrum_noise(od, counts, references, energies, self.recipe, gain=1.0)
        spectra = CountedSpectra(od, counts, references, noise)
        found = phase_probabilities(spectra, specimen, self.recipe, dispersion=1.0)
        labels[specimen] = found.most_probable
        return labels

    def gain_of(self, window: Window) -> float:
        """Wrong labels that go by a zoom at the nominal photons, in pixels of the overview."""
        labels = self.first_labels.copy()
        labels[window] = self.zoomed(window, self.conditions.zoom_photons)
        gone = self.errors(self.first_labels).sum() - self.errors(labels).sum()
        return float(gone) / self.conditions.coarse**2

    def left_after(self, windows: list[Window]) -> int:
        """Wrong labels on the specimen once the zooms' labels replace the overview's."""
        photons = self.photons_for(windows)
        labels = self.first_labels.copy()
        for window in windows:
            labels[window] = self.zoomed(window, photons)
        return int(self.errors(labels).sum())
