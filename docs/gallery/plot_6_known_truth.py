"""
Known truth
===========

The phase of each pixel by five rules is compared with the true phase. The particle is
**synthetic**, and its references match its spectra; those of a measured particle never match so
well.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from stxm_live import Recipe, Stack, map_phases
from stxm_live.plotting.style.palette import phase_colors
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

# %%
# A particle with lamellae of two pixels (thin stripes, lower right), with 1000 photons per pixel
# and energy. The default map keeps most of them, with gaps, because it smooths between neighbors.
recipe = Recipe.load("nvpf").with_changes({"energy_fit": False})  # it is known here
rng = np.random.default_rng(4)
particle = make_particle((150, 150), phase_weights=STATES_OF_CHARGE["Na2VPF"], rng=rng)
counts = rng.poisson(
    1000 * np.exp(-od_cube(particle, recipe.reference_spectra, recipe.energies_ev))
)
maps = map_phases(Stack.from_arrays(counts, recipe.energies_ev), recipe)
alone = maps.redo({"resolver.spatial": "none"})

truth = np.where(particle.specimen, particle.phase_index, -1)
pictures = {
    "truth": truth,
    "correlation (PCC)": maps.phase_index,
    "the paper's rule": maps.latent_index,
    "likelihood, each pixel alone": alone.resolved_index,
    "likelihood, neighbors (default)": maps.resolved_index,
}

# %%
# Share of the pixels with the right phase: of all, and of those the paper calls ambiguous.
known = (maps.phase_index >= 0) & particle.specimen
right = {name: picture[known] == truth[known] for name, picture in pictures.items()}
for name, correct in right.items():
    print(f"{name:34s} {correct.mean():.3f} {correct[maps.ambiguous[known]].mean():.3f}")

# %%
# The last picture is the probability of a wrong label from the default map. It is high along
# boundaries and at thin edges, where the labels are in fact wrong more often.
colors = ListedColormap([(1, 1, 1), *phase_colors(maps.phase_names, recipe.colors)])
rows, columns = (slice(s.min() - 2, s.max() + 3) for s in np.nonzero(particle.specimen))
figure, axes = plt.subplots(2, 3, figsize=(10, 7), layout="constrained")
for axis, (name, picture) in zip(axes.flat, pictures.items(), strict=False):
    axis.imshow(picture[rows, columns], colors, vmin=-1, vmax=4, interpolation="nearest")
    score = "" if name == "truth" else f"\n{100 * right[name].mean():.0f} % right"
    axis.set_title(name + score, fontsize=10)
doubt = axes.flat[-1].imshow(maps.wrong_probability[rows, columns], "magma_r", vmin=0, vmax=0.6)
axes.flat[-1].set_title("probability of a wrong label\n(default map)", fontsize=10)
figure.colorbar(doubt, ax=axes.flat[-1], shrink=0.8)
for axis in axes.flat:
    axis.set_axis_off()

# %%
# To check the probabilities, pixels are sorted into classes of expected error, and the share of
# wrong labels in each is counted.
promised = maps.wrong_probability[known]
wrong = ~right["likelihood, neighbors (default)"]
for low, high in ((0, 0.02), (0.02, 0.1), (0.1, 0.3), (0.3, 1.0)):
    some = (promised >= low) & (promised < high)
    print(f"promised {promised[some].mean():.3f}  found {wrong[some].mean():.3f}  ({some.sum()})")
