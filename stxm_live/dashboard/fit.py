"""Linear combination fit of a spectrum, and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.od_uncertainty import od_std, smoothing

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.dashboard.scene import Scene


@dataclass(frozen=True, eq=False)
class Fit:
    """A spectrum, the best mixture of the references for it, and its noise.

    Parameters
    ----------
    od, fitted : ndarray of shape (n_energies,)
        Optical density as measured and as fitted; NaN where not measured.
    std : ndarray of shape (n_energies,) or None
        Standard uncertainty of ``od`` from counts and I0; None if not known.
    """

    od: NDArray[np.float64]
    fitted: NDArray[np.float64]
    std: NDArray[np.float64] | None

    @property
    def residual(self) -> NDArray[np.float64]:
        """Return measured minus fitted optical density."""
        return self.od - self.fitted


def fit_of(scene: Scene, od: NDArray[np.floating], n_pixels: int) -> Fit | None:
    """Fit references with shares >= 0 and a constant to a spectrum, by weighted least squares.

    Parameters
    ----------
    scene : Scene
    od : ndarray of shape (n_energies,)
        Of one pixel, or the mean of ``n_pixels``; NaN where not measured.

    Returns
    -------
    Fit or None
        None with fewer energies than would test a fit: one more than its free numbers; and
        without references.
    """
    from scipy.optimize import nnls

    values = np.asarray(od, dtype=np.float64)
    std = noise(scene.maps, values, n_pixels)
    known = np.isfinite(values) & scene.measured & np.isfinite(scene.reference_od).all(axis=0)
    if not scene.phase_names or known.sum() <= len(scene.reference_od) + 1:
        return None
    weights = np.ones(len(values)) if std is None else 1 / np.where(std > 0, std, np.inf)
    if not (np.isfinite(weights[known]).all() and weights[known].any()):
        weights = np.ones(len(values))
    constant = np.ones_like(values)
    parts = np.vstack([scene.reference_od, constant, -constant])  # a constant of either sign
    weighted = (parts * weights)[:, known].T
    shares, _ = nnls(weighted, (values * weights)[known])
    return Fit(values, np.where(known, shares @ parts, np.nan), std)


def noise(
    maps: PhaseMaps | None, od: NDArray[np.float64], n_pixels: int
) -> NDArray[np.float64] | None:
    """Return the standard uncertainty (n_energies,) of a spectrum; None if it is not known.

    ``od`` is the mean of ``n_pixels``. The error of I0 is common to them.
    """
    if maps is None or maps.dispersion is None or maps.i0_std is None:
        return None
    counts = maps.i0 * np.exp(-od) * n_pixels
    # moving an image smooths the noise of a pixel, not that of a mean of many
    smoothed = smoothing(maps.shifts_px) if n_pixels == 1 else np.ones(len(od))
    return od_std(counts, maps.i0, maps.i0_std, maps.dispersion * smoothed).astype(np.float64)
