"""
One stack to maps
=================

Thirteen images of a simulated particle become a map of its phases.
"""

import numpy as np

from stxm_live import Recipe, Stack, map_phases
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

# %%
# A **synthetic** particle whose majority phase is Na2VPF, and what 2000 photons per pixel and
# energy show of it.
recipe = Recipe.load("nvpf")
rng = np.random.default_rng(4)
particle = make_particle((140, 140), phase_weights=STATES_OF_CHARGE["Na2VPF"], rng=rng)
od = od_cube(particle, recipe.reference_spectra, recipe.energies_ev)
counts = rng.poisson(2000 * np.exp(-od))

# %%
# The stack and the recipe are all that a map depends on. The recipe names the references, says
# where I0 comes from, and how ambiguous pixels are resolved.
stack = Stack.from_arrays(counts, recipe.energies_ev, extent_um=(0.0, 4.2, 4.2, 0.0))
maps = map_phases(stack, recipe)
maps
