"""The ordinary plan and the adaptive ones in a RunEngine, for `dose.py`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from bluesky import RunEngine
from numpy.typing import NDArray

from stxm_live import LivePhaseMapper, PhaseMaps, Recipe
from stxm_live.adaptive.energies import EnergyAdvisor
from stxm_live.plans import stxm_stack, stxm_stack_adaptive
from stxm_live.sim.instrument import SimulatedMicroscope
from stxm_live.sim.microscope import Beam
from stxm_live.sim.phantom import od_cube
from stxm_live.sim.specimens import ParticleSpecimen
from stxm_live.sim.truth import true_index

TIMEOUT_S = 120.0


class Ran(NamedTuple):
    """What came of a scan.

    ``truth`` is -1 where there is nothing, ``dose`` in parts of that of all energies, and
    ``image_s`` the median time from one image to the next, with a detector that takes none.
    """

    maps: PhaseMaps
    truth: NDArray[np.int8]
    dose: float
    image_s: float


def scanned_by_plan(
    recipe: Recipe, state: str, photons: float, seed: int, side: int
) -> dict[str, Ran]:
    """The same particle scanned by each plan; it drifts a pixel per image."""
    engine = RunEngine({}, context_managers=[], call_returns_result=False)
    ran = {}
    try:
        with LivePhaseMapper(recipe) as live:
            advised = {"advisor": EnergyAdvisor(live), "advice_timeout_s": TIMEOUT_S}
            engine.subscribe(live)
            plans: dict[str, Callable[..., Any]] = {
                "all": stxm_stack,
                "adaptive, in order": partial(stxm_stack_adaptive, **advised),
                "adaptive, any order": partial(stxm_stack_adaptive, any_order=True, **advised),
            }
            for name, plan in plans.items():
                ran[name] = _ran(engine, live, plan, recipe, state, photons, seed, side)
    finally:
        engine.loop.call_soon_threadsafe(engine.loop.stop)
        engine._th.join(5)
    return ran


def _ran(
    engine: RunEngine,
    live: LivePhaseMapper,
    plan: Callable[..., Any],
    recipe: Recipe,
    state: str,
    photons: float,
    seed: int,
    side: int,
) -> Ran:
    scope = SimulatedMicroscope.with_particle(
        recipe.reference_spectra,
        rng=np.random.default_rng(1000 + seed),
        shape=(side, side),
        state_of_charge=state,
        beam=Beam(photons_per_pixel=photons),
    )
    order: list[float] = []
    came_s: list[float] = []

    def note(name: str, doc: dict[str, Any]) -> None:
        if name == "event":
            order.append(doc["data"]["energy_setpoint"])
            came_s.append(time.monotonic())

    token = engine.subscribe(note)
    (uid,) = engine(plan(scope.camera, scope.energy, recipe.energies_ev, scope.field()))
    engine.unsubscribe(token)
    maps = live.wait(uid, timeout_s=TIMEOUT_S)
    truth = true_index(scope, maps, tuple(order))
    return Ran(maps, truth, _dose(scope, recipe, order), float(np.median(np.diff(came_s))))


def _dose(scope: SimulatedMicroscope, recipe: Recipe, order: list[float]) -> float:
    assert isinstance(scope.specimen, ParticleSpecimen)
    particle, energies = scope.specimen.particle, tuple(recipe.energies_ev or ())
    od = od_cube(particle, recipe.reference_spectra, energies)[:, particle.specimen]
    dose = (1 - np.exp(-od)).mean(axis=1) * energies
    return float(dose[[energies.index(e) for e in order]].sum() / dose.sum())
