"""Ways to label pixels: the default map, the recipe's other ones, and users' habits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import nnls

from benchmarks.accuracy.composite.worlds import Scan
from stxm_live import PhaseMaps, Recipe, Stack, map_phases
from stxm_live.phase_mapping.steps import DEFAULT as DEFAULT_STEPS
from stxm_live.phase_mapping.steps import Steps

DEFAULT = "default"
CORRELATION = "correlation"
SMOOTHED = {"correlation, smoothed .6 px": 0.6, "correlation, smoothed .8 px": 0.8}
NON_NEGATIVE = "non-negative least squares"

RECIPES: dict[str, dict[str, Any]] = {
    'default, baseline = "constant"': {"resolver.baseline": "constant"},
    'default, baseline = "slope"': {"resolver.baseline": "slope"},
    'default, baseline = "none"': {"resolver.baseline": "none"},
    'default, spatial = "none"': {"resolver.spatial": "none"},
}
"""Changes of the recipe. The ways that need a trained network are not here: a network belongs to
one set of references, and every world has its own."""

WAYS = (DEFAULT, *RECIPES, CORRELATION, *SMOOTHED, NON_NEGATIVE)


@dataclass(frozen=True, eq=False)
class Answer:
    """What one way says.

    Parameters
    ----------
    index : ndarray of shape (ny, nx), int8
        -1 where it says nothing.
    promised : ndarray of shape (ny, nx) or None
        Probability that the label is right.
    unidentified : ndarray of shape (ny, nx) or None
        Where no reference is said to fit.
    """

    index: NDArray[np.int8]
    promised: NDArray[np.float64] | None = None
    unidentified: NDArray[np.bool_] | None = None


@contextmanager
def mapped(scan: Scan, *, steps: Steps = DEFAULT_STEPS, **changes: Any) -> Iterator[PhaseMaps]:
    """The default maps of a scan; as long as the context lasts they can be made again.

    The recipe says nothing but the references, and has no trained network.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "references.csv"
        scan.references.to_csv(path)
        recipe = Recipe(name="composite", references=path, **changes)
        yield map_phases(Stack.from_arrays(scan.counts, scan.energies_ev), recipe, steps=steps)


def default(maps: PhaseMaps) -> Answer:
    """The resolved map with its probabilities."""
    assert maps.resolved_index is not None
    assert maps.wrong_probability is not None
    promised = 1.0 - maps.wrong_probability.astype(np.float64)
    return Answer(maps.resolved_index, promised, maps.unidentified)


def answers(scan: Scan, maps: PhaseMaps) -> dict[str, Answer]:
    """All of `WAYS`, on the same aligned optical densities and the same pixels."""
    said = {DEFAULT: default(maps)}
    for name, changes in RECIPES.items():
        said[name] = default(maps.redo({"energy_fit": False, **changes}))
    return said | simple(scan, maps)


def simple(scan: Scan, maps: PhaseMaps) -> dict[str, Answer]:
    """Correlation, plain and smoothed, and the non-negative fit: numpy and scipy only."""
    where = maps.specimen & maps.valid
    references = scan.references.at(maps.energies_ev)
    od = maps.od.astype(np.float64)
    said = {CORRELATION: _placed(best_correlation(od[:, where], references), where)}
    for name, sigma_px in SMOOTHED.items():
        smooth = smoothed(od, where, sigma_px)
        said[name] = _placed(best_correlation(smooth[:, where], references), where)
    said[NON_NEGATIVE] = _placed(_largest_amount(od[:, where], references), where)
    return said


def best_correlation(od: NDArray[np.float64], references: NDArray[np.float64]) -> NDArray[np.intp]:
    """Reference of the largest Pearson coefficient, for spectra (n_energies, n_spectra)."""
    centred = references - references.mean(axis=1, keepdims=True)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray((unit @ (od - od.mean(axis=0))).argmax(axis=0))


def smoothed(
    od: NDArray[np.float64], where: NDArray[np.bool_], sigma_px: float
) -> NDArray[np.float64]:
    """OD (n_energies, ny, nx) after a Gaussian over the pixels of the mask only."""
    sigma = (0, sigma_px, sigma_px)
    total = gaussian_filter(np.where(where, od, 0.0), sigma)
    weight = gaussian_filter(where.astype(np.float64), sigma_px)
    return np.asarray(total / np.where(where, weight, 1.0))


def _largest_amount(od: NDArray[np.float64], references: NDArray[np.float64]) -> NDArray[np.intp]:
    """Largest coefficient of a fit of all references, none negative, and a free constant."""
    ones = np.ones((references.shape[1], 1))
    matrix = np.hstack([references.T, ones, -ones])
    amounts = np.array([nnls(matrix, spectrum)[0] for spectrum in od.T])
    return np.asarray(amounts[:, : len(references)].argmax(axis=1))


def _placed(index: NDArray[np.intp], where: NDArray[np.bool_]) -> Answer:
    image = np.full(where.shape, -1, dtype=np.int8)
    image[where] = index
    return Answer(image)
