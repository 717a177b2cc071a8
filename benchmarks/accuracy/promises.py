"""Where probabilities of composite worlds promise what they do not keep.

    python -m benchmarks.accuracy.promises [--worlds 100] [--seed 80000]

Random worlds of decision 24, default maps. For groups of them the calibration error, beside what
chance alone makes of it (labels drawn from the promised probabilities) and what the best power for
each world would leave, which nobody knows. Then each phase that mixtures of others look like and
whose areas change gradually: how much the parts of the mixture increase together, and how many
of its labels are right (decisions 33 and 61).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.composite.materials import NOTICEABLE_OD
from benchmarks.accuracy.composite.scores import calibration_error
from benchmarks.accuracy.composite.ways import default, mapped
from benchmarks.accuracy.composite.worlds import Truth, World, drawn_world, scanned, truth_on
from benchmarks.common.figures import Figure, benchmark_parser, write_figures
from stxm_live import Recipe
from stxm_live.core.mixed_reference import by_phase
from stxm_live.phase_mapping.assignment import Resolution, resolve_spectra
from stxm_live.phase_mapping.correlation import Correlated
from stxm_live.phase_mapping.latent_space.model import LatentModel
from stxm_live.phase_mapping.layers import SIGNIFICANT, PhaseArea
from stxm_live.phase_mapping.scan_noise import noisy_spectra
from stxm_live.phase_mapping.steps import Steps
from stxm_live.preprocessing.normalization import ODStack

POWERS = np.array([0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0])
DRAWS, RESAMPLED = 20, 2000
MOSTLY = 0.8
"""Share of unidentified pixels from which hardly any of the specimen has a label."""


class Promises(NamedTuple):
    """Probabilities of the labels of a world that are given, and which of them are right."""

    world: World
    probability: NDArray[np.float64]
    right: NDArray[np.bool_]
    unidentified: float
    is_good: bool

    @property
    def is_known(self) -> bool:
        """Return True if every phase has a reference."""
        return self.world.layout.unknown == 0

    @property
    def is_shipped(self) -> bool:
        """Return True if the references are the shipped ones, with errors of the world."""
        return self.world.material.name == "nvpf"

    @property
    def is_core(self) -> bool:
        """Return True if the specimen is a core in a shell."""
        return self.world.layout.texture == "core and shell"

    @property
    def error(self) -> float:
        """Return the calibration error."""
        return calibration_error(self.probability, self.right)

    def by_chance(self, rng: np.random.Generator) -> float:
        """Return what the error is on average if each label is right as often as promised."""
        p = self.probability
        drawn = [calibration_error(p, rng.random(len(p)) < p) for _ in range(DRAWS)]
        return float(np.mean(drawn))

    def with_best_power(self) -> float:
        """Return the error after raising the odds to the power that makes it smallest."""
        p = np.clip(self.probability, 1e-6, 1 - 1e-6)
        odds = (p / (1 - p))[None] ** POWERS[:, None]
        return min(calibration_error(o / (1 + o), self.right) for o in odds)


GROUPS: dict[str, Callable[[Promises], bool]] = {
    "all": lambda one: True,
    "every phase has a reference": lambda one: one.is_known,
    "- shipped references": lambda one: one.is_known and one.is_shipped,
    "-- core and shell": lambda one: one.is_known and one.is_shipped and one.is_core,
    "-- others, below 2 px": lambda one: (
        one.is_known and one.is_shipped and not one.is_core and one.world.layout.scale_px < 2
    ),
    "- other references": lambda one: one.is_known and not one.is_shipped,
    "unknown phase, within .03 OD of a mixture": lambda one: (
        not one.is_known and one.world.material.unknown_od < NOTICEABLE_OD
    ),
    "unknown phase, others": lambda one: (
        not one.is_known and one.world.material.unknown_od >= NOTICEABLE_OD
    ),
    "- most pixels unidentified": lambda one: not one.is_known and one.unidentified > MOSTLY,
    "maps called good": lambda one: one.is_good,
}


def main() -> None:
    """Print the tables."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--worlds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=80_000, help="of the first one")
    options = parser.parse_args()
    console, rng = Console(width=140), np.random.default_rng(options.seed)
    areas = Table("world", "texture", "phase", "sigma", "grow together", "promised", "kept")
    found: list[Promises] = []
    for seed in range(options.seed, options.seed + options.worlds):
        try:
            promises, rows = tried(drawn_world(seed))
        except ValueError:
            continue  # no map
        found += [promises] if promises.right.size else []
        for row in rows:
            areas.add_row(*row)
    table = Table("worlds", "number", "promised", "kept", "calibration error", "by chance", "best")
    for name, belongs in GROUPS.items():
        table.add_row(name, *_cells([one for one in found if belongs(one)], rng))
    for printed in (table, areas):
        console.print(printed)
    errors = np.array([one.error for one in found])
    note = "{:.1f} to {:.1f}".format(*_interval(100 * errors, rng))
    figure = Figure("calibration error", 100 * float(errors.mean()), "points", note=note)
    console.print(figure.name, *figure.cells()[1:2], "(95 %)")
    write_figures(options.figures, [figure])


def tried(world: World) -> tuple[Promises, list[tuple[str, ...]]]:
    """Map a world; return its promises, and the areas that change gradually."""
    scan, seen = scanned(world), []

    def resolve(
        spectra: Correlated, stack: ODStack, recipe: Recipe, model: LatentModel | None = None
    ) -> Resolution:
        resolution = resolve_spectra(spectra, stack, recipe, model)
        seen.append((spectra, stack, recipe, resolution))
        return resolution

    with mapped(scan, steps=Steps(resolve=resolve)) as maps:
        answer, truth = default(maps), truth_on(scan, maps.shifts_px)
        is_good = maps.quality.verdict == "good"
    assert answer.promised is not None
    assert answer.unidentified is not None
    claimed = (answer.index >= 0) & (truth.index >= 0)
    unidentified = float(answer.unidentified[claimed].mean()) if claimed.any() else 0.0
    claimed &= ~answer.unidentified
    right = (answer.index == truth.index)[claimed]
    rows = list(_gradual(world, truth, *seen[0]))
    return Promises(world, answer.promised[claimed], right, unidentified, is_good), rows


def _gradual(
    world: World,
    truth: Truth,
    spectra: Correlated,
    stack: ODStack,
    recipe: Recipe,
    resolution: Resolution,
) -> Iterator[tuple[str, ...]]:
    """Yield a row for each phase whose areas change gradually."""
    noisy, names = noisy_spectra(spectra, stack, recipe), recipe.corrected_references.phase_names
    labelled = np.where(resolution.unidentified, -1, resolution.index)
    true = truth.index[stack.mapped]
    for phase, mixtures in by_phase(resolution.mixed_references).items():
        k, parts = names.index(phase), {names.index(n): s for n, s in mixtures[0].parts.items()}
        if len(parts) < 2:
            continue
        of_phase = labelled == k
        area = PhaseArea.of(noisy.counted, of_phase, stack.mapped)
        change = area.change(k, parts)
        if change is not None and change > SIGNIFICANT:
            together = area.common_growth(parts)
            promised = 1 - resolution.wrong_probability[of_phase].mean()
            numbers = f"{change:.0f}", f"{together:.2f}", f"{promised:.2f}"
            kept = f"{(true == k)[of_phase].mean():.2f}"
            yield str(world.seed), world.layout.texture, phase, *numbers, kept


def _cells(found: list[Promises], rng: np.random.Generator) -> tuple[str, ...]:
    if not found:
        return ("0",)
    means = (
        np.mean([one.probability.mean() for one in found]),
        np.mean([one.right.mean() for one in found]),
        np.mean([one.error for one in found]),
        np.mean([one.by_chance(rng) for one in found]),
        np.mean([one.with_best_power() for one in found]),
    )
    return (str(len(found)), *(f"{value:.3f}" for value in means))


def _interval(errors: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """Return the 95 % interval of the mean, by drawing worlds with replacement."""
    drawn = errors[rng.integers(len(errors), size=(RESAMPLED, len(errors)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
