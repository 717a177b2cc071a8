"""A phase whose spectrum other phases mix to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MixedReference:
    """A reference spectrum that a mixture of others cannot be distinguished from.

    Parameters
    ----------
    phase : str
    parts : mapping of str to float
        The other phases and their shares, in units of each reference's own thickness. One part
        alone means that two references look the same.
    sigma : float
        Distance of the two spectra in standard deviations of one pixel's noise, thickness and
        background free.

    Examples
    --------
    >>> str(MixedReference("b", {"a": 0.412, "c": 0.588}, 0.0194))
    'b is 0.41 a + 0.59 c within 0.02 sigma'
    """

    phase: str
    parts: Mapping[str, float]
    sigma: float

    def __str__(self) -> str:
        return f"{self.phase} is {self.mixture} within {self.sigma:.2f} sigma"

    @property
    def mixture(self) -> str:
        """Return the parts and their shares, as "0.41 a + 0.59 c"."""
        return " + ".join(f"{share:.2f} {name}" for name, share in self.parts.items())

    @property
    def consequence(self) -> str:
        """Return what the mixture means for a map, in words."""
        if len(self.parts) == 1:
            return "a pixel of one looks like a pixel of the other"
        if len(self.parts) == 2:
            return "a layer of one over the other looks the same"
        return "layers of these look the same"


def alternatives(mixed: Iterable[MixedReference], *, most: int = 2) -> dict[str, str]:
    """Return for each phase the nearest mixtures that look the same, for use after its name.

    Examples
    --------
    >>> layers = [{"a": 0.4, "c": 0.6}, {"a": 0.7, "d": 0.3}]
    >>> alternatives(MixedReference("b", parts, 0.1) for parts in layers)
    {'b': 'or a mixture of a and c, or of a and d'}
    """
    return {phase: f"or {_in_words(found[:most])}" for phase, found in by_phase(mixed).items()}


def by_phase(mixed: Iterable[MixedReference]) -> dict[str, list[MixedReference]]:
    """Return the mixtures of each phase, in the order given."""
    of_phase: dict[str, list[MixedReference]] = {}
    for one in mixed:
        of_phase.setdefault(one.phase, []).append(one)
    return of_phase


def _in_words(mixed: Iterable[MixedReference]) -> str:
    """Return "a mixture of a and b, or of a and c", or the name of one phase alone."""
    words: list[str] = []
    for one in mixed:
        *first, last = one.parts
        if not first:
            words.append(last)
            continue
        kind = "of" if any(" of " in word for word in words) else "a mixture of"
        words.append(f"{kind} {', '.join(first)} and {last}")
    return ", or ".join(words)


def notes_on_mixtures(mixed: Iterable[MixedReference], *, most: int = 2) -> list[str]:
    """Return a sentence for each phase, with the nearest mixtures that look the same.

    Examples
    --------
    >>> notes_on_mixtures([MixedReference("b", {"a": 0.4, "c": 0.6}, 0.02)])
    ['b cannot be distinguished from a mixture of a and c (0.02 sigma in one pixel)']
    """
    return [
        f"{phase} cannot be distinguished from {_in_words(found[:most])} "
        f"({' and '.join(f'{one.sigma:.2f}' for one in found[:most])} sigma in one pixel)"
        for phase, found in by_phase(mixed).items()
    ]


def stored_mixtures(attributes: Mapping[str, Any]) -> tuple[MixedReference, ...]:
    """Return the mixed references of a stored result; older ones name none."""
    stored = json.loads(attributes.get("mixed_references", "[]"))
    return tuple(MixedReference(**one) for one in stored)
