"""Start documents of the Canadian Light Source's pyStxm: every energy image is a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from stxm_live.core.recipe_options import FieldOptions
from stxm_live.core.scan import StackScan

MAX_METADATA_CHARACTERS = 8 * 2**20
"""Longest JSON text in the start document; about 80 000 characters are usual."""


_OTHER_SCANS = {
    "0": "a detector image",
    "1": "an image of the order sorting aperture",
    "2": "a focus scan of the order sorting aperture",
    "3": "a focus scan",
    "4": "a scan of point spectra",
    "5": "a line spectrum",
    "8": "a generic scan",
    "9": "a coarse image",
    "10": "a coarse scan of the goniometer",
}
"""``scan_type`` of pyStxm for scans that are no energy images of a stack."""

_OTHER_NAMES = ("FOCUS", "OSA", "DETECTOR", "POINT", "LINE", "GENERIC", "COARSE")
"""Words in the names of such scans, where ``scan_type`` is a name."""


class ClsStack(NamedTuple):
    """One image, and the stack to which it belongs."""

    scan: StackScan
    energy_index: int
    stack_id: str


def is_cls(start: Mapping[str, Any]) -> bool:
    """Return True if a start document has the metadata of an energy image as JSON text."""
    text = start.get("metadata")
    return isinstance(text, str) and "img_idx_map" in text and "rois" in text


def cls_stack(start: Mapping[str, Any], fields: FieldOptions) -> ClsStack:
    """Read the metadata of one energy image.

    ``img_idx_map`` gives the energy (``e_idx``), polarization and region; ``rois`` holds the
    extents of every region, ``SINGLE_LST.EV_ROIS`` the energies. The runs have no common id:
    those of the same entry, region, polarization, energies and extents belong together.

    Raises
    ------
    ValueError
        If a part is missing or contradicts another part, or if it is a scan of another kind.
    """
    run = str(start.get("uid", "?"))[:8]
    _check_is_image(run, str(start["metadata"]))
    try:
        found = _parts(start["metadata"])
        scan = StackScan(
            shape=(len(found["energies"]), found["y"]["NPOINTS"], found["x"]["NPOINTS"]),
            energies_ev=tuple(found["energies"]),
            dwell_ms=float(found["dwell"] or 0.0),
            x_extent_um=(found["x"]["START"], found["x"]["STOP"]),
            y_extent_um=(found["y"]["START"], found["y"]["STOP"]),
            x_motor=fields.x or str(found["x"].get("POSITIONER", "x")),
            y_motor=fields.y or str(found["y"].get("POSITIONER", "y")),
            energy_motor=fields.energy or "ENERGY",
            data_field=fields.image or str(found["detector"]),
            i0_field=fields.i0,
            region=str(found["where"]["sp_id"]),
            polarization=_polarization(found),
        )
        index = int(found["where"]["e_idx"])
    except ValidationError as error:
        problems = "; ".join(str(e["msg"]).removeprefix("Value error, ") for e in error.errors())
        raise ValueError(f"run {run}: the metadata of pyStxm: {problems}") from error
    except (KeyError, TypeError, IndexError, ValueError, RecursionError) as error:
        raise ValueError(
            f"run {run}: the metadata of pyStxm cannot be read ({error!r}); pass "
            "scan=StackScan(...)"
        ) from error
    if not 0 <= index < scan.shape[0]:
        raise ValueError(f"run {run}: e_idx {index}, but there are {scan.shape[0]} energies")
    same = (found["where"].get("entry"), scan.model_dump(mode="json"))
    stack_id = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
    return ClsStack(scan, index, stack_id)


def _check_is_image(run: str, text: str) -> None:
    """Raise ValueError for a scan of another kind; broken metadata are reported later."""
    try:
        kind = str(json.loads(text[:MAX_METADATA_CHARACTERS]).get("scan_type", "")).strip()
    except (ValueError, AttributeError, RecursionError):
        return
    named = [word for word in _OTHER_NAMES if word in kind.upper().replace("_", " ").split()]
    what = _OTHER_SCANS.get(kind) or (f"a scan of the kind {kind!r}" if named else "")
    if what:
        raise ValueError(f"run {run}: {what} of pyStxm (scan_type {kind}), not an energy image")


def _parts(text: str) -> dict[str, Any]:
    if len(text) > MAX_METADATA_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters")
    metadata = json.loads(text)
    where = _unpacked(metadata["img_idx_map"])
    rois = metadata["rois"][str(where["sp_id"])]
    scanned = _unpacked(metadata.get("wdg_com") or "{}").get("SINGLE_LST") or {}
    energies = scanned.get("EV_ROIS") or [e for r in rois["EV_ROIS"] for e in r["SETPOINTS"]]
    return {
        "where": where,
        "x": rois["X"],
        "y": rois["Y"],
        "energies": [float(e) for e in energies],
        "polarizations": scanned.get("POL_ROIS") or [],
        "dwell": metadata.get("dwell"),
        "detector": metadata.get("primary_det") or metadata.get("default_det") or "",
    }


def _unpacked(value: Any) -> Any:
    """Return a table, from JSON text where needed."""
    return json.loads(value) if isinstance(value, str) else value


def _polarization(found: Mapping[str, Any]) -> str:
    """Return the undulator's setting where there are several, else an empty text."""
    index = int(found["where"].get("pol_idx", 0))
    settings = found["polarizations"]
    if len(settings) < 2:
        return "" if index == 0 else str(index)
    setting = settings[index]
    return f"{setting['POL']} at {setting['ANGLE']:g} deg, offset {setting['OFF']:g}"
