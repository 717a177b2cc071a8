"""Where a stack comes from: sample, time and file."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self

from stxm_live.core.plain_text import one_line

_LONGEST = 80
"""Letters of a sample's name or a time that are kept."""


@dataclass(frozen=True)
class Origin:
    """Sample, time and file of a stack, as the run or the file says; empty where it does not.

    Parameters
    ----------
    sample : str
    measured : str
        Beginning of the measurement, ISO 8601.
    file : str
        Name of the file.
    sha256 : str
        SHA-256 of the contents of all files that were read, one after the other.
    """

    sample: str = ""
    measured: str = ""
    file: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            text = one_line(getattr(self, field.name))[:_LONGEST]
            object.__setattr__(self, field.name, text)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Return the origin that `dataclasses.asdict` made values of; others are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{k: v for k, v in values.items() if k in known and isinstance(v, str)})

    @property
    def when(self) -> str:
        """Return date and minute of the measurement, in the time of the microscope."""
        return self.measured[:16].replace("T", " ")

    def __str__(self) -> str:
        """Return sample and time in words; empty if neither is known."""
        parts = (self.sample and f"sample {self.sample}", self.when and f"measured {self.when}")
        return ", ".join(filter(None, parts))


def identity(provenance: Mapping[str, Any], *, dwell_ms: float | None, source: str = "") -> str:
    """Return what a result was made from, in words: sample, time, file, dwell, recipe, version.

    Parameters
    ----------
    provenance : mapping
        That of `PhaseMaps`.
    dwell_ms : float or None
        Exposure of a pixel.
    source : str, optional
        Name of the stack's file where it is written beside the words; it is not repeated.
    """
    origin = Origin.from_values(provenance.get("origin") or {})
    recipe, version = provenance.get("recipe"), provenance.get("version")
    fingerprint = str(provenance.get("recipe_sha256") or "")[:8]
    parts = (
        str(origin),
        origin.file if origin.file != source else "",
        f"{dwell_ms:g} ms a pixel" if dwell_ms else "",
        f"recipe {one_line(recipe)} {fingerprint}".strip() if recipe else "",
        f"stxm_live {version}" if version else "",
    )
    return ", ".join(filter(None, parts))


def iso_time(text: str) -> str:
    """Return a time of a file in ISO 8601, and "" if it is none.

    Examples
    --------
    >>> iso_time("2007 December 14 18:52:00"), iso_time("2021-03-16 16:50:18+01:00")
    ('2007-12-14T18:52:00', '2021-03-16T16:50:18+01:00')
    >>> iso_time("yesterday")
    ''
    """
    text = text.strip()
    with suppress(ValueError):
        return datetime.fromisoformat(text).isoformat(timespec="seconds")
    for form in ("%Y %B %d %H:%M:%S", "%Y %b %d %H:%M:%S"):
        with suppress(ValueError):
            return datetime.strptime(text, form).isoformat()
    return ""


def iso_of_seconds(time_s: Any) -> str:
    """Return seconds since 1970 as local time in ISO 8601; "" for what no calendar has."""
    try:
        return datetime.fromtimestamp(time_s).astimezone().isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError, TypeError):
        return ""


def origin_of_start(start: Mapping[str, Any]) -> Origin:
    """Return the origin that a start document names.

    ``sample`` is a text or a mapping with ``name``. Of an imported file ``measured`` is the time;
    without it the time is not known.
    """
    sample = start.get("sample", start.get("sample_name"))
    if isinstance(sample, Mapping):
        sample = sample.get("name")
    is_imported = start.get("plan_name") == "import"
    named = {
        "sample": sample,
        "measured": start.get("measured")
        or ("" if is_imported else iso_of_seconds(start.get("time"))),
        "file": start.get("source_file"),
        "sha256": start.get("source_sha256"),
    }
    return Origin.from_values(named)
