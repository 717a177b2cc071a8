"""
One stack to maps
=================

Thirteen images of a simulated particle become a map of its phases.
"""

import numpy as np

from stxm_live import Recipe, Stack, map_phases
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

# %%
# A **synthetic** particle whose majority phase is Na2VPF, measured with 2000 photons per pixel and
# energy.
recipe = Recipe.load("nvpf")
rng = np.random.default_rng(4)
particle = make_particle((140, 140), phase_weights=STATES_OF_CHARGE["Na2VPF"], rng=rng)
od = od_cube(particle, recipe.reference_spectra, recipe.energies_ev)
counts = rng.poisson(2000 * np.exp(-od))

# %%
# A map depends only on the stack and the recipe. The recipe names the references, the source of I0,
# and the method for ambiguous pixels.
stack = Stack.from_arrays(counts, recipe.energies_ev, extent_um=(0.0, 4.2, 4.2, 0.0))
maps = map_phases(stack, recipe)
maps

# %%
# The specimen is simulated, so the share of right labels is known. In this particle the likelihood
# gains most where the correlation is ambiguous.
known = (maps.phase_index >= 0) & particle.specimen
truth = particle.phase_index[known]
for name, index in {"correlation": maps.phase_index, "resolved": maps.resolved_index}.items():
    right = index[known] == truth
    unclear = maps.ambiguous[known]
    print(f"{name:12s} {right.mean():.3f} right, {right[unclear].mean():.3f} of the ambiguous")

# %%
# Every product has a name, dimensions and units.
maps.to_xarray()[["correlation", "probability", "reliability", "shifts_px"]]
