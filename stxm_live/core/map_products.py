"""The array products of phase maps: one table of names, dimensions and units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Product(NamedTuple):
    """Long name, dimensions and unit of an array product."""

    dims: tuple[str, ...]
    units: str
    long_name: str


PRODUCTS: Mapping[str, Product] = {
    "od": Product(("energy_ev", "y", "x"), "1", "optical density ln(I0/I)"),
    "counts": Product(("y", "x"), "counts", "mean counts per energy"),
    "specimen": Product(("y", "x"), "", "specimen mask"),
    "valid": Product(("y", "x"), "", "a spectrum that is not constant, at two energies at least"),
    "correlation": Product(("phase", "y", "x"), "1", "Pearson coefficient with each reference"),
    "phase_index": Product(("y", "x"), "", "phase of the largest coefficient"),
    "reliability": Product(("y", "x"), "1", "R = 100 (Q1 - Q2)"),
    "ambiguous": Product(("y", "x"), "", "Q1 - Q2 below the threshold"),
    "ambiguous_pair": Product(("rank", "y", "x"), "", "best and second-best phase"),
    "latent": Product(("y", "x", "latent_axis"), "1", "encoder output z_mean"),
    "latent_index": Product(("y", "x"), "", "ambiguous pixels assigned in latent space (paper)"),
    "contradicted": Product(("y", "x"), "", "clear by correlation, contradicted in latent space"),
    "probability": Product(("phase", "y", "x"), "1", "posterior probability of each phase"),
    "resolved_index": Product(("y", "x"), "", "phase by the recipe's resolver"),
    "wrong_probability": Product(("y", "x"), "1", "probability that the resolved phase is wrong"),
    "entropy": Product(("y", "x"), "1", "entropy of the probabilities, 1 where nothing is known"),
    "unidentified": Product(("y", "x"), "", "no reference fits"),
    "mixed": Product(("y", "x"), "", "two phases in one pixel"),
    "corrected_index": Product(("y", "x"), "", "resolved phase with the energy axis corrected"),
    "corrected_probability": Product(
        ("phase", "y", "x"), "1", "probability of each phase with the energy axis corrected"
    ),
    "corrected_wrong_probability": Product(
        ("y", "x"), "1", "probability that the corrected phase is wrong"
    ),
    "fractions": Product(("phase",), "1", "share of the specimen by phase_index"),
    "resolved_fractions": Product(("phase",), "1", "share of the specimen by resolved_index"),
    "reference_od": Product(("phase", "energy_ev"), "1", "reference spectra at these energies"),
    "corrected_reference_od": Product(
        ("phase", "energy_ev"), "1", "reference spectra with the energy axis corrected"
    ),
    "shifts_px": Product(("energy_ev", "direction"), "pixel", "shift applied to each image"),
    "shifts_before_px": Product(("energy_ev", "direction"), "pixel", "shift before refinement"),
    "shift_quality": Product(("energy_ev",), "pixel", "standard uncertainty of each shift"),
    "i0": Product(("energy_ev",), "counts", "incident intensity"),
    "i0_std": Product(("energy_ev",), "counts", "standard uncertainty of the incident intensity"),
}
"""The array products of `PhaseMaps`; an index of -1 is no specimen or no data."""

VARIABLE_TEXTS = ("units", "long_name", "flag_meanings")
"""Texts that describe a variable of `PhaseMaps.to_xarray`."""

UNIDENTIFIED_PRODUCTS: Mapping[str, Product] = {
    "od": Product(("energy_ev",), "1", "mean OD of the unidentified pixels"),
    "od_std": Product(("energy_ev",), "1", "standard error of that mean"),
    "od_scatter": Product(
        ("energy_ev",), "1", "scatter of the unidentified pixels, their thickness aside"
    ),
}
"""The arrays of `PhaseMaps.unidentified_spectrum`, stored as ``unidentified_od`` and so on."""


def flags_of(phase_names: Sequence[str]) -> dict[str, Any]:
    """Return the attributes of the CF conventions that name the values of a map of indices.

    Examples
    --------
    >>> flags_of(["Na3VPF", "carbon black"])["flag_meanings"]
    'none Na3VPF carbon_black'
    """
    meanings = ["none", *("_".join(name.split()) or "unnamed" for name in phase_names)]
    return {"flag_values": list(range(-1, len(phase_names))), "flag_meanings": " ".join(meanings)}
