"""
The paper's figures
===================

These are the figures of arXiv:2603.07666 that can be drawn from your own data, here for
**synthetic** particles. `stxm-live figures RUN` writes them for past runs, and
`stxm-live diagnose BUNDLE` for a model.
"""

import numpy as np

from stxm_live import Recipe, Stack, map_phases
from stxm_live.phase_mapping.latent_space.bundle import Bundle
from stxm_live.plotting.paper_figures import ParticleMaps, model_plates, particle_plates, run_plates
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

recipe = Recipe.load("nvpf")
bundle = Bundle.load(recipe.model)


def scanned(state_of_charge, seed):
    """Return maps of a simulated particle with 2000 photons per pixel and energy."""
    rng = np.random.default_rng(seed)
    weights = STATES_OF_CHARGE[state_of_charge]
    particle = make_particle((120, 120), phase_weights=weights, rng=rng)
    od = od_cube(particle, recipe.reference_spectra, recipe.energies_ev)
    counts = rng.poisson(2000 * np.exp(-od))
    stack = Stack.from_arrays(counts, recipe.energies_ev, extent_um=(0.0, 3.6, 3.6, 0.0))
    return map_phases(stack, recipe)


maps = scanned("Na2VPF", 3)
plates = {plate.name: plate for plate in run_plates(maps, recipe.reference_spectra, bundle)}
plates |= {plate.name: plate for plate in model_plates(bundle, recipe)}
others = [ParticleMaps("Na1VPF", scanned("Na1VPF", seed)) for seed in (5, 6)]
plates |= {p.name: p for p in particle_plates([ParticleMaps("Na2VPF", maps), *others], bundle)}

# %%
# **Fig. 2.** The reference spectra, and the energies of the scan on them.
figure_2 = plates["fig2-references"]

# %%
# **Fig. 3.** The Pearson coefficients of every pixel, the initial map, and the ambiguous pixels:
# those whose two best coefficients differ by less than 0.005.
figure_3 = plates["fig3-correlation"]

# %%
# **Fig. 4.** The same particle before and after resolution, and its spectra in latent space.
# Ambiguous spectra are everywhere in the clusters, not only at their borders.
figure_4 = plates["fig4-resolved"]

# %%
# **Fig. 5.** Particles at two states of charge: initial map, ambiguity, resolved map.
figure_5 = plates["fig5-particles"]

# %%
# **Fig. 6.** Particles of one state of charge.
figure_6 = plates["fig6-1-Na1VPF"]

# %%
# **Fig. S3.** The reliability over the phase map.
figure_s3 = plates["figS3-reliability"]

# %%
# **Fig. S4.** Similarity of the references on these energies. If 1 - PCC is near the threshold
# 0.005, noise makes pixels of the two phases ambiguous.
figure_s4 = plates["figS4-reference-correlation"]

# %%
# **Fig. S5.** The network, from the spectrum to latent space and back.
figure_s5 = plates["figS5-architecture"]

# %%
# **Fig. S6.** Latent space of all particles, and each particle among the others. Pixels that lie
# among those of another phase may be false assignments.
figure_s6 = plates["figS6-latent-space"]

# %%
# **Fig. S7.** Reliability of each particle.
figure_s7 = plates["figS7-reliability"]

# %%
# **Fig. S8.** Correlation of each particle with every reference.
figure_s8 = plates["figS8-correlation"]

# %%
# **Fig. S9.** Decoded spectra on the straight line from the first reference to the last; they pass
# through the phases between.
figure_s9 = plates["figS9-decoder-path"]

# %%
# **Fig. S10.** K-means in latent space. The groups follow the thickness, and hardly the phase:
# their mean spectra differ in size, and not in shape.
figure_s10 = plates["figS10-kmeans"]

# %%
# **Fig. S11.** Losses of the training.
figure_s11 = plates["figS11-losses"]

# %%
# The next four are not in the paper. **Audit:** clear pixels that are nearer to another phase in
# latent space, which the rule for ambiguous pixels never changes. Here they are on the thin rim,
# near the broad cluster of one phase. They are listed for inspection, not corrected.
audit = plates["audit"]

# %%
# **Strategies:** the paper's rules for ambiguous pixels side by side.
strategies = plates["strategies"]

# %%
# **States of charge:** the shares of the phases of each particle, in the order of their charge.
states_of_charge = plates["states-of-charge"]

# %%
# **Components of the mixture:** their information on phase and on thickness.
components = plates["components"]
