"""How well a scan finds its own energy offset and extra width, and what labels gain from it.

    python -m benchmarks.accuracy.energy_axis [--side 110] [--seeds 1] [--real FOLDER]

Synthetic particles with mixed pixels at five states of charge, without drift; the offset and the
width are planted in the references that the specimen is made of. ``undisturbed`` is the accuracy
of the same particle with no offset and no width, ``known`` that with the planted ones in the
recipe: what a width blurs, no correction brings back. With ``--real`` the iron stack of ALS
11.0.2 (the unpacked sdf archive) is shifted and broadened by hand.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.truth_table.pure import phase_frequencies, posterior
from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, write_figures
from stxm_live import Recipe, ReferenceSpectra, Stack
from stxm_live.core.energy_axis import EnergyAxis
from stxm_live.core.recipe_files import read_two_columns
from stxm_live.io.files import read_stack
from stxm_live.phase_mapping.assignment import resolve_spectra
from stxm_live.phase_mapping.correlation import correlate
from stxm_live.phase_mapping.energy_calibration.corrected_map import (
    CorrectedMap,
    corrected_map,
    departs,
)
from stxm_live.phase_mapping.energy_calibration.fit import fit_energy_axis
from stxm_live.phase_mapping.likelihood import fit_references
from stxm_live.phase_mapping.weighted_products import Baseline
from stxm_live.preprocessing.workflow import register
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

PHOTONS = (500, 2000)

PLANTED = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (-0.4, 0.1), (-0.2, 0.3), (0.2, 0.0), (0.4, 0.2))
"""Offsets and widths in eV; scans without either are repeated to count false alarms."""

OFFSET_LIMITS_EV = {500: 0.08, 2000: 0.05}
"""Largest error of the offset, by photons."""

_RNG_OF_PARTICLE, _RNG_OF_COUNTS = 100, 7000


class Case(NamedTuple):
    """One scan: what was planted, what was found, and the accuracies of its maps."""

    offset_ev: float
    width_ev: float
    axis: EnergyAxis
    warned: bool
    seconds: float
    undisturbed: float
    disturbed: float
    corrected: float
    known: float


def main() -> None:
    """Print the tables."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=110)
    parser.add_argument("--seeds", type=int, default=1, help="particles per state of charge")
    parser.add_argument("--real", type=Path, help="folder with 71214078.hdr")
    chosen = parser.parse_args()
    console = Console(width=116)
    recipe = Recipe.load("nvpf").with_changes({"model": None, "alignment.enabled": False})
    figures: list[Figure] = []
    for photons in PHOTONS:
        cases = list(synthetic_cases(recipe, photons, chosen))
        console.print(table_of_cases(cases, f"{photons} photons"))
        summary = summarised(cases)
        figures += axis_figures(photons, summary)
        console.print(", ".join(f"{name} {value:.3f}" for name, value in summary.items()), "\n")
    between_references(recipe, console)
    seconds = timed(recipe)
    figures.append(Figure("fit of the energy axis of a 13 x 512 x 512 stack", seconds, "s"))
    console.print(f"fit of a 13 x 512 x 512 stack: {seconds:.2f} s\n")
    if chosen.real:
        figures.append(real_figure(chosen.real, console))
    write_figures(chosen.figures, figures)


def axis_figures(photons: int, summary: dict[str, float]) -> Iterator[Figure]:
    """Worst errors, and what labels lose with and without the correction."""
    for what, limit_ev in (("offset", OFFSET_LIMITS_EV[photons]), ("width", 0.1)):
        name = f"worst error of the {what}, {photons} photons"
        yield Figure(name, summary[f"{what} error"], "eV", target=Target(limit_ev))
    lost, before = (100 * summary[f"undisturbed - {name}"] for name in ("corrected", "disturbed"))
    name = f"labels lost by an axis that is off, corrected, {photons} photons"
    yield Figure(name, lost, "points", Beside("not corrected", before))


def synthetic_cases(
    recipe: Recipe, photons: float, arguments: argparse.Namespace
) -> Iterator[Case]:
    """Every state of charge, particle, and planted offset and width."""
    for state, seed in product(STATES_OF_CHARGE, range(arguments.seeds)):
        shape = (arguments.side, arguments.side)
        rng = np.random.default_rng(_RNG_OF_PARTICLE + seed)
        particle = make_particle(shape, phase_weights=STATES_OF_CHARGE[state], rng=rng)
        undisturbed: list[float] = []
        for k, (offset_ev, width_ev) in enumerate(PLANTED):
            seen = recipe.reference_spectra.corrected(offset_ev, width_ev)
            od = od_cube(particle, seen, recipe.energies_ev or ())
            counts = np.random.default_rng(_RNG_OF_COUNTS + 100 * seed + k).poisson(
                photons * np.exp(-od)
            )
            stack = Stack.from_arrays(
                counts.astype(np.float32), recipe.energies_ev or (), extent_um=(0, 3, 0, 3)
            )
            found, own, truth, seconds = mapped(stack, recipe, particle.phase_index)
            known = recipe.with_changes(
                {"energy_offset_ev": offset_ev, "energy_width_ev": width_ev, "energy_fit": False}
            )
            right = float((own == truth).mean())
            if offset_ev == width_ev == 0:
                undisturbed.append(right)
            assert found.axis is not None
            again = own if found.resolution is None else found.resolution.index
            _, own_of_known, truth_of_known, _ = mapped(stack, known, particle.phase_index)
            yield Case(
                offset_ev,
                width_ev,
                found.axis,
                departs(found.axis, recipe),
                seconds,
                float(np.mean(undisturbed)),
                right,
                float((again == truth).mean()),
                float((own_of_known == truth_of_known).mean()),
            )


def mapped(
    stack: Stack, recipe: Recipe, phase_index: NDArray[np.int8]
) -> tuple[CorrectedMap, NDArray[np.int8], NDArray[np.int8], float]:
    """The correction, the map as the recipe asks for it, the truth, and the time of the first."""
    registered = register(stack, recipe)
    known = replace(registered, valid=registered.valid & (phase_index >= 0))
    references = recipe.corrected_references.at(known.energies_ev)
    spectra = correlate(known.spectra, references, recipe)
    begun = time.perf_counter()
    found = corrected_map(spectra, known, recipe)
    seconds = time.perf_counter() - begun
    own = resolve_spectra(spectra, known, recipe).index
    return found, own, phase_index[known.mapped], seconds


def table_of_cases(cases: list[Case], title: str) -> Table:
    """Means over the particles for every planted pair."""
    table = Table(
        "planted (eV)", "offset error, worst", "std", "width error, worst", "std", "warned",
        "undisturbed", "disturbed", "corrected", "known", title=title,
    )  # fmt: skip
    for planted in dict.fromkeys(PLANTED):
        same = [case for case in cases if (case.offset_ev, case.width_ev) == planted]
        means = np.mean([case[5:] for case in same], axis=0)
        table.add_row(
            f"{planted[0]:+.1f}, {planted[1]:.1f}",
            f"{max(abs(c.axis.offset_ev - c.offset_ev) for c in same):.3f}",
            f"{np.mean([c.axis.offset_std_ev for c in same]):.3f}",
            f"{max(abs(c.axis.width_ev - c.width_ev) for c in same):.3f}",
            f"{np.mean([c.axis.width_std_ev for c in same]):.3f}",
            f"{np.mean([c.warned for c in same]):.0%}",
            *(f"{mean:.3f}" for mean in means),
        )
    return table


def summarised(cases: list[Case]) -> dict[str, float]:
    """The figures that the targets speak of."""
    off = [case for case in cases if abs(case.offset_ev) >= 0.2]
    fine = [case for case in cases if case.offset_ev == case.width_ev == 0]
    return {
        "offset error": max(abs(c.axis.offset_ev - c.offset_ev) for c in cases),
        "width error": max(abs(c.axis.width_ev - c.width_ev) for c in cases),
        "warned where off": float(np.mean([c.warned for c in off])),
        "warned where not": float(np.mean([c.warned for c in fine])),
        "within two deviations": float(
            np.mean([abs(c.axis.offset_ev - c.offset_ev) < 2 * c.axis.offset_std_ev for c in cases])
        ),
        "known - corrected": float(np.mean([c.known - c.corrected for c in off])),
        "undisturbed - corrected": float(np.mean([c.undisturbed - c.corrected for c in off])),
        "undisturbed - disturbed": float(np.mean([c.undisturbed - c.disturbed for c in off])),
    }


def between_references(recipe: Recipe, console: Console) -> None:
    """Offsets found where there are none, for compositions the references do not hold."""
    references, energies = recipe.reference_spectra, np.array(recipe.energies_ev)
    table = Table(
        "specimen", "references", "offset", "std", "formal std", "warned",
        title="compositions between references, no offset, 2000 photons",
    )  # fmt: skip
    every = tuple(range(references.n_phases))
    halfway = [((k, k + 1), every) for k in range(references.n_phases - 1)]
    missing = [((k,), tuple(i for i in every if i != k)) for k in every[1:-1]]
    for phases, kept in (*halfway, *missing, ((2,), (0, 4))):
        rng = np.random.default_rng(11)
        pure = references.at(energies)[list(phases)].mean(axis=0)
        od = pure[:, None] * rng.uniform(1, 7, 2000)
        counts = rng.poisson(2000 * np.exp(-od)).clip(1)
        names = tuple(references.phase_names[i] for i in kept)
        few = ReferenceSpectra(names, references.energies_ev, references.od[list(kept)])
        axis = fit_energy_axis(np.log(2000 / counts), counts, few, energies)
        label = " + ".join(references.phase_names[k] for k in phases)
        table.add_row(
            label,
            "all" if kept == every else ", ".join(names),
            f"{axis.offset_ev:+.3f}",
            f"{axis.offset_std_ev:.3f}",
            f"{axis.formal_std_ev:.3f}",
            "yes" if departs(axis, recipe) else "no",
        )
    console.print(table)


def timed(recipe: Recipe) -> float:
    """Seconds of the fit for 150 000 spectra, the best of five."""
    energies = np.array(recipe.energies_ev)
    rng = np.random.default_rng(12)
    phases = rng.choice(5, p=STATES_OF_CHARGE["Na2VPF"], size=150_000)
    od = recipe.reference_spectra.at(energies + 0.2)[phases].T * rng.uniform(1, 7, 150_000)
    counts = rng.poisson(1000 * np.exp(-od)).clip(1).astype(np.float32)
    od = np.log(1000 / counts)
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        fit_energy_axis(od, counts, recipe.reference_spectra, energies)
        times.append(time.perf_counter() - begun)
    return min(times)


def real_figure(folder: Path, console: Console) -> Figure:
    """Largest error of the offset on the measured iron stack, moved and broadened by hand."""
    names = ("oxidized", "reduced")
    references = ReferenceSpectra.from_spectra(
        {name: read_two_columns(folder / f"{name}.t") for name in names}
    )
    csv, toml = folder / "references.csv", folder / "fe.toml"
    references.to_csv(csv)
    toml.write_text(
        f'name = "fe"\nreferences = "{csv.name}"\n[i0]\nsource = "spectrum"\n'
        'spectrum = "i0.xsp"\n[specimen]\nmask = "mask_file.msk"\n'
    )
    recipe = Recipe.load(toml)
    registered = register(read_stack(folder / "71214078.hdr"), recipe)
    inside = registered.mapped
    od, counts = registered.od[:, inside], registered.intensity[:, inside]
    energies = np.array(registered.energies_ev)
    table = Table(
        "planted (eV)", "offset", "std", "width", "std", "warned", "same labels: disturbed",
        "corrected", title="ALS iron stack, two references",
    )  # fmt: skip
    own = labels(od, counts, references.at(energies))
    errors_ev: list[float] = []
    base = None
    for offset_ev, width_ev in dict.fromkeys(PLANTED):
        kept, moved, light = moved_by_hand(od, counts, energies, offset_ev, width_ev)
        free = Baseline.constant(int(kept.sum()))
        axis = fit_energy_axis(moved, light, references, energies[kept], baseline=free)
        base = base or axis
        fitted = references.corrected(axis.offset_ev, axis.width_ev)
        covered = (energies[kept] >= fitted.energies_ev[0]) & (
            energies[kept] <= fitted.energies_ev[-1]
        )
        disturbed = labels(moved, light, references.at(energies[kept]))
        corrected = labels(moved[covered], light[covered], fitted.at(energies[kept][covered]))
        row = [axis.offset_ev, axis.offset_std_ev, axis.width_ev, axis.width_std_ev]
        same = [float((own == index).mean()) for index in (disturbed, corrected)]
        errors_ev.append(abs(axis.offset_ev - base.offset_ev - offset_ev))
        table.add_row(
            f"{offset_ev:+.1f}, {width_ev:.1f}",
            *(f"{value:.3f}" for value in row),
            "yes" if departs(axis, recipe) else "no",
            *(f"{value:.3f}" for value in same),
        )
    console.print(table)
    return Figure("worst error of the offset, ALS iron stack", max(errors_ev), "eV")


def moved_by_hand(
    od: NDArray[np.float32],
    counts: NDArray[np.float32],
    energies_ev: NDArray[np.float64],
    offset_ev: float,
    width_ev: float,
) -> tuple[NDArray[np.bool_], NDArray[np.floating], NDArray[np.floating]]:
    """Which energies stay, and OD and counts as seen at nominal energies that are off."""
    true = energies_ev + offset_ev
    kept = (true >= energies_ev[0]) & (true <= energies_ev[-1])
    names = tuple(f"{k}" for k in range(od.shape[1]))
    as_spectra = ReferenceSpectra(names, energies_ev, od.T.astype(np.float64))
    light = np.array([np.interp(true[kept], energies_ev, pixel) for pixel in counts.T]).T
    return kept, as_spectra.broadened_at(true[kept], width_ev).T, light


def labels(
    od: NDArray[np.floating], counts: NDArray[np.floating], references: NDArray[np.float64]
) -> NDArray[np.intp]:
    """The most probable phase of every spectrum."""
    fit = fit_references(od, counts, references, baseline=Baseline.constant(len(od)))
    probability = posterior(fit.log_likelihood, phase_frequencies(fit.log_likelihood))
    return probability.argmax(axis=0)


if __name__ == "__main__":
    main()
