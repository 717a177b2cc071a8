"""`SimulatedMicroscope`: the simulated instrument with its devices, ready for a RunEngine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.region import Region
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Stack
from stxm_live.sim.devices import Channel, SimulatedAxis, SimulatedDetector
from stxm_live.sim.microscope import Beam, Drift, Microscope
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle
from stxm_live.sim.specimens import ParticleSpecimen, RecordedSpecimen, Specimen


def monochromator_error(setpoint_ev: float) -> float:
    """Return a readback error of tenths of a meV, constant for each energy, as of an encoder."""
    return round(setpoint_ev / 0.0007) * 0.0007 - setpoint_ev


class SimulatedMicroscope:
    """A microscope whose image depends on the energy and the region that are set.

    Parameters
    ----------
    specimen : Specimen
        The specimen in the beam.
    beam : Beam or None
        If None, the specimen's own counts are returned, without noise.
    drift : Drift
    rng : numpy.random.Generator
        Source of noise and drift.
    frame_time_s : float
        Duration of one image; a line takes its share.
    dtype_numpy : str
        Data type of the counts.
    reuse_buffer : bool
        Detectors return the same array every time, as some real devices do.

    Attributes
    ----------
    energy, x, y : SimulatedAxis
        Data keys ``energy``, ``sample_x``, ``sample_y``.
    camera : SimulatedDetector
        Data key ``camera``: the image of the region that is set, (ny, nx).
    line : SimulatedDetector
        Data keys ``line`` and ``sample_x``: counts and positions of the line at the y stage.
    ring_current : SimulatedDetector
        Data key ``ring_current`` in mA.
    microscope : Microscope
        The true drift and illumination.
    """

    def __init__(
        self,
        specimen: Specimen,
        *,
        beam: Beam | None,
        drift: Drift | None = None,
        rng: np.random.Generator,
        frame_time_s: float = 0.0,
        dtype_numpy: Literal["<u2", "<u4", "<f4"] = "<u2",
        reuse_buffer: bool = False,
    ) -> None:
        self.specimen = specimen
        self.microscope = Microscope(specimen, beam=beam, drift=drift, rng=rng)
        scan = whole_specimen(specimen)
        self._scan: StackScan | None = None
        self._line_energy_ev = float("nan")
        self.energy = SimulatedAxis(
            name="energy", units="eV", value=500.0, readback_error=monochromator_error
        )
        self.x = SimulatedAxis(name="sample_x", units="um")
        self.y = SimulatedAxis(name="sample_y", units="um")
        self.camera = SimulatedDetector(
            name="camera",
            scan=scan,
            channels={"camera": Channel(lambda s: s.shape[1:], dtype_numpy, "counts")},
            expose=self._image,
            exposure_time_s=lambda _: frame_time_s,
            reuse_buffer=reuse_buffer,
        )
        self.line = SimulatedDetector(
            name="line",
            scan=scan,
            channels={
                "line": Channel(lambda s: s.shape[2:], dtype_numpy, "counts"),
                "sample_x": Channel(lambda s: s.shape[2:], "<f8", "um"),
            },
            expose=self._line,
            exposure_time_s=lambda s: frame_time_s / s.shape[1],
            reuse_buffer=reuse_buffer,
        )
        self.ring_current = SimulatedDetector(
            name="ring_current",
            scan=scan,
            channels={"ring_current": Channel(lambda _: (), "<f8", "mA")},
            expose=lambda _: {"ring_current": self.microscope.ring_current_ma},
        )

    @classmethod
    def with_particle(
        cls,
        references: ReferenceSpectra,
        *,
        rng: np.random.Generator,
        shape: tuple[int, int] = (160, 160),
        state_of_charge: str = "Na2VPF",
        beam: Beam | None = None,
        drift: Drift | None = None,
        frame_time_s: float = 0.0,
    ) -> SimulatedMicroscope:
        """Make an instrument with a particle at one of `STATES_OF_CHARGE`."""
        particle_rng, own_rng = rng.spawn(2)
        particle = make_particle(
            shape, phase_weights=STATES_OF_CHARGE[state_of_charge], rng=particle_rng
        )
        return cls(
            ParticleSpecimen(particle, references),
            beam=beam or Beam(),
            drift=drift or Drift(walk_um=0.03, trend_um=(0.004, -0.003)),
            rng=own_rng,
            frame_time_s=frame_time_s,
        )

    @classmethod
    def with_recorded(
        cls, stack: Stack, *, frame_time_s: float = 0.0, reuse_buffer: bool = False
    ) -> SimulatedMicroscope:
        """Make an instrument with a recorded stack, whose own grid gives the recorded counts."""
        return cls(
            RecordedSpecimen(stack),
            beam=None,
            rng=np.random.default_rng(0),
            frame_time_s=frame_time_s,
            dtype_numpy="<f4",
            reuse_buffer=reuse_buffer,
        )

    def field(self) -> Region:
        """Return the raster of the specimen's own pixels."""
        x0, x1, y0, y1 = self.specimen.extent_um
        ny, nx = self.specimen.shape
        return Region((x0, x1), (y0, y1), nx=nx, ny=ny)

    def _image(self, scan: StackScan) -> Mapping[str, NDArray[np.float64]]:
        self._enter(scan)
        self.microscope.begin_image()
        x_um, y_um = raster(scan)
        return {"camera": self.microscope.counts(self.energy.position, x_um, y_um)}

    def _line(self, scan: StackScan) -> Mapping[str, NDArray[np.float64]]:
        self._enter(scan)
        if self.energy.position != self._line_energy_ev:  # another energy: an image begins
            self._line_energy_ev = self.energy.position
            self.microscope.begin_image()
        x_um, _ = raster(scan)
        counts = self.microscope.counts(self.energy.position, x_um, np.array([self.y.position]))
        return {"line": counts[0], "sample_x": x_um}

    def _enter(self, scan: StackScan) -> None:
        """Begin a stack when a region is set anew: the operator has centered the specimen again."""
        if scan is not self._scan:
            self._scan = scan
            self._line_energy_ev = float("nan")
            self.microscope.begin_stack()


def raster(scan: StackScan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pixel centers of a scan in um: columns x (nx) and rows y (ny), in scan order."""
    ny, nx = scan.image_shape
    return np.linspace(*scan.x_extent_um, nx), np.linspace(*scan.y_extent_um, ny)


def whole_specimen(specimen: Specimen) -> StackScan:
    """Return the scan of the specimen's own pixels."""
    x0, x1, y0, y1 = specimen.extent_um
    return StackScan(
        shape=(1, *specimen.shape),
        energies_ev=(500.0,),
        x_extent_um=(x0, x1),
        y_extent_um=(y0, y1),
        data_field="camera",
    )
