"""What is left of a drift, for several things to correlate, on a particle of changing contrast.

    python benchmarks/alignment.py [--side 200] [--seeds 3]

Synthetic: particles whose phase domains brighten and darken from energy to energy, drifting by
a random walk of 2 px per image. Errors are distances after removing the offset common to all
images: root mean square and worst image, in pixels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from stxm_live import Recipe
from stxm_live.alignment import EdgeImage, find_shift, shifted
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

Shifts = NDArray[np.float64]
ANCHOR = 5
"""All methods lay the images on this one, at the white line."""


def main() -> None:
    """Print one row per method and photon number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    table = Table("photons", "method", "RMS px", "worst px", title="what is left of the drift")
    for photons in (100, 300, 1000, 10_000):
        stacks = list(drifting_stacks(arguments.side, photons, arguments.seeds))
        for name, method in METHODS.items():
            left = [residual(method(counts), drift) for counts, drift in stacks]
            rms = float(np.sqrt(np.mean(np.square(left))))
            table.add_row(f"{photons}", name, f"{rms:.3f}", f"{np.max(left):.3f}")
        table.add_section()
    Console(width=100).print(table)


def drifting_stacks(
    side: int, photons: float, n_seeds: int
) -> Iterator[tuple[NDArray[np.float32], Shifts]]:
    """Counts (13, side, side) and the true drift (13, 2), for several particles."""
    recipe = Recipe.load("nvpf")
    for seed in range(n_seeds):
        for weights in STATES_OF_CHARGE.values():
            rng = np.random.default_rng(seed)
            particle = make_particle((side, side), phase_weights=weights, rng=rng)
            od = od_cube(particle, recipe.reference_spectra, recipe.energies_ev or ())
            drift = np.cumsum(rng.normal(0, 2, (len(od), 2)), axis=0)
            moved = [
                np.nan_to_num(shifted(image.astype(np.float32), (y, x)))
                for image, (y, x) in zip(od, drift, strict=True)
            ]
            expected = photons * np.exp(-np.clip(moved, 0, None))
            yield rng.poisson(expected).astype(np.float32), drift


def residual(found: Shifts, drift: Shifts) -> NDArray[np.float64]:
    """Distances (n_images,) between what was found and the truth, common offset removed."""
    left = found + drift
    return np.hypot(*(left - left.mean(axis=0)).T)


def ours(counts: NDArray[np.float32]) -> Shifts:
    """Edge strength of log images, as the package does."""
    images = [EdgeImage.of(image) for image in counts]
    return np.array([find_shift(image, images[ANCHOR]) for image in images])


def correlated(
    prepare: Callable[[NDArray[np.float32]], NDArray[np.float64]], normalization: str | None
) -> Callable[[NDArray[np.float32]], Shifts]:
    """Cross-correlation of prepared images, to 1/20 px."""

    def method(counts: NDArray[np.float32]) -> Shifts:
        images = [prepare(image) for image in counts]
        return np.array(
            [
                phase_cross_correlation(
                    images[ANCHOR], image, normalization=normalization, upsample_factor=20
                )[0]
                for image in images
            ]
        )

    return method


def smooth_log(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """-ln I, smoothed by one pixel, mean removed."""
    smooth = ndimage.gaussian_filter(-np.log(np.maximum(image, 0.5)), 1.0)
    return smooth - smooth.mean()


METHODS: dict[str, Callable[[NDArray[np.float32]], Shifts]] = {
    "edge strength of log images (ours)": ours,
    "log images, amplitude": correlated(smooth_log, None),
    "log images, phase only": correlated(smooth_log, "phase"),
    "counts, amplitude": correlated(lambda image: image - image.mean(), None),
    "no alignment": lambda counts: np.zeros((len(counts), 2)),
}


if __name__ == "__main__":
    main()
