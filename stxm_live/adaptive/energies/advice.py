"""Advice for the plan: certainty of the labels, and energies that are worth measuring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stxm_live.adaptive.energies.cost import Conditions
from stxm_live.adaptive.energies.current_labels import Counting, learn
from stxm_live.adaptive.energies.expected_error import Expectation
from stxm_live.adaptive.energies.selection import Offer, choose_energies
from stxm_live.adaptive.energies.subset_search import Goal, choose
from stxm_live.core.od_uncertainty import smoothing
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra, listed_ev
from stxm_live.live.cube import ODCube
from stxm_live.preprocessing.noise import dispersion

_PHOTONS = 1000.0
"""Photons per pixel for the minimum set; the true number is unknown before the first image."""

_NEAR_PX = 3
"""Pixels this close to the specimen do not count as empty support."""


@dataclass(frozen=True)
class Advice:
    """Certainty of the labels after an image, and the energies that are worth measuring.

    Parameters
    ----------
    run_uid : str
    latest_ev : float or None
        Announced energy of the image after which it is given; None if there is an ``error``.
    wanted_ev : tuple of float
        Announced energies still to measure, the most useful first; empty if the scan may end.
    certainty : float
        Mean probability that a label is right so far.
    expected_certainty, most_certainty : float
        Certainty expected with the wanted energies, and with all that are left.
    gains : mapping of float to float
        Rise of the certainty by each remaining energy alone.
    error : str
        Reason if there is no advice.
    """

    run_uid: str
    latest_ev: float | None = None
    wanted_ev: tuple[float, ...] = ()
    certainty: float = float("nan")
    expected_certainty: float = float("nan")
    most_certainty: float = float("nan")
    gains: Mapping[float, float] = field(default_factory=dict)
    error: str = ""

    def __str__(self) -> str:
        if self.error:
            return f"no advice: {self.error}"
        now = f"{100 * self.certainty:.1f} % of the labels are expected to be right"
        if not self.wanted_ev:
            return f"{now}; all energies left would make it {100 * self.most_certainty:.1f} %"
        return (
            f"{now}; {100 * self.expected_certainty:.1f} % with {listed_ev(self.wanted_ev)} eV, "
            f"{100 * self.most_certainty:.1f} % with all"
        )


def minimum_set(energies_ev: Sequence[float], recipe: Recipe) -> tuple[float, ...]:
    """Return the energies that an adaptive scan always measures, in their order.

    These are the recipe's energies, or as many as it asks for, chosen to distinguish the phases;
    more are added if these do not distinguish all of them. The first energy is always included,
    because advice begins with it. Energies that are not used in the maps are measured too, since
    their purpose is unknown.

    Raises
    ------
    ValueError
        If the recipe names one that is not announced, or if fewer than two are used in the maps.
    """
    announced = tuple(energies_ev)
    selected = recipe.selected(announced)
    if len(selected) < 2:
        raise ValueError(
            f"of the announced energies {listed_ev(announced)} eV the recipe selects "
            f"{len(selected)}; an adaptive scan chooses among more"
        )
    if recipe.adaptive.minimum_ev:
        chosen: Sequence[float] = _named(recipe, selected)
    else:
        chosen = _separating(recipe, selected, announced[0])
    always = {announced[0], *chosen, *set(announced).difference(selected)}
    return tuple(e for e in announced if e in always)


def _named(recipe: Recipe, selected: Sequence[float]) -> list[float]:
    """Return the energies nearest to those of the recipe's minimum set."""
    nearest = [min(selected, key=lambda e: abs(e - w)) for w in recipe.adaptive.minimum_ev]
    for wanted, found in zip(recipe.adaptive.minimum_ev, nearest, strict=True):
        if abs(wanted - found) > recipe.energy_tolerance_ev:
            raise ValueError(
                f"the recipe's minimum set has {wanted:g} eV, the nearest energy that is announced "
                f"and takes part in the maps is {found:g} eV; announce it, or change "
                "[adaptive] minimum_ev"
            )
    return nearest


def _separating(recipe: Recipe, selected: Sequence[float], first: float) -> Sequence[float]:
    """Return the fewest energies that separate the phases, at least as many as the recipe asks."""
    references, threshold = recipe.corrected_references, recipe.ambiguity_threshold
    offered = ReferenceSpectra(
        references.phase_names,
        np.array(selected),
        references.at(selected),
        references.synthetic,
    )
    conditions = Conditions(_PHOTONS, baseline=recipe.resolver.baseline)
    offer = Offer(keep_ev=tuple(e for e in selected if e == first), min_step_ev=0.0)
    together = references.inseparable_pairs(selected, threshold)
    for n in range(min(recipe.adaptive.fewest, len(selected)), len(selected)):
        chosen = choose_energies(offered, n, conditions, offer)
        if set(references.inseparable_pairs(chosen, threshold)) <= set(together):
            return chosen
    return selected


def advise(view: ODCube, recipe: Recipe, required_ev: Sequence[float]) -> Advice:
    """Return the advice after the images of a growing cube.

    Parameters
    ----------
    view : ODCube
        Cube of a scan that may skip energies.
    recipe : Recipe
    required_ev : sequence of float
        Announced energies that are always measured.

    Raises
    ------
    ValueError
        If no pixel can be labeled.
    """
    if view.i0 is None:
        raise ValueError("the view of the cube has no I0")
    measured = np.flatnonzero(view.measured)
    i0 = view.i0 * recipe.detector.photons_per_count
    counting = Counting(
        i0,
        np.array(view.energies_ev),
        recipe,
        gain=_gain(view, recipe),
    )
    knowledge = learn(view.od, view.specimen, measured.tolist(), view.reference_od, counting)
    left = _left(view)
    required = tuple(k for k in np.flatnonzero(left).tolist() if view.energies_ev[k] in required_ev)
    options = recipe.adaptive
    goal = Goal(1 - options.target_certainty, options.min_gain)
    choice = choose(Expectation(knowledge, view.measured), left, goal, required)
    energies = view.energies_ev
    return Advice(
        run_uid=view.key.run_uids[-1],
        latest_ev=energies[view.latest],
        wanted_ev=tuple(energies[k] for k in choice.wanted),
        certainty=1 - knowledge.wrong,
        expected_certainty=1 - choice.wrong,
        most_certainty=1 - choice.wrong_with_all,
        gains={energies[k]: gain for k, gain in choice.gains.items()},
    )


def _left(view: ODCube) -> NDArray[np.bool_]:
    """Return the energies that can still be measured, shape (n_energies,)."""
    left = ~view.measured
    if view.scan.skipping == "in-order":
        order = list(view.scan.energies_ev)
        now = order.index(view.energies_ev[view.latest])
        left &= np.array([order.index(e) > now for e in view.energies_ev])
    left[view.latest] = False
    return left


def _gain(view: ODCube, recipe: Recipe) -> float | None:
    """Return the variance over mean of the photons on empty support; None if unknown."""
    from scipy.ndimage import binary_dilation

    if view.i0 is None or view.shifts_px is None:
        return None
    rows = np.flatnonzero(view.measured)
    counts = view.i0[rows, None, None] * np.exp(-view.od[rows].astype(np.float64))
    empty = ~binary_dilation(view.specimen, iterations=_NEAR_PX)
    found = dispersion(counts, empty, view.shifts_px[rows])
    if found is None:
        return None
    return found * recipe.detector.photons_per_count * float(smoothing(view.shifts_px[rows]).mean())
