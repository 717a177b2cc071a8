"""
A wrong energy axis
===================

References and scan rarely come from the same day. This example shows the effect of a shift of the
energy axis between them on labels, and that the Pearson coefficient does not show it.
"""

import matplotlib.pyplot as plt
import numpy as np

from stxm_live import Recipe
from stxm_live.phase_mapping.correlation import best_two, pearson

recipe = Recipe.load("nvpf")
spectra = recipe.reference_spectra  # synthetic
energies_ev = np.array(recipe.energies_ev)
references = spectra.at(energies_ev)
rng = np.random.default_rng(0)

# %%
# Pixels of 300 nm and 3000 photons, whose true energies differ from those that the scan announces.
offsets_ev = np.linspace(-0.4, 0.4, 17)
truth = np.repeat(np.arange(spectra.n_phases), 1500)
right = np.empty((len(offsets_ev), spectra.n_phases))
q1 = np.empty(len(offsets_ev))
for i, offset_ev in enumerate(offsets_ev):
    od = 3 * spectra.at(energies_ev + offset_ev)[truth].T
    counts = rng.poisson(3000 * np.exp(-od)).clip(1)
    best = best_two(pearson(np.log(3000 / counts), references))
    hits = best.first_index == truth
    right[i] = [hits[truth == k].mean() for k in range(spectra.n_phases)]
    q1[i] = np.median(best.first)

# %%
# Whole phases are mislabeled from 0.2 eV on. The best coefficient Q1 (right) stays high and gives
# no warning. Calibrate the axis against a known peak of the same specimen.
figure, (left_ax, right_ax) = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
for name, line in zip(spectra.phase_names, right.T, strict=True):
    left_ax.plot(offsets_ev, line, label=name)
left_ax.plot(offsets_ev, right.mean(axis=1), "k", linewidth=2.5, label="all")
left_ax.set(xlabel="true minus announced energy (eV)", ylabel="right labels", ylim=(0, 1.02))
left_ax.legend(loc="lower left")
right_ax.plot(offsets_ev, q1, "k")
right_ax.set(xlabel="true minus announced energy (eV)", ylabel="median Q1", ylim=(0.8, 1.0))

# %%
for offset_ev in (0.0, 0.1, 0.2, 0.3):
    i = int(np.argmin(np.abs(offsets_ev - offset_ev)))
    print(f"{offset_ev:.1f} eV: {right[i].mean():.2f} right, median Q1 {q1[i]:.3f}")
