"""What is to be reached over many worlds, and what is: the benchmark's key figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.accuracy.composite.materials import NOTICEABLE_OD
from benchmarks.accuracy.composite.sweeps import mean
from benchmarks.accuracy.composite.tables import Table
from benchmarks.accuracy.composite.trial import Trial
from benchmarks.accuracy.composite.ways import CORRELATION, DEFAULT, SMOOTHED
from benchmarks.common.figures import HEADER, Beside, Figure, Target

TOLERANCE = 0.005
"""Half a point: a difference so small is none."""

ASTRAY_PX = 1.0
"""Distance from its place at which an image is counted."""


def goals_table(trials: Sequence[Trial]) -> Table:
    """The `key_figures` as a table."""
    return Table("To reach", HEADER, [figure.cells() for figure in key_figures(trials)])


def key_figures(trials: Sequence[Trial]) -> list[Figure]:
    """Honest verdicts, calibration, and never below what anyone can do without the package.

    Those that these worlds say nothing of are left out.
    """
    mapped = [t for t in trials if t.scores]
    found = (*_honesty(mapped), *_habits(mapped), *_advice(mapped), _astray(mapped))
    return [figure for figure in found if np.isfinite(figure.value)]


def share_not_below(trials: Sequence[Trial], way: str, other: str) -> float:
    """Share of worlds in which a way is right as often as another, but for half a point."""
    lead = [t.scores[way].accuracy - t.scores[other].accuracy for t in trials]
    return mean(float(d >= -TOLERANCE) for d in lead if np.isfinite(d))


def _honesty(trials: Sequence[Trial]) -> Iterator[Figure]:
    good = [t.scores[DEFAULT] for t in trials if t.verdict == "good"]
    honest = 100 * mean(float(s.is_honest) for s in good if np.isfinite(s.kept))
    yield Figure(
        "good maps that keep what they promise, to 5 points",
        honest,
        "%",
        target=Target(95),
        larger_is_better=True,
        note=f"of {len(good)}",
    )
    for name, those in (
        ("calibration error", trials),
        ("calibration error without an unknown phase", [t for t in trials if not t.unknown]),
    ):
        error = 100 * mean(t.scores[DEFAULT].ece for t in those)
        yield Figure(name, error, "points", target=Target(5))
    noticeable = [t for t in trials if t.unknown and t.unknown_od >= NOTICEABLE_OD]
    yield Figure(
        "pixels of an unknown phase found, where it is no mixture of the others",
        100 * mean(t.scores[DEFAULT].found for t in noticeable),
        "%",
        target=Target(90),
        larger_is_better=True,
        note=f"in {len(noticeable)} worlds",
    )
    false = 100 * mean(t.scores[DEFAULT].false for t in trials)
    yield Figure("pixels of known phases said to be unidentified", false, "%", target=Target(1))


def _habits(trials: Sequence[Trial]) -> Iterator[Figure]:
    for way in (CORRELATION, *SMOOTHED):
        wrong = [100 * (1 - mean(t.scores[w].accuracy for t in trials)) for w in (DEFAULT, way)]
        share = 100 * share_not_below(trials, DEFAULT, way)
        yield Figure(f"wrong labels, beside {way}", wrong[0], "%", Beside(way, wrong[1]))
        yield Figure(
            f"worlds not below {way}", share, "%", target=Target(95), larger_is_better=True
        )


def _advice(trials: Sequence[Trial]) -> Iterator[Figure]:
    advice = [t.advice for t in trials if t.advice is not None]
    given = [a for a in advice if a.given]
    undone = sum(not a.possible for a in given)
    second = [a.corrected for a in advice if np.isfinite(a.corrected)]
    yield Figure(
        "energy advice that makes a map worse or cannot be followed",
        sum(a.is_worse for a in given),
        "maps",
        target=Target(0),
        note=f"of {len(given)}; {undone} cannot",
    )
    yield Figure(
        "second maps (energy axis corrected) that are worse",
        sum(d < -TOLERANCE for d in second),
        "maps",
        note=f"of {len(second)}",
    )


def _astray(trials: Sequence[Trial]) -> Figure:
    places = [t.misplaced_px for t in trials if np.isfinite(t.misplaced_px)]
    astray = sum(d > ASTRAY_PX for d in places)
    return Figure(
        "maps with an image more than a pixel beside its place",
        astray,
        "maps",
        note=f"of {len(places)}",
    )
