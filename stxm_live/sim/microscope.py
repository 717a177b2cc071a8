"""The simulated instrument: beam, drift and photon noise between specimen and counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.sim.specimens import Specimen


@dataclass(frozen=True)
class Beam:
    """The incident beam and the counter.

    Parameters
    ----------
    photons_per_pixel : float
        Mean I0 of the first image.
    slope : float
        Relative change of the illumination from one edge of the specimen's field to the other.
    spectrum : float
        Depth of the structure of I0 over energy (a slow rise, and the dip that oxygen on the
        mirrors makes at 530 to 545 eV).
    ring_decay_per_image : float
        Relative loss of ring current from image to image; 0.0064 is 8 % over thirteen.
    ring_current_ma : float
        Ring current at the first image.
    dark_counts : float
        Mean counts without any light.
    energy_error_ev : float
        Photon energy minus the energy the monochromator shows.
    photon_noise : bool
        True if counts are drawn from the Poisson distribution, False for its mean.
    """

    photons_per_pixel: float = 2000.0
    slope: float = 0.03
    spectrum: float = 0.10
    ring_decay_per_image: float = 0.0064
    ring_current_ma: float = 500.0
    dark_counts: float = 0.0
    energy_error_ev: float = 0.0
    photon_noise: bool = True

    def i0(self, energy_ev: float) -> float:
        """Return photons per pixel in the middle of the field at full ring current."""
        rise = np.tanh((energy_ev - 520.0) / 60.0)
        dip = np.exp(-(((energy_ev - 534.0) / 5.0) ** 2))
        return float(self.photons_per_pixel * (1 + self.spectrum * (rise - 0.6 * dip)))


@dataclass(frozen=True)
class Drift:
    """Random and steady motion of the specimen from image to image, in um.

    Parameters
    ----------
    walk_um : float
        Standard deviation of the random step in y and in x.
    trend_um : (float, float)
        Steady step in y and in x.
    """

    walk_um: float = 0.0
    trend_um: tuple[float, float] = (0.0, 0.0)


class Microscope:
    """Counts of a specimen at an energy, as in a scanning microscope.

    Ring current and drift are constant during an image; `begin_image` goes on to the next image,
    `begin_stack` starts again from the full current and the commanded position.

    Parameters
    ----------
    specimen : Specimen
    beam : Beam or None
        If None, the specimen's intensity is used as it is: the counts of a recorded stack.
    drift : Drift
    rng : numpy.random.Generator
        Source of noise and drift. The two are independent, so that noise does not change the
        drift.
    """

    def __init__(
        self,
        specimen: Specimen,
        *,
        beam: Beam | None,
        drift: Drift | None = None,
        rng: np.random.Generator,
    ) -> None:
        self.specimen = specimen
        self.beam = beam
        self.drift = drift or Drift()
        self._noise, self._walk = rng.spawn(2)
        self._drift_um: list[NDArray[np.float64]] = []

    @property
    def drift_um(self) -> NDArray[np.float64]:
        """Return the displacement (y, x) of the specimen in each image, shape (n_images, 2).

        A displacement of +0.1 um shows the specimen 0.1 um further up the axis.
        """
        return np.reshape(self._drift_um, (-1, 2)).astype(np.float64)

    @property
    def n_images(self) -> int:
        """Return the number of images of the stack that were begun."""
        return len(self._drift_um)

    @property
    def ring_current_ma(self) -> float:
        """Return the ring current during the current image."""
        if self.beam is None:
            return 0.0
        decay = (1 - self.beam.ring_decay_per_image) ** max(self.n_images - 1, 0)
        return float(self.beam.ring_current_ma * decay)

    def begin_stack(self) -> None:
        """Center the specimen and fill the ring."""
        self._drift_um.clear()

    def begin_image(self) -> None:
        """Let the specimen drift and the ring current fall by one image; the first has neither."""
        if not self._drift_um:
            self._drift_um.append(np.zeros(2))
            return
        step = self._walk.normal(0.0, 1.0, 2) * self.drift.walk_um + self.drift.trend_um
        self._drift_um.append(self._drift_um[-1] + step)

    def i0(
        self, energy_ev: float, x_um: NDArray[np.float64], y_um: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return mean counts without specimen in the current image, less dark counts, (ny, nx)."""
        if self.beam is None:
            return np.ones((len(y_um), len(x_um)))
        x0, x1, y0, y1 = self.specimen.extent_um
        u = (x_um - (x0 + x1) / 2) / (abs(x1 - x0) or 1.0)
        v = (y_um - (y0 + y1) / 2) / (abs(y1 - y0) or 1.0)
        slope = 1 + self.beam.slope * (0.8 * u[None, :] + 0.6 * v[:, None])
        ring = self.ring_current_ma / self.beam.ring_current_ma
        return np.asarray(self.beam.i0(energy_ev) * ring * slope)

    def counts(
        self, energy_ev: float, x_um: NDArray[np.float64], y_um: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return counts (ny, nx) at the commanded columns ``x_um`` and rows ``y_um``.

        Parameters
        ----------
        energy_ev : float
            Energy that the monochromator shows.
        """
        dy, dx = self._drift_um[-1] if self._drift_um else (0.0, 0.0)
        error_ev = self.beam.energy_error_ev if self.beam else 0.0
        light = self.specimen.intensity(energy_ev + error_ev, x_um - dx, y_um - dy)
        if self.beam is None:
            return light
        mean = light * self.i0(energy_ev, x_um, y_um) + self.beam.dark_counts
        return self._noise.poisson(mean).astype(np.float64) if self.beam.photon_noise else mean
