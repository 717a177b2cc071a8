"""Texts of the dashboard; every name and message is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from stxm_live.dashboard.scan_state import failure_of
from stxm_live.plotting.panels.result import METHODS, SYNTHETIC

if TYPE_CHECKING:
    from stxm_live.dashboard.scene import Scene
    from stxm_live.dashboard.state import Snapshot


def subline(scene: Scene | None) -> str:
    """Return the line below the verdict: stack, pixels, status and origin."""
    if scene is None:
        return "Start a scan; this page updates by itself."
    ny, nx = scene.specimen.shape
    parts = [escape(str(scene.key)), f"{nx} x {ny} pixels{_pixel_size(scene)}"]
    if scene.result is not None:
        maps = scene.result.maps
        parts.append(maps.status if maps.status == "complete" else f"<b>{maps.status}</b>")
        parts.append(f"{len(maps.energies_ev)} energies, revision {maps.revision}")
        if str(maps.origin):
            parts.append(escape(str(maps.origin)))
        if maps.origin.file and maps.origin.file != maps.key.source:
            parts.append(escape(maps.origin.file))
        if scene.result.origin != "live":
            how = "changed by hand" if scene.result.origin == "changed" else "from the catalogue"
            parts.append(f"<b>{how}</b>: {escape(scene.result.title)}")
    return " &nbsp;·&nbsp; ".join(parts)


def _pixel_size(scene: Scene) -> str:
    if scene.field.unit == "px":
        return ""
    nx = scene.specimen.shape[1]
    return f" of {1000 * abs(scene.field.x_last - scene.field.x_first) / nx:.3g} nm"


def notes(scene: Scene | None, now: Snapshot) -> str:
    """Return warnings and errors, a list as HTML."""
    items: list[str] = []
    if scene is not None and scene.maps is not None:
        maps = scene.maps
        failure = failure_of(scene, now)
        if failure is not None:
            is_over = scene.result is not None and failure.n_results < scene.result.number
            what = "failed before these maps were made" if is_over else "analysis failed"
            items.append(f"{what}: {failure.text}")
        items += maps.warnings
        if maps.synthetic_references and not any("synthetic" in text for text in items):
            items.append(SYNTHETIC)
    elif scene is not None and scene.exploration is not None:
        items += scene.exploration.notes
    elif scene is not None and scene.view is not None:
        items += [f"not distinguished yet: {a} and {b}" for a, b in scene.view.inseparable[:6]]
        if scene.view.synthetic_references:
            items.append(SYNTHETIC)
    if not items:
        return "<p>No warnings.</p>"
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in items) + "</ul>"


def method(scene: Scene) -> str:
    """Return the method of the map that is shown."""
    if scene.maps is None:
        return "provisional: largest correlation so far" if scene.index is not None else ""
    if scene.maps.resolved_index is None:
        return "largest correlation; ambiguous pixels not resolved: energies are missing"
    return METHODS.get(str(scene.maps.provenance.get("method")), "by the recipe's method")


def swatches(entries: Sequence[tuple[str, str]]) -> str:
    """Return a legend of colors and their meanings; the texts are escaped here."""
    return "".join(
        f'<span class="entry"><i style="background:{color}"></i>{escape(text)}</span>'
        for color, text in entries
    )


def ramp(colors: Sequence[str], low: str, high: str) -> str:
    """Return a legend of a continuous scale."""
    return (
        f'<span class="entry">{escape(low)}<i class="ramp" style="background:'
        f'linear-gradient(to right,{",".join(colors)})"></i>{escape(high)}</span>'
    )
