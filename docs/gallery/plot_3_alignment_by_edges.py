"""
Why the images are aligned by their edges
=========================================

Phase domains brighten and darken from energy to energy. This moves the center of mass of an image,
and with it the peak of a correlation of the images themselves. Their edges stay in place.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.registration import phase_cross_correlation

from stxm_live import Recipe
from stxm_live.preprocessing.alignment.cross_correlation import EdgeImage, match
from stxm_live.preprocessing.alignment.spline_shift import shifted
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

recipe = Recipe.load("nvpf")
rng = np.random.default_rng(11)
particle = make_particle((160, 160), phase_weights=STATES_OF_CHARGE["Na2VPF"], rng=rng)
od = od_cube(particle, recipe.reference_spectra, recipe.energies_ev)
drift_px = np.cumsum(rng.normal(0, 1.5, (len(od), 2)), axis=0)

# %%
# A **synthetic** particle that drifts in a random walk, with 1000 photons per pixel and energy.
counts = [
    rng.poisson(1000 * np.exp(-np.nan_to_num(shifted(image, tuple(step)))))
    for image, step in zip(od, drift_px, strict=True)
]

# %%
# Both methods use the same cross-correlation, but of different images.
ANCHOR = 5


def by_edges(image, anchor):
    """Return the edge strength, as stxm_live does."""
    return match(EdgeImage.of(image), EdgeImage.of(anchor)).shift_px


def by_log_images(image, anchor):
    """Return the smoothed -ln I itself."""
    a, b = (gaussian_filter(-np.log(np.maximum(i, 1)), 1.25) for i in (anchor, image))
    shift, _, _ = phase_cross_correlation(
        a - a.mean(), b - b.mean(), normalization=None, upsample_factor=20
    )
    return shift


def errors(method):
    """Return distances from the true position, without the offset common to all images."""
    found = np.array([method(image, counts[ANCHOR]) for image in counts])
    wrong = found + drift_px
    return np.hypot(*(wrong - np.median(wrong, axis=0)).T)


left = {"edges of -ln I": errors(by_edges), "-ln I itself": errors(by_log_images)}

# %%
# The upper images are compared at two energies: the domains swap contrast, the edges do not move.
# The lower plot is the drift that is left in each image.
figure, axes = plt.subplots(2, 2, figsize=(9, 8.4), layout="constrained")
for column, k in enumerate((ANCHOR, 11)):
    edges = EdgeImage.of(counts[k]).pattern
    axes[0, column].imshow(-np.log(np.maximum(counts[k], 1)), cmap="gray")
    axes[1, column].imshow(edges, cmap="gray", vmax=np.percentile(edges, 99.5))
    axes[0, column].set_title(f"-ln I at {recipe.energies_ev[k]:g} eV")
    axes[1, column].set_title(f"edges at {recipe.energies_ev[k]:g} eV")
for ax in axes.flat:
    ax.set_axis_off()

# %%
figure, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
for name, error in left.items():
    rms = np.sqrt(np.mean(error**2))
    ax.plot(error, "o-", label=f"{name}: {rms:.2f} px RMS, {error.max():.2f} px at worst")
ax.set_xticks(range(len(od)), [f"{e:g}" for e in recipe.energies_ev], rotation=45)
ax.set(xlabel="photon energy (eV)", ylabel="error (px)", title="What is left of the drift")
ax.legend()
