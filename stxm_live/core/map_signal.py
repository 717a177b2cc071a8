"""A result as a signal of HyperSpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray


def signal_of(maps: xarray.Dataset) -> dict[str, Any]:
    """Return the optical density as keywords for ``hyperspy.api.signals.Signal1D``.

    The navigation axes are y and x in um, the signal axis is the energy in eV, with the energies
    as they were measured.
    """
    axes: list[dict[str, Any]] = []
    for name in ("y", "x"):
        positions = maps[name].values
        scale = float(positions[1] - positions[0]) if positions.size > 1 else 1.0
        axes.append(
            {
                "name": name,
                "size": positions.size,
                "offset": float(positions[0]),
                "scale": scale,
                "units": "um",
                "navigate": True,
            }
        )
    energies = {"_type": "DataAxis", "name": "Energy", "units": "eV", "navigate": False}
    return {
        "data": np.moveaxis(maps["od"].values, 0, -1),
        "axes": [*axes, {**energies, "axis": maps["energy_ev"].values}],
        "metadata": {
            "General": {"title": f"Optical density, {maps.attrs.get('source') or 'run'}"},
            "Signal": {"quantity": "Optical density"},
        },
    }
