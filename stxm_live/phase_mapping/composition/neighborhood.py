"""Neighbors of a pixel as witnesses of its composition.

Pixels side by side may share their noise, for the alignment interpolates. So the witnesses are
those two away, in rows, columns or both: 16 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import product
from stxm_live.phase_mapping.composition.nodes import Nodes

_SHARED_NOISE_PX, _REACH_PX = 1, 2

_MISLEADS = 0.1
"""Probability that a neighbor says nothing of a pixel."""


@dataclass(frozen=True, eq=False)
class Witnesses:
    """Sums over the neighbors of what they say of each node, and the probabilities that follow.

    Parameters
    ----------
    log_sum : ndarray of shape (n_nodes, n_spectra), float32
        Logarithm of the neighbors' likelihoods, less that of the best node.
    """

    log_sum: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        likelihood: NDArray[np.floating],
        anything: NDArray[np.floating],
        mask: NDArray[np.bool_],
        change: NDArray[np.float64] | None = None,
    ) -> Witnesses:
        """Return what neighbors say.

        Parameters
        ----------
        likelihood : ndarray of shape (n_nodes, n_spectra)
        anything : ndarray of shape (n_spectra,)
            Likelihood of a spectrum of which nothing is known.
        mask : ndarray of bool, shape (ny, nx)
            Where the spectra are from, in row-major order.
        change : ndarray of shape (n_nodes, n_nodes), optional
            Probability that a neighbor of a pixel at a node (row) is at another; by default it
            is at the same.
        """
        own = likelihood if change is None else product(change, likelihood)
        says = np.log((1 - _MISLEADS) * own + _MISLEADS * anything).astype(np.float32)
        images = np.zeros((len(says), *mask.shape), dtype=np.float32)
        images[:, mask] = says
        around = box_sum(images, _REACH_PX)
        around -= box_sum(images, _SHARED_NOISE_PX)
        found = around[:, mask]
        found -= found.max(axis=0)
        return cls(found)

    def prior(self, weight: NDArray[np.float64], trust: float) -> NDArray[np.float32]:
        """Return the probability of each node by the neighbors alone, (n_nodes, n_spectra).

        Parameters
        ----------
        weight : ndarray of shape (n_nodes,)
            Probability without neighbors.
        trust : float
            Power of the neighbors' likelihoods; below 1, for they say partly the same.
        """
        prior = np.exp(self.log_sum * np.float32(trust))
        prior *= weight[:, None].astype(np.float32)
        prior /= prior.sum(axis=0)
        return np.asarray(prior)


def gradual_change(nodes: Nodes, step: float) -> NDArray[np.float64]:
    """Return the probability of a neighbor's node (column) by that of a pixel (row).

    Parameters
    ----------
    nodes : Nodes
    step : float
        Standard deviation of the change of ``nodes.x`` from a pixel to its neighbor.
    """
    change = np.exp(-0.5 * ((nodes.x[:, None] - nodes.x) / step) ** 2) * nodes.weight
    return np.asarray(change / change.sum(axis=1, keepdims=True))


def box_sum(images: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Return sums of images (n, ny, nx) over squares about each pixel, 0 beyond the edges."""
    ny, nx = images.shape[1:]
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach)))
    rows = padded[:, :ny].copy()
    for k in range(1, 2 * reach + 1):
        rows += padded[:, k : k + ny]
    total = rows[:, :, :nx].copy()
    for k in range(1, 2 * reach + 1):
        total += rows[:, :, k : k + nx]
    return total


def steepness(
    x: NDArray[np.float64], precision: NDArray[np.float64], mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the change of x across each pixel, from those on its left and right and above, below.

    The pixel itself does not count. 0 where there are pixels on one side only.

    Parameters
    ----------
    x, precision : ndarray of shape (n_spectra,)
    mask : ndarray of bool, shape (ny, nx)
    """
    images = np.zeros((2, *mask.shape))
    images[0, mask], images[1, mask] = precision, precision * x
    across = _change_across(images)
    along = _change_across(images.swapaxes(1, 2)).T
    return np.asarray(np.hypot(across, along)[mask])


def _change_across(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean on the right less that on the left, of weights and weighted values."""
    ny, nx = images.shape[1:]
    padded = np.pad(images, ((0, 0), (_REACH_PX, _REACH_PX), (_REACH_PX, _REACH_PX)))
    rows = np.sum([padded[:, k : k + ny] for k in range(2 * _REACH_PX + 1)], axis=0)
    left = rows[:, :, :nx] + rows[:, :, 1 : nx + 1]
    right = rows[:, :, 3 : nx + 3] + rows[:, :, 4 : nx + 4]
    both = (left[0] > 0) & (right[0] > 0)
    means = [
        np.divide(side[1], side[0], where=both, out=np.zeros((ny, nx))) for side in (left, right)
    ]
    return np.asarray(means[1] - means[0])


def cropped(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the rows and columns of a mask from the first to the last that hold some of it.

    Examples
    --------
    >>> cropped(np.array([[False, False, False], [False, True, True]]))
    array([[ True,  True]])
    """
    used = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    rows, columns = (slice(each[0], each[-1] + 1) if each.size else slice(0) for each in used)
    return mask[rows, columns]
