"""Specimens of the simulated microscope: a particle with known truth, or a recorded stack."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.stack import Stack
from stxm_live.sim.phantom import Particle

_ON_GRID_PX = 1e-6
"""Positions this close to a pixel center get the value of the pixel, bit for bit."""


class Specimen(Protocol):
    """A plane in um that transmits light at each energy.

    ``extent_um`` is the first and last pixel centre in x, then in y; ``shape`` is (ny, nx) of
    the specimen's own pixels.
    """

    @property
    def extent_um(self) -> tuple[float, float, float, float]: ...  # noqa: D102

    @property
    def shape(self) -> tuple[int, int]: ...  # noqa: D102

    def intensity(
        self, energy_ev: float, x_um: NDArray[np.float64], y_um: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the light behind the specimen, (ny, nx), at columns ``x_um`` and rows ``y_um``."""
        ...


class ParticleSpecimen:
    """A particle on an empty support without limits.

    Parameters
    ----------
    references : ReferenceSpectra
        OD per 100 nm of each phase.
    pixel_size_um : float
        Size of the particle's own pixels; any other raster interpolates between them.
    center_um : (float, float)
        Center of the particle's field, x then y.
    """

    def __init__(
        self,
        particle: Particle,
        references: ReferenceSpectra,
        *,
        pixel_size_um: float = 0.03,
        center_um: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        if len(particle.fractions) != references.n_phases:
            raise ValueError(
                f"the particle has {len(particle.fractions)} phases, "
                f"the references have {references.n_phases}"
            )
        self.particle = particle
        self.references = references
        self.shape = particle.specimen.shape
        (half_y, half_x) = ((n - 1) / 2 * pixel_size_um for n in self.shape)
        x, y = center_um
        self.extent_um = (x - half_x, x + half_x, y - half_y, y + half_y)
        self._amount = particle.fractions * (particle.thickness_nm / 100.0)

    def intensity(
        self, energy_ev: float, x_um: NDArray[np.float64], y_um: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the transmission exp(-OD) of shape (ny, nx); 1 beside the particle's field."""
        per_100_nm = self.references.at([energy_ev])[:, 0]
        od = np.tensordot(per_100_nm, self._amount, axes=1)
        rows, columns = _pixel_coordinates(self, x_um, y_um)
        inside_y = (rows >= 0) & (rows <= od.shape[0] - 1)
        inside_x = (columns >= 0) & (columns <= od.shape[1] - 1)
        sampled = _sampled(od, rows, columns)
        return np.asarray(np.exp(-np.where(np.outer(inside_y, inside_x), sampled, 0.0)))

    def phase_index(self, x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> NDArray[np.int8]:
        """Return the true phase of the nearest pixel, int8 (ny, nx); -1 if there is none."""
        rows, columns = (np.rint(at).astype(int) for at in _pixel_coordinates(self, x_um, y_um))
        ny, nx = self.shape
        inside = np.outer((rows >= 0) & (rows < ny), (columns >= 0) & (columns < nx))
        nearest = self.particle.phase_index[np.ix_(rows.clip(0, ny - 1), columns.clip(0, nx - 1))]
        return np.where(inside, nearest, -1).astype(np.int8)


class RecordedSpecimen:
    """A measured stack, shown as it was recorded.

    At a recorded energy and on the recorded pixel grid the counts are returned bit for bit.
    Between energies and pixels they are interpolated linearly.

    Parameters
    ----------
    stack : Stack
    energy_tolerance_ev : float
        An energy this close to a recorded one gets the recorded image.
    """

    def __init__(self, stack: Stack, *, energy_tolerance_ev: float = 0.05) -> None:
        self.extent_um = stack.scan.extent_um
        self.shape = stack.scan.image_shape
        self.energies_ev = np.array(stack.energies_ev)
        self.energy_tolerance_ev = energy_tolerance_ev
        self._counts = stack.intensity()

    def intensity(
        self, energy_ev: float, x_um: NDArray[np.float64], y_um: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return counts of shape (ny, nx).

        Raises
        ------
        ValueError
            If the energy or a position is outside the recorded range.
        """
        rows, columns = _pixel_coordinates(self, x_um, y_um)
        for axis, at, n in (("y", rows, self.shape[0]), ("x", columns, self.shape[1])):
            if at.min() < -_ON_GRID_PX or at.max() > n - 1 + _ON_GRID_PX:
                first, last = self.extent_um[:2] if axis == "x" else self.extent_um[2:]
                raise ValueError(
                    f"the recorded stack covers {axis} = {first:g} to {last:g} um, "
                    "the scan goes beyond"
                )
        return _sampled(self._image(energy_ev), rows, columns)

    def _image(self, energy_ev: float) -> NDArray[np.float64]:
        known = self.energies_ev
        nearest = int(np.abs(known - energy_ev).argmin())
        if abs(known[nearest] - energy_ev) <= self.energy_tolerance_ev:
            recorded: NDArray[np.float64] = self._counts[nearest].astype(np.float64)
            return recorded
        if not known[0] < energy_ev < known[-1]:
            raise ValueError(
                f"the recorded stack covers {known[0]:g} to {known[-1]:g} eV, "
                f"the scan asks for {energy_ev:g} eV"
            )
        above = int(np.searchsorted(known, energy_ev))
        weight = (energy_ev - known[above - 1]) / (known[above] - known[above - 1])
        return np.asarray((1 - weight) * self._counts[above - 1] + weight * self._counts[above])


def _pixel_coordinates(
    specimen: Specimen, x_um: NDArray[np.float64], y_um: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return fractional rows of ``y_um`` and columns of ``x_um`` in specimen pixels."""
    x0, x1, y0, y1 = specimen.extent_um
    ny, nx = specimen.shape
    return _steps(y_um, y0, y1, ny), _steps(x_um, x0, x1, nx)


def _steps(at_um: NDArray[np.float64], first: float, last: float, n: int) -> NDArray[np.float64]:
    pitch = (last - first) / (n - 1) if n > 1 and last != first else 1.0
    steps: NDArray[np.float64] = (at_um - first) / pitch
    whole = np.rint(steps)
    return np.where(np.abs(steps - whole) < _ON_GRID_PX, whole, steps)


def _sampled(
    image: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate linearly on the raster rows x columns; edge pixels continue outside."""
    return _between(_between(image, rows, 0), columns, 1)


def _between(image: NDArray[np.float64], at: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    at = np.clip(at, 0, image.shape[axis] - 1)
    below = np.floor(at).astype(np.intp)
    weight = at - below
    low: NDArray[np.float64] = image.take(below, axis=axis)
    high = image.take(np.minimum(below + 1, image.shape[axis] - 1), axis=axis)
    weight = np.expand_dims(weight, 1 - axis)
    # on a whole pixel no neighbor may leak in, NaN least of all
    return np.where(weight > 0, low * (1 - weight) + high * weight, low)
