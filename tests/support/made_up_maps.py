"""Made-up snapshots and results to draw: a particle of five phases in stripes, simple formulas."""

import numpy as np

from stxm_live.core.amounts import Amounts
from stxm_live.core.phase_maps import PhaseMaps, Quality
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import StackKey
from stxm_live.live.cube import ODCube
from stxm_live.live.progress import Progress

NAMES = ("Na3VPF", "Na2.4VPF", "Na2VPF", "Na1VPF", "Na1-yVPF")
ENERGIES_EV = (505, 513.2, 515.6, 516.6, 517.5, 518.3, 519.2, 521.5, 524, 525, 526, 530.3, 532.2)
EXTENT_UM = (2.0, 3.58, -1.0, -2.18)
"""Of 60 x 80 pixels of 20 nm; y descends."""


def references(names=NAMES):
    """Two Gaussian lines that move from phase to phase, of shape (n_phases, n_energies)."""
    energies = np.array(ENERGIES_EV)
    k = np.arange(len(names))[:, None]
    lines = np.exp(-(((energies - 516.8 - 0.22 * k**1.2) / 1.6) ** 2))
    lines += 0.6 * np.exp(-(((energies - 524.4 - 0.12 * k) / 1.5) ** 2))
    return 0.1 + 0.3 * lines + 0.1 * (energies > 529) * (1 + 0.2 * k)


def particle(shape=(60, 80), n_phases=5):
    """Specimen mask and true phase: an ellipse in wavy vertical stripes."""
    y, x = (np.indices(shape) + 0.5) / np.array(shape)[:, None, None]
    specimen = ((x - 0.5) / 0.42) ** 2 + ((y - 0.5) / 0.38) ** 2 < 1
    stripe = (x + 0.05 * np.sin(12 * y) - 0.08) / 0.84 * n_phases
    truth = np.clip(stripe.astype(int), 0, n_phases - 1).astype(np.int8)
    return specimen, np.where(specimen, truth, np.int8(-1))


def cube(shape=(60, 80), names=NAMES, seed=0):
    """Noisy OD of shape (n_energies, ny, nx), the specimen and its true phase."""
    rng = np.random.default_rng(seed)
    specimen, truth = particle(shape, len(names))
    thickness = np.where(specimen, 2.0 + np.sin(np.arange(shape[1]) / 9.0), 0.0)
    od = references(names)[truth].transpose(2, 0, 1) * thickness
    od += 0.035 * rng.standard_normal(od.shape)
    return od.astype(np.float32), specimen, truth


def drift():
    """Shift of each image, in y and x, of shape (n_energies, 2)."""
    k = np.arange(len(ENERGIES_EV))
    return np.stack([0.2 * k, 0.8 * np.sin(k / 3)], axis=1)


def scan(shape=(60, 80), extent_um=EXTENT_UM):
    return StackScan(
        shape=(len(ENERGIES_EV), *shape),
        energies_ev=ENERGIES_EV,
        x_extent_um=extent_um[:2],
        y_extent_um=extent_um[2:],
        data_field="counts",
    )


def view(
    latest=4, *, shape=(60, 80), names=NAMES, extent_um=EXTENT_UM, run="3f2a91bc7d", **changes
):
    """The cube after the energies up to ``latest``."""
    od, specimen, truth = cube(shape, names)
    measured = np.arange(len(ENERGIES_EV)) <= latest
    od[~measured] = np.nan
    mean = np.full(len(ENERGIES_EV), np.nan)
    mean[measured] = od[measured][:, specimen].mean(axis=1)
    far = latest >= 9
    ambiguous = specimen & (np.indices(shape).sum(axis=0) % 7 == 0)
    values = {
        "key": StackKey((run,)),
        "scan": scan(shape, extent_um),
        "energies_ev": tuple(map(float, ENERGIES_EV)),
        "measured": measured,
        "latest": latest,
        "od": od,
        "specimen": specimen,
        "mean_spectrum": mean,
        "reference_od": references(names),
        "phase_names": tuple(names),
        "colors": {},
        "synthetic_references": True,
        "inseparable": () if far else ((names[0], names[1]), (names[-2], names[-1])),
        "provisional_index": truth if far else None,
        "provisional_ambiguous": ambiguous if far else None,
        "shifts_px": np.where(measured[:, None], drift(), np.nan),
        "i0": np.where(measured, 1000.0 - 5 * np.arange(13), np.nan),
        "i0_std": np.where(measured, 4.0, np.nan),
        "mean_counts": 1000 * np.exp(-mean),
        "progress": Progress(latest + 1, len(ENERGIES_EV), 30.0),
    }
    return ODCube(**{**values, **changes})


def amounts(shape=(60, 80), names=NAMES):
    """Amounts of `maps`: pure pixels with 5 % uncertainty, two particles, values from 3 down."""
    _, specimen, truth = cube(shape, names)
    n = len(names)
    composition = np.where(specimen, np.arange(n)[:, None, None] == truth, np.nan).astype("f4")
    everywhere = np.where(specimen, 1.0, np.nan).astype("f4")
    shares = np.array([np.nanmean(composition, axis=(1, 2)), np.eye(n)[0], np.eye(n)[-1]])
    values = np.linspace(3, 0.5, n)
    return Amounts(
        composition=composition,
        composition_std=0.05 * everywhere + 0 * composition,
        thickness=250 * everywhere,
        thickness_std=4 * everywhere,
        particle_number=np.where(specimen, 1, -1).astype("i1"),
        pixel_share=shares[0],
        pixel_share_std=np.full(n, 0.01),
        volume_share=shares[0].copy(),
        volume_share_std=np.full(n, 0.01),
        area_pixels=np.array([specimen.sum(), 700, 90]),
        area_thickness=np.array([250.0, 251, 249]),
        area_thickness_std=np.array([2.0, 3, 4]),
        area_composition=shares,
        area_composition_std=np.full((3, n), 0.021),
        value=(values[truth] * everywhere).astype("f4"),
        value_std=0.08 * everywhere,
        area_value=shares @ values,
        area_value_std=np.array([0.011, 0.02, 0.03]),
        quantity="x in NaxV2(PO4)2F3",
        unit="nm",
    )


def maps(*, shape=(60, 80), names=NAMES, extent_um=EXTENT_UM, run="3f2a91bc7d", **changes):
    """A whole result; the PCC maps are computed, the rest follows from them."""
    od, specimen, truth = cube(shape, names)
    correlation = np.where(specimen, _pearson(od, references(names)), np.nan)
    order = np.argsort(-np.nan_to_num(correlation, nan=-2.0), axis=0)[:2].astype(np.int8)
    best, second = np.take_along_axis(correlation, order.astype(int), axis=0)
    margin = np.where(specimen, best - second, np.nan).astype(np.float32)
    ambiguous = specimen & (np.nan_to_num(margin, nan=1.0) < 0.005)
    initial = np.where(specimen, order[0], np.int8(-1))
    latent_index = np.where(ambiguous, truth, initial)
    values = {
        "key": StackKey((run,)),
        "status": "complete",
        "revision": 1,
        "phase_names": tuple(names),
        "energies_ev": tuple(map(float, ENERGIES_EV)),
        "extent_um": extent_um,
        "od": od,
        "counts": np.full(shape, 1000, np.float32),
        "specimen": specimen,
        "valid": np.ones(shape, bool),
        "correlation": correlation.astype(np.float32),
        "phase_index": initial,
        "reliability": 100 * margin,
        "ambiguous": ambiguous,
        "ambiguous_pair": np.where(ambiguous, order, np.int8(-1)),
        "unidentified": specimen & (best < 0.9),
        "fractions": shares(initial, len(names)),
        "reference_od": references(names),
        "shifts_px": drift(),
        "i0": np.full(len(ENERGIES_EV), 1000.0),
        "quality": Quality(
            "limited",
            "the closest references (Na2.4VPF, Na2VPF) differ by 1 - PCC = 0.0078",
            "one pixel in four is ambiguous at 1000 counts",
            "Measure longer, or add 518.8 eV.",
        ),
        "latent_index": latent_index,
        "resolved_index": np.where(margin < 0.02, truth, initial).astype(np.int8),
        "wrong_probability": np.where(specimen, 0.5 * np.exp(-100 * margin), np.nan).astype("f4"),
        "resolved_fractions": shares(truth, len(names)),
        "synthetic_references": True,
        "warnings": (
            "518.3 eV: 4 pixels without counts",
            "the model does not fit; maps without it",
        ),
    }
    return PhaseMaps(**{**values, **changes})


def shares(index, n_phases):
    return np.bincount(index[index >= 0].ravel(), minlength=n_phases) / max(1, (index >= 0).sum())


def _pearson(od, reference_od):
    """Coefficients of shape (n_phases, ny, nx)."""
    a = od - od.mean(axis=0)
    b = reference_od - reference_od.mean(axis=1, keepdims=True)
    norm = np.sqrt((a**2).sum(axis=0)) * np.sqrt((b**2).sum(axis=1))[:, None, None]
    return np.einsum("pe,eyx->pyx", b, a) / norm


HOSTILE = (
    "</script><script>window.hacked=1</script>",
    '"><img src=x onerror="window.hacked=1">',
    "$$\\alpha$$ ${style} $title",
    "'; window.hacked=1; //",
    "]]> -->",
)


def hostile_maps():
    return maps(
        names=HOSTILE,
        run="<b>run</b>",
        warnings=("<script>window.hacked=1</script>",),
        provenance={"recipe": "<script>window.hacked=1</script>", HOSTILE[1]: {"a": [1, 2]}},
    )
