"""From trials to tables: means over worlds, and what issue and documentation ask for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.accuracy.composite.goals import share_not_below
from benchmarks.accuracy.composite.named import Way
from benchmarks.accuracy.composite.scores import HONEST, Score
from benchmarks.accuracy.composite.sweeps import DamageResult, RowResult, TextureResult, mean
from benchmarks.accuracy.composite.tables import Table, fine, points
from benchmarks.accuracy.composite.trial import Trial
from benchmarks.accuracy.composite.ways import CORRELATION, DEFAULT, WAYS

CAUSE_LENGTH = 90


def ways_table(trials: Sequence[Trial]) -> Table:
    """Every way, means over the worlds that have a map."""
    mapped = [t for t in trials if t.scores]
    rows = []
    for way in WAYS:
        scores = [t.scores[way] for t in mapped]
        rows.append(
            [
                way,
                *(points(_mean_of(scores, f)) for f in ("accuracy", "balanced")),
                points(share_not_below(mapped, way, CORRELATION)),
                *(points(_mean_of(scores, f)) for f in ("promised", "kept", "ece")),
                *(points(_mean_of(scores, f)) for f in ("found", "false")),
            ]
        )
    header = ["way", "accuracy", "balanced", "not below correlation"]
    header += ["promised", "kept", "calibration error", "unknown found", "falsely"]
    return Table(f"{len(mapped)} composite worlds, synthetic", header, rows)


def _mean_of(scores: Sequence[Score], name: str) -> float:
    return mean([getattr(score, name) for score in scores])


def verdict_table(trials: Sequence[Trial]) -> Table:
    """Every verdict: how often, what it promises and keeps, and how often that is honest."""
    rows = []
    for verdict in ("good", "limited", "poor", "no map"):
        those = [t for t in trials if t.verdict == verdict]
        scores = [t.scores[DEFAULT] for t in those if t.scores]
        honest = mean([float(s.is_honest) for s in scores if np.isfinite(s.kept)])
        rows.append(
            [
                verdict,
                str(len(those)),
                *(points(_mean_of(scores, f)) for f in ("accuracy", "promised", "kept", "ece")),
                points(honest),
            ]
        )
    header = ["verdict", "maps", "accuracy", "promised", "kept", "calibration error"]
    return Table("Verdicts", [*header, "kept >= promised - 5 points"], rows)


def row_table(results: Sequence[RowResult]) -> Table:
    """One fault at a time: what it costs, and what is promised of it."""
    rows = [_row(result) for result in results]
    header = ["fault", "photons", "accuracy", "without the fault", "correlation", "smoothed .8 px"]
    header += ["promised", "kept", "calibration error", "unknown found", "falsely"]
    header += ["absent phases", "promised there", "verdicts", "reached"]
    return Table("One fault at a time, synthetic", header, rows)


def _row(result: RowResult) -> list[str]:
    def of(name: str, way: str = DEFAULT) -> str:
        return points(_mean_of(_scores(result.trials, way), name))

    twins = points(_mean_of(_scores(result.twins, DEFAULT), "accuracy"))
    return [
        result.name,
        f"{result.photons:g}",
        of("accuracy"),
        twins,
        of("accuracy", CORRELATION),
        of("accuracy", "correlation, smoothed .8 px"),
        of("promised"),
        of("kept"),
        fine(_mean_of(_scores(result.trials, DEFAULT), "ece")),
        of("found"),
        of("false"),
        of("absent"),
        of("absent_promised"),
        _verdicts(result.trials),
        "yes" if _is_reached(result) else "no",
    ]


def _is_reached(result: RowResult) -> bool:
    """Whether a row's `Goal` is."""
    scores, twins = _scores(result.trials, DEFAULT), _scores(result.twins, DEFAULT)
    if result.goal == "found":
        return _mean_of(scores, "found") >= 0.9 and not _mean_of(scores, "false") > 0.01
    if result.goal == "right or poor":
        return all(
            t.verdict == "poor" or t.scores[DEFAULT].accuracy >= 0.9
            for t in result.trials
            if t.scores
        )
    if result.goal == "honest":
        return _mean_of(scores, "promised") <= _mean_of(scores, "kept") + HONEST
    near = _mean_of(scores, "accuracy") >= _mean_of(twins, "accuracy") - 0.02
    return near and _mean_of(scores, "ece") <= 0.03


def _scores(trials: Sequence[Trial], way: str) -> list[Score]:
    return [t.scores[way] for t in trials if t.scores]


def _verdicts(trials: Sequence[Trial]) -> str:
    names = ("good", "limited", "poor", "no map")
    counted = [(sum(t.verdict == name for t in trials), name) for name in names]
    return ", ".join(f"{n} {name}" for n, name in counted if n)


def texture_table(results: Sequence[TextureResult], photons: Sequence[float]) -> Table:
    """Calibration error by texture and photons, and the lead over smoothed correlation."""
    rows = [[r.name, *map(fine, r.ece), *map(_signed, r.lead)] for r in results]
    header = ["texture", *(f"error at {p:g}" for p in photons)]
    header += [f"lead at {p:g}" for p in photons]
    return Table(
        "Faultless scans: calibration error, and balanced accuracy minus that of the better "
        "smoothed correlation",
        header,
        rows,
    )


def _signed(value: float) -> str:
    return "" if not np.isfinite(value) else f"{value:+.3f}".replace("0.", ".", 1)


def damage_table(result: DamageResult) -> Table:
    """How often a change during the scan is noticed."""
    rows = [[f"{d:g} %", points(s), str(result.n_scans)] for d, s in result.spoken.items()]
    return Table(
        "Damage at 1000 photons, one energy repeated at the end",
        ["phases shifted by", "maps that say so", "scans"],
        rows,
    )


def named_table(ways: Sequence[Way], trials: Sequence[Trial]) -> Table:
    """One line for each named way to be fooled."""
    rows = [_named_row(way, trial) for way, trial in zip(ways, trials, strict=True)]
    header = ["way", "what is there", "accuracy", "correlation", "promised", "kept", "verdict"]
    return Table("Thirty ways to be fooled, synthetic", [*header, "the verdict's words"], rows)


def _named_row(way: Way, trial: Trial) -> list[str]:
    default, correlation = trial.scores.get(DEFAULT), trial.scores.get(CORRELATION)
    if default is None or correlation is None:
        figures = [""] * 4
    else:
        shares = default.accuracy, correlation.accuracy, default.promised, default.kept
        figures = [points(share) for share in shares]
    return [way.name, way.truth, *figures, trial.verdict, _short(trial.cause)]


def _short(cause: str) -> str:
    """The beginning, with no character that a table would take for its own."""
    one_line = " ".join(cause.split()).replace("|", "/")
    if len(one_line) <= CAUSE_LENGTH:
        return one_line
    return one_line[:CAUSE_LENGTH].rsplit(" ", 1)[0] + " ..."
