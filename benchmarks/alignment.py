"""What is left of a drift on particles of changing contrast: live, refined, and by others' methods.

    python benchmarks/alignment.py [--side 256] [--seeds 1] [--photons 300 1000]

Synthetic: particles whose phase domains brighten and darken from energy to energy, drifting by
a random walk of 2 px per image. Errors are distances after removing the offset common to all
images: root mean square and worst image, in pixels. Beside them stand both Cramer-Rao bounds of
the same data: with the images known but for their shifts, and with maps and spectra of a
chemistry of three components unknown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from stxm_live import Recipe
from stxm_live.alignment import EdgeImage, Match, find_shift, match, shifted
from stxm_live.refinement import refine
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

Shifts = NDArray[np.float64]
Drifting = tuple[NDArray[np.float32], Shifts, NDArray[np.float64]]
"""Counts, true drift, noise-free optical density without drift."""

ANCHOR = 5
"""All methods lay the images on this one, at the white line."""

TARGETS_PX = {300: 0.06, 1000: 0.04, 10_000: 0.04}
"""Of the refinement, root mean square."""


def main() -> None:
    """Print one row per method and photon number, and what it costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--photons", type=float, nargs="+", default=[100, 300, 1000, 3000, 10_000])
    arguments = parser.parse_args()
    console = Console(width=100)
    table = Table("photons", "method", "RMS px", "worst px", "target", title="left of the drift")
    for photons in arguments.photons:
        stacks = list(drifting_stacks(arguments.side, photons, arguments.seeds))
        for name, method in METHODS.items():
            left = [residual(method(counts), drift) for counts, drift, _ in stacks]
            rms = float(np.sqrt(np.mean(np.square(left))))
            target = (
                f"<= {TARGETS_PX[int(photons)]:g}"
                if name == REFINED and photons in TARGETS_PX
                else ""
            )
            table.add_row(f"{photons:g}", name, f"{rms:.3f}", f"{np.max(left):.3f}", target)
        for name, rank in (("template known", None), ("rank-3 chemistry unknown", 3)):
            bounds = [cramer_rao_px(photons, od, rank) for _, _, od in stacks]
            bound = float(np.sqrt(np.mean(np.square(bounds))))
            table.add_row(f"{photons:g}", f"Cramer-Rao bound, {name}", f"{bound:.3f}", "", "")
        table.add_section()
    console.print(table)
    console.print(costs())


def costs() -> Table:
    """Seconds of the refinement, milliseconds of the live registration."""
    table = Table("images", "live, ms an image", "target", "refinement, s", "target", title="cost")
    for side, live_ms, refined_s in ((256, "<= 6", "<= 1.5"), (512, "", "<= 4")):
        counts, _, _ = next(drifting_stacks(side, 1000, 1))
        anchor = EdgeImage.of(counts[ANCHOR])
        match(EdgeImage.of(counts[0]), anchor)  # the anchor's transform
        live = median(timed(laid, image, anchor) for image in counts[:5])
        start = ours(counts)
        spent = median(timed(refine, counts, start) for _ in range(3))
        table.add_row(
            f"13 x {side} x {side}", f"{1000 * live:.1f}", live_ms, f"{spent:.2f}", refined_s
        )
    return table


def laid(image: NDArray[np.float32], anchor: EdgeImage) -> Match:
    """All that a new image needs."""
    return match(EdgeImage.of(image), anchor)


def timed(action: Callable[..., object], *arguments: object) -> float:
    """Seconds that a call takes."""
    begin = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - begin


def cramer_rao_px(photons: float, od: NDArray[np.float64], rank: int | None) -> float:
    """Least RMS distance by which unbiased shifts are off, common offset removed.

    With a ``rank`` the maps and the spectra of the images' leading components are unknown, and
    a constant of each image.
    """
    n = len(od)
    weights = photons * np.exp(-od.reshape(n, -1))
    slopes = [np.gradient(od, axis=axis).reshape(n, -1) for axis in (1, 2)]
    if rank is None:
        unknowns = np.stack(slopes, axis=1)
        spectra = np.zeros((n, 0))
    else:
        u, s, v = np.linalg.svd(od.reshape(n, -1), full_matrices=False)
        spectra, maps = u[:, :rank], s[:rank, None] * v[:rank]
        further = np.concatenate([maps, np.ones((1, maps.shape[1]))])
        unknowns = np.concatenate(
            [np.stack(slopes, axis=1), np.broadcast_to(further, (n, *further.shape))], axis=1
        )
    information = _information(unknowns, weights, spectra)
    inverse = np.linalg.pinv(information, rcond=1e-9, hermitian=True)
    m = unknowns.shape[1]
    shift = (np.arange(n)[:, None] * m + np.arange(2)).ravel()
    common = np.eye(2 * n) - np.kron(np.full((n, n), 1 / n), np.eye(2))
    covariance = common @ inverse[np.ix_(shift, shift)] @ common
    return float(np.sqrt(np.trace(covariance) / n))


def _information(
    unknowns: NDArray[np.float64], weights: NDArray[np.float64], spectra: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fisher information of the unknowns (n, m, p) of each image, free maps eliminated."""
    n, m, _ = unknowns.shape
    information = np.zeros((n, m, n, m))
    free = np.einsum("kr,kp,ks->prs", spectra, weights, spectra, optimize=True)
    inverse = np.linalg.inv(free)
    for k in range(n):
        weighted = unknowns[k] * weights[k]
        information[k, :, k] += weighted @ unknowns[k].T
        for j in range(n if spectra.size else 0):
            shared = np.einsum("r,prs,s->p", spectra[k], inverse, spectra[j], optimize=True)
            information[k, :, j] -= (weighted * shared) @ (unknowns[j] * weights[j]).T
    return information.reshape(n * m, n * m)


def drifting_stacks(side: int, photons: float, n_seeds: int) -> Iterator[Drifting]:
    """Counts (13, side, side), the true drift (13, 2) and the truth, for several particles."""
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
            yield rng.poisson(expected).astype(np.float32), drift, od


def residual(found: Shifts, drift: Shifts) -> NDArray[np.float64]:
    """Distances (n_images,) between what was found and the truth, common offset removed."""
    left = found + drift
    return np.hypot(*(left - left.mean(axis=0)).T)


def ours(counts: NDArray[np.float32]) -> Shifts:
    """Edge strength of log images, as the package does."""
    images = [EdgeImage.of(image) for image in counts]
    return np.array([find_shift(image, images[ANCHOR]) for image in images])


def ours_refined(counts: NDArray[np.float32]) -> Shifts:
    """The same, refined; counts of zero are unusable as in a scan."""
    return refine(np.where(counts > 0, counts, np.float32(np.nan)), ours(counts)).shifts_px


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


REFINED = "refined (ours)"

METHODS: dict[str, Callable[[NDArray[np.float32]], Shifts]] = {
    "live: edge strength of log images (ours)": ours,
    REFINED: ours_refined,
    "log images, amplitude": correlated(smooth_log, None),
    "log images, phase only": correlated(smooth_log, "phase"),
    "scikit-image, counts, amplitude": correlated(lambda image: image - image.mean(), None),
    "scikit-image, counts, phase (its default)": correlated(lambda image: image, "phase"),
    "no alignment": lambda counts: np.zeros((len(counts), 2)),
}


if __name__ == "__main__":
    main()
