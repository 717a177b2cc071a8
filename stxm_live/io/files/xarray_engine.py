"""Stacks as an engine of xarray: ``xr.open_dataset("stack.hdr", engine="stxm-live")``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendEntrypoint

from stxm_live.io.files.reading import read_stack

_OURS_ALONE = (".hdr", ".ncb", ".stxm")
"""Suffixes that no other engine of xarray is for."""


class StackEngine(BackendEntrypoint):
    """Open a stack as a dataset with the images in ``intensity`` (energy_ev, y, x).

    The options ``region``, ``detector`` and ``quantity`` are those of `read_stack`; notes on the
    file are in ``attrs["notes"]``.
    """

    description = "Stacks of X-ray microscopes: SDF, NXstxm, Data Exchange, .stxm, .ncb, TIFF"
    open_dataset_parameters = ("drop_variables", "region", "detector", "quantity")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: Any = None,
        region: str | None = None,
        detector: str | None = None,
        quantity: str | None = None,
    ) -> xr.Dataset:
        """Read a stack; errors are those of `read_stack`."""
        stack = read_stack(filename_or_obj, region=region, detector=detector, quantity=quantity)
        (ny, nx), (x0, x1, y0, y1) = stack.scan.image_shape, stack.scan.extent_um
        data = xr.Dataset(
            {
                "intensity": (
                    ("energy_ev", "y", "x"),
                    stack.intensity(),
                    {"quantity": stack.scan.quantity or "counts"},
                )
            },
            coords={
                "energy_ev": ("energy_ev", list(stack.energies_ev), {"units": "eV"}),
                "y": ("y", np.linspace(y0, y1, ny), {"units": "um"}),
                "x": ("x", np.linspace(x0, x1, nx), {"units": "um"}),
            },
            attrs={"dwell_ms": stack.scan.dwell_ms, "notes": list(stack.notes)},
        )
        return data.drop_vars(drop_variables) if drop_variables else data

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Return True for files that no other engine is for."""
        return (
            isinstance(filename_or_obj, str | Path)
            and Path(filename_or_obj).suffix.lower() in _OURS_ALONE
        )
