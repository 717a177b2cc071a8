"""A simulated microscope with an NVPF particle."""

import numpy as np

from stxm_live import Recipe
from stxm_live.sim.instrument import SimulatedMicroscope

recipe = Recipe.load("nvpf")
microscope = SimulatedMicroscope.with_particle(
    recipe.reference_spectra, rng=np.random.default_rng(), frame_time_s=0.3
)
field = microscope.field()
energy = microscope.energy
sample_x = microscope.x
sample_y = microscope.y
camera = microscope.camera
line = microscope.line
ring_current = microscope.ring_current
