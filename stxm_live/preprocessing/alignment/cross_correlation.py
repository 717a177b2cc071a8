"""The shift between two images, by cross-correlation of their edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.file_arrays import kept_as
from stxm_live.core.products import product

_SMOOTHING_PX = 1.25
"""Standard deviation of the Gaussian that smooths log images before correlation."""

UPSAMPLING = 20
"""Steps per pixel of the shifts that are found."""

_AROUND = 15
"""So many steps of that on either side of the whole pixel."""

NEGLIGIBLE_PX = 0.1
"""Shifts below this are within the method's noise; applying them would only smooth the image."""

FADE_PX = 4
"""Pixels over which the border of a sub-region is faded out."""

MOST_LIKENESS_OF_NOISE = 0.4
"""Upper limit for the similarity of noise, which is high in small images."""


@dataclass(frozen=True, eq=False)
class EdgeImage:
    """Edge strength of the smoothed -ln I without its mean, as used by the correlation.

    The logarithm turns a change of I0 into a constant, which the gradient removes. The magnitude
    of the gradient does not change if domains brighten or darken from energy to energy; in the
    image itself such a change moves the center of mass, and with it the peak of the correlation
    (``docs/decisions/0003-alignment.md``).
    """

    pattern: NDArray[np.float32]
    contrast: float

    @classmethod
    def of(
        cls,
        intensity: NDArray[np.floating],
        *,
        edges: bool = True,
        box: tuple[slice, slice] | None = None,
    ) -> EdgeImage:
        """Make an edge image from counts (ny, nx); NaN and counts <= 0 have no edges.

        ``contrast`` is the standard deviation of the edge strength beyond that of noise, a measure
        of the structure to align. Without ``edges`` the smoothed -ln I itself is compared. The
        borders of a ``box`` (rows, columns) are faded out.
        """
        from scipy.ndimage import (
            distance_transform_edt,
            gaussian_filter,
            gaussian_gradient_magnitude,
        )

        counts = intensity = intensity if box is None else intensity[box]
        usable = np.isfinite(intensity) & (intensity > 0)
        if not usable.any():
            return cls(np.zeros(intensity.shape, dtype=np.float32), 0.0)
        if not usable.all():
            nearest = distance_transform_edt(~usable, return_distances=False, return_indices=True)
            intensity = intensity[tuple(nearest)]
        log = np.log(intensity.astype(np.float32, copy=False))
        strength = gaussian_gradient_magnitude if edges else gaussian_filter
        pattern = strength(log, _SMOOTHING_PX, mode="nearest")
        pattern -= pattern.mean(dtype=np.float64, where=usable).astype(np.float32)
        pattern[~usable] = 0
        variance = float(np.mean(np.square(pattern, dtype=np.float64)))
        contrast = float(np.sqrt(max(variance - _noise_variance(log, edges), 0.0)))
        if box is not None:
            pattern *= _faded(pattern.shape)
        return cls(kept_as(counts, pattern), contrast)

    @cached_property
    def anchor_spectrum(self) -> NDArray[np.complex64]:
        """Return the Fourier transform, kept for the images that are aligned to this one."""
        return kept_as(self.pattern, self.spectrum())

    @cached_property
    def slope_per_px(self) -> float:
        """Return the root mean square slope along y or x, relative to that of the pattern."""
        slopes = [np.diff(self.pattern, axis=axis) for axis in (0, 1)]
        variance = sum(float(np.mean(np.square(s, dtype=np.float64))) for s in slopes) / 2
        return float(np.sqrt(variance / np.mean(np.square(self.pattern, dtype=np.float64))))

    def spectrum(self) -> NDArray[np.complex64]:
        """Return the Fourier transform."""
        from scipy.fft import fftn

        return np.asarray(fftn(self.pattern))


def _noise_variance(log: NDArray[np.float32], edges: bool) -> float:
    """Return the variance of the edge strength from independent pixel noise.

    White noise of variance v leaves v / (8 pi s^4) in each component of the gradient after
    smoothing by s, and the length of such a vector varies by 2 - pi/2 of that; of the smoothed
    image itself v / (4 pi s^2) is left. The noise is taken from the median difference of
    neighbors, in the unit of the counts.
    """
    steps = np.abs(np.diff(log, axis=-1)) if log.shape[-1] > 1 else np.zeros(1)
    pixel = float(np.median(steps)) / (0.6745 * np.sqrt(2))
    if not edges:
        return float(pixel**2 / (4 * np.pi * _SMOOTHING_PX**2))
    return float((2 - np.pi / 2) * pixel**2 / (8 * np.pi * _SMOOTHING_PX**4))


def _faded(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a window of ones that falls to zero over the last `FADE_PX` pixels to each border."""
    ramps = []
    for length in shape:
        depth = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
        ramps.append(np.sin(np.pi / 2 * np.clip(depth / FADE_PX, 0, 1)) ** 2)
    return np.outer(*ramps).astype(np.float32)


class Match(NamedTuple):
    """Shift that aligns an image to another, with its uncertainty.

    Parameters
    ----------
    shift_px : (float, float)
        (y, x).
    std_px : float
        Standard deviation of the error of the shift, from the similarity of the two; infinite
        if they are no more similar than noise.
    """

    shift_px: tuple[float, float]
    std_px: float


def match(image: EdgeImage, anchor: EdgeImage) -> Match:
    """Return the shift (y, x) in pixels that aligns ``image`` to ``anchor``, with its error.

    Amplitude cross-correlation, refined to 1/20 px by an upsampled Fourier transform around
    the peak [1]_; phase-only correlation is several times worse on counting noise. An image
    without contrast is not shifted, nor one whose peak could be noise.

    Let c be the correlation coefficient of the two as they are, k the slope of the pattern and N
    the number of independent places in the image. The standard deviation along y or x is then
    sqrt(1/c^2 - 1) / (k sqrt(N)), if the difference is as irregular as noise.

    References
    ----------
    .. [1] M. Guizar-Sicairos, S. T. Thurman and J. R. Fienup, "Efficient subpixel image
       registration algorithms", Optics Letters 33, 156-158 (2008).
    """
    if image is anchor:
        return Match((0.0, 0.0), 0.0)
    if image.contrast == 0 or anchor.contrast == 0:
        return Match((0.0, 0.0), np.inf)
    shift, alike = _peak(anchor.anchor_spectrum, image.spectrum())
    places = image.pattern.size / (4 * np.pi * _SMOOTHING_PX**2)
    if alike < min(_likeness_of_noise(places), MOST_LIKENESS_OF_NOISE):
        return Match((0.0, 0.0), np.inf)
    std_px = np.sqrt(2 * max(1 / alike**2 - 1, 0) / places) / anchor.slope_per_px
    return Match(shift, float(std_px))


def _peak(
    anchor: NDArray[np.complex64], image: NDArray[np.complex64]
) -> tuple[tuple[float, float], float]:
    """Return the shift (y, x) at the peak of the cross-correlation, and the coefficient there.

    From spectra. The result is that of scikit-image's `phase_cross_correlation` without
    normalisation, whose products depend in the last bits on how many threads linear algebra has.
    """
    from scipy.fft import fftfreq, ifftn

    together = anchor * image.conj()
    shape = np.array(together.shape)
    place = np.unravel_index(int(np.abs(ifftn(together)).argmax()), together.shape)
    whole = np.where(place > shape // 2, place - shape, place)
    steps = np.arange(-_AROUND, _AROUND) / UPSAMPLING
    waves = [
        np.exp(2j * np.pi * np.outer(start + steps, fftfreq(n))).astype(together.dtype)
        for start, n in zip(whole, shape, strict=True)
    ]
    fine = np.abs(product(product(waves[0], together), waves[1].T))
    best = np.unravel_index(int(fine.argmax()), fine.shape)
    y, x = np.where(shape > 1, whole + steps[list(best)], 0.0)
    power = [float(np.square(np.abs(s), dtype=np.float64).sum()) for s in (anchor, image)]
    return (float(y), float(x)), min(float(fine[best]) / np.sqrt(power[0] * power[1]), 1.0)


def _likeness_of_noise(places: float) -> float:
    """Return a correlation coefficient that independent noise hardly ever reaches."""
    return float((np.sqrt(2 * np.log(max(places, 1))) + 2) / np.sqrt(places))


def negligible_dropped(shift_px: tuple[float, float]) -> tuple[float, float]:
    """Return the shift, or zero if it is below `NEGLIGIBLE_PX`."""
    return (0.0, 0.0) if np.hypot(*shift_px) < NEGLIGIBLE_PX else shift_px


def check_shifts(
    shifts_px: NDArray[np.float64], energies_ev: Sequence[float], max_shift_px: float | None
) -> None:
    """Raise ValueError, naming the image, if a shift (y, x) is longer than allowed."""
    lengths = np.hypot(*shifts_px.T)
    worst = int(np.argmax(lengths))
    if max_shift_px is not None and lengths[worst] > max_shift_px:
        raise ValueError(
            f"image at {energies_ev[worst]:g} eV is shifted by {lengths[worst]:.1f} px, more "
            f"than max_shift_px = {max_shift_px:g}; look at the image, or raise the limit in "
            "the recipe's [alignment]"
        )
