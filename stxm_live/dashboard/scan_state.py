"""State of the stack that a page shows, in words: scanning, paused, failed, finished."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING

from stxm_live.live.progress import Progress, duration_in_words

if TYPE_CHECKING:
    from stxm_live.dashboard.scene import Scene
    from stxm_live.dashboard.state import Failure, Snapshot
    from stxm_live.live.cube import ODCube
    from stxm_live.phase_mapping.exploration import Exploration

IDLE = "idle"
ATTENTION = "limited"
"""Class of a line that wants attention, the same color as a limited map."""

_STALLED = 4.0
"""A missing image is reported after this many times the usual time per image."""

_STALLED_S = 10.0
"""No image is reported as missing before this time in seconds."""

_VERDICTS = {"good": "Good", "limited": "Limited", "poor": "Poor"}


def headline(scene: Scene | None, now: Snapshot, paused_since: str = "") -> tuple[str, str]:
    """Return the line at the top as HTML, and its class: a verdict, or "idle".

    Parameters
    ----------
    scene : Scene or None
        The stack that is shown.
    now : Snapshot
    paused_since : str
        Time of day at which the RunEngine was paused; empty if it is not.
    """
    failure = failure_of(scene, now)
    if failure is not None and (scene is None or scene.maps is None):
        what = escape(failure.text)
        begin = "Analysis failed:"
        if scene is not None and scene.has_no_references:
            begin = "No references yet, and no clusters:"
        return f"<b>{begin}</b> {what}. The scan goes on, and its images are kept.", "poor"
    if scene is None:
        return "<b>Waiting</b> for the first image of a stack.", IDLE
    if scene.exploration is not None:
        return _explored(scene.exploration), IDLE
    if scene.maps is None:
        return _scanning(scene, now, paused_since)
    quality = scene.maps.quality
    rest = str(quality).partition(": ")[2]
    part = " of an incomplete scan" if scene.maps.status == "incomplete" else ""
    return f"<b>{_VERDICTS[quality.verdict]}</b> map{part}: {escape(rest)}", quality.verdict


def _explored(exploration: Exploration) -> str:
    n = len(exploration.clusters.spectra)
    if n == 1:
        found = "the spectra differ by thickness only, as far as these energies show"
        return f"<b>No references yet:</b> {found}."
    todo = "name them below and save them as references for the next scan"
    return f"<b>No references yet:</b> {n} clusters of similar spectra; {todo}."


def _scanning(scene: Scene, now: Snapshot, paused_since: str) -> tuple[str, str]:
    n_measured, n_energies = int(scene.measured.sum()), len(scene.energies_ev)
    so_far = f"energy {n_measured} of {n_energies}, {scene.last_ev:.2f} eV"
    if paused_since:
        go_on = "RE.resume() continues the scan, RE.abort() ends it"
        return f"<b>Paused</b> since {paused_since} at {so_far}. {go_on}.", ATTENTION
    if n_energies == 1:
        rest = "phases need at least two energies"
        return f"<b>Overview</b> at {scene.last_ev:.2f} eV: {rest}.", IDLE
    if n_measured == n_energies:
        what = "clusters" if scene.has_no_references else "the maps"
        say = f"<b>All {n_energies} energies are measured</b>; {what} are being computed."
        return say, IDLE
    silence = _silence(now)
    if silence:
        why = "the scan may be paused, waiting for beam, or ended"
        return f"<b>No new image for {silence}</b> since {so_far}: {why}.", ATTENTION
    what = "provisional phases are shown" if scene.index is not None else "too few for phases yet"
    if scene.has_no_references:
        what = "no references yet, so there will be clusters instead of phases"
    return f"<b>Scanning:</b> {so_far}; {what}.", IDLE


def failure_of(scene: Scene | None, now: Snapshot) -> Failure | None:
    """Return the error of this stack, or of a run that has shown nothing yet."""
    if scene is None:
        return now.failures[-1] if now.failures else None
    own = [failure for failure in now.failures if failure.uid in scene.key.run_uids]
    return own[-1] if own else None


def progress(scene: Scene | None, now: Snapshot, paused_since: str = "") -> tuple[float, str]:
    """Return the measured share of the stack that is shown, 0 to 1, and its progress in words."""
    if scene is None:
        return 0.0, "no scan yet"
    if scene.result is not None:
        made = time.localtime(scene.result.time_s)
        day = "%H:%M" if made[:3] == time.localtime()[:3] else "%Y-%m-%d %H:%M"
        is_whole = scene.result.maps.status != "incomplete"
        how = "finished" if is_whole else "ended early"
        return 1.0, f"{how}, mapped at {time.strftime(day, made)}"
    if scene.exploration is not None:
        return 1.0, f"finished, {len(scene.energies_ev)} energies"
    assert scene.view is not None
    so_far = _progress_of(scene.view)
    text = f"{so_far.n_images} of {so_far.n_announced} energies"
    if now.is_scanning and so_far.n_left and not paused_since and now.view is scene.view:
        text += time_left(so_far, time.monotonic() - now.came_s)
    return so_far.n_images / max(so_far.n_announced, 1), text


def elsewhere(scene: Scene | None, now: Snapshot) -> str:
    """Return a sentence about a scan that is running but is not the one shown; empty if none."""
    view = now.view
    if scene is None or view is None or not now.is_scanning or view.key == scene.key:
        return ""
    so_far = _progress_of(view)
    left = time_left(so_far, time.monotonic() - now.came_s)
    return (
        f"An older result is shown. <b>Being scanned now:</b> {escape(str(view.key))}, "
        f"{so_far.n_images} of {so_far.n_announced} energies{left}."
    )


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
    if _is_stalled(so_far, silent_s):
        return f"; no new image for {duration_in_words(silent_s)}"
    return f", about {duration_in_words(max(so_far.left_s - silent_s, 0.0))} left"


def _progress_of(view: ODCube) -> Progress:
    return view.progress or Progress(int(view.measured.sum()), len(view.energies_ev))


def _is_stalled(so_far: Progress, silent_s: float) -> bool:
    return so_far.image_s is not None and silent_s > max(_STALLED * so_far.image_s, _STALLED_S)


def _silence(now: Snapshot) -> str:
    """Return the time without a new image in words, if it is unusually long."""
    if now.view is None or not now.is_scanning:
        return ""
    silent_s = time.monotonic() - now.came_s
    return duration_in_words(silent_s) if _is_stalled(_progress_of(now.view), silent_s) else ""
