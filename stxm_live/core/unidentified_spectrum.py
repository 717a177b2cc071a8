"""The mean spectrum of the pixels that no reference describes, and its errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import in_bands, of_pixels
from stxm_live.core.products import product, sum_over

_TILE_PX = 8
"""Side of the squares that count as independent of each other."""


@dataclass(frozen=True, eq=False)
class UnidentifiedSpectrum:
    """Mean spectrum of the pixels that no reference describes.

    Parameters
    ----------
    od : ndarray of shape (n_energies,)
        Mean optical density, as measured.
    od_std : ndarray of shape (n_energies,)
        Standard error of ``od``; NaN if nothing shows it.
    od_scatter : ndarray of shape (n_energies,)
        Standard deviation of the single pixels' OD, the differences of their thickness taken out;
        NaN for one pixel. It is that of counting noise if all of them are of one substance, and
        larger where they are of several.
    n_pixels : int
    share : float
        Share of the mapped specimen.
    """

    od: NDArray[np.float64]
    od_std: NDArray[np.float64]
    od_scatter: NDArray[np.float64]
    n_pixels: int
    share: float

    @property
    def band(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean less and plus the scatter of the pixels."""
        return self.od - self.od_scatter, self.od + self.od_scatter


def unidentified_spectrum(
    od: NDArray[np.floating],
    unidentified: NDArray[np.bool_],
    n_mapped: int,
    *,
    noise_variance: NDArray[np.floating] | None,
    common_std: NDArray[np.float64] | float,
) -> UnidentifiedSpectrum | None:
    """Return the mean spectrum of unidentified pixels; None if there are none.

    Pixels that lack an energy do not count.

    Parameters
    ----------
    od : ndarray of shape (n_energies, ny, nx)
    unidentified : ndarray of bool, shape (ny, nx)
    n_mapped : int
        Number of mapped pixels.
    noise_variance : ndarray of shape (n_energies, n_unidentified) or None
        Variance of the OD of each unidentified pixel by counting noise, before images were moved:
        moving an image smooths its pixels but makes their mean no surer. None if not known.
    common_std : ndarray of shape (n_energies,) or float
        Error that all pixels of an image share, that of I0.

    Notes
    -----
    Each pixel is compared with the mean times its own thickness, by least squares. Neighbors are
    alike, so the differences are summed in squares of 8 x 8 pixels, and the squares give the error
    of the mean, as in a sample of clusters. The error is at least that of independent pixels and
    that of counting noise, for a few squares may agree by chance.
    """
    whole = np.isfinite(of_pixels(od, unidentified)).all(axis=0)
    compared = unidentified.copy()
    compared[unidentified] = whole
    rows, columns = np.nonzero(compared)
    n = len(rows)
    if not n:
        return None
    each = of_pixels(od, compared, lambda some: some.astype(np.float64), np.float64)
    mean = each.mean(axis=1)
    thickness = product(mean[None], each)[0] / max(float(mean @ mean), np.finfo(np.float64).tiny)
    in_bands(lambda part: each[:, part] - mean[:, None] * thickness[part], each)
    # the thickness takes one of the energies' degrees of freedom
    each *= np.sqrt(len(each) / (len(each) - 1))
    squares = sum_over(lambda part: np.square(each[:, part]), *each.shape)
    pixels = squares / (n - 1) if n > 1 else np.full(len(each), np.nan)
    variances = [pixels / n, _by_tiles(each, rows, columns)]
    if noise_variance is not None:
        variances.append(_sum_of(noise_variance, np.flatnonzero(whole)) / n**2)
    return UnidentifiedSpectrum(
        od=mean,
        od_std=np.sqrt(np.fmax.reduce(variances) + np.square(common_std)),
        od_scatter=np.sqrt(pixels),
        n_pixels=n,
        share=len(whole) / n_mapped,
    )


def _sum_of(variance: NDArray[np.floating], pixels: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the sum over some of the pixels, (n_energies,)."""
    return sum_over(
        lambda part: variance[:, pixels[part]].astype(np.float64), len(variance), len(pixels)
    )


def _by_tiles(
    each: NDArray[np.float64], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the variance of the mean of (n_energies, n_pixels) as squares of pixels show it."""
    across = int(columns.max()) // _TILE_PX + 1
    tile = rows // _TILE_PX * across + columns // _TILE_PX
    n_tiles = int(np.count_nonzero(np.bincount(tile)))
    if n_tiles < 2:
        return np.full(len(each), np.nan)
    sums = np.array([np.bincount(tile, weights=values) for values in each])
    return np.asarray(np.square(sums).sum(axis=1) * n_tiles / (n_tiles - 1) / len(rows) ** 2)
