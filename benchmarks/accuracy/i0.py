"""Whether I0 and the specimen are found in fields of view that make it hard.

    python -m benchmarks.accuracy.i0 [--side 128] [--seeds 2]

Synthetic: 13 images without drift of fields whose truth is known (`simulated_fields`), seen
by a counter of unknown gain. For each way of finding I0 the worst error over energies and
particles beside the true one, and the worst overlap (intersection over union) of the specimen
with the true one; ``none`` where no I0 is given and there is one, ``error`` where it has to be.

brightest 5 %: mean of the brightest twentieth of the pixels of the averaged image, specimen where
the mean OD is above 0.05. Otsu: threshold_otsu of scikit-image on the averaged -ln I.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from simulated_fields import CASES, field_of_view
from skimage.filters import threshold_otsu

from benchmarks.common.figures import Beside, Figure, benchmark_parser, write_figures
from stxm_live import Recipe
from stxm_live.preprocessing.detector import usable_intensity
from stxm_live.preprocessing.i0 import mean_over, stack_field

OURS = "stxm_live"
PHOTONS = (100, 300, 1000, 10_000)
GAIN = 2.5
FULL = "fills the field"
"""The case without an I0; it has to be an error."""

Found = tuple[NDArray[np.float64], NDArray[np.bool_]]
Scores = dict[str, list[tuple[float, float] | None]]
"""Error of I0 in % and overlap of each particle, by method; None where no I0 was given."""


def ours(counts: NDArray[np.float32], recipe: Recipe) -> Found:
    """As `map_phases` does it."""
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    field = stack_field(np.log(counts), references, recipe)
    return mean_over(counts, field.empty), field.specimen


def brightest(counts: NDArray[np.float32], recipe: Recipe) -> Found:
    """The brightest twentieth of the averaged image."""
    mean = counts.mean(axis=0)
    i0 = mean_over(counts, mean > np.nanpercentile(mean, 95))
    od = np.mean(np.log(i0)) - np.log(counts).mean(axis=0)
    return i0, od > 0.05


def otsu(counts: NDArray[np.float32], recipe: Recipe) -> Found:
    """Two classes of the averaged -ln I."""
    mean_log = -np.log(counts).mean(axis=0)
    specimen = mean_log > threshold_otsu(mean_log[np.isfinite(mean_log)])
    return mean_over(counts, ~specimen & np.isfinite(mean_log)), specimen


METHODS: dict[str, Callable[[NDArray[np.float32], Recipe], Found]] = {
    OURS: ours,
    "brightest 5 %": brightest,
    "Otsu": otsu,
}


def main() -> None:
    """Print one row per case and photon number."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=2, help="particles per case")
    arguments = parser.parse_args()
    titles = [f"{name}: {what}" for name in METHODS for what in ("I0 error %", "overlap")]
    table = Table("case", "photons", *titles, title="worst I0 error in %, worst overlap")
    found: dict[tuple[str, int], Scores] = {}
    for case in CASES:
        for photons in PHOTONS:
            row = scores(case, photons, arguments.side, arguments.seeds)
            found[case, photons] = row
            cells = [text for results in row.values() for text in _worst(results, case)]
            table.add_row(case, f"{photons}", *cells)
        table.add_section()
    Console(width=120).print(table)
    write_figures(arguments.figures, list(i0_figures(found)))


def i0_figures(found: dict[tuple[str, int], Scores]) -> Iterator[Figure]:
    """Worst of all cases that have an I0, at few and at many photons."""
    for photons in (100, 1000):
        rows = [row for (case, n), row in found.items() if n == photons and case != FULL]
        given = {
            name: [one for row in rows for one in row[name] if one is not None] for name in METHODS
        }
        errors = {name: max(e for e, _ in each) for name, each in given.items()}
        overlaps = {name: min(o for _, o in each) for name, each in given.items()}
        n_scans, n_given = sum(len(row[OURS]) for row in rows), len(given[OURS])
        yield Figure(
            f"worst error of I0, {photons} photons",
            errors[OURS],
            "%",
            Beside("brightest 5 %", errors["brightest 5 %"]),
            note=f"I0 found in {n_given} of {n_scans}",
        )
        yield Figure(
            f"worst overlap of the specimen, {photons} photons",
            overlaps[OURS],
            beside=Beside("Otsu", overlaps["Otsu"]),
            larger_is_better=True,
        )


def scores(case: str, photons: float, side: int, n_seeds: int) -> Scores:
    """Error and overlap of every method and particle."""
    recipe = Recipe.load("nvpf")
    i0 = photons * GAIN * np.linspace(1.05, 0.95, len(recipe.energies_ev or ()))
    worst: Scores = {name: [] for name in METHODS}
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        view = field_of_view(
            case, recipe.reference_spectra, recipe.energies_ev or (), side=side, rng=rng
        )
        counts, _ = usable_intensity(view.counts(i0, rng, gain=GAIN))
        for name, method in METHODS.items():
            try:
                found, specimen = method(counts, recipe)
            except ValueError:
                worst[name].append(None)
                continue
            error = 100 * float(np.abs(found / (i0 * view.level) - 1).max())
            known = np.isfinite(counts).all(axis=0)
            both = (specimen & view.specimen & known).sum()
            overlap = both / ((specimen | view.specimen) & known).sum()
            worst[name].append((error, float(overlap)))
    return worst


def _worst(results: list[tuple[float, float] | None], case: str) -> tuple[str, str]:
    found = [result for result in results if result is not None]
    if len(found) < len(results):
        return ("error" if case == FULL and not found else "none", "")
    errors, overlaps = zip(*found, strict=True)
    return (f"{max(errors):.2f}", f"{min(overlaps):.3f}")


if __name__ == "__main__":
    main()
