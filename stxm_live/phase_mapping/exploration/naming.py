"""Spectra that an exploration found, named and joined as references for the next maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.references import ReferenceSpectra
from stxm_live.preprocessing.reference_extraction import MeasuredSpectrum, ReferenceSet, joined

UNIDENTIFIED = "unidentified"
"""Name of the mean spectrum of the pixels that no reference describes."""


def unidentified_component(maps: PhaseMaps) -> MeasuredSpectrum | None:
    """Return the mean spectrum of the pixels that no reference describes; None if there are none.

    Parameters
    ----------
    maps : PhaseMaps
        Maps with the references at hand. Their ``unidentified`` says which pixels these are.
    """
    found = maps.unidentified_spectrum
    if found is None:
        return None
    return MeasuredSpectrum(
        name=UNIDENTIFIED,
        energies_ev=np.array(maps.energies_ev, dtype=np.float64),
        od=found.od,
        std=None if np.isnan(found.od_std).any() else found.od_std,
        source=f"{maps.key}, mean OD of {found.n_pixels} pixels that no reference describes",
    )


def named_references(
    found: Mapping[str, MeasuredSpectrum],
    names: Mapping[str, str],
    known: ReferenceSpectra | None = None,
) -> ReferenceSet:
    """Return chosen spectra under the names of their phases, after those that are known.

    Parameters
    ----------
    found : mapping of str to MeasuredSpectrum
        As of `Exploration.measured_spectra`, or with `unidentified_component` added.
    names : mapping of str to str
        Name of the phase by the name of the spectrum, such as ``{"0": "Na1VPF"}``. Spectra
        without a name are left out.
    known : ReferenceSpectra, optional
        References to which the chosen ones are added.

    Returns
    -------
    ReferenceSet
        For ``stxm_live.preprocessing.reference_extraction.write_references``.

    Raises
    ------
    ValueError
        If there is no such spectrum, a phase is named twice, or there is one phase only.
    """
    chosen = list(_of_known(known)) if known is not None else []
    for wanted, phase in names.items():
        if wanted not in found:
            raise ValueError(f"there is no spectrum {wanted!r} to name; there are {_list(found)}")
        one = found[wanted]
        chosen.append(
            MeasuredSpectrum(
                phase, one.energies_ev, one.od, one.source, one.std, synthetic=one.synthetic
            )
        )
    return joined(chosen)


def _list(found: Iterable[str]) -> str:
    return ", ".join(found) or "none"


def _of_known(known: ReferenceSpectra) -> Iterable[MeasuredSpectrum]:
    for k, name in enumerate(known.phase_names):
        std = None if known.od_std is None else known.od_std[k]
        yield MeasuredSpectrum(
            name,
            known.energies_ev,
            known.od[k],
            "the references before",
            None if std is None or np.isnan(std).any() else std,
            synthetic=known.synthetic,
        )
