"""What is wrong with a scan and its references, from modest to large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.composite.materials import Material
from stxm_live import ReferenceSpectra


@dataclass(frozen=True)
class Faults:
    """Strengths; those of a faultless scan by default. Energies in eV, OD from first to last.

    Parameters
    ----------
    reference_axis_ev : float
        The axis of each reference is off by its own amount, up to this.
    reference_noise : float
        Standard deviation over the largest value of each reference.
    reference_leak : float
        Stray light when the references were measured, at an OD of 2.
    pre_edge_subtracted : bool
        References without their pre-edge.
    offset_ev, width_ev, walk_ev, slip_ev : float
        True minus nominal energy; extra Gaussian width; by how much the offset grows along the
        scan; and what it is more in the middle image alone.
    leak : float
        Share of I0 that reaches the detector beside the specimen.
    carbon_od, carbon_share, carbon_slope : float
        A binder on a share of the specimen, whose OD falls by the share ``carbon_slope``.
    slope : float
        OD added from the first to the last energy, everywhere on the specimen.
    deposit_od : float
        OD that grows on the specimen along the scan.
    dichroism : float
        Change of the lines from crystal to crystal, up to plus or minus this.
    mass_loss, damage : float
        Share of the material that is gone, or has become the phase before it in the list, at the
        end of the scan.
    i0_error : float
        Relative standard deviation of the light on the specimen, of each image on its own.
    blur_px, drift_px : float
        Standard deviation of the spot; and of each step of the drift.
    fano : float
        Variance over mean of the counts.
    dead_time : float
        Share of the counts that is lost in the empty support.
    swapped : bool
        Two images in the middle have each other's energy.
    """

    reference_axis_ev: float = 0.0
    reference_noise: float = 0.0
    reference_leak: float = 0.0
    pre_edge_subtracted: bool = False
    offset_ev: float = 0.0
    width_ev: float = 0.0
    walk_ev: float = 0.0
    slip_ev: float = 0.0
    leak: float = 0.0
    carbon_od: float = 0.0
    carbon_share: float = 0.5
    carbon_slope: float = 0.0
    slope: float = 0.0
    deposit_od: float = 0.0
    dichroism: float = 0.0
    mass_loss: float = 0.0
    damage: float = 0.0
    i0_error: float = 0.0
    blur_px: float = 0.0
    drift_px: float = 0.0
    fano: float = 1.0
    dead_time: float = 0.0
    swapped: bool = False

    def named(self) -> dict[str, float]:
        """Those that differ from a faultless scan."""
        nothing = Faults()
        return {k: v for k, v in vars(self).items() if v != getattr(nothing, k)}


MODEST = Faults(
    reference_axis_ev=0.05,
    reference_noise=0.007,
    leak=0.03,
    carbon_od=0.4,
    carbon_slope=0.3,
    slope=0.15,
    dichroism=0.05,
    mass_loss=0.03,
    damage=0.05,
    i0_error=0.01,
    blur_px=0.7,
    drift_px=1.0,
    fano=1.2,
    offset_ev=0.05,
    width_ev=0.1,
)
"""The largest of each that a world with several faults has."""

SIGNED = ("slope", "offset_ev")

CHANCE = {"offset_ev": 0.3, "width_ev": 0.2, "damage": 0.2}
"""How often a world has a fault; one in two where it is not said."""

PRE_EDGE_CHANCE = 0.25


def drawn_faults(rng: np.random.Generator) -> Faults:
    """Each fault or not, as strong as `MODEST` at most."""
    values: dict[str, float | bool] = {}
    for name, most in MODEST.named().items():
        strength, sign = rng.uniform(0.2, 1.0), rng.choice([-1, 1]) if name in SIGNED else 1
        if rng.random() < CHANCE.get(name, 0.5):
            neutral = getattr(Faults(), name)
            values[name] = float(neutral + sign * strength * (most - neutral))
    share = float(rng.uniform(0.1, 0.9))
    if "carbon_od" in values:
        values["carbon_share"] = share
    else:
        values.pop("carbon_slope", None)
    values["pre_edge_subtracted"] = bool(rng.random() < PRE_EDGE_CHANCE)
    return Faults(**values)  # type: ignore[arg-type]


def references_of(material: Material, faults: Faults, rng: np.random.Generator) -> ReferenceSpectra:
    """The references as the recipe has them."""
    grid, phases = material.grid_ev, material.spectra[:-1]
    off = rng.uniform(-1, 1, len(phases)) * faults.reference_axis_ev
    noise = rng.standard_normal(phases.shape)
    od = np.array([np.interp(grid + d, grid, s) for d, s in zip(off, phases, strict=True)])
    if faults.reference_leak:
        thick = 2.0 * od / od.max()
        od = np.log((1 + faults.reference_leak) / (np.exp(-thick) + faults.reference_leak))
    od = od + faults.reference_noise * noise * od.max(axis=1, keepdims=True)
    before = grid <= material.energies_ev[0] + 1.0
    if faults.pre_edge_subtracted:
        od = od - od[:, before].mean(axis=1, keepdims=True)
    # those of the simulation and those drawn here are calculated alike
    return ReferenceSpectra(material.phase_names, grid, od, synthetic=True)
