"""The optical-density cube while it grows: for show, never reused for the final maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.scan import StackScan
from stxm_live.stack import StackKey


@dataclass(frozen=True, eq=False)
class CubeView:
    """A read-only snapshot of a growing cube.

    Parameters
    ----------
    key : StackKey
    scan : StackScan
    energies_ev : tuple of float
        Axis of the cube, ascending: every announced energy, and images nobody announced.
    measured : ndarray of bool, shape (n_energies,)
    latest : int
        Index of the energy that came last.
    od : ndarray of shape (n_energies, ny, nx), float32
        Optical density; NaN where not measured yet or outside the common field.
    specimen : ndarray of bool, shape (ny, nx)
        As far as it can be told so far.
    mean_spectrum : ndarray of shape (n_energies,)
        Mean OD of the specimen; NaN where not measured yet.
    reference_od : ndarray of shape (n_phases, n_energies)
    inseparable : tuple of (str, str)
        Pairs of phases the energies so far cannot tell apart.
    provisional_index : ndarray of int8, shape (ny, nx), or None
        Phase of the largest coefficient; None until the energies so far separate all references.
    """

    key: StackKey
    scan: StackScan
    energies_ev: tuple[float, ...]
    measured: NDArray[np.bool_]
    latest: int
    od: NDArray[np.float32]
    specimen: NDArray[np.bool_]
    mean_spectrum: NDArray[np.float64]
    reference_od: NDArray[np.float64]
    phase_names: tuple[str, ...]
    colors: dict[str, str]
    synthetic_references: bool
    inseparable: tuple[tuple[str, str], ...] = ()
    provisional_index: NDArray[np.int8] | None = None
