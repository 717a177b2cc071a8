"""One stack as a row of the table of many: its numbers, or why there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stxm_live.core.amount_words import look_alikes
from stxm_live.core.json_values import json_clean
from stxm_live.core.mixed_reference import alternatives
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.plain_text import error_in_words, one_line
from stxm_live.core.stack import StackKey

_MOST_LETTERS = 500


def run_row(
    maps: PhaseMaps,
    facts: Mapping[str, Any],
    *,
    places: Sequence[str],
    result: str,
    files: Sequence[str],
) -> dict[str, Any]:
    """Return the numbers of a result, as JSON has them.

    Parameters
    ----------
    maps : PhaseMaps
    facts : mapping
        ``sample``, ``measured``, ``scan_id`` and ``file`` (the name of the one that was imported)
        of the run, as far as they are known; or ``is_file``.
    places : sequence of str
        Uids of the runs, or the file.
    result : str
        Folder of the result, relative to that of the table.
    files : sequence of str
        Files in it.
    """
    quality, origin = maps.quality, maps.origin
    known = {k: v for k in ("sample", "measured") if (v := getattr(origin, k))}
    row = {
        **_begin(facts, places, maps.key),
        **known,
        "outcome": "mapped",
        "status": maps.status,
        "verdict": quality.verdict,
        "cause": quality.cause,
        "consequence": quality.consequence,
        "energy_offset_ev": maps.energy_offset_ev,
        "energy_offset_std_ev": maps.energy_offset_std_ev,
        "ambiguous_share": maps.ambiguous_share,
        "no_phases": maps.no_phases or None,
        "method": maps.provenance.get("method"),
        "recipe": maps.provenance.get("recipe"),
        "synthetic_references": maps.synthetic_references,
        "phases": _phases(maps),
        "look_alikes": look_alikes(
            maps.phase_names, maps.twins, alternatives(maps.mixed_references)
        ),
        "warnings": list(maps.warnings),
        "result": result,
        "files": list(files),
    }
    amounts = maps.final_amounts
    if amounts is not None:
        row |= {
            "thickness": amounts.area_thickness[0],
            "thickness_std": amounts.area_thickness_std[0],
            "thickness_unit": amounts.unit,
        }
        if amounts.area_value is not None and amounts.area_value_std is not None:
            row |= {
                "value": amounts.area_value[0],
                "value_std": amounts.area_value_std[0],
                "value_quantity": amounts.quantity or None,
            }
    cleaned: dict[str, Any] = json_clean(row)
    return cleaned


def failed_row(
    error: BaseException,
    facts: Mapping[str, Any],
    *,
    places: Sequence[str],
    key: StackKey | None = None,
) -> dict[str, Any]:
    """Return a row for what could not be mapped, with the reason."""
    reason = one_line(error_in_words(error))[:_MOST_LETTERS] or type(error).__name__
    if not isinstance(error, OSError | ValueError | LookupError | RuntimeError | ImportError):
        reason = f"{type(error).__name__}: {reason}"
    row: dict[str, Any] = {**_begin(facts, places, key), "outcome": "failed", "reason": reason}
    cleaned: dict[str, Any] = json_clean(row)
    return cleaned


def _begin(facts: Mapping[str, Any], places: Sequence[str], key: StackKey | None) -> dict[str, Any]:
    is_file = facts.get("is_file", False)
    return {
        "name": Path(places[0]).name if is_file else places[0][:8],
        **({"file": places[0]} if is_file else {"uid": places[0], "file": facts.get("file")}),
        "n_runs": len(places),
        **{name: facts.get(name) for name in ("sample", "measured", "scan_id")},
        "region": None if key is None else key.region,
        "polarization": None if key is None else key.polarization,
    }


def _phases(maps: PhaseMaps) -> dict[str, dict[str, float | None]]:
    """Return for each phase its share of the pixels, and of the volume, with uncertainties."""
    found: dict[str, dict[str, float | None]] = {}
    amounts = maps.final_amounts
    for k, name in enumerate(maps.phase_names):
        numbers = {
            "share": maps.final_fractions[k],
            "share_by_correlation": maps.fractions[k],
        }
        if amounts is not None:
            numbers |= {
                "share_by_probability": amounts.pixel_share[k],
                "share_by_probability_std": amounts.pixel_share_std[k],
                "amount": amounts.area_composition[0, k],
                "amount_std": amounts.area_composition_std[0, k],
            }
        found[name] = numbers
    return found
