"""Phases that the energies of a scan cannot distinguish: one label for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAME = 1e-6
"""1 - PCC of references that are the same spectrum, so that no scan distinguishes them."""

Twins = tuple[tuple[str, ...], ...]
"""Groups of phases, two or more in each, in the order of the recipe."""


def twins_of(phase_names: Sequence[str], pairs: Iterable[tuple[str, str]]) -> Twins:
    """Return the groups that pairs of phases make.

    Examples
    --------
    >>> twins_of("abcd", [("b", "c"), ("c", "d")])
    (('b', 'c', 'd'),)
    """
    group = {name: {name} for name in phase_names}
    for a, b in pairs:
        joined = group[a] | group[b]
        group.update(dict.fromkeys(joined, joined))
    names = [tuple(n for n in phase_names if n in group[name]) for name in phase_names]
    return tuple(dict.fromkeys(found for found in names if len(found) > 1))


def either(names: Iterable[str]) -> str:
    """Return one label for phases that are not distinguished.

    Examples
    --------
    >>> either(["Na2.4VPF", "Na2VPF"])
    'Na2.4VPF or Na2VPF'
    """
    return " or ".join(names)


def together(names: Sequence[str]) -> str:
    """Return phases that are not distinguished as part of a sentence.

    Examples
    --------
    >>> together(["a", "b", "c"])
    'a, b and c'
    """
    return f"{', '.join(names[:-1])} and {names[-1]}"


def representatives(phase_names: Sequence[str], twins: Twins) -> NDArray[np.int8]:
    """Return for each phase the first one of its group, shape (n_phases,).

    Examples
    --------
    >>> representatives(("a", "b", "c"), (("b", "c"),))
    array([0, 1, 1], dtype=int8)
    """
    first = {name: group[0] for group in twins for name in group}
    return np.array([phase_names.index(first.get(n, n)) for n in phase_names], dtype=np.int8)


def merged_index(
    index: NDArray[np.int8], phase_names: Sequence[str], twins: Twins
) -> NDArray[np.int8]:
    """Return a map in which the phases of a group have the number of the first; -1 stays."""
    if not twins:
        return index
    return np.where(index >= 0, representatives(phase_names, twins)[index], index)


def labels(phase_names: Sequence[str], twins: Twins) -> dict[int, str]:
    """Return number and label of each phase that is shown: the first of a group for all of it.

    Examples
    --------
    >>> labels(("a", "b", "c"), (("b", "c"),))
    {0: 'a', 1: 'b or c'}
    """
    of_first = {group[0]: either(group) for group in twins}
    shown = sorted(set(representatives(phase_names, twins).tolist()))
    return {k: of_first.get(phase_names[k], phase_names[k]) for k in shown}


def label_of(phase_names: Sequence[str], twins: Twins, phase: int) -> str:
    """Return the label of one phase, that of its group if it has one.

    Examples
    --------
    >>> label_of(("a", "b", "c"), (("b", "c"),), 2)
    'b or c'
    """
    return labels(phase_names, twins)[int(representatives(phase_names, twins)[phase])]


def stored_twins(attributes: Mapping[str, Any]) -> Twins:
    """Return the groups of a stored result; older ones have none."""
    return tuple(tuple(group) for group in json.loads(attributes.get("twins", "[]")))


def merged_shares(
    shares: NDArray[np.floating], phase_names: Sequence[str], twins: Twins
) -> NDArray[np.float64]:
    """Return the shares (n_phases,) with those of a group at its first phase, 0 at the others.

    Examples
    --------
    >>> merged_shares(np.array([0.5, 0.2, 0.3]), ("a", "b", "c"), (("b", "c"),))
    array([0.5, 0.5, 0. ])
    """
    first = representatives(phase_names, twins)
    of_group = np.bincount(first, weights=shares, minlength=len(phase_names))
    return of_group.astype(np.float64)
