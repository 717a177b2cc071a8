"""The start-document blocks of a stack scan: reading, checking and writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stxm_live.core.quantity import Quantity

CONTRACT_VERSION = 1
"""Version of the ``stxm`` block as the ALS defines it; accepted and emitted unchanged."""

BLOCK_VERSION = 1
"""Version of our own ``stxm_live`` block."""

MAX_IMAGE_PIXELS = 2**26
"""Most pixels of an announced image, because memory is set aside for it."""

Skipping = Literal["no", "in-order", "any-order"]
""""no" if a scan measures all announced energies; else the order of those that it measures."""

_RENAMED = {"energies": "energies_ev", "x_extent": "x_extent_um", "y_extent": "y_extent_um"}
"""Keys of the ``stxm`` block and their names here."""


class StackScan(BaseModel):
    """Energies, raster and field names of one stack, as the start document announces them.

    ``shape`` is (n_energies, ny, nx). Extents are the positions of the first and the last
    pixel's centre in um, in the order they are scanned: they may descend.
    ``energy_motor`` and ``data_field`` name data keys of the events.
    An energy that is listed again is measured again, to see if the specimen changed meanwhile.
    ``dwell_ms`` is the exposure of one pixel. ``i0_counts`` is I0 at each of the energies for that
    exposure, measured elsewhere, such as in an overview; it is for images without empty support.

    A run may hold several stacks: each has its own ``stream``, or its events say which region and
    polarization they belong to, in the data keys ``region_field`` and ``polarization_field``. A
    stack may come in several runs: they have the same ``stack_id``, and where events carry no
    energy, ``energy_index`` is the place of the run's first energy (0 is the first).

    A plan that may leave energies out and end early says so with ``skipping``: the energies that
    it does measure come "in-order" or in "any-order", and every event carries its energy. One that
    ``grows`` also measures energies that are not announced.

    A scan line by line may leave rows out: ``rows`` lists those of each energy, in the order in
    which they are scanned; 0 is the first. Without it all are scanned.
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
    i0_counts: tuple[float, ...] | None = None
    snake: bool = False
    parent: str | None = None
    stream: str | None = None
    region_field: str | None = None
    polarization_field: str | None = None
    stack_id: str | None = None
    energy_index: int | None = Field(default=None, ge=0)
    skipping: Skipping = "no"
    grows: bool = False
    quantity: Quantity | None = None
    rows: tuple[tuple[int, ...], ...] | None = None

    @model_validator(mode="after")
    def _shape_is_consistent(self) -> StackScan:
        if min(self.shape) < 1:
            raise ValueError(f"shape {self.shape} must be (n_energies, ny, nx), all at least 1")
        if self.shape[1] * self.shape[2] > MAX_IMAGE_PIXELS:
            raise ValueError(
                f"shape {self.shape} announces images of more than {MAX_IMAGE_PIXELS} pixels"
            )
        if len(self.energies_ev) != self.shape[0]:
            raise ValueError(
                f"shape announces {self.shape[0]} energies, the list has {len(self.energies_ev)}"
            )
        if not all(isfinite(e) and e > 0 for e in self.energies_ev):
            raise ValueError(f"energies must be positive numbers in eV, got {self.energies_ev}")
        if self.i0_counts is not None and not (
            len(self.i0_counts) == self.shape[0]
            and all(isfinite(i0) and i0 > 0 for i0 in self.i0_counts)
        ):
            raise ValueError(
                f"i0_counts must be {self.shape[0]} positive numbers, one for each energy, "
                f"got {self.i0_counts}"
            )
        self._check_rows()
        return self

    def _check_rows(self) -> None:
        """Raise an error if the rows do not fit to the shape."""
        if self.rows is None:
            return
        if len(self.rows) != self.shape[0] or self.skipping != "no" or self.grows:
            raise ValueError(
                f"rows need a list for each of {self.shape[0]} energies, none of which may be "
                f"skipped or added; there are {len(self.rows)}"
            )
        for rows in self.rows:
            if (
                not rows
                or len(set(rows)) < len(rows)
                or not 0 <= min(rows) <= max(rows) < self.shape[1]
            ):
                raise ValueError(
                    f"rows of an energy must be different numbers from 0 to {self.shape[1] - 1}, "
                    f"got {rows[:8]}"
                )

    @property
    def image_shape(self) -> tuple[int, int]:
        """Return (ny, nx)."""
        return self.shape[1], self.shape[2]

    def n_before(self, index: int) -> int:
        """Return how many of the images before this one are announced at its energy.

        Examples
        --------
        >>> scan = StackScan(shape=(3, 3, 4), energies_ev=(515.6, 517.5, 515.6),
        ...                  data_field="counts", x_extent_um=(0, 3), y_extent_um=(5, 3))
        >>> [scan.n_before(k) for k in range(3)]
        [0, 0, 1]
        """
        return self.energies_ev[:index].count(self.energies_ev[index])

    @property
    def extent_um(self) -> tuple[float, float, float, float]:
        """Return the first and last pixel center in x, then in y; either may descend."""
        return (*self.x_extent_um, *self.y_extent_um)

    def metadata(self) -> dict[str, Any]:
        """Return the start-document blocks, JSON-clean, for a plan's ``md``.

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
            "stxm_live": {"version": BLOCK_VERSION}
            | {name: getattr(self, name) for name in _OWN}
            | ({"grows": True} if self.grows else {}),
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
        version = block.get("contract_version", CONTRACT_VERSION)
        if version != CONTRACT_VERSION:
            raise ValueError(
                f"run {run}: stxm block of contract_version {version!r}, "
                f"this program reads version {CONTRACT_VERSION}"
            )
        return _checked(run, {**block, **_own_block(start)})


_OWN = (
    "region",
    "n_regions",
    "group_uid",
    "polarization",
    "i0_field",
    "i0_counts",
    "snake",
    "parent",
    "stream",
    "region_field",
    "polarization_field",
    "stack_id",
    "energy_index",
    "skipping",
    "quantity",
    "rows",
)
"""Fields of our own block."""


def scans_of_start(start: Mapping[str, Any]) -> list[StackScan]:
    """Return every stack that a start document announces.

    The list ``stacks`` of the ``stxm_live`` block has an entry for each stack, with the keys of
    either block that differ; without it there is one stack.

    Raises
    ------
    ValueError
        As for `StackScan.from_start`, or if two stacks are of the same region and polarization.
    """
    first = StackScan.from_start(start)
    entries = _own_block(start).get("stacks")
    if not entries:
        return [first]
    run = str(start.get("uid", "?"))[:8]
    if not isinstance(entries, Sequence) or not all(isinstance(e, Mapping) for e in entries):
        raise ValueError(f"run {run}: stacks in the stxm_live block must be a list of tables")
    common = {**start["stxm"], **_own_block(start)}
    scans = [_checked(run, {**common, **entry}) for entry in entries]
    names = [(scan.region, scan.polarization) for scan in scans]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"run {run}: region {name[0]!r} with polarization {name[1]!r} is announced "
                f"{names.count(name)} times; every stack of a run needs a different pair"
            )
    return scans


def metadata_of_stacks(scans: Sequence[StackScan]) -> dict[str, Any]:
    """Return the start-document blocks of a run with several stacks, for a plan's ``md``.

    Examples
    --------
    >>> scan = StackScan(shape=(2, 3, 4), energies_ev=(515.6, 517.5), data_field="counts",
    ...                  x_extent_um=(0, 3), y_extent_um=(5, 3), stream="left", region="left")
    >>> right = scan.model_copy(update={"stream": "right", "region": "right"})
    >>> scans_of_start(metadata_of_stacks([scan, right])) == [scan, right]
    True
    """
    blocks = scans[0].metadata()
    entries = [scan.metadata() for scan in scans]
    blocks["stxm_live"]["stacks"] = [
        {
            key: value
            for name in ("stxm", "stxm_live")
            for key, value in entry[name].items()
            if value != blocks[name][key] or key in ("region", "polarization")
        }
        for entry in entries
    ]
    return blocks


def _own_block(start: Mapping[str, Any]) -> Mapping[str, Any]:
    own = start.get("stxm_live")
    return own if isinstance(own, Mapping) else {}


def _checked(run: str, block: Mapping[str, Any]) -> StackScan:
    """Return the scan from the values of both blocks; foreign keys are ignored."""
    fields = {_RENAMED.get(str(key), str(key)): value for key, value in block.items()}
    known = {key: value for key, value in fields.items() if key in StackScan.model_fields}
    try:
        return StackScan(**known)
    except ValidationError as error:
        problems = "; ".join(_in_words(e) for e in error.errors())
        raise ValueError(f"run {run}: the stxm block of the start document: {problems}") from error


def _in_words(error: Mapping[str, Any]) -> str:
    """Return one pydantic error as "field: what is wrong", with the block's field name."""
    back = {v: k for k, v in _RENAMED.items()}
    field = ".".join(back.get(str(part), str(part)) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{field}: {message}" if field else message
