"""The start-document blocks of a stack scan: read, checked and written in this one place."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

CONTRACT_VERSION = 1
"""Version of the ``stxm`` block as the ALS defines it; accepted and emitted unchanged."""

BLOCK_VERSION = 1
"""Version of our own ``stxm_live`` block."""


class StackScan(BaseModel):
    """What the start document announces of one stack: energies, raster and field names.

    ``shape`` is (n_energies, ny, nx). Extents are the positions of the first and the last
    pixel's centre in um, in the order they are scanned: they may descend.
    ``energy_motor`` and ``data_field`` name data keys of the events.
    ``dwell_ms`` is the exposure of one pixel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[int, int, int]
    energies_ev: tuple[float, ...] = Field(min_length=1)
    dwell_ms: float = Field(default=0.0, ge=0)
    x_extent_um: tuple[float, float]
    y_extent_um: tuple[float, float]
    x_motor: str = "sample_x"
    y_motor: str = "sample_y"
    energy_motor: str = "energy"
    data_field: str
    region: str = "1"
    n_regions: int = Field(default=1, ge=1)
    group_uid: str | None = None
    polarization: str = ""
    i0_field: str | None = None
    snake: bool = False
    parent: str | None = None

    @model_validator(mode="after")
    def _shape_is_consistent(self) -> StackScan:
        if min(self.shape) < 1:
            raise ValueError(f"shape {self.shape} must be (n_energies, ny, nx), all at least 1")
        if len(self.energies_ev) != self.shape[0]:
            raise ValueError(
                f"shape announces {self.shape[0]} energies, the list has {len(self.energies_ev)}"
            )
        if not all(isfinite(e) and e > 0 for e in self.energies_ev):
            raise ValueError(f"energies must be positive numbers in eV, got {self.energies_ev}")
        return self

    @property
    def image_shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        return self.shape[1], self.shape[2]

    @property
    def extent_um(self) -> tuple[float, float, float, float]:
        """First and last pixel centre in x, then in y; either may descend."""
        return (*self.x_extent_um, *self.y_extent_um)

    def metadata(self) -> dict[str, Any]:
        """The start-document blocks, JSON-clean, for a plan's ``md``.

        Examples
        --------
        >>> scan = StackScan(shape=(2, 3, 4), energies_ev=(515.6, 517.5), data_field="counts",
        ...                  x_extent_um=(0, 3), y_extent_um=(5, 3))
        >>> StackScan.from_start(scan.metadata()) == scan
        True
        """
        return {
            "stxm": {
                "contract_version": CONTRACT_VERSION,
                "shape": list(self.shape),
                "energies": list(self.energies_ev),
                "dwell_ms": self.dwell_ms,
                "x_extent": list(self.x_extent_um),
                "y_extent": list(self.y_extent_um),
                "x_motor": self.x_motor,
                "y_motor": self.y_motor,
                "energy_motor": self.energy_motor,
                "data_field": self.data_field,
            },
            "stxm_live": {
                "version": BLOCK_VERSION,
                "region": self.region,
                "n_regions": self.n_regions,
                "group_uid": self.group_uid,
                "polarization": self.polarization,
                "i0_field": self.i0_field,
                "snake": self.snake,
                "parent": self.parent,
            },
        }

    @classmethod
    def from_start(cls, start: Mapping[str, Any]) -> StackScan:
        """Read the blocks of a start document.

        Raises
        ------
        ValueError
            If there is no ``stxm`` block, or if it is incomplete or contradicts itself; the
            message names the fields and says how to supply them.
        """
        run = str(start.get("uid", "?"))[:8]
        block = start.get("stxm")
        if not isinstance(block, Mapping):
            raise ValueError(
                f"run {run}: the start document has no stxm block; run the plan with "
                "md=StackScan(...).metadata(), or pass scan=StackScan(shape=(n_energies, ny, nx), "
                "energies_ev=..., x_extent_um=..., y_extent_um=..., data_field=...)"
            )
        own = start.get("stxm_live")
        own = own if isinstance(own, Mapping) else {}
        version = block.get("contract_version", CONTRACT_VERSION)
        if version != CONTRACT_VERSION:
            raise ValueError(
                f"run {run}: stxm block of contract_version {version!r}, "
                f"this program reads version {CONTRACT_VERSION}"
            )
        renamed = {
            "energies": "energies_ev",
            "x_extent": "x_extent_um",
            "y_extent": "y_extent_um",
        }
        names = set(cls.model_fields)
        fields: dict[str, Any] = {renamed.get(str(k), str(k)): v for k, v in block.items()}
        fields |= {str(k): v for k, v in own.items()}
        fields = {k: v for k, v in fields.items() if k in names}
        try:
            return cls(**fields)
        except ValidationError as error:
            problems = "; ".join(_in_words(e, renamed) for e in error.errors())
            raise ValueError(
                f"run {run}: the stxm block of the start document: {problems}"
            ) from error


def _in_words(error: Mapping[str, Any], renamed: Mapping[str, str]) -> str:
    """One pydantic error as 'field: what is wrong', with the block's own field name."""
    back = {v: k for k, v in renamed.items()}
    field = ".".join(back.get(str(part), str(part)) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{field}: {message}" if field else message
