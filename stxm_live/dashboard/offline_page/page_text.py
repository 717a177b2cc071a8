"""Texts of a page; every name and message is escaped here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from stxm_live.core.mixed_reference import alternatives, stored_mixtures
from stxm_live.core.origin import identity
from stxm_live.core.twins import labels, merged_shares, stored_twins
from stxm_live.dashboard.offline_page.page_amounts import amounts_section, meaning_of
from stxm_live.plotting.panels.result import METHODS, other_warnings
from stxm_live.plotting.pictures import CORRECTED
from stxm_live.plotting.style.palette import VERDICT

if TYPE_CHECKING:
    import xarray

_TITLES = {
    "resolved_index": ("Resolved phase map", "by the recipe's method; this is the map to use"),
    "corrected_index": CORRECTED,
    "phase_index": ("Initial phase map", "largest Pearson coefficient, ambiguous pixels included"),
    "ambiguous": ("Ambiguity", "the two best phases correlate almost equally well"),
    "wrong_probability": ("Where the resolved map may be wrong", "probability of a wrong phase"),
    "reliability": ("Reliability of the initial map", "R = 100 (Q1 − Q2)"),
    "od": ("Optical density", "the image at the energy chosen below"),
}


def page_text(
    dataset: xarray.Dataset,
    shown: tuple[str, ...],
    figures: Mapping[str, str],
    precision: str,
) -> dict[str, str]:
    """Return the text fields of the page's template, as HTML."""
    attributes = dataset.attrs
    runs = ", ".join(uid[:8] for uid in attributes["run_uids"])
    runs = runs or attributes.get("source") or "a file"
    title = f"Phase maps of {runs}, region {attributes['region']} {attributes['polarization']}"
    verdict = attributes["quality"].partition(":")[0]
    return {
        "title": escape(title.strip()),
        "subtitle": escape(_subtitle(dataset)),
        "synthetic": _synthetic(dataset),
        "verdict_color": VERDICT.get(verdict, VERDICT["limited"]),
        "quality": escape(f"Quality {attributes['quality']}"),
        "warnings": _warnings(dataset),
        "fractions": _fractions(dataset),
        "amounts": amounts_section(dataset),
        "maps": "\n".join(_maps(dataset, shown, figures)),
        "spectrum": figures["spectrum"],
        "precision": escape(precision),
        "provenance": _provenance(dataset),
    }


def _subtitle(dataset: xarray.Dataset) -> str:
    sizes, attributes = dataset.sizes, dataset.attrs
    revision = f", revision {attributes['revision']}" if attributes["revision"] > 1 else ""
    energies = dataset["energy_ev"].values
    return (
        f"{_identity(dataset)}{attributes['status']}{revision}; "
        f"{energies.size} energies from {energies[0]:g} to {energies[-1]:g} eV; "
        f"{sizes['y']} rows x {sizes['x']} columns"
    )


def _identity(dataset: xarray.Dataset) -> str:
    """Return sample, time, file, dwell, recipe and version, and a semicolon; or nothing."""
    attributes = dataset.attrs
    provenance = json.loads(attributes["provenance"])
    source = attributes.get("source", "")
    found = identity(provenance, dwell_ms=attributes.get("dwell_ms"), source=source)
    return f"{found}; " if found else ""


def _synthetic(dataset: xarray.Dataset) -> str:
    if not dataset.attrs["synthetic_references"]:
        return ""
    return (
        '<p class="synthetic"><b>Synthetic references:</b> the reference spectra are calculated, '
        "not measured.</p>"
    )


def _warnings(dataset: xarray.Dataset) -> str:
    warnings = other_warnings(dataset.attrs["warnings"])
    if not warnings:
        return "<p>No warnings.</p>"
    return "<ul>" + "".join(f"<li>Note: {escape(text)}</li>" for text in warnings) + "</ul>"


def _fractions(dataset: xarray.Dataset) -> str:
    """Return a table with a row for each phase that is distinguished."""
    resolved = dataset.get("resolved_fractions")
    mixtures = alternatives(stored_mixtures(dataset.attrs))
    rows = []
    names, twins = dataset["phase"].values.tolist(), stored_twins(dataset.attrs)
    by_correlation = merged_shares(dataset["fractions"].values, names, twins)
    by_resolver = None if resolved is None else merged_shares(resolved.values, names, twins)
    shown = labels(names, twins)
    if len(shown) == 1:  # all of the specimen is of one of them: a share would say nothing
        return f"<p>{escape(next(iter(shown.values())))}</p>"
    for k, name in shown.items():
        beside = f" ({escape(mixtures[name])})" if name in mixtures else ""
        share = "" if by_resolver is None else _percent(by_resolver[k])
        rows.append(
            f'<tr><td><i class="swatch phase-{k}"></i>{escape(name)}{beside}</td>'
            f"<td>{share}</td><td>{_percent(by_correlation[k])}</td></tr>"
        )
    return (
        "<table><tr><th>phase</th><th>resolved</th><th>by correlation</th></tr>"
        + "".join(rows)
        + "<tr><td>ambiguous (counted above)</td><td></td>"
        f"<td>{_percent(_ambiguous(dataset))}</td></tr></table>"
    )


def _ambiguous(dataset: xarray.Dataset) -> float:
    counted = (dataset["specimen"] & dataset["valid"]).values
    return float(dataset["ambiguous"].values[counted].mean()) if counted.any() else np.nan


def unidentified_share(dataset: xarray.Dataset) -> float:
    """Return the share of the mapped specimen whose mean spectrum is stored as unidentified."""
    if "unidentified_od" not in dataset:
        return 0.0
    counted = (dataset["specimen"] & dataset["valid"]).values
    return float(dataset["unidentified"].values[counted].mean())


def _maps(
    dataset: xarray.Dataset, shown: tuple[str, ...], figures: Mapping[str, str]
) -> Iterator[str]:
    """Yield a section for each map, and after the ambiguity what was not identified."""
    for name in shown:
        yield _map(name, dataset, figures[name])
        if name == "ambiguous" and "unidentified" in figures:
            yield (
                '<section class="map" id="unidentified-panel"><h2>Not identified: '
                f"{_percent(unidentified_share(dataset))} of the specimen</h2>"
                "<p>pink: mean spectrum of these pixels; lines: references, scaled to it</p>"
                f'{figures["unidentified"]}<p class="legend">Band: scatter of single pixels, '
                "differences of thickness taken out. Where it is much wider at some energies than "
                "at others, the pixels are of more than one substance. White: standard error of "
                "the mean.</p></section>"
            )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if np.isfinite(share) else ""


def _map(name: str, dataset: xarray.Dataset, figure: str) -> str:
    title, subtitle = _TITLES[name] if name in _TITLES else meaning_of(name, dataset)
    if name == "resolved_index":
        method = json.loads(dataset.attrs["provenance"]).get("method")
        subtitle = METHODS.get(str(method), subtitle)
    slider = ""
    if name == "od":
        last = dataset.sizes["energy_ev"] - 1
        slider = (
            '<label class="energy"><input id="energy" type="range" aria-label="photon energy" '
            f'min="0" max="{last}" step="1">'
            '<output id="energy-name"></output></label>'
        )
    if name == "composition":
        options = "".join(
            f'<option value="{k}">{escape(str(phase))}</option>'
            for k, phase in enumerate(dataset["phase"].values)
        )
        slider = f'<label class="energy">of <select id="share-of">{options}</select></label>'
    return (
        f'<section class="map" id="map-{name}"><h2>{escape(title)}</h2><p>{escape(subtitle)}</p>'
        f'{figure}{slider}<div class="legend" id="legend-{name}"></div></section>'
    )


def _provenance(dataset: xarray.Dataset) -> str:
    provenance = json.loads(dataset.attrs["provenance"])
    values = {"run_uids": dataset.attrs["run_uids"], **provenance}
    rows = (
        f"<tr><th>{escape(str(key))}</th><td><pre>{escape(_readable(value))}</pre></td></tr>"
        for key, value in values.items()
    )
    return "<table>" + "".join(rows) + "</table>"


def _readable(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
