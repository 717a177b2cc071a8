"""
Noise and thickness
===================

This example measures how often the largest Pearson coefficient gives the right phase, for pure
pixels of known phase. Thin pixels have little contrast, thick ones few photons.
"""

import matplotlib.pyplot as plt
import numpy as np

from stxm_live import Recipe
from stxm_live.phase_mapping.correlation import ambiguous, best_two, pearson

recipe = Recipe.load("nvpf")
references = recipe.reference_spectra.at(recipe.energies_ev)  # OD per 100 nm, synthetic
rng = np.random.default_rng(0)

thicknesses_nm = np.array([50, 100, 200, 300, 400, 600, 800])
photons = np.array([300, 1000, 3000, 10_000])
n_pixels = 2000

# %%
# Spectra of each phase with counting noise, against references without.
accuracy = np.empty((len(photons), len(thicknesses_nm)))
ambiguous_share = np.empty_like(accuracy)
clear_accuracy = np.empty_like(accuracy)
truth = np.repeat(np.arange(len(references)), n_pixels)
for i, n in enumerate(photons):
    for j, thickness_nm in enumerate(thicknesses_nm):
        od = references[truth].T * thickness_nm / 100
        counts = rng.poisson(n * np.exp(-od)).clip(1)
        best = best_two(pearson(np.log(n / counts), references))
        right, unclear = best.first_index == truth, ambiguous(best, 0.005)
        accuracy[i, j], ambiguous_share[i, j] = right.mean(), unclear.mean()
        clear_accuracy[i, j] = right[~unclear].mean()


# %%
# The share of right labels rises steeply with the photons, and with the thickness up to 600 nm. The
# ambiguous share (right) hardly changes where the accuracy doubles, so it does not measure quality.
# A thin pixel often gets a wrong label without being ambiguous.
def draw(ax, values, title):
    """Draw a table as an image with its numbers."""
    ax.imshow(values, vmin=0, vmax=1, cmap="cividis", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value < 0.6 else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=color)
    ax.set_xticks(range(len(thicknesses_nm)), thicknesses_nm)
    ax.set_yticks(range(len(photons)), photons)
    ax.set(title=title, xlabel="thickness (nm)", ylabel="photons per pixel and energy")


figure, axes = plt.subplots(1, 3, figsize=(15, 3.6), layout="constrained")
draw(axes[0], accuracy, "right labels")
draw(axes[1], clear_accuracy, "right labels among the clear pixels")
draw(axes[2], ambiguous_share, "ambiguous pixels (Q1 - Q2 < 0.005)")

# %%
for n, row, shares in zip(photons, accuracy, ambiguous_share, strict=True):
    print(f"{n:6d} photons, 200 nm: {row[2]:.2f} right, {shares[2]:.2f} ambiguous")
