"""Thirty named ways to be fooled: one scan each."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.accuracy.composite.faults import Faults
from benchmarks.accuracy.composite.materials import shipped
from benchmarks.accuracy.composite.scenes import Layout
from benchmarks.accuracy.composite.worlds import World

PHOTONS = 2000.0
SEVERAL = Faults(
    reference_axis_ev=0.05,
    reference_noise=0.007,
    leak=0.03,
    carbon_od=0.3,
    dichroism=0.05,
    mass_loss=0.03,
    i0_error=0.01,
    blur_px=0.7,
)
EVEN = (0.2, 0.2, 0.2, 0.2, 0.2)
"""Shares of Na3VPF, Na2.4VPF, Na2VPF, Na1VPF and Na1-yVPF."""


def thick(largest_od: float = 2.0, columns: float = 0.0, unknown: float = 0.0) -> Layout:
    """Wide domains of all phases in a specimen that absorbs well: the easy case."""
    return Layout(EVEN, "fields", 8.0, "plateau", largest_od, columns, unknown)


@dataclass(frozen=True)
class Way:
    """A way to be fooled.

    Parameters
    ----------
    name : str
    truth : str
        What is there, in words.
    faults : Faults
    layout : Layout
    photons : float
    """

    name: str
    truth: str
    faults: Faults = field(default_factory=Faults)
    layout: Layout = field(default_factory=thick)
    photons: float = PHOTONS

    def world(self, seed: int) -> World:
        """Its world, of the shipped references."""
        return World(shipped(), self.layout, self.faults, self.photons, seed)


WAYS_TO_BE_FOOLED = (
    Way("nothing is wrong", "references that match, counting noise only"),
    Way(
        "pre-edge subtracted", "references without their pre-edge", Faults(pre_edge_subtracted=True)
    ),
    Way("faint", "specimen of OD 0.2 where it absorbs most", layout=thick(largest_od=0.2)),
    Way(
        "thick references",
        "10 % stray light when the references were taken",
        Faults(reference_leak=0.1),
    ),
    Way("noisy references", "noise of 2 % in the references", Faults(reference_noise=0.02)),
    Way(
        "references of many days",
        "each reference's axis off by up to 0.1 eV",
        Faults(reference_axis_ev=0.1),
    ),
    Way("axis off", "energy axis off by 0.2 eV", Faults(offset_ev=0.2)),
    Way("axis walks", "offset grows from 0 to 0.2 eV along the scan", Faults(walk_ev=0.2)),
    Way("one energy slips", "one image 0.5 eV beside its energy", Faults(slip_ev=0.5)),
    Way("two images swapped", "two images have each other's energy", Faults(swapped=True)),
    Way("wide slits", "beam wider by 0.3 eV than that of the references", Faults(width_ev=0.3)),
    Way("binder", "carbon of 0.4 OD on half of the specimen", Faults(carbon_od=0.4)),
    Way("sloping binder", "the same, falling by a third", Faults(carbon_od=0.4, carbon_slope=0.33)),
    Way("deposit", "0.2 OD of carbon grow during the scan", Faults(deposit_od=0.2)),
    Way("slope up", "OD slope of +0.15", Faults(slope=0.15)),
    Way("slope down", "OD slope of -0.15", Faults(slope=-0.15)),
    Way(
        "stray light",
        "8 % stray light at OD 3",
        Faults(leak=0.08),
        thick(largest_od=3.0),
    ),
    Way("slow counter", "10 % of the counts lost in the empty support", Faults(dead_time=0.1)),
    Way("unstable I0", "light on the specimen off by 4 % in each image", Faults(i0_error=0.04)),
    Way("dichroism", "lines 15 % stronger or weaker by crystal", Faults(dichroism=0.15)),
    Way("mass loss", "12 % of the mass goes during the scan", Faults(mass_loss=0.12)),
    Way("beam damage", "35 % become the next phase during the scan", Faults(damage=0.35)),
    Way(
        "a phase unknown",
        "10 % are a phase without a reference",
        Faults(),
        thick(unknown=0.1),
    ),
    Way(
        "mostly unknown",
        "60 % are a phase without a reference",
        Faults(),
        thick(unknown=0.6),
    ),
    Way(
        "nothing known",
        "all is a phase without a reference",
        Faults(),
        thick(unknown=1.0),
    ),
    Way(
        "core and shell",
        "Na3VPF in Na1VPF, no other phase",
        layout=Layout((0.5, 0, 0, 0.5, 0), "core and shell", profile="dome"),
    ),
    Way(
        "phase upon phase",
        "two phases through the thickness everywhere",
        layout=thick(columns=1.0),
    ),
    Way(
        "two-pixel lamellae",
        "lamellae of 2 px at 300 photons",
        layout=Layout(EVEN, "lamellae", 2.0),
        photons=300.0,
    ),
    Way("finer than a pixel", "grains of 0.7 px", layout=Layout(EVEN, "grains", 0.7)),
    Way("several at once", "eight modest faults", SEVERAL),
)
"""All of the shipped phases, at 2000 photons where nothing else is said."""
