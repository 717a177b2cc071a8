"""The most likely energy offset and extra width: a coarse search, then its top."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stxm_live.phase_mapping.energy_calibration.likelihood import AxisLikelihood

WIDTHS_EV = (0.0, 0.15, 0.3, 0.45, 0.6)
"""Extra widths of the first search."""

OFFSET_STEP_EV = 0.1
"""Offsets and widths of the first search."""

STEPS = ((0.06, 0.1), (0.025, 0.05), (0.02, 0.035))
"""Stencils of the refinement in eV: offset and width, which counts alike below and above zero."""


class Place(NamedTuple):
    """An offset, a width, and the curvature of the log likelihood there."""

    offset_ev: float
    width_ev: float
    hessian: NDArray[np.float64]


def log_likelihood_surface(
    likelihood: AxisLikelihood, offsets_ev: NDArray[np.float64], around_ev: float
) -> NDArray[np.float64]:
    """Log likelihood (n_widths, n_offsets) minus its largest value, templates equally frequent."""
    start = float(np.clip(around_ev, offsets_ev[0], offsets_ev[-1]))
    for _ in range(2):  # weights from where it is likely
        likelihood.reweight(start, 0.0)
        line = [likelihood.flat_value(float(o), 0.15) for o in offsets_ev]
        start = float(offsets_ev[int(np.argmax(line))])
    likelihood.reweight(start, 0.15)
    surface = np.array(
        [[likelihood.flat_value(float(o), w) for o in offsets_ev] for w in WIDTHS_EV]
    )
    return np.asarray(surface - surface.max())


def refined_place(
    likelihood: AxisLikelihood,
    start: Place,
    steps: tuple[float, float],
    bounds: tuple[float, float],
    most_moves: int = 8,
) -> Place:
    """Return the top of a quadratic through a stencil that follows it."""
    place = start
    for _ in range(most_moves):
        centre = place[:2]
        place = top(likelihood, centre, steps, bounds)
        moved = np.abs(np.subtract(place[:2], centre))
        if np.all(moved <= np.multiply(0.4, steps)):
            break
    return place


def top(
    likelihood: AxisLikelihood,
    centre: tuple[float, float],
    steps: tuple[float, float],
    bounds: tuple[float, float],
) -> Place:
    """Return the top of a quadratic through nine points, at most 1.5 steps away."""
    low, high = bounds
    o = float(np.clip(centre[0], low + steps[0], max(low + steps[0], high - steps[0])))
    w = centre[1]
    likelihood.settle(o, w)
    points = np.array([(i, k) for i in (-1, 0, 1) for k in (-1, 0, 1)], dtype=np.float64)
    values = np.array(
        [likelihood.value(o + i * steps[0], abs(w + k * steps[1])) for i, k in points]
    )
    x, y = points.T
    design = np.column_stack([np.ones(9), x, y, x * x / 2, x * y, y * y / 2])
    c = np.linalg.lstsq(design, values, rcond=None)[0]
    hessian = np.array([[c[3], c[4]], [c[4], c[5]]])
    if c[3] < 0 and np.linalg.det(hessian) > 0:
        move = np.clip(-np.linalg.solve(hessian, c[1:3]), -1.5, 1.5)
    else:
        move = points[values.argmax()]
        if c[3] < 0:  # the width alone has no top
            move[0] = np.clip(-(c[1] + c[4] * move[1]) / c[3], -1.5, 1.5)
    offset = float(np.clip(o + move[0] * steps[0], low, high))
    width = abs(w + float(move[1]) * steps[1])
    return Place(offset, width if width > 1e-3 else 0.0, hessian / np.outer(steps, steps))
