"""The PV names of a microscope: one TOML file, checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, model_validator

from stxm_live.core.text_files import read_toml

PvName = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\s\"']+$")]
DeviceName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=40)]
AxisLimits = tuple[float, float]

SCANNED = ("sample_x", "sample_y")
"""The stages that a counter drives; the others are free to be named."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Axis(_Table):
    limits: AxisLimits | None = None
    timeout_s: PositiveFloat = 120.0

    @model_validator(mode="after")
    def _limits_ascend(self) -> _Axis:
        if self.limits and not self.limits[0] < self.limits[1]:
            raise ValueError(f"limits {list(self.limits)} must be [low, high]")
        return self


class EnergyNames(_Axis):
    """A monochromator; ``limits`` in eV narrow those of the PV, or replace missing ones."""

    setpoint: PvName
    readback: PvName
    stop: PvName
    tolerance_ev: PositiveFloat = 0.05


class StageNames(_Axis):
    """A motor record; ``limits`` in um, as for the energy."""

    record: PvName
    tolerance_um: PositiveFloat = 0.5


class ShutterNames(_Table):
    """A shutter that is written and read as numbers."""

    setpoint: PvName
    readback: PvName
    open_value: int = 1
    closed_value: int = 0
    timeout_s: PositiveFloat = 10.0


class RingCurrentNames(_Table):
    """The ring current in mA."""

    readback: PvName


class LineNames(_Table):
    """A counter of one line, at the y stage; ``timeout_s`` is added to its counting time.

    ``repeats``: number of times an exposure is repeated if its data were lost; each adds dose.
    """

    x_start: PvName
    x_stop: PvName
    x_n: PvName
    dwell_ms: PvName
    arm: PvName
    go: PvName
    abort: PvName
    state: PvName
    index: PvName
    data: PvName
    timeout_s: PositiveFloat = 30.0
    repeats: Annotated[int, Field(ge=0, le=5)] = 0


class ImageNames(LineNames):
    """A counter of a whole image."""

    y_start: PvName
    y_stop: PvName
    y_n: PvName


class MicroscopeNames(_Table):
    """All PV names of a microscope, as in the TOML file; see `load_names`."""

    connect_timeout_s: PositiveFloat = 5.0
    energy: EnergyNames
    stages: dict[DeviceName, StageNames]
    shutter: ShutterNames
    ring_current: RingCurrentNames
    image: ImageNames
    line: LineNames

    @model_validator(mode="after")
    def _scanned_stages_are_there(self) -> MicroscopeNames:
        missing = [name for name in SCANNED if name not in self.stages]
        if missing:
            raise ValueError(f"[stages] has no {' and '.join(missing)}, which the counters move")
        return self


def load_names(path: str | Path) -> MicroscopeNames:
    """Read a file of PV names.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not TOML, or a key is missing, unknown or wrong; one line per key.
    """
    path = Path(path)
    return names_from(read_toml(path), source=str(path))


def names_from(values: Mapping[str, Any], *, source: str = "the names") -> MicroscopeNames:
    """Check the tables of a file; ``source`` is for messages."""
    try:
        return MicroscopeNames.model_validate(values)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, e['loc'])) or 'file'}: "
            f"{str(e['msg']).removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise ValueError(f"{source}:\n" + "\n".join(lines)) from None
