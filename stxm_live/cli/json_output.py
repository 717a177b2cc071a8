"""Results as JSON, for programs that call the commands; docs/reference/json.md is their schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stxm_live.cli.output import console
from stxm_live.core.json_values import json_clean

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.io.catalog import RunSummary

VERSION = 1
"""Raised when a name in the documents gets another meaning, or goes."""

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of text and tables.")
]


def only_json(wanted: bool) -> None:
    """Keep all other output of a command away from standard output."""
    console.quiet = wanted


def print_json(kind: str, values: dict[str, Any]) -> None:
    """Print a document; numbers that JSON does not have become null."""
    document = {"kind": kind, "version": VERSION, **values}
    typer.echo(json.dumps(json_clean(document), allow_nan=False, indent=2))


def maps_values(maps: PhaseMaps, files: Sequence[Path] = ()) -> dict[str, Any]:
    """Return the numbers of a result that its table and verdict show."""
    quality = maps.quality
    return {
        "stack": str(maps.key),
        **maps.key._asdict(),
        "origin": asdict(maps.origin),
        "dwell_ms": maps.dwell_ms,
        "status": maps.status,
        "energies_ev": list(maps.energies_ev),
        "method": maps.provenance.get("method"),
        "no_phases": maps.no_phases or None,
        "phases": [
            {"name": name, "share_by_correlation": share, "share": resolved}
            for name, share, resolved in maps.summary()
        ],
        "amounts": _amounts(maps),
        "ambiguous_share": maps.ambiguous_share,
        "energy_offset_ev": maps.energy_offset_ev,
        "verdict": quality.verdict,
        "cause": quality.cause,
        "consequence": quality.consequence,
        "action": quality.action,
        "warnings": list(maps.warnings),
        "files": [str(path) for path in files],
    }


def _amounts(maps: PhaseMaps) -> list[dict[str, Any]] | None:
    """Return the share of each phase in the specimen's volume; None without amounts."""
    amounts = maps.amounts
    if amounts is None:
        return None
    shares, std = amounts.area_composition[0], amounts.area_composition_std[0]
    numbers = zip(maps.phase_names, shares.tolist(), std.tolist(), strict=True)
    return [{"name": name, "amount": share, "amount_std": s} for name, share, s in numbers]


def run_values(run: RunSummary) -> dict[str, Any]:
    """Return what `stxm-live runs` shows of a run."""
    scan = run.scan
    return {
        "uid": run.uid,
        "scan_id": run.scan_id,
        "time_s": run.time_s,
        "plan_name": run.plan_name,
        "sample": run.origin.sample or None,
        "measured": run.origin.measured or None,
        "file": run.origin.file or None,
        "shape": None if scan is None else list(scan.shape),
        "energies_ev": None if scan is None else list(scan.energies_ev),
        "exit_status": run.exit_status or None,
        "has_maps": run.has_maps,
        "verdict": run.verdict or None,
        "fractions": run.fractions,
        "unreadable": run.unreadable or None,
    }
