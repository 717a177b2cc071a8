"""Maps of stacks of which a share of the rows was measured, beside those of the whole stack.

    python -m benchmarks.accuracy.sparse [--seeds 3] [--first 0] [--states] [--same-dose]
        [--photons 1000] [--real FOLDER]

Own stacks (those of `benchmarks.accuracy.any_energies`): the five shipped phases in domains of a
round specimen, without drift and with a pixel of drift between the images. Rows are kept as
`stxm_sparse_stack` chooses them with references, and in turn the same share at each energy. The
scheme was chosen with seeds 0 to 2.

With ``--states`` the specimens are particles at five states of charge
(`benchmarks.accuracy.truth_table.particles`): wedges, lamellae, transition zones, mixed pixels.
With ``--same-dose`` 20 % of the dose is also given to whole images: at fewer energies, or shorter.

Of the measured iron stack: the share of labels that agree with those of the whole stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift

from benchmarks.accuracy.any_energies import SIDE, World, scores, world
from benchmarks.accuracy.truth_table.particles import SHARES, make_particle, phase_shares
from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report
from stxm_live import Recipe, ReferenceSpectra, Stack, map_phases
from stxm_live.adaptive.energies.rows import interleaved_rows, row_shares
from stxm_live.core.recipe_files import read_two_columns
from stxm_live.io.files import read_stack

LOST = {0.5: 0.02, 0.3: 0.04, 0.2: 0.06}
"""Largest loss of right labels for each share of the rows."""

_MARGIN = 9
"""Empty pixels on each side of a particle, for I0 and the drift."""

LEAST_DOSE, SAME_DOSE = 0.2, (3, 4, 5, 13)
"""Share of the dose of the whole stack, and numbers of energies that share it."""

AGREE = {0.5: 0.95, 0.2: 0.90}
"""Least share of equal labels of the measured stack."""


def sparse(stack: Stack, shares: Mapping[float, float]) -> Stack:
    """Return the stack with some rows of the images at some energies."""
    kept = [frame for frame in stack.frames if frame.energy_ev in shares]
    ny = stack.scan.shape[1]
    rows = interleaved_rows(ny, [shares[frame.energy_ev] for frame in kept])
    frames = []
    for frame, chosen in zip(kept, rows, strict=True):
        intensity = np.full_like(frame.intensity, np.nan)
        intensity[list(chosen)] = frame.intensity[list(chosen)]
        frames.append(replace(frame, intensity=intensity, rows=chosen))
    energies = tuple(frame.energy_ev for frame in kept)
    changes = {"energies_ev": energies, "shape": (len(energies), *stack.scan.image_shape)}
    return replace(stack, frames=tuple(frames), scan=stack.scan.model_copy(update=changes))


def at_rest(truth: World, photons: float, recipe: Recipe, seed: int) -> World:
    """The same specimen without drift, counted again."""
    rng = np.random.default_rng(seed + 1000)
    # the expected counts, moved back
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    thickness = np.where(truth.phase >= 0, 2.0, 0.0)
    clean = photons * np.exp(-references[truth.phase].transpose(2, 0, 1) * thickness)
    counts = rng.poisson(clean).astype(np.float32)
    return World(counts, truth.phase, np.zeros_like(truth.drift_px))


def particle(state: str, seed: int, photons: float, recipe: Recipe) -> tuple[World, World]:
    """A particle at one state of charge, at rest and with drift."""
    rng = np.random.default_rng([seed, list(SHARES).index(state), 7])
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    made = make_particle(SIDE - 2 * _MARGIN, phase_shares(state, len(references)), rng)
    columns = np.pad(made.fractions * made.thickness, ((0, 0), (_MARGIN,) * 2, (_MARGIN,) * 2))
    thickness, phase = columns.sum(axis=0), columns.argmax(axis=0)
    clean = photons * np.exp(-2 * np.tensordot(references.T, columns, axes=1))
    drift = rng.normal(size=(len(clean), 2))
    pairs = zip(clean, drift, strict=True)
    moved = [shift(image, by, order=3, mode="nearest") for image, by in pairs]
    truth = np.where(thickness > 0, phase, -1)
    moving = rng.poisson(np.clip(moved, 0.1, None)).astype(np.float32)
    still = rng.poisson(clean).astype(np.float32)
    return World(still, truth, np.zeros_like(drift)), World(moving, truth, drift)


def domains(seed: int, photons: float, recipe: Recipe) -> tuple[World, World]:
    """The stacks of `any_energies`, at rest and with drift."""
    moving = world(seed, photons, recipe)
    return at_rest(moving, photons, recipe, seed), moving


class Plan(NamedTuple):
    """Share of the rows at each energy, and of the photons in a pixel."""

    rows: Mapping[float, float]
    photons: float = 1.0


def of_worlds(
    worlds: Iterable[tuple[World, World]], recipe: Recipe, *, same_dose: bool = False
) -> list[Figure]:
    """Figures of the simulated stacks."""
    energies = recipe.energies_ev or ()
    references = recipe.corrected_references
    plans = {"whole": Plan(dict.fromkeys(energies, 1.0))}
    for share in LOST:
        plans[f"{100 * share:.0f} % of the rows"] = Plan(row_shares(references, energies, share))
        plans[f"{100 * share:.0f} % at each energy"] = Plan(dict.fromkeys(energies, share))
    for n in SAME_DOSE if same_dose else ():
        photons = LEAST_DOSE * len(energies) / n
        name = f"{n} energies, {100 * photons:.0f} % of the photons"
        plans[name] = Plan(row_shares(references, energies, n / len(energies)), photons)
    found: dict[tuple[bool, str], list[NDArray[np.float64]]] = {}
    for pair in worlds:
        for truth in pair:
            drifts = bool(truth.drift_px.any())
            rng = np.random.default_rng(0)
            for name, (shares, photons) in plans.items():
                counts = truth.counts
                if photons < 1:
                    counts = rng.binomial(counts.astype(np.intp), photons).astype(np.float32)
                of_plan = recipe.with_changes({"energies_ev": tuple(shares)})
                kept = [k for k, e in enumerate(energies) if e in shares]
                stack = sparse(Stack.from_arrays(counts, energies), shares)
                seen = truth._replace(drift_px=truth.drift_px[kept])
                try:
                    one = np.array(scores(stack, seen, of_plan))
                except ValueError:  # no map: no label is right, and none is promised
                    one = np.array([1.0, 0.0, 0.0])
                found.setdefault((drifts, name), []).append(one)
    return [_figure(key, values, found) for key, values in found.items()]


def _figure(
    key: tuple[bool, str],
    values: list[NDArray[np.float64]],
    found: Mapping[tuple[bool, str], list[NDArray[np.float64]]],
) -> Figure:
    drifts, name = key
    unlabelled, right, promised = (float(v) for v in np.mean(values, axis=0))
    whole = float(np.mean(found[drifts, "whole"], axis=0)[1])
    lost = {f"{100 * share:.0f} % of the rows": loss for share, loss in LOST.items()}.get(name)
    return Figure(
        f"right labels{' with drift' if drifts else ''}: {name}",
        right,
        beside=Beside("whole", whole),
        target=None if lost is None else Target(-lost, "difference"),
        larger_is_better=True,
        note=f"promised {promised:.3f}, without a label {100 * unlabelled:.1f} %",
    )


def of_iron(folder: Path) -> list[Figure]:
    """Figures of the measured stack with the end members of its authors."""
    spectra = {n: read_two_columns(folder / f"{n}.t") for n in ("oxidized", "reduced")}
    references = ReferenceSpectra.from_spectra(spectra)
    path = folder / "references.csv"
    references.to_csv(path)
    recipe = Recipe.from_values(
        {
            "name": "fe",
            "references": path.absolute(),
            "energy_fit": False,
            "i0": {"source": "spectrum", "spectrum": (folder / "i0.xsp").absolute()},
            "specimen": {"mask": (folder / "mask_file.msk").absolute()},
        }
    )
    stack = read_stack(folder / "71214078.hdr")
    whole = map_phases(stack, recipe, quick=True).final_index
    figures = []
    for share, least in AGREE.items():
        shares = row_shares(references, stack.energies_ev, share)
        index = map_phases(sparse(stack, shares), recipe, quick=True).final_index
        inside = whole >= 0
        agreed = float((index == whole)[inside].mean())
        figures.append(
            Figure(
                f"measured iron stack: equal labels, {100 * share:.0f} % of the rows",
                agreed,
                target=Target(least),
                larger_is_better=True,
                note=f"{len(shares)} of {len(stack.energies_ev)} energies",
            )
        )
    return figures


def main() -> None:
    """Print a table and, where asked for, write the key figures."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--states", nargs="*", choices=SHARES, help="particles; default: all five")
    parser.add_argument("--same-dose", action="store_true", help="also whole images, 20 %% dose")
    parser.add_argument("--photons", type=float, default=1000)
    parser.add_argument("--real", type=Path, help="folder of the measured iron stack")
    options = parser.parse_args()
    recipe, photons = Recipe.load("nvpf"), options.photons
    seeds = range(options.first, options.first + options.seeds)
    if options.states is None:
        pairs = (domains(seed, photons, recipe) for seed in seeds)
    else:
        states = options.states or list(SHARES)
        each = product(states, seeds)
        pairs = (particle(state, seed, photons, recipe) for state, seed in each)
    figures = of_worlds(pairs, recipe, same_dose=options.same_dose)
    if options.real is not None:
        figures += of_iron(options.real)
    report("maps of some of the rows", figures, options.figures)


if __name__ == "__main__":
    main()
