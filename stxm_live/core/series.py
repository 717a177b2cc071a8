"""References in a series: each between its neighbors, by its value or by its spectrum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.recipe_options import PhaseOptions
from stxm_live.core.references import ReferenceSpectra


class Series(NamedTuple):
    """Order of the references, and the number of each.

    ``order`` has shape (n_phases,): the references from the smallest number to the largest.
    ``values`` has shape (n_phases,), in the order of the phases; ``quantity`` is their meaning.
    """

    order: NDArray[np.intp]
    values: NDArray[np.float64]
    quantity: str


def series_of(references: ReferenceSpectra, phases: PhaseOptions) -> Series | None:
    """Return the series of the references, by ``[phases] value`` or by their own order.

    Their own order is a series if the farther apart two references are in it, the less they
    correlate. None if values are equal, if there are none and the order is no series, or if there
    are fewer than two references.

    Examples
    --------
    >>> spectra = np.array([[0.0, 0.0, 1.0], [0.1, 1.0, 0.8], [0.0, 2.0, 0.2]])
    >>> three = ReferenceSpectra(("a", "b", "c"), np.array([1.0, 2.0, 3.0]), spectra)
    >>> series_of(three, PhaseOptions()).values
    array([0., 1., 2.])
    >>> series_of(three, PhaseOptions(value={"a": 3.0, "b": 1.0, "c": 2.0})).order
    array([1, 2, 0])
    """
    values = phases.in_order(references.phase_names)
    if references.n_phases < 2:
        return None
    if values is not None:
        order = np.argsort(values, kind="stable")
        is_series = bool((np.diff(values[order]) > 0).all())
        return Series(order, values, phases.quantity or "the value") if is_series else None
    if not _is_series(references.od):
        return None
    order = np.arange(references.n_phases)
    first, *_, last = references.phase_names
    if len(order) == 2:
        quantity = f"the share of {last} beside {first}"
    else:
        quantity = f"the place in the series from {first} (0) to {last} ({len(order) - 1})"
    return Series(order, order.astype(np.float64), quantity)


def _is_series(spectra: NDArray[np.floating]) -> bool:
    """Return True if spectra (n_phases, n_energies) correlate less the farther apart they are."""
    distance = 1 - np.corrcoef(spectra)
    rows = np.arange(len(spectra))
    return all(
        bool((np.diff(distance[k, side]) > 0).all())
        for k in rows
        for side in (rows[k:], rows[: k + 1][::-1])
    )


def needed_series(references: ReferenceSpectra, phases: PhaseOptions) -> Series:
    """Return `series_of`, for ``[resolver] model = "composition"``.

    Raises
    ------
    ValueError
        If the references are no series.
    """
    found = series_of(references, phases)
    if found is None:
        raise ValueError(
            '[resolver] model = "composition" needs references in a series, and '
            f"{', '.join(references.phase_names)} are none; give each a number of its own in "
            "[phases] value"
        )
    return found
