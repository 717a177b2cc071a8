"""Images of one number per pixel: an energy, a band, a difference, a ratio, a component."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.references import listed_ev

if TYPE_CHECKING:
    from stxm_live.phase_mapping.exploration.workflow import Exploration

THINNEST_OD = 0.05
"""Optical density below which a ratio is not formed."""

_COMPONENT = re.compile(r"(pca|nmf)(\d+)")

_EXPECTED = (
    "expected an energy in eV (708.2), a band (707:709), a difference (708.2-690), a ratio "
    "of these (708.2/710), or a component (pca0, nmf1)"
)


def channel(exploration: Exploration, text: str) -> NDArray[np.float64]:
    """Return one number per pixel, shape (ny, nx), NaN beside the specimen.

    Parameters
    ----------
    exploration : Exploration
    text : str
        An energy in eV ("708.2"), the mean over a band ("707:709"), a difference of two of these
        ("708.2-690"), a ratio of any of these ("707:709/710", "708.2-690/710-690"), or a component
        ("pca0", "nmf1"). A ratio is NaN where its second value is below `THINNEST_OD`.

    Raises
    ------
    ValueError
        If it is none of these, or the stack has no such energy or component.
    """
    spectra = exploration.spectra
    component = _COMPONENT.fullmatch(text.strip())
    if component is not None:
        return spectra.image(_component(exploration, component[1], int(component[2])))
    above, is_ratio, below = text.partition("/")
    values = _difference(exploration, above, text)
    if is_ratio:
        other = _difference(exploration, below, text)
        thick = other > THINNEST_OD
        values = np.where(thick, values / np.where(thick, other, 1.0), np.nan)
    return spectra.image(values)


def _difference(exploration: Exploration, part: str, text: str) -> NDArray[np.float64]:
    """Return the mean OD (n_pixels,) of a band, or the difference of two."""
    first, is_difference, second = part.partition("-")
    values = _mean_od(exploration, first, text)
    return values - _mean_od(exploration, second, text) if is_difference else values


def _component(exploration: Exploration, kind: str, k: int) -> NDArray[np.float64]:
    values = exploration.pca.scores if kind == "pca" else exploration.nmf.amounts
    if k >= values.shape[1]:
        raise ValueError(
            f"there is no component {kind}{k}; the last one is {kind}{values.shape[1] - 1}"
        )
    return values[:, k]


def _mean_od(exploration: Exploration, part: str, text: str) -> NDArray[np.float64]:
    """Return the mean OD (n_pixels,) at an energy or over a band."""
    energies = exploration.spectra.energies_ev
    try:
        low, *rest = (float(cell) for cell in part.split(":"))
    except ValueError:
        raise ValueError(f"{text!r} is no map: {_EXPECTED}") from None
    if len(rest) > 1:
        raise ValueError(f"{text!r} is no map: {_EXPECTED}")
    if rest:
        chosen = (energies >= min(low, *rest)) & (energies <= max(low, *rest))
    else:
        chosen = np.abs(energies - low) <= _reach_ev(energies, low)
        chosen &= np.arange(len(energies)) == np.abs(energies - low).argmin()
    if not chosen.any():
        raise ValueError(
            f"{text!r}: no image was recorded at {part.strip()} eV; the stack has "
            f"{listed_ev(energies)} eV"
        )
    return np.asarray(exploration.spectra.od[:, chosen].mean(axis=1))


def _reach_ev(energies_ev: NDArray[np.float64], wanted: float) -> float:
    """Return how far an image may be from an energy: half a step there, or half an eV."""
    nearest = int(np.abs(energies_ev - wanted).argmin())
    steps = np.diff(energies_ev)[max(nearest - 1, 0) : nearest + 1]
    return max(float(steps.max()) / 2, 0.5)


def default_channels(exploration: Exploration) -> tuple[str, ...]:
    """Return maps to show if nobody asked for any: peak less pre-edge, and the telling ratio."""
    energies = exploration.spectra.energies_ev
    first, peak = f"{energies[0]:g}", int(exploration.pca.mean.argmax())
    found = [f"{energies[peak]:g}-{first}"] if peak else []
    a, b = telling_energies(exploration)
    if first in (a, b):
        found.append(f"{a}/{b}")
    elif a != b:
        found.append(f"{a}-{first}/{b}-{first}")
    return tuple(found)


def default_rgb(exploration: Exploration) -> tuple[str, str, str]:
    """Return three images for red, green and blue: components, or telling energies."""
    if len(exploration.nmf.spectra) > 2:
        return "nmf0", "nmf1", "nmf2"
    return (*telling_energies(exploration), f"{exploration.spectra.energies_ev[0]:g}")


def telling_energies(exploration: Exploration) -> tuple[str, str]:
    """Return the two energies, as text, between which the spectra differ most in shape.

    That is, in a way that neither their thickness nor a constant explains, where they absorb.
    """
    energies, mean = exploration.spectra.energies_ev, exploration.pca.mean
    unlike = exploration.pca.components
    usual = np.linalg.qr(np.stack([np.ones_like(mean), mean], axis=1))[0]
    unlike = (unlike - unlike @ usual @ usual.T) * np.sqrt(exploration.pca.eigenvalues)[:, None]
    shape = np.linalg.svd(unlike, full_matrices=False)[2][0]
    absorbing = np.flatnonzero(mean >= mean.max() / 2)
    a, b = sorted(absorbing[[shape[absorbing].argmin(), shape[absorbing].argmax()]])
    return f"{energies[a]:g}", f"{energies[b]:g}"
