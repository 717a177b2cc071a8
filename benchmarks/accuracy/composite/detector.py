"""What is counted behind a specimen: drift, spot, stray light, pulses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.composite.faults import Faults
from benchmarks.accuracy.composite.textures import FINE

LARGEST_DRIFT_PX = 4.0


def drift(n: int, faults: Faults, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where each image sees the specimen, (n_energies, 2) in pixels: a walk that turns back."""
    walk = np.cumsum(rng.standard_normal((n, 2)), axis=0) * faults.drift_px
    return np.asarray(np.clip(walk - walk.mean(axis=0), -LARGEST_DRIFT_PX, LARGEST_DRIFT_PX))


def counted(
    od: NDArray[np.float64],
    drift_px: NDArray[np.float64],
    photons: float,
    faults: Faults,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Counts (n_energies, ny, nx) of a detector behind the specimen."""
    light = (np.exp(-od) + faults.leak) / (1 + faults.leak)
    n = len(light)
    time = np.linspace(0, 1, n)
    beam = photons * (1 - 0.08 * time) * (1 + 0.1 * np.sin(5 * time + rng.uniform(0, 6.3)))
    pixels = np.empty((n, od.shape[1] // FINE, od.shape[2] // FINE))
    for k in range(n):
        image = light[k]
        if drift_px[k].any():
            image = ndimage.shift(image, drift_px[k] * FINE, order=1, mode="nearest")
        if faults.blur_px:
            image = ndimage.gaussian_filter(image, faults.blur_px * FINE)
        pixels[k] = binned(image)
    rate = pixels / (1 + faults.dead_time / (1 - faults.dead_time) * pixels)
    return _pulses(rate * beam[:, None, None], faults.fano, rng)


def binned(fine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over the fine cells of each pixel; the last two axes."""
    ny, nx = fine.shape[-2] // FINE, fine.shape[-1] // FINE
    return np.asarray(fine.reshape(*fine.shape[:-2], ny, FINE, nx, FINE).mean(axis=(-3, -1)))


def _pulses(
    mean: NDArray[np.float64], fano: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Counts of which some are counted twice, so that their variance is ``fano`` (< 3) means."""
    twice = (fano - 1) / (3 - fano)
    photons = rng.poisson(mean / (1 + twice))
    return np.asarray(photons + rng.binomial(photons, twice), dtype=np.float64)
