"""
Where to scan next
==================

Regions are suggested on the maps of an overview with few photons and several particles. The truth
is known, so that the benefit of a region can be compared with its expected gain.
"""

import matplotlib.pyplot as plt
import numpy as np
from simulated_landscapes import make_landscape

from stxm_live import Recipe, Stack, map_phases, suggest_regions
from stxm_live.sim.phantom import od_cube

recipe = Recipe.load("nvpf").with_changes({"alignment.enabled": False, "model": None})
rng = np.random.default_rng(0)
particle = make_landscape((192, 192), rng=rng).particle
od = od_cube(particle, recipe.reference_spectra, recipe.energies_ev)

# %%
# The overview has steps of 90 nm and a beam as wide: three by three fine pixels each.
coarse = 3
light = np.exp(-od).reshape(len(od), 64, coarse, 64, coarse).mean(axis=(2, 4))
counts = rng.poisson(300 * light).astype(np.float32)
extent_um = (0.03, 5.70, 0.03, 5.70)
overview = map_phases(Stack.from_arrays(counts, recipe.energies_ev, extent_um=extent_um), recipe)

# %%
# Three zooms have a step of 30 nm and sixteen times the dwell.
options = {"size_um": 1.92, "step_um": 0.03, "dwell_ms": 16, "map_dwell_ms": 1}
regions = {
    criterion: suggest_regions(overview, 3, criterion=criterion, **options)
    for criterion in ("doubt", "od-2018")
}
for criterion, found in regions.items():
    for region in found:
        print(f"{criterion}: {region.reason}; {region.expected_gain:.0f} wrong labels would go")

# %%
# A particle that changes and one that has changed look alike in optical density. The rule of 2018
# (dashed) uses only this, and names one place: elsewhere too few pixels are between 0.5 and 1.5.
# The criterion "doubt" (solid) chooses places where labels would change. The right picture shows
# the wrong labels of the overview.
figure, axes = plt.subplots(1, 3, figsize=(13, 4.4), layout="constrained")
labels = np.kron(overview.final_index, np.ones((coarse, coarse), dtype=np.int8))
wrong = (labels != particle.phase_index) & particle.specimen
pictures = {
    "optical density, 517.5 eV": od[recipe.energies_ev.index(517.5)],
    "phases in the overview": np.where(labels >= 0, labels, np.nan),
    "wrong or missing labels": np.where(particle.specimen, wrong, np.nan),
}
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    edges = (0, 5.76, 5.76, 0)
    ax.imshow(picture, extent=edges, interpolation="nearest", cmap="cividis")
    ax.set(title=title, xlabel="x (um)")
    for criterion, style, color in (("doubt", "-", "crimson"), ("od-2018", "--", "black")):
        for region in regions[criterion]:
            (x0, x1), (y0, y1) = region.x_extent_um, region.y_extent_um
            ax.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], style, color=color, lw=2)

# %%
# Expected gain, in pixels of the overview, and the gain of a zoom without any wrong label.
for criterion, found in regions.items():
    for region in found:
        x, y = (np.rint(at / 0.03).astype(int) for at in region.positions_um)
        gone = wrong[np.ix_(y.clip(0, 191), x.clip(0, 191))].sum() / coarse**2
        print(f"{criterion}: promised {region.expected_gain:.0f}, at most {gone:.0f}")
