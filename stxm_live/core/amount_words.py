"""Amounts in words: a number with its uncertainty, or an interval where none can be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stxm_live.core.mixed_reference import alternatives, stored_mixtures
from stxm_live.core.twins import Twins, stored_twins

_SIGMAS = 1.96


def number_in_words(value: float, std: float) -> str:
    """Return a number and its standard uncertainty, both to the same digit.

    Examples
    --------
    >>> number_in_words(1.8713, 0.0234), number_in_words(153.2, 12.4)
    ('1.871 ± 0.023', '153 ± 12')
    """
    if not np.isfinite(std) or not np.isfinite(value):
        return "–" if not np.isfinite(value) else f"{value:.3g}"
    digits = int(np.clip(1 - np.floor(np.log10(max(std, 1e-6))), 0, 4))
    return f"{value:.{digits}f} ± {std:.{digits}f}"


def share_in_words(share: float, std: float, *, distinguished: bool = True) -> str:
    """Return a share and its uncertainty in percent.

    Where the phase cannot be distinguished from others it is the interval that holds the truth in
    95 of 100 cases.

    Examples
    --------
    >>> share_in_words(0.384, 0.021), share_in_words(0.303, 0.239)
    ('38.4 ± 2.1 %', '30 ± 24 %')
    >>> share_in_words(0.1, 0.2, distinguished=False)
    '0 to 49 %'
    """
    if not np.isfinite(share):
        return "–"
    if distinguished:
        digits = 0 if std >= 0.1 else 1
        return f"{100 * share:.{digits}f} ± {100 * std:.{digits}f} %"
    low, high = np.clip([share - _SIGMAS * std, share + _SIGMAS * std], 0, 1)
    return f"{100 * low:.0f} to {100 * high:.0f} %"


def not_distinguished(phase_names: Sequence[str], attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return what each phase that cannot be distinguished looks like, after the word "or".

    Parameters
    ----------
    phase_names : sequence of str
    attributes : mapping
        Of a result's dataset.
    """
    return look_alikes(
        phase_names, stored_twins(attributes), alternatives(stored_mixtures(attributes))
    )


def look_alikes(
    phase_names: Sequence[str], twins: Twins, mixtures: Mapping[str, str]
) -> dict[str, str]:
    """Return for each phase of ``twins`` and of ``mixtures`` what looks the same.

    Examples
    --------
    >>> look_alikes(["a", "b", "c"], (("a", "b"),), {"c": "or a mixture of a and b"})
    {'c': 'or a mixture of a and b', 'a': 'or b', 'b': 'or a'}
    """
    found = dict(mixtures)
    for group in twins:
        for name in group:
            found[name] = "or " + " or ".join(other for other in group if other != name)
    return {name: text for name, text in found.items() if name in phase_names}
