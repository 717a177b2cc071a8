"""Reasons for a region, as text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.adaptive.regions.criteria import OD_2018, particles, phase_shares
from stxm_live.adaptive.regions.grid import PixelWindow
from stxm_live.adaptive.regions.od_rule import OD_RANGE
from stxm_live.core.phase_maps import PhaseMaps

_LEAST_SHARE = 0.02
"""Smallest share of a window's pixels for which a boundary or an uncertain pair is named."""


def of_criterion(criterion: str, maps: PhaseMaps, window: PixelWindow) -> str:
    """Return the finding of a criterion in a window; for a plug-in, its name."""
    if criterion in ("doubt", "boundaries"):
        return boundary(maps, window) or undecided(maps, window)
    if criterion == "rare":
        return rare(maps, window)
    if criterion == "unidentified":
        return share_of(maps.unidentified, maps, window, "unidentified")
    if criterion == "particles":
        n = len(np.setdiff1d(particles(maps)[window], [0]))
        return "another particle" if n == 1 else f"{n} other particles"
    return f"OD {OD_RANGE[0]:g} to {OD_RANGE[1]:g}" if criterion == OD_2018 else criterion


def boundary(maps: PhaseMaps, window: PixelWindow) -> str:
    """Return the two phases with the longest boundary, as "boundary Na2VPF/Na1VPF", or ""."""
    index = maps.final_index[window].astype(np.intp)
    n = len(maps.phase_names)
    pairs = np.zeros((n, n), dtype=np.intp)
    for here, there in ((index[:-1], index[1:]), (index[:, :-1], index[:, 1:])):
        beside = (here >= 0) & (there >= 0) & (here != there)
        np.add.at(pairs, (np.minimum(here, there)[beside], np.maximum(here, there)[beside]), 1)
    if pairs.max() < _LEAST_SHARE * max(1, int((index >= 0).sum())):
        return ""
    a, b = (int(k) for k in np.unravel_index(int(pairs.argmax()), pairs.shape))
    return f"boundary {maps.phase_names[a]}/{maps.phase_names[b]}"


def undecided(maps: PhaseMaps, window: PixelWindow) -> str:
    """Return the two phases that are hardest to distinguish, as "Na2VPF or Na1VPF", or ""."""
    if maps.probability is None:
        return ""
    p = maps.probability[:, *window][:, maps.phase_index[window] >= 0]
    if p.shape[1] == 0 or len(p) < 2:
        return ""
    order = np.argsort(-p, axis=0)[:2]
    doubt = np.take_along_axis(p, order[1:2], axis=0)[0]
    if doubt.mean() < _LEAST_SHARE:
        return ""
    weight = np.zeros((len(p), len(p)))
    np.add.at(weight, (order.min(axis=0), order.max(axis=0)), doubt)
    a, b = (int(k) for k in np.unravel_index(int(weight.argmax()), weight.shape))
    return f"{maps.phase_names[a]} or {maps.phase_names[b]}"


def rare(maps: PhaseMaps, window: PixelWindow) -> str:
    """Return the rarest phase with its share, as "rare Na3VPF (1.2 % of the specimen)", or ""."""
    index = maps.final_index[window]
    index = index[index >= 0]
    if not index.size:
        return ""
    shares = phase_shares(maps)
    here = np.bincount(index.astype(np.intp), minlength=len(shares))
    k = int(np.where(here > 0, here * np.clip(1 - len(shares) * shares, 0, None), 0).argmax())
    return f"rare {maps.phase_names[k]} ({100 * shares[k]:.2g} % of the specimen)"


def share_of(mask: NDArray[np.bool_], maps: PhaseMaps, window: PixelWindow, word: str) -> str:
    """Return the share of such mapped pixels, as "12 % word"; empty without any."""
    mapped = maps.phase_index[window] >= 0
    return f"{100 * mask[window][mapped].mean():.0f} % {word}" if mapped.any() else ""


def area(um2: float) -> str:
    """Return an area with two figures: "2.1 µm²".

    Examples
    --------
    >>> area(2.13), area(0.0314)
    ('2.1 µm²', '0.031 µm²')
    """
    return f"{um2:.2g} µm²"


def cost(minutes: float | None, dose_mgy: float | None) -> list[str]:
    """Return time and dose, as far as they are known.

    Examples
    --------
    >>> cost(6.2, 1.34)
    ['1.3 MGy', '6 min']
    """
    said = [] if dose_mgy is None else [f"{dose_mgy:.2g} MGy"]
    if minutes is not None:
        said.append(f"{minutes:.0f} min" if minutes >= 1 else f"{60 * minutes:.0f} s")
    return said
