"""One world, mapped in all ways and scored."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.accuracy.composite.advice import Advice, followed
from benchmarks.accuracy.composite.scores import Score, score
from benchmarks.accuracy.composite.ways import DEFAULT, Answer, answers, default, mapped, simple
from benchmarks.accuracy.composite.worlds import World, drawn_world, misplaced, scanned, truth_on


@dataclass(frozen=True)
class Trial:
    """What came of one world.

    ``verdict`` is good, limited, poor, or ``no map`` with the error as its ``cause``; ``words``
    is all that the maps say: verdict and warnings. ``misplaced_px`` is the largest distance of
    an image from where it belongs; NaN without a map. ``unknown_od`` is that of the material.
    """

    seed: int
    material: str
    photons: float
    texture: str
    faults: dict[str, float]
    unknown: float
    unknown_od: float
    verdict: str
    cause: str
    words: str
    misplaced_px: float
    scores: dict[str, Score]
    advice: Advice | None

    @property
    def default(self) -> Score | None:
        """The default's score; None without a map."""
        return self.scores.get(DEFAULT)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def tried(world: World, *, every_way: bool = True) -> Trial:
    """Scan, map and score; with ``every_way`` by the recipe's other ways too."""
    scan = scanned(world)
    scores: dict[str, Score] = {}
    advice, verdict, cause, words, misplaced_px = None, "no map", "", "", float("nan")
    try:
        with mapped(scan) as maps:
            truth = truth_on(scan, maps.shifts_px)
            misplaced_px = misplaced(scan, maps.shifts_px)
            verdict, cause = maps.quality.verdict, maps.quality.cause
            words = "\n".join([str(maps.quality), *maps.warnings])
            said: dict[str, Answer] = (
                answers(scan, maps) if every_way else {DEFAULT: default(maps)} | simple(scan, maps)
            )
            scores = {name: score(answer, truth) for name, answer in said.items()}
            advice = followed(scan, maps)
    except ValueError as problem:
        cause = str(problem)
    layout = world.layout
    return Trial(
        seed=world.seed,
        material=world.material.name,
        photons=world.photons,
        texture=layout.texture,
        faults=world.faults.named(),
        unknown=layout.unknown,
        unknown_od=world.material.unknown_od,
        verdict=verdict,
        cause=cause,
        words=words,
        misplaced_px=misplaced_px,
        scores=scores,
        advice=advice,
    )


def tried_seed(seed_and_photons: tuple[int, float | None]) -> Trial:
    """A random world by its seed; photons None for a random number."""
    return tried(drawn_world(*seed_and_photons))


def tried_all(worlds: Iterable[World], jobs: int, *, every_way: bool = False) -> list[Trial]:
    """Many, in so many processes."""
    call = tried if every_way else _tried_simply
    if jobs <= 1:
        return [call(world) for world in worlds]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(call, worlds))


def _tried_simply(world: World) -> Trial:
    return tried(world, every_way=False)
