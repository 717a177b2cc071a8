"""Model of shifted log images as few spectra times few maps, with the effect of shifts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import eigenvectors, inner_product, inverse, product
from stxm_live.core.threads import in_threads
from stxm_live.preprocessing.alignment.spline_shift import spline_coefficients, spline_moved
from stxm_live.preprocessing.noise import normal_std

_SMOOTHING_PX = 1.0
"""Standard deviation of the Gaussian on log images, so that pixel noise is not fitted."""

MAX_RANK = 5
"""Most components of the chemistry; spectra of five phases have no more."""

MAX_PIXELS = 40_000
"""Pixels in the fit for thirteen images: those with the most contrast for shifts."""

_BLOCK_PX = 16
"""Side of the blocks that give the variance of the score; blocks are taken as independent."""

_Float = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SmoothLog:
    """A smoothed -ln I as a spline, with the share of it that is known."""

    coefficients: _Float
    known: _Float | None
    """Share of the smoothing that fell on usable pixels, as a spline; None if all did."""
    is_blank: bool

    @classmethod
    def of(cls, counts: NDArray[np.floating]) -> SmoothLog:
        """Make a smoothed logarithm from counts (ny, nx); NaN and counts <= 0 are unknown."""
        from scipy.ndimage import gaussian_filter

        usable = np.isfinite(counts) & (counts > 0)
        if not usable.any():
            return cls(np.zeros(counts.shape, dtype=np.float32), None, is_blank=True)
        median = np.median(counts[usable])
        values = np.where(usable, counts, median).astype(np.float32) / np.float32(median)
        log = -np.log(values + np.float32(_photon(values) / 2))
        share = None
        if not usable.all():
            log *= usable
            share = gaussian_filter(usable.astype(np.float32), _SMOOTHING_PX, mode="nearest")
        log = gaussian_filter(log, _SMOOTHING_PX, mode="nearest")
        if share is not None:
            log /= np.maximum(share, 1e-6)
            log[share < 1e-3] = 0
            share = spline_coefficients(share)
        return cls(spline_coefficients(log), share, is_blank=bool(np.ptp(log) < 1e-6))

    def moved(self, shift_px: tuple[float, float]) -> tuple[_Float, _Float]:
        """Return the shifted log image (ny, nx), and the known share of each pixel (0 to 1)."""
        log = spline_moved(self.coefficients, shift_px)
        inside = np.isfinite(log)
        known = inside.astype(np.float32)
        if self.known is not None:
            share = np.nan_to_num(spline_moved(self.known, shift_px))
            known *= np.clip(share, 0, 1) * (share > _BRIDGED)
        return np.where(known > 0, log, np.float32(0)), known


def _photon(values: _Float) -> float:
    """Return the step of one photon, from the variance between neighbors over the level.

    With half a photon added, the mean logarithm of Poisson counts is that of their mean, except
    for terms of second order.
    """
    return min(normal_std(np.diff(values, axis=-1)) ** 2 / 2, 1.0)


_BRIDGED = 0.1
"""Known share of the surroundings from which smoothing bridges a gap: three lines, not more."""


@dataclass(frozen=True, eq=False)
class Step:
    """Change of the shifts, and their standard deviations after it; both (n, 2)."""

    shifts_px: NDArray[np.float64]
    std_px: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ShiftModel:
    """Shifted log images as spectra times maps, at the pixels with the most contrast.

    n images, r components, p pixels.
    """

    spectra: _Float  # (n, r)
    maps: _Float  # (r, p)
    gradients: _Float  # (2, r, p)
    logs: _Float  # (n, p), their mean removed
    weights: _Float  # (n, p)
    shrinkage: _Float  # (r,), noise over signal
    noise: float
    """Variance of a pixel of unit weight."""
    blocks: NDArray[np.intp]  # (p,)
    correlation: NDArray[np.float64]  # (n,)

    @classmethod
    def of(
        cls,
        images: list[SmoothLog],
        shifts: NDArray[np.float64],
        region: NDArray[np.bool_] | None,
        significant: float,
    ) -> ShiftModel | None:
        """Make a model from images at their shifts; None if they share too little field.

        Components whose variance is below ``significant`` times the noise are left out.
        """
        logs, known = _moved(images, shifts)
        field = _inner(known.min(axis=0) > 0)
        if region is not None:
            field &= region
        if field.sum() < 4 * _BLOCK_PX**2:
            return None
        logs -= logs[:, field].mean(axis=1, dtype=np.float64).astype(np.float32)[:, None, None]
        spectra, variances, noise, weight = _components(logs[:, field], significant)
        n = len(images)
        share = (variances - noise) / variances
        project = (share[:, None] * spectra.T * weight).astype(np.float32)
        maps = product(project, logs.reshape(n, -1)).reshape(-1, *field.shape)
        gradients = np.empty((2, *maps.shape), dtype=maps.dtype)
        for along, gradient in enumerate(gradients, start=1):
            gradient[:] = np.gradient(maps, axis=along)
        chosen = _telling(gradients, spectra, field, MAX_PIXELS * 13 // n)
        correlation = _correlation(logs[:, field], product(spectra, maps[:, field]))
        predicted = np.exp(-product(spectra, maps[:, chosen]))
        predicted *= (weight / predicted.mean(axis=1, dtype=np.float64))[:, None]
        ny, nx = np.nonzero(chosen)
        return cls(
            spectra,
            maps[:, chosen],
            gradients[:, :, chosen],
            logs[:, chosen],
            (predicted * known[:, chosen]).astype(np.float32),
            (noise / np.maximum(variances - noise, 1e-12)).astype(np.float32),
            noise,
            (ny // _BLOCK_PX) * (field.shape[1] // _BLOCK_PX + 1) + nx // _BLOCK_PX,
            correlation,
        )

    def step(self, precision: NDArray[np.float64], pull: NDArray[np.float64]) -> Step:
        """Return the step to the optimum of the linearized problem with its prior."""
        n = len(self.spectra)
        root = np.sqrt(self.weights)
        whitened = self.spectra.T[:, :, None] * root  # (r, n, p)
        normal = np.einsum("rkp,skp->prs", whitened, whitened, optimize=True)
        normal += np.diag(self.shrinkage)
        triangle = np.linalg.inv(np.linalg.cholesky(normal)).astype(np.float32)
        basis = np.einsum("prs,skp->rkp", triangle, whitened, optimize=True)
        del whitened, normal, triangle  # a third of the memory of this step
        residual = root * self.logs
        residual = residual - np.einsum(
            "rkp,rp->kp", basis, np.einsum("rkp,kp->rp", basis, residual, optimize=True)
        )
        design = self._design(root)  # (n, m, p)
        n_all = n * design.shape[1]
        scale = self.noise * 4 * np.pi * _SMOOTHING_PX**2  # smoothing spreads noise over pixels
        hessian = np.zeros((n_all, n_all))
        for k, block in enumerate(np.split(np.arange(n_all), n)):
            hessian[np.ix_(block, block)] = inner_product(design[k], design[k])
        for component in basis:
            seen = (design * component[:, None]).reshape(n_all, -1)
            hessian -= inner_product(seen, seen)
        hessian /= scale
        del basis, seen
        score = (design * residual[:, None] / np.float32(scale)).reshape(n_all, -1)
        drift = np.arange(n_all).reshape(n, -1)[:, :2]  # where the unknown shifts stand
        total = score.sum(axis=1, dtype=np.float64)
        for axis in range(2):
            hessian[np.ix_(drift[:, axis], drift[:, axis])] += precision
            total[drift[:, axis]] += pull[:, axis]
        of_drift = _inverse(hessian)[drift.ravel()]
        return Step(
            inner_product(of_drift, total[None]).reshape(n, 2),
            self._std(of_drift, score, precision, drift),
        )

    def _design(self, root: _Float) -> _Float:
        """Return the effect of each unknown on each image, (n, 2 + r + 1, p), whitened.

        The unknowns of an image are its shift in y and x, its value in each spectrum, and a
        constant. The image shifted further by d is the image minus d . gradient.
        """
        n = len(self.spectra)
        slopes = np.stack([product(self.spectra, g) for g in self.gradients], axis=1)
        ones = np.ones((n, 1, self.maps.shape[1]), dtype=np.float32)
        maps = np.broadcast_to(self.maps, (n, *self.maps.shape))
        design = np.concatenate([slopes, maps, ones], axis=1)
        design *= root[:, None]
        return design

    def _std(
        self,
        of_drift: NDArray[np.float64],
        score: _Float,
        precision: NDArray[np.float64],
        drift: NDArray[np.intp],
    ) -> NDArray[np.float64]:
        """Return standard deviations (n, 2) from the scatter of image blocks and the prior."""
        n = len(drift)
        _, block = np.unique(self.blocks, return_inverse=True)
        order = np.argsort(block, kind="stable")
        starts = np.flatnonzero(np.diff(block[order], prepend=-1))
        sums = np.add.reduceat(score[:, order], starts, axis=1, dtype=np.float64)
        spread = product(of_drift, sums)
        covariance = inner_product(spread, spread)
        by_prior = of_drift[:, drift.ravel()]
        covariance += product(product(by_prior, np.kron(precision, np.eye(2))), by_prior.T)
        common = np.eye(2 * n) - np.kron(np.full((n, n), 1 / n), np.eye(2))
        covariance = product(product(common, covariance), common)
        return np.sqrt(np.diag(covariance)).reshape(n, 2)


def _moved(
    images: list[SmoothLog], shifts: NDArray[np.float64]
) -> tuple[_Float, NDArray[np.float32 | np.bool_]]:
    """Return the shifted log images, and the known share of each pixel; both (n, ny, nx).

    Each image goes to its place at once, and shares that are all 0 or 1 are kept as bits.
    """
    shape = (len(images), *images[0].coefficients.shape)
    is_whole = all(image.known is None for image in images)
    logs = np.empty(shape, dtype=np.float32)
    known: NDArray[Any] = np.empty(shape, dtype=np.bool_ if is_whole else np.float32)

    def move(k: int) -> None:
        logs[k], known[k] = images[k].moved((float(shifts[k, 0]), float(shifts[k, 1])))

    in_threads(move, range(len(images)))
    return logs, known


def _inner(field: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_erosion

    return np.asarray(binary_erosion(field, iterations=2))


def _components(
    logs: _Float, significant: float
) -> tuple[_Float, NDArray[np.float64], float, NDArray[np.float64]]:
    """Return spectra (n, r), variances of maps (r,), noise, and image weights (n,).

    ``logs`` of shape (n, p) have no mean. Images are weighted with their mean photons, found from
    the logarithm; spectra are orthonormal under these weights.
    """
    n = len(logs)
    photons = -logs
    weight = np.exp(photons, out=photons).mean(axis=1, dtype=np.float64)
    del photons
    weight /= weight.mean()
    root = np.sqrt(weight)
    covariance = inner_product(logs, logs) / logs.shape[1]
    variances, vectors = eigenvectors(covariance * np.outer(root, root))
    variances, vectors = variances[::-1], vectors[:, ::-1]
    most = min(MAX_RANK, n - 3)
    noise = max(float(variances[most:].mean()), 1e-12)
    rank = int(np.clip((variances[:most] - noise > significant * noise).sum(), 1, most))
    spectra = (vectors[:, :rank] / root[:, None]).astype(np.float32)
    return spectra, variances[:rank], noise, weight


def _telling(
    gradients: _Float, spectra: _Float, field: NDArray[np.bool_], most: int
) -> NDArray[np.bool_]:
    """Return the pixels (ny, nx) of the field with the steepest slopes in all images together."""
    metric = spectra.T @ spectra
    slope = np.zeros(field.shape, dtype=np.float32)
    for along in gradients:  # y, x
        seen = product(metric, along.reshape(len(metric), -1)).reshape(along.shape)
        slope += (seen * along).sum(axis=0)
    if field.sum() <= most:
        return field
    limit = np.partition(slope[field], -most)[-most]
    return np.asarray(field & (slope >= limit))


def _correlation(logs: _Float, fit: _Float) -> NDArray[np.float64]:
    """Return the Pearson coefficient of each image with its prediction, shape (n,)."""
    products = np.einsum("kp,kp->k", logs, fit, dtype=np.float64)
    norms = np.sqrt(
        [
            float(np.square(a, dtype=np.float64).sum())
            * float(np.square(b, dtype=np.float64).sum())
            for a, b in zip(logs, fit, strict=True)
        ]
    )
    return np.asarray(products / np.maximum(norms, 1e-30))


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverse of a scaled positive matrix, with a weak ridge for stability."""
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-30))
    scaled = matrix * np.outer(scale, scale)
    return np.asarray(inverse(scaled + 1e-5 * np.eye(len(matrix))) * np.outer(scale, scale))
