"""Texts of the dashboard; every name and message is escaped here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from stxm_live.live.progress import Progress, duration_in_words
from stxm_live.plotting.panels.result import METHODS, SYNTHETIC
from stxm_live.plotting.style.palette import FAINT, VERDICT

if TYPE_CHECKING:
    from stxm_live.dashboard.scene import Scene
    from stxm_live.dashboard.state import Failure, Snapshot

_STALLED = 4.0
"""A missing image is reported after this many times the usual time per image."""


def headline(scene: Scene | None, now: Snapshot) -> tuple[str, str]:
    """Return the line at the top as HTML, and its colour."""
    failure = _failure_of(scene, now)
    if failure is not None and (scene is None or scene.maps is None):
        what = escape(failure.text)
        say = f"<b>Analysis failed:</b> {what}. The scan goes on, and its images are kept."
        return say, VERDICT["poor"]
    if scene is None:
        return "<b>Waiting</b> for the first image of a stack.", FAINT
    if scene.maps is None:
        return _scanning(scene), FAINT
    quality = scene.maps.quality
    say = {"good": "Good", "limited": "Limited", "poor": "Poor"}[quality.verdict]
    rest = str(quality).partition(": ")[2]
    return f"<b>{say}</b> map: {escape(rest)}", VERDICT[quality.verdict]


def _scanning(scene: Scene) -> str:
    n_measured, n_energies = int(scene.measured.sum()), len(scene.energies_ev)
    if n_energies == 1:
        return f"<b>Overview</b> at {scene.last_ev:.2f} eV: phases need at least two energies."
    if n_measured == n_energies:
        return f"<b>All {n_energies} energies are measured</b>; the maps are being computed."
    what = "provisional phases are shown" if scene.index is not None else "too few for phases yet"
    return f"<b>Scanning:</b> energy {n_measured} of {n_energies}, {scene.last_ev:.2f} eV; {what}."


def _failure_of(scene: Scene | None, now: Snapshot) -> Failure | None:
    """Return the error of this stack, or of a run that has shown nothing yet."""
    if scene is None:
        return now.failures[-1] if now.failures else None
    own = [failure for failure in now.failures if failure.uid in scene.key.run_uids]
    return own[-1] if own else None


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
        if scene.result.origin != "live":
            how = "changed by hand" if scene.result.origin == "changed" else "from the catalogue"
            parts.append(f"<b>{how}</b>: {escape(scene.result.title)}")
    return " &nbsp;·&nbsp; ".join(parts)


def _pixel_size(scene: Scene) -> str:
    if scene.field.unit == "px":
        return ""
    nx = scene.specimen.shape[1]
    return f" of {1000 * abs(scene.field.x_last - scene.field.x_first) / nx:.3g} nm"


def progress(now: Snapshot) -> tuple[float, str]:
    """Return the share of the scan measured so far, 0 to 1, and the time left in words."""
    view = now.view
    if view is None:
        return 0.0, "no scan yet" if now.newest is None else "no scan is running"
    so_far = view.progress or Progress(int(view.measured.sum()), len(view.energies_ev))
    text = f"{so_far.n_images} of {so_far.n_announced} energies"
    if now.is_scanning and so_far.n_left:
        text += time_left(so_far, time.monotonic() - now.came_s)
    return so_far.n_images / max(so_far.n_announced, 1), text


def time_left(so_far: Progress, silent_s: float) -> str:
    """Return the end of a sentence: the time left, or the time without a new image.

    Examples
    --------
    >>> time_left(Progress(8, 13, 60.0), 20.0)
    ', about 5 min left'
    >>> time_left(Progress(8, 13, 60.0), 900.0)
    '; no new image for 15 min'
    """
    if so_far.image_s is None or so_far.left_s is None:
        return ""
    if silent_s > max(_STALLED * so_far.image_s, 10.0):
        return f"; no new image for {duration_in_words(silent_s)}"
    return f", about {duration_in_words(max(so_far.left_s - silent_s, 0.0))} left"


def notes(scene: Scene | None, now: Snapshot) -> str:
    """Return warnings and errors, a list as HTML."""
    items: list[str] = []
    if scene is not None and scene.maps is not None:
        maps = scene.maps
        failure = _failure_of(scene, now)
        if failure is not None:
            items.append(f"analysis failed: {failure.text}")
        items += maps.warnings
        if maps.synthetic_references and not any("synthetic" in text for text in items):
            items.append(SYNTHETIC)
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
    """Return a legend of colours and their meanings; the texts are escaped here."""
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
