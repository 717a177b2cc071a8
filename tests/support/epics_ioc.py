"""Serve a quiet simulated microscope: no noise, no drift, so that scans can be compared."""

import os
import sys

import numpy as np

from stxm_live.core.recipe import Recipe
from stxm_live.sim.instrument import SimulatedMicroscope
from stxm_live.sim.ioc import Bench, run_server
from stxm_live.sim.microscope import Beam, Drift

SHAPE = (48, 40)
QUIET = Beam(ring_decay_per_image=0, photon_noise=False, dark_counts=3.0)
PACE = 40.0


def simulated():
    """The truth of what is served."""
    return SimulatedMicroscope.with_particle(
        Recipe.load("nvpf").reference_spectra,
        rng=np.random.default_rng(20),
        shape=SHAPE,
        beam=QUIET,
        drift=Drift(),
    )


if __name__ == "__main__":
    run_server(
        Bench(simulated().microscope, pace=PACE),
        port=int(sys.argv[1]),
        ready=lambda _: os.write(1, b"ready\n"),
    )
