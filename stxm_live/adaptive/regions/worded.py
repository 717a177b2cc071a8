"""Maps of interest from words: a phase, a range of a number, a boundary, parts of some area."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stxm_live.adaptive.regions.box_placement import Interest
from stxm_live.adaptive.regions.grid import Raster
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.region_criterion import Term, parse_criterion
from stxm_live.core.twins import representatives

_PART = 0.5
"""Share of the largest interest from which a pixel belongs to a part with an area."""


def interest_in_words(maps: PhaseMaps, text: str, named: Callable[[str], Interest]) -> Interest:
    """Return the map of what is looked for.

    Parameters
    ----------
    maps : PhaseMaps
    text : str
        Words as `stxm_live.core.region_criterion.parse_criterion` reads them. What is joined by
        "and" is multiplied, and of what is joined by "or" the largest counts.
    named : callable
        Returns the map of a criterion that is one name.

    Raises
    ------
    ValueError
        If the words are not understood, name a phase that the maps do not have, or need numbers
        that the recipe does not give.
    """
    alternatives = [_together(maps, terms, named) for terms in parse_criterion(text)]
    if len(alternatives) == 1:
        return alternatives[0]
    return Interest(np.maximum.reduce([one.field for one in alternatives]))


def _together(
    maps: PhaseMaps, terms: tuple[Term, ...], named: Callable[[str], Interest]
) -> Interest:
    """Return the product of some terms, in parts of the right area."""
    field, groups = np.where(maps.final_index >= 0, 1.0, 0.0), None
    for term in terms:
        if term.kind == "phase":
            field = field * _phase(maps, term)
        elif term.kind == "boundary":
            field = field * _boundary(maps, term)
        elif term.kind == "number":
            field = field * _number(maps, term)
        elif term.kind == "name":
            one = named(term.names[0])
            field, groups = field * one.field, one.groups
    for term in terms:
        if term.kind == "area":
            field = np.where(_parts(maps, field, term), field, 0.0)
    return Interest(field, groups if len(terms) == 1 else None)


def _phase(maps: PhaseMaps, term: Term) -> NDArray[np.float64]:
    """Return the probability of a phase where it is the label, or of those that share its label.

    0 everywhere if all phases share one label.
    """
    labels = representatives(maps.phase_names, maps.twins)
    members = np.flatnonzero(labels == labels[_index(maps, term.names[0])])
    if 1 < len(members) == len(labels):
        return np.zeros(maps.final_index.shape)
    labelled = np.where(np.isin(maps.final_index, members), 1.0, 0.0)
    if len(members) > 1 and maps.probability is not None:
        labelled *= np.nan_to_num(maps.probability[members].sum(axis=0))
    elif maps.wrong_probability is not None:
        labelled *= 1 - np.nan_to_num(maps.wrong_probability)
    return labelled


def _boundary(maps: PhaseMaps, term: Term) -> NDArray[np.float64]:
    """Return the number of sides on which two phases are next to each other.

    There is no boundary between phases that share a label.
    """
    a, b = (_index(maps, name) for name in term.names)
    if a == b:
        raise ValueError(f"a boundary is between two phases, not {term.names[0]} twice")
    labels = representatives(maps.phase_names, maps.twins)
    index = np.where(maps.final_index >= 0, labels[maps.final_index], -1)
    a, b = int(labels[a]), int(labels[b])
    sides = np.zeros(index.shape)
    if a == b:
        return sides
    for here, there in ((np.s_[:-1, :], np.s_[1:, :]), (np.s_[:, :-1], np.s_[:, 1:])):
        beside = (index[here] == a) & (index[there] == b)
        beside |= (index[here] == b) & (index[there] == a)
        sides[here] += beside
        sides[there] += beside
    return sides


def _number(maps: PhaseMaps, term: Term) -> NDArray[np.float64]:
    """Return the probability that a pixel's value or thickness is between two limits."""
    from scipy.special import ndtr

    values, std = _values(maps, term.names[0])
    std = np.maximum(np.nan_to_num(std), 1e-9)
    inside = ndtr((term.high - values) / std) - ndtr((term.low - values) / std)
    return np.asarray(np.nan_to_num(inside))


def _values(maps: PhaseMaps, name: str) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the numbers of all pixels that a word stands for, and their uncertainty."""
    amounts = maps.amounts
    if amounts is None:
        raise ValueError(f"the maps of {maps.key} have no amounts, so {name} is not known")
    if name == "thickness":
        return amounts.thickness, amounts.thickness_std
    if name not in {"x", "value", amounts.quantity, amounts.quantity.partition(" ")[0]}:
        raise ValueError(f"{name!r} is no number of a pixel; write value, x or thickness")
    if amounts.value is None or amounts.value_std is None:
        raise ValueError(
            f"{name} is not known: the recipe gives the phases no numbers; write one for each in "
            "[phases] value"
        )
    return amounts.value, amounts.value_std


def _parts(maps: PhaseMaps, field: NDArray[np.float64], term: Term) -> NDArray[np.bool_]:
    """Return the pixels of connected parts of the field whose area is between the limits."""
    from scipy.ndimage import label

    parts, _ = label((field > 0) & (field >= _PART * field.max()), structure=np.ones((3, 3)))
    um2 = np.bincount(parts.ravel()) * Raster.of(maps.extent_um, maps.specimen.shape).pixel_um2
    fits = (um2 >= term.low) & (um2 <= term.high)
    fits[0] = False
    return np.asarray(fits[parts])


def _index(maps: PhaseMaps, name: str) -> int:
    if name not in maps.phase_names:
        raise ValueError(f"there is no phase {name!r}; the maps have {', '.join(maps.phase_names)}")
    return maps.phase_names.index(name)
