"""A result as an xarray.Dataset."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from stxm_live.core.map_products import PRODUCTS, UNIDENTIFIED_PRODUCTS, flags_of
from stxm_live.core.plain_text import for_files

if TYPE_CHECKING:
    import xarray

    from stxm_live.core.phase_maps import PhaseMaps

NUMBERS = (
    "dispersion",
    "energy_offset_ev",
    "energy_offset_std_ev",
    "energy_width_ev",
    "energy_width_std_ev",
)
"""Attributes of `PhaseMaps` that are numbers."""


def dataset_of(maps: PhaseMaps) -> xarray.Dataset:
    """Return all products of a result; see `PhaseMaps.to_xarray`."""
    import xarray

    amounts = maps.final_amounts  # before the optical density, which is as large as the stack
    ny, nx = maps.specimen.shape
    x0, x1, y0, y1 = maps.extent_um
    values = {name: (product, getattr(maps, name)) for name, product in PRODUCTS.items()}
    if maps.unidentified_spectrum is not None:
        values |= {
            f"unidentified_{name}": (product, getattr(maps.unidentified_spectrum, name))
            for name, product in UNIDENTIFIED_PRODUCTS.items()
        }
    names = [for_files(name) for name in maps.phase_names]
    flags = flags_of(names)
    variables: dict[str, Any] = {
        name: (
            product.dims,
            array,
            {"units": product.units, "long_name": product.long_name}
            | (flags if array.dtype == np.int8 else {}),
        )
        for name, (product, array) in values.items()
        if array is not None
    }
    if amounts is not None:
        variables |= amounts.variables()
    coordinates = {
        "phase": ("phase", names),
        "energy_ev": ("energy_ev", list(maps.energies_ev), {"units": "eV"}),
        "y": ("y", np.linspace(y0, y1, ny), {"units": "um"}),
        "x": ("x", np.linspace(x0, x1, nx), {"units": "um"}),
        "direction": ("direction", ["y", "x"]),
    }
    return xarray.Dataset(variables, coordinates, _attributes(maps))


def _attributes(maps: PhaseMaps) -> dict[str, Any]:
    """Return what a dataset has besides arrays, as files and documents take it."""
    return {
        "status": maps.status,
        "revision": maps.revision,
        "run_uids": list(map(for_files, maps.key.run_uids)),
        "region": for_files(maps.key.region),
        "polarization": for_files(maps.key.polarization),
        "source": for_files(maps.key.source),
        "synthetic_references": int(maps.synthetic_references),
        "mixed_references": json.dumps([asdict(one) for one in maps.mixed_references]),
        "twins": json.dumps(maps.twins),
        "value_quantity": "" if maps.final_amounts is None else maps.final_amounts.quantity,
        "quality": for_files(str(maps.quality)),
        "warnings": list(map(for_files, maps.warnings)),
        "provenance": json.dumps(maps.provenance, sort_keys=True),
        **{
            name: value
            for name in ("dwell_ms", *NUMBERS)
            if (value := getattr(maps, name)) is not None
        },
        **({} if maps.change is None else maps.change.attributes()),
    }
