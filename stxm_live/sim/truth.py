"""True phases of a simulated scan, to compare maps with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.sim.instrument import SimulatedMicroscope
from stxm_live.sim.specimens import ParticleSpecimen


def true_index(
    instrument: SimulatedMicroscope, maps: PhaseMaps, energies_ev: tuple[float, ...]
) -> NDArray[np.int8]:
    """Return the true phase of every pixel of the maps, as seen in the anchor image.

    Parameters
    ----------
    instrument : SimulatedMicroscope
        With a particle; its last stack must be the one that was mapped.
    maps : PhaseMaps
    energies_ev : tuple of float
        As scanned, in order: the specimen drifted from one to the next.

    Returns
    -------
    ndarray of int8, shape (ny, nx)
        -1 where there is no specimen.
    """
    specimen = instrument.specimen
    if not isinstance(specimen, ParticleSpecimen):
        raise ValueError("only a simulated particle has a known truth")
    anchor = int(np.argmin(np.abs(np.subtract(energies_ev, maps.provenance["anchor_ev"]))))
    drift_y, drift_x = instrument.microscope.drift_um[anchor]
    x0, x1, y0, y1 = maps.extent_um
    ny, nx = maps.specimen.shape
    return specimen.phase_index(
        np.linspace(x0, x1, nx) - drift_x, np.linspace(y0, y1, ny) - drift_y
    )


def agreement(maps: PhaseMaps, truth: NDArray[np.int8]) -> dict[str, float]:
    """Return the share of right pixels, among mapped specimen pixels, of every map."""
    counted = (maps.phase_index >= 0) & (truth >= 0)
    probable = None if maps.probability is None else maps.probability.argmax(axis=0)
    indices = {
        "Pearson correlation (PCC)": maps.phase_index,
        "the paper's map, ambiguous pixels by encoder": maps.latent_index,
        "the most probable phase by likelihood": probable,
    }
    return {
        name: float((index[counted] == truth[counted]).mean())
        for name, index in indices.items()
        if index is not None
    }
