"""Maps of stacks of which a share of the rows was measured, beside those of the whole stack.

    python -m benchmarks.accuracy.sparse [--seeds 3] [--photons 1000] [--real FOLDER]

Own stacks (those of `benchmarks.accuracy.any_energies`): the five shipped phases in domains of a
round specimen, without drift and with a pixel of drift between the images. Rows are kept as
`stxm_sparse_stack` chooses them with references, and in turn the same share at each energy.

Of the measured iron stack: the share of labels that agree with those of the whole stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.any_energies import World, scores, world
from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report
from stxm_live import Recipe, ReferenceSpectra, Stack, map_phases
from stxm_live.adaptive.energies.rows import interleaved_rows, row_shares
from stxm_live.core.recipe_files import read_two_columns
from stxm_live.io.files import read_stack

LOST = {0.5: 0.02, 0.3: 0.04, 0.2: 0.06}
"""Largest loss of right labels for each share of the rows."""

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


def of_worlds(seeds: int, photons: float, recipe: Recipe) -> list[Figure]:
    """Figures of the simulated stacks."""
    energies = recipe.energies_ev or ()
    references = recipe.corrected_references
    plans: dict[str, dict[float, float]] = {"whole": dict.fromkeys(energies, 1.0)}
    for share in LOST:
        plans[f"{100 * share:.0f} % of the rows"] = row_shares(references, energies, share)
        plans[f"{100 * share:.0f} % at each energy"] = dict.fromkeys(energies, share)
    found: dict[tuple[bool, str], list[NDArray[np.float64]]] = {}
    for seed in range(seeds):
        moving = world(seed, photons, recipe)
        for truth in (at_rest(moving, photons, recipe, seed), moving):
            drifts = bool(truth.drift_px.any())
            for name, shares in plans.items():
                of_plan = recipe.with_changes({"energies_ev": tuple(shares)})
                kept = [k for k, e in enumerate(energies) if e in shares]
                stack = sparse(Stack.from_arrays(truth.counts, energies), shares)
                seen = truth._replace(drift_px=truth.drift_px[kept])
                try:
                    one = np.array(scores(stack, seen, of_plan))
                except ValueError:
                    one = np.array([1.0, np.nan, np.nan])
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
    parser.add_argument("--photons", type=float, default=1000)
    parser.add_argument("--real", type=Path, help="folder of the measured iron stack")
    options = parser.parse_args()
    figures = of_worlds(options.seeds, options.photons, Recipe.load("nvpf"))
    if options.real is not None:
        figures += of_iron(options.real)
    report("maps of some of the rows", figures, options.figures)


if __name__ == "__main__":
    main()
