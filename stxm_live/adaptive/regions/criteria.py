"""Criteria for pixels worth another scan: uncertain labels, boundaries, rare phases, and more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stxm_live.adaptive.regions.box_placement import Interest
from stxm_live.adaptive.regions.expected_gain import Improvement, doubt_removed
from stxm_live.adaptive.regions.worded import interest_in_words
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.plugins import Plugin, PluginError, plugins
from stxm_live.core.region_criterion import is_worded

OD_2018 = "od-2018"
"""The rule of `stxm_live.adaptive.regions.od_rule`, which has no map of interest."""

_SMALLEST_PARTICLE_PX = 9
"""Fewest connected pixels of a particle."""


class Criterion(Protocol):
    """Function that rates pixels for another scan; ``stxm_live.criteria`` plug-ins are such."""

    def __call__(self, maps: PhaseMaps) -> NDArray[np.floating]:
        """Return the worth of every pixel, (ny, nx), not negative; NaN stands for none.

        The unit is free: a region is worth the sum of its pixels.
        """


def interest_in(maps: PhaseMaps, criterion: str, improvement: Improvement) -> Interest:
    """Return the map of one criterion.

    Raises
    ------
    ValueError
        If the criterion is neither one of `CRITERIA` nor a plug-in's, nor words for what to look
        for, or needs products that the maps lack; a `PluginError` if a plug-in fails.
    """
    is_name = criterion in CRITERIA or criterion in plugins("criterion")
    if is_worded(criterion) and not is_name:
        return interest_in_words(maps, criterion, partial(_by_name, maps, improvement=improvement))
    return _by_name(maps, criterion, improvement)


def _by_name(maps: PhaseMaps, criterion: str, improvement: Improvement) -> Interest:
    """Return the map of a criterion of `CRITERIA` or of a plug-in."""
    theirs = plugins("criterion")
    if criterion in CRITERIA and criterion in theirs:
        raise PluginError(
            f"criterion {criterion!r} is one of stxm_live and one of "
            f"{theirs[criterion].package}; uninstall or rename the latter"
        )
    if criterion in CRITERIA:
        return CRITERIA[criterion](maps, improvement)
    if criterion in theirs:
        return _of_plugin(maps, theirs[criterion])
    known = ", ".join([*CRITERIA, OD_2018, *theirs])
    raise ValueError(
        f'criterion {criterion!r} is unknown; expected one of {known}, or words as "phase:Na3VPF"'
    )


def _of_plugin(maps: PhaseMaps, plugin: Plugin) -> Interest:
    worth = plugin.call(np.ndarray, maps)
    shape = maps.specimen.shape
    if worth is None or worth.shape != shape or not np.isrealobj(worth):
        found = None if worth is None else f"{worth.dtype.name} of shape {worth.shape}"
        raise PluginError(f"{plugin} returned {found}, expected numbers of shape {shape}")
    field = np.nan_to_num(worth.astype(np.float64), nan=0.0, posinf=np.inf)
    if not (np.isfinite(field) & (field >= 0)).all():
        raise PluginError(
            f"{plugin} returned {field.min():g} to {field.max():g}, expected finite numbers, not "
            "negative"
        )
    return Interest(field)


def mixture(
    maps: PhaseMaps, weights: Mapping[str, float], improvement: Improvement
) -> dict[str, Interest]:
    """Return the maps of several criteria, each with its weight as its sum over the field."""
    found = {}
    for name, weight in weights.items():
        if not 0 <= weight < np.inf:
            raise ValueError(f"criterion {name!r} has weight {weight:g}: expected 0 or more")
        one = interest_in(maps, name, improvement)
        total = float(one.field.sum(dtype=np.float64))
        if weight > 0 and total > 0:
            found[name] = Interest(one.field * (weight / total), one.groups)
    return found


def _doubt(maps: PhaseMaps, improvement: Improvement) -> Interest:
    """Return the wrong labels that the scan is expected to remove."""
    if maps.probability is None:
        raise ValueError(
            f"the maps of {maps.key} are {maps.status} and have no probabilities, so their "
            "wrong labels cannot be estimated; scan the missing energies, or use "
            'criterion="boundaries" or "particles"'
        )
    return Interest(doubt_removed(maps, improvement))


def _boundaries(maps: PhaseMaps, improvement: Improvement) -> Interest:
    """Return the number of sides on which a pixel's neighbor has another phase."""
    index = maps.final_index
    sides = np.zeros(index.shape, dtype=np.float32)
    for a, b in (
        (np.s_[:-1, :], np.s_[1:, :]),
        (np.s_[:, :-1], np.s_[:, 1:]),
    ):
        beside = (index[a] >= 0) & (index[b] >= 0) & (index[a] != index[b])
        sides[a] += beside
        sides[b] += beside
    return Interest(sides)


def _rare(maps: PhaseMaps, improvement: Improvement) -> Interest:
    """Return weights for pixels of phases with less than an even share of the specimen."""
    weights = np.clip(1 - len(maps.phase_names) * phase_shares(maps), 0, None)
    rare = np.where(maps.final_index >= 0, weights[maps.final_index], 0.0)
    if maps.wrong_probability is not None:
        rare *= 1 - np.nan_to_num(maps.wrong_probability)
    return Interest(rare)


def phase_shares(maps: PhaseMaps) -> NDArray[np.float64]:
    """Return the share of each phase in the final map, shape (n_phases,)."""
    index = maps.final_index
    counts = np.bincount(index[index >= 0].astype(np.intp), minlength=len(maps.phase_names))
    return np.asarray(counts / max(1, counts.sum()))


def _unidentified(maps: PhaseMaps, improvement: Improvement) -> Interest:
    return Interest(maps.unidentified.astype(np.float32))


def _particles(maps: PhaseMaps, improvement: Improvement) -> Interest:
    """Return weights for particles not yet scanned; four times the area counts double."""
    groups = particles(maps)
    size = np.bincount(groups.ravel())
    size[0] = 0
    weight = np.where(size > 0, 1 / np.sqrt(np.maximum(size, 1)), 0.0)
    return Interest(weight[groups], groups)


def particles(maps: PhaseMaps) -> NDArray[np.intp]:
    """Return the number of the particle of each pixel, (ny, nx), from 1 on; 0 for none."""
    from scipy.ndimage import label

    groups, n = label(maps.specimen, structure=np.ones((3, 3)))
    size = np.bincount(groups.ravel(), minlength=n + 1)
    kept = size >= _SMALLEST_PARTICLE_PX
    kept[0] = False
    number = np.where(kept, np.cumsum(kept), 0)
    return np.asarray(number[groups])


CRITERIA: Mapping[str, Callable[[PhaseMaps, Improvement], Interest]] = {
    "doubt": _doubt,
    "boundaries": _boundaries,
    "rare": _rare,
    "unidentified": _unidentified,
    "particles": _particles,
}
"""The criteria with a map of interest that need no plug-in."""
