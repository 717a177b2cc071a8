"""The demo: a simulated microscope takes a stack, and its maps are there with the last image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.recipe import Recipe
from stxm_live.sim.instrument import SimulatedMicroscope
from stxm_live.sim.microscope import Beam


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What a demo leaves behind.

    Parameters
    ----------
    uid : str
        Of the raw run.
    maps : PhaseMaps
    truth : ndarray of int8, shape (ny, nx)
    agreement : dict
        Share of right pixels of each map.
    pictures : list of Path
    """

    uid: str
    maps: PhaseMaps
    truth: NDArray[np.int8]
    agreement: dict[str, float]
    pictures: list[Path]


def run_demo(
    folder: Path,
    recipe: Recipe,
    *,
    size_px: int = 200,
    photons: float = 2000.0,
    frame_time_s: float = 0.8,
    state_of_charge: str = "Na2VPF",
    seed: int = 20,
    show: bool = False,
) -> DemoResult:
    """Scan a simulated particle under a RunEngine, and map it live.

    The images reach the mapper by the RunEngine's documents only. Raw counts and results are
    stored in ``folder/catalog``, pictures in ``folder/pictures``.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    recipe : Recipe
    size_px : int
        Rows and columns of the images.
    photons : float
        Per pixel and energy, without specimen.
    frame_time_s : float
        Time an image takes.
    state_of_charge : str
        A key of `stxm_live.sim.phantom.STATES_OF_CHARGE`.
    seed : int
    show : bool
        Also open a window.
    """
    from stxm_live.plotting import LiveFigure, write_pictures
    from stxm_live.sim.truth import agreement, true_index

    if recipe.energies_ev is None:
        raise ValueError(f"recipe {recipe.name}: the demo needs energies_ev to scan")
    microscope = SimulatedMicroscope.with_particle(
        recipe.reference_spectra,
        rng=np.random.default_rng(seed),
        shape=(size_px, size_px),
        state_of_charge=state_of_charge,
        beam=Beam(photons_per_pixel=photons),
        frame_time_s=frame_time_s,
    )
    figure = LiveFigure(folder / "pictures")
    if show:
        figure.show()
    maps = _scan_and_store(folder / "catalog", recipe, microscope, figure)
    truth = true_index(microscope, maps, recipe.energies_ev)
    pictures = write_pictures(maps, folder / "pictures", truth=truth)
    (uid,) = maps.key.run_uids
    return DemoResult(uid, maps, truth, agreement(maps, truth), [*figure.written, *pictures])


def _scan_and_store(
    folder: Path, recipe: Recipe, microscope: SimulatedMicroscope, sink: object
) -> PhaseMaps:
    """Scan under a RunEngine with catalogue and mapper subscribed, as at a beamline."""
    from bluesky import RunEngine

    from stxm_live.io.catalog import RawWriter, close_catalog, open_catalog, store_maps
    from stxm_live.live.mapper import LivePhaseMapper
    from stxm_live.plans import stxm_stack

    broker = open_catalog(folder)
    writer = RawWriter(broker)
    try:
        with LivePhaseMapper(recipe) as live:
            live.add_sink(sink, own_thread=True)
            run_engine = RunEngine({})
            run_engine.subscribe(writer)
            run_engine.subscribe(live)
            writer.guard(run_engine)
            plan = stxm_stack(
                microscope.camera,
                microscope.energy,
                energies_ev=recipe.energies_ev or (),
                md={"sample": "simulated particle"},
                **microscope.field(),
            )
            (uid,) = run_engine(plan)
            maps = live.wait(uid, timeout_s=60)
        writer.wait(uid, timeout_s=60)
        store_maps(broker, maps)
    finally:
        writer.close()
        close_catalog(broker)
    return maps
