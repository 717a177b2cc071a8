"""Model of shifted log images as few spectra times few maps, with the effect of shifts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import empty_as, kept_as
from stxm_live.core.products import (
    eigenvectors,
    gram,
    inner_product,
    inverse,
    product,
    product_in_parts,
)
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

_CHUNK = 8192
"""Pixels taken at once."""

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
        share = None if share is None else kept_as(counts, share)
        log_spline = kept_as(counts, spline_coefficients(log))
        return cls(log_spline, share, is_blank=bool(np.ptp(log) < 1e-6))

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
        n, flat = len(images), np.flatnonzero(field)
        logs -= _mean(logs, flat).astype(np.float32)[:, None, None]
        spectra, variances, noise, weight = _components(logs, flat, significant)
        share = (variances - noise) / variances
        project = (share[:, None] * spectra.T * weight).astype(np.float32)
        maps = product(project, logs.reshape(n, -1)).reshape(-1, *field.shape)
        chosen = _telling(maps, spectra, field, MAX_PIXELS * 13 // n)
        logs, known = logs[:, chosen], known[:, chosen]  # the rest is no longer needed
        of_pixels = [_gradient(maps, axis)[:, chosen].T for axis in (0, 1)]
        maps = maps[:, chosen]
        predicted = np.exp(-product(spectra, maps))
        predicted *= (weight / predicted.mean(axis=1, dtype=np.float64))[:, None]
        ny, nx = np.nonzero(chosen)
        return cls(
            spectra,
            maps,
            np.stack(of_pixels, axis=1).transpose(1, 2, 0),
            logs,
            (predicted * known).astype(np.float32),
            (noise / np.maximum(variances - noise, 1e-12)).astype(np.float32),
            noise,
            (ny // _BLOCK_PX) * (field.shape[1] // _BLOCK_PX + 1) + nx // _BLOCK_PX,
        )

    def step(self, precision: NDArray[np.float64], pull: NDArray[np.float64]) -> Step:
        """Return the step to the optimum of the linearized problem with its prior."""
        n = len(self.spectra)
        root = np.sqrt(self.weights)
        basis, residual = self._basis(root), root * self.logs
        for part in _chunks(residual.shape[1]):
            seen = np.einsum("rkp,kp->rp", basis[..., part], residual[:, part], optimize=True)
            residual[:, part] -= np.einsum("rkp,rp->kp", basis[..., part], seen)
        design = _Design(self, root)
        hessian = self._hessian(design, basis)
        del basis
        drift = np.arange(len(hessian)).reshape(n, -1)[:, :2]  # where the unknown shifts stand
        total, of_blocks = self._score(design, residual)
        for axis in range(2):
            hessian[np.ix_(drift[:, axis], drift[:, axis])] += precision
            total[drift[:, axis]] += pull[:, axis]
        of_drift = _inverse(hessian)[drift.ravel()]
        return Step(
            inner_product(of_drift, total[None]).reshape(n, 2),
            _std(of_drift, of_blocks, precision, drift),
        )

    @property
    def _scale(self) -> float:
        """Return the variance of a smoothed pixel: smoothing spreads noise over pixels."""
        return self.noise * 4 * np.pi * _SMOOTHING_PX**2

    def _basis(self, root: _Float) -> _Float:
        """Return the whitened spectra at each pixel, made orthonormal, (r, n, p)."""
        basis = np.empty((*root.T.shape, len(self.maps)), dtype=np.float32).T
        for part in _chunks(root.shape[1]):
            whitened = self.spectra.T[:, :, None] * root[:, part]  # (r, n, p)
            normal = np.einsum("rkp,skp->prs", whitened, whitened, optimize=True)
            normal += np.diag(self.shrinkage)
            triangle = np.linalg.inv(np.linalg.cholesky(normal)).astype(np.float32)
            basis[..., part] = np.einsum("prs,skp->rkp", triangle, whitened, optimize=True)
        return basis

    def _hessian(self, design: _Design, basis: _Float) -> NDArray[np.float64]:
        """Return the matrix of the linearized problem, the maps eliminated at every pixel."""
        n, p = self.logs.shape
        hessian = np.zeros((n * design.m, n * design.m))
        for block in np.split(np.arange(n * design.m), n):
            of_image = design.rows(slice(block[0], block[-1] + 1))
            hessian[np.ix_(block, block)] = inner_product(of_image, of_image)
        for component in basis:
            hessian -= gram(partial(design.rows, component=component), len(hessian), p)
        hessian /= self._scale
        return hessian

    def _score(
        self, design: _Design, residual: _Float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the score of each unknown, (n m,), and that of each block, (n m, n_blocks)."""
        _, block = np.unique(self.blocks, return_inverse=True)
        order = np.argsort(block, kind="stable")
        starts = np.flatnonzero(np.diff(block[order], prepend=-1))
        total, of_blocks = [], []
        for k, misfit in enumerate(residual):
            score = design.rows(slice(k * design.m, (k + 1) * design.m))
            score *= misfit
            score /= np.float32(self._scale)
            total.append(score.sum(axis=1, dtype=np.float64))
            of_blocks += [np.add.reduceat(s[order], starts, dtype=np.float64) for s in score]
        return np.concatenate(total), np.stack(of_blocks)


class _Design:
    """Effect of each unknown on each image, whitened: a matrix (n m, p) made where it is needed.

    The m unknowns of an image are its shift in y and x, its value in each of the r spectra, and a
    constant. The image shifted further by d is the image minus d . gradient.
    """

    def __init__(self, model: ShiftModel, root: _Float) -> None:
        self._slopes = np.stack([product(model.spectra, g) for g in model.gradients], axis=1)
        self._maps, self._root = model.maps, root
        self.m = 2 + len(model.maps) + 1

    def rows(
        self, rows: slice, part: slice = slice(None), component: _Float | None = None
    ) -> _Float:
        """Return some rows and columns, times a component of the basis (n, p) if one is given."""
        first, last = rows.start // self.m, -(-rows.stop // self.m)
        root = self._root[first:last, part]
        weight = root if component is None else root * component[first:last, part]
        found = np.empty((len(root), self.m, root.shape[1]), dtype=np.float32)
        np.multiply(self._slopes[first:last, :, part], weight[:, None], out=found[:, :2])
        np.multiply(self._maps[:, part], weight[:, None], out=found[:, 2:-1])
        found[:, -1] = weight
        start = rows.start - first * self.m
        return found.reshape(-1, found.shape[2])[start : start + rows.stop - rows.start]


def _std(
    of_drift: NDArray[np.float64],
    of_blocks: NDArray[np.float64],
    precision: NDArray[np.float64],
    drift: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Return standard deviations (n, 2) from the scatter of image blocks and the prior."""
    n = len(drift)
    spread = product(of_drift, of_blocks)
    covariance = inner_product(spread, spread)
    by_prior = of_drift[:, drift.ravel()]
    covariance += product(product(by_prior, np.kron(precision, np.eye(2))), by_prior.T)
    common = np.eye(2 * n) - np.kron(np.full((n, n), 1 / n), np.eye(2))
    covariance = product(product(common, covariance), common)
    return np.sqrt(np.diag(covariance)).reshape(n, 2)


def _chunks(n: int) -> Iterator[slice]:
    """Yield places of so many pixels, some at once."""
    for start in range(0, n, _CHUNK):
        yield slice(start, start + _CHUNK)


def _moved(
    images: list[SmoothLog], shifts: NDArray[np.float64]
) -> tuple[_Float, NDArray[np.float32 | np.bool_]]:
    """Return the shifted log images, and the known share of each pixel; both (n, ny, nx).

    Each image goes to its place at once, and shares that are all 0 or 1 are kept as bits.
    """
    shape = (len(images), *images[0].coefficients.shape)
    is_whole = all(image.known is None for image in images)
    logs = empty_as(images[0].coefficients, shape)
    known = empty_as(images[0].coefficients, shape, np.bool_ if is_whole else np.float32)

    def move(k: int) -> None:
        logs[k], known[k] = images[k].moved((float(shifts[k, 0]), float(shifts[k, 1])))

    in_threads(move, range(len(images)))
    return logs, known


def _inner(field: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_erosion

    return np.asarray(binary_erosion(field, iterations=2))


def _components(
    logs: _Float, flat: NDArray[np.intp], significant: float
) -> tuple[_Float, NDArray[np.float64], float, NDArray[np.float64]]:
    """Return spectra (n, r), variances of maps (r,), noise, and image weights (n,).

    ``logs`` of shape (n, ny, nx) have no mean in the pixels ``flat``, which are used. Images are
    weighted with their mean photons, found from the logarithm; spectra are orthonormal under
    these weights.
    """
    n, logs = len(logs), logs.reshape(len(logs), -1)
    weight = _mean(logs, flat, of_photons=True)
    weight /= weight.mean()
    root = np.sqrt(weight)
    covariance = gram(lambda images, part: logs[images, flat[part]], n, len(flat)) / len(flat)
    variances, vectors = eigenvectors(covariance * np.outer(root, root))
    variances, vectors = variances[::-1], vectors[:, ::-1]
    most = min(MAX_RANK, n - 3)
    noise = max(float(variances[most:].mean()), 1e-12)
    rank = int(np.clip((variances[:most] - noise > significant * noise).sum(), 1, most))
    spectra = (vectors[:, :rank] / root[:, None]).astype(np.float32)
    return spectra, variances[:rank], noise, weight


def _mean(logs: _Float, flat: NDArray[np.intp], *, of_photons: bool = False) -> NDArray[np.float64]:
    """Return the mean of each image over some pixels, (n,), or that of its photons."""
    images, total = logs.reshape(len(logs), -1).T, np.zeros((1, len(logs)))
    for part in _chunks(len(flat)):
        values = images[flat[part]]  # (p, n): added up in the order of the pixels
        if of_photons:
            values = np.exp(-values)
        total[0] = np.concatenate([total, values]).sum(axis=0)
    return np.asarray(total[0] / len(flat))


def _gradient(maps: _Float, axis: int) -> _Float:
    """Return the slope of each map (r, ny, nx) along y (0) or x (1)."""
    slopes = np.empty_like(maps)
    for slope, values in zip(slopes, maps, strict=True):
        slope[:] = np.gradient(values, axis=axis)
    return slopes


def _telling(
    maps: _Float, spectra: _Float, field: NDArray[np.bool_], most: int
) -> NDArray[np.bool_]:
    """Return the pixels (ny, nx) of the field with the steepest slopes in all images together."""
    metric = spectra.T @ spectra
    slope: _Float = np.zeros(field.size, dtype=np.float32)
    for axis in (0, 1):
        along = _gradient(maps, axis).reshape(len(metric), -1)
        for part, seen in product_in_parts(metric, along):
            slope[part] += (seen * along[:, part]).sum(axis=0)
    if field.sum() <= most:
        return field
    slope = slope.reshape(field.shape)
    limit = np.partition(slope[field], -most)[-most]
    return np.asarray(field & (slope >= limit))


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverse of a scaled positive matrix, with a weak ridge for stability."""
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-30))
    scaled = matrix * np.outer(scale, scale)
    return np.asarray(inverse(scaled + 1e-5 * np.eye(len(matrix))) * np.outer(scale, scale))
