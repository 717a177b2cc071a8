"""The spectra of a training, and their split into training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra

MINIMUM_SPECTRA = 400
"""Fewest spectra of a training; fewer leave less than ten for validation."""

HELD_OUT_SHARE = 0.025
"""Share of spectra for validation, and again for the test (the paper's 95/2.5/2.5 %)."""


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Spectra, with their references and known properties.

    Parameters
    ----------
    spectra : ndarray of shape (n_spectra, n_energies)
        Optical density of specimen pixels, not normalized; every value is finite.
    references : ReferenceSpectra
        References that label the latent clusters.
    energies_ev : tuple of float
        Energies of the spectra; ascending.
    labels : ndarray of shape (n_spectra,), optional
        True phases, for the scores only: the network does not use them.
    ambiguity_threshold : float
        Smallest Q1 - Q2 of a spectrum that is used for its phase's cluster.
    simulated : bool
        True if any of the spectra are simulated; the bundle records it.
    note : str
        Origin of the spectra, for the bundle.
    groups : ndarray of shape (n_spectra,), optional
        Particle of each spectrum. With it, whole particles are held back: pixels of one
        particle are similar, and a split among them makes scores too good.
    """

    spectra: NDArray[np.floating]
    references: ReferenceSpectra
    energies_ev: tuple[float, ...]
    labels: NDArray[np.integer] | None = None
    ambiguity_threshold: float = 0.005
    simulated: bool = False
    note: str = ""
    groups: NDArray[np.integer] | None = None

    def __post_init__(self) -> None:
        n_energies = len(self.energies_ev)
        if self.spectra.ndim != 2 or self.spectra.shape[1] != n_energies:
            raise ValueError(
                f"spectra have shape {self.spectra.shape}, expected (n_spectra, {n_energies}) "
                f"for {n_energies} energies"
            )
        if not np.all(np.diff(self.energies_ev) > 0):
            raise ValueError("the energies of the spectra must ascend, each once")
        bad = int((~np.isfinite(self.spectra).all(axis=1)).sum())
        if bad:
            raise ValueError(
                f"{bad} of {len(self.spectra)} spectra contain a value that is not finite; "
                "leave these pixels out"
            )
        if self.labels is not None and len(self.labels) != len(self.spectra):
            raise ValueError(f"{len(self.spectra)} spectra came with {len(self.labels)} labels")
        if self.groups is not None and len(self.groups) != len(self.spectra):
            raise ValueError(f"{len(self.spectra)} spectra came with {len(self.groups)} groups")

    @classmethod
    def of_recipe(
        cls,
        recipe: Recipe,
        spectra: NDArray[np.floating],
        *,
        labels: NDArray[np.integer] | None = None,
        simulated: bool = False,
        note: str = "",
        groups: NDArray[np.integer] | None = None,
    ) -> TrainingSet:
        """Make a training set at the energies of a recipe, with its references and threshold."""
        return cls(
            spectra,
            recipe.reference_spectra,
            recipe_energies_ev(recipe),
            labels,
            recipe.ambiguity_threshold,
            simulated,
            note,
            groups,
        )

    @property
    def reference_od(self) -> NDArray[np.float64]:
        """Return the references at the energies, shape (n_phases, n_energies)."""
        return self.references.at(self.energies_ev)

    def take(self, rows: NDArray[np.intp]) -> TrainingSet:
        """Return a training set with some of the spectra only."""
        labels = None if self.labels is None else self.labels[rows]
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, spectra=self.spectra[rows], labels=labels, groups=groups)

    def split(self, seed: int) -> Split:
        """Split by particle if groups are given, else by pixel."""
        if self.groups is None:
            return split_rows(len(self.spectra), seed)
        return split_groups(self.groups, seed)


def recipe_energies_ev(recipe: Recipe) -> tuple[float, ...]:
    """Return the energies at which a model for this recipe is trained.

    Raises
    ------
    ValueError
        If the recipe has no energies.
    """
    if recipe.energies_ev is None:
        raise ValueError(
            f"recipe {recipe.name!r} has no energies_ev, and an encoder is trained for a fixed "
            "list; add the energies of your scans to the recipe"
        )
    return tuple(recipe.selected(recipe.energies_ev))


class Split(NamedTuple):
    """Row numbers of the spectra for training, validation and test."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]


def split_rows(n_spectra: int, seed: int) -> Split:
    """Distribute spectra at random, 95/2.5/2.5 %.

    Raises
    ------
    ValueError
        If there are too few.
    """
    _refuse_too_few(n_spectra)
    rows = np.random.default_rng(seed).permutation(n_spectra)
    held_out = round(HELD_OUT_SHARE * n_spectra)
    return Split(
        train=rows[2 * held_out :], validation=rows[:held_out], test=rows[held_out : 2 * held_out]
    )


def split_groups(groups: NDArray[np.integer], seed: int) -> Split:
    """Distribute whole particles at random: at least 2.5 % of the spectra for each of two.

    Validation and test take particles until they have enough; the others are for training.

    Parameters
    ----------
    groups : ndarray of shape (n_spectra,)
        Particle of each spectrum.
    seed : int

    Raises
    ------
    ValueError
        If there are too few spectra or fewer than three particles.
    """
    _refuse_too_few(len(groups))
    particles, sizes = np.unique(groups, return_counts=True)
    if len(particles) < 3:
        raise ValueError(
            f"a split by particle needs at least three, got {len(particles)}; give more runs, "
            "or split by pixel"
        )
    order = np.random.default_rng(seed).permutation(len(particles))
    wanted = HELD_OUT_SHARE * len(groups)
    filled = np.cumsum(sizes[order])
    # one particle is left for each part that follows
    n_validation = min(int(np.searchsorted(filled, wanted)) + 1, len(order) - 2)
    held_out = filled[n_validation - 1] + wanted
    n_test = min(int(np.searchsorted(filled, held_out)) + 1, len(order) - 1) - n_validation
    parts = np.split(particles[order], [n_validation, n_validation + n_test])
    validation, test, train = (np.flatnonzero(np.isin(groups, part)) for part in parts)
    return Split(train=train, validation=validation, test=test)


def _refuse_too_few(n_spectra: int) -> None:
    if n_spectra < MINIMUM_SPECTRA:
        raise ValueError(
            f"{n_spectra} spectra are too few to train on; "
            f"give at least {MINIMUM_SPECTRA}, better some ten thousand"
        )
