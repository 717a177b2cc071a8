"""What is left of a drift on particles of changing contrast: live, refined, and by others' methods.

    python -m benchmarks.accuracy.alignment [--seeds 1] [--photons 300 1000] [--real FOLDER]
        [--no-peers] [--cost-sides 256]

Synthetic but for ``--real``: particles whose phase domains brighten and darken from energy to
energy, on a random walk of 2 px per image (`alignment_phantom.py` says how they are drawn; five
states of charge for each seed, none of them used for tuning). Errors are distances after removing
the offset common to all images: root mean square and worst image, in pixels. "applied" is what the
package does, which moves no image for less than its noise. Beside them stand both Cramer-Rao bounds
of the same particles: with the images known but for their shifts, and with maps and spectra of a
chemistry of three components unknown. MANTiS and HyperSpy run in environments of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.alignment_phantom import (
    Drifting,
    cramer_rao_px,
    drifting_particles,
    rendered,
)
from benchmarks.common.figures import (
    Beside,
    Figure,
    Target,
    benchmark_parser,
    figures_table,
    write_figures,
)
from benchmarks.peers.alignment_peers import (
    Found,
    by_programs,
    by_scikit_image,
    correlated,
    smooth_log,
)
from stxm_live import Recipe
from stxm_live.core.stack import Stack
from stxm_live.io.files import read_stack
from stxm_live.preprocessing.alignment.cross_correlation import EdgeImage, Match, match
from stxm_live.preprocessing.alignment.joint_refinement import refined_shifts
from stxm_live.preprocessing.alignment.spline_shift import shifted
from stxm_live.preprocessing.normalization import AlignedStack
from stxm_live.preprocessing.workflow import align_stack

Shifts = NDArray[np.float64]

ANCHOR = 5
"""The other methods lay the images on this one, at the white line; ours chooses for itself."""

LIVE, APPLIED, REFINED = "ours: live, applied", "ours: refined, applied", "ours: refined_shifts()"

TARGETS_PX = {
    (LIVE, 1000): 0.15,
    (REFINED, 300): 0.06,
    (REFINED, 1000): 0.04,
    (REFINED, 10_000): 0.04,
}

LIVE_MS, REFINED_S = {256: 6.0}, {256: 1.5, 512: 4.0}
"""Targets of the registration of an image and of the refinement, by side."""

JUMP_PX, JUMP_SIDE, LIMIT_PX = 24, 120, 10

FIXED_PX = 0.15
"""Largest shift of the real stack, which its authors have aligned."""


def main() -> None:
    """Print one row per method and photon number, what else is asked for, and what it costs."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=256, help="pixels, even (MANTiS)")
    parser.add_argument("--seeds", type=int, default=2, help="five particles each")
    parser.add_argument("--photons", type=float, nargs="+", default=[100, 300, 1000, 3000, 10_000])
    parser.add_argument("--real", type=Path, help="folder with 71214078.hdr")
    parser.add_argument(
        "--cost-sides", type=int, nargs="+", default=[256, 512], help="pixels; times are taken"
    )
    parser.add_argument("--no-peers", action="store_true", help="without MANTiS and HyperSpy")
    chosen = parser.parse_args()
    console = Console(width=110)
    recipe = Recipe.load("nvpf")
    particles = list(drifting_particles(recipe, chosen.side, chosen.seeds))
    bounds = {
        "Cramer-Rao, template known": bound(particles, None),
        "Cramer-Rao, rank-3 chemistry unknown": bound(particles, 3),
    }
    figures: list[Figure] = []
    table = Table("photons", "method", "RMS px", "worst px", "target", title="left of the drift")
    for photons in chosen.photons:
        left = residuals(particles, photons, recipe, None if chosen.no_peers else console)
        rows = {name: [rms(found), float(np.max(found))] for name, found in left.items()}
        rows |= {name: [per_photon / np.sqrt(photons)] for name, per_photon in bounds.items()}
        for name, values in rows.items():
            cells = [f"{value:.3f}" for value in values] + [""] * (2 - len(values))
            table.add_row(f"{photons:g}", name, *cells, _target(name, photons))
        table.add_section()
        figures += residual_figures(photons, rows)
    console.print(table)
    checks(recipe, chosen.real, console)
    figures += costs(recipe, chosen.cost_sides, console)
    write_figures(chosen.figures, figures)


def _target(name: str, photons: float) -> str:
    limit_px = TARGETS_PX.get((name, int(photons)))
    return "" if limit_px is None else f"<= {limit_px:g}"


def residual_figures(photons: float, rows: dict[str, list[float]]) -> Iterator[Figure]:
    """What is left of the drift, beside HyperSpy or, without it, scikit-image."""
    other = next(name for name in ("HyperSpy", "scikit-image, raw counts, none") if name in rows)
    for name in (LIVE, REFINED):
        limit_px = TARGETS_PX.get((name, int(photons)))
        yield Figure(
            f"drift left, {name}, {photons:g} photons",
            rows[name][0],
            "px",
            Beside(other, rows[other][0]),
            None if limit_px is None else Target(limit_px),
            note=f"worst {rows[name][1]:.2f}",
        )


def residuals(
    particles: list[Drifting], photons: float, recipe: Recipe, console: Console | None
) -> dict[str, Shifts]:
    """Distances (n_particles, n_images) of every method; other programs' only with a console."""
    counts = [particle.counts(photons) for particle in particles]
    found: Found = {}
    for stack in counts:
        for name, shifts in (ours(stack, recipe) | by_scikit_image(stack, ANCHOR)).items():
            found.setdefault(name, []).append(shifts)
    if console is not None:
        found |= by_programs(counts, ANCHOR, console)
    found["no alignment"] = [np.zeros_like(particle.drift_px) for particle in particles]
    return {
        name: np.array(
            [
                residual(s, particle.drift_px)
                for s, particle in zip(all_shifts, particles, strict=True)
            ]
        )
        for name, all_shifts in found.items()
    }


def ours(counts: NDArray[np.float32], recipe: Recipe) -> dict[str, Shifts]:
    """The shifts that `map_phases` applies, first and refined, and those `refine` gives."""
    aligned = registered(counts, recipe)
    usable = np.where(counts > 0, counts, np.float32(np.nan))
    return {
        LIVE: aligned.shifts_before_px,
        APPLIED: aligned.shifts_px,
        REFINED: refined_shifts(list(usable), aligned.shifts_before_px).shifts_px,
    }


def registered(counts: NDArray[np.float32], recipe: Recipe) -> AlignedStack:
    """A stack of these counts, as the package aligns it."""
    stack = Stack.from_arrays(counts, recipe.energies_ev or ())
    return align_stack(stack, recipe, refining=True)


def residual(found: Shifts, drift: Shifts) -> Shifts:
    """Distances (n_images,) between what was found and the truth, common offset removed."""
    left = found + drift
    return np.asarray(np.hypot(*(left - left.mean(axis=0)).T))


def rms(left: Shifts) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(left))))


def bound(particles: list[Drifting], rank: int | None) -> float:
    """Root mean square over the particles of the bound for one photon."""
    return rms(np.array([cramer_rao_px(particle.od, rank) for particle in particles]))


def checks(recipe: Recipe, real: Path | None, console: Console) -> None:
    """A jump within the field, the limit, and the fixed point."""
    table = Table("check", "found", "target", title="checks")
    drift = np.zeros((len(recipe.energies_ev or ()), 2))
    drift[len(drift) // 2 :, 1] = JUMP_PX
    counts = rendered(recipe, JUMP_SIDE, drift, seed=20).counts(1000)
    aligned = registered(counts, recipe)
    left = [residual(s, drift).max() for s in (aligned.shifts_before_px, aligned.shifts_px)]
    what = f"jump of {JUMP_PX} px in {JUMP_SIDE}: worst image, live and refined"
    table.add_row(what, f"{left[0]:.3f} px, {left[1]:.3f} px", "found")
    limited = recipe.with_changes({"alignment.max_shift_px": LIMIT_PX})
    try:
        registered(counts, limited)
        told = "no error"
    except ValueError as e:
        told = str(e)
    table.add_row(f"the same, max_shift_px = {LIMIT_PX}", told, "an error that names the image")
    if real:
        for name, largest in fixed_point(real, recipe).items():
            what = f"ALS stack 71214078: largest shift {name}, live and refined"
            table.add_row(what, f"{largest[0]:.3f} px, {largest[1]:.3f} px", f"<= {FIXED_PX:g}")
    console.print(table)


def fixed_point(folder: Path, recipe: Recipe) -> dict[str, list[float]]:
    """Lengths of the largest shifts of the real stack, live and refined.

    What is found is laid on the image of most contrast, or on all of them together, and counts
    however short it is; applied is what the package makes of it.
    """
    stack = read_stack(folder / "71214078.hdr")
    images = [np.where(f.intensity > 0, f.intensity, np.float32(np.nan)) for f in stack.frames]
    edges = [EdgeImage.of(image) for image in images]
    anchor = edges[int(np.argmax([image.contrast for image in edges]))]
    live = np.array([match(image, anchor).shift_px for image in edges])
    refined = refined_shifts(images, np.zeros_like(live)).shifts_px
    aligned = align_stack(stack, recipe.with_changes({"energies_ev": None}), refining=True)
    pairs = {"found": (live, refined), "applied": (aligned.shifts_before_px, aligned.shifts_px)}
    return {name: [float(np.hypot(*s.T).max()) for s in pair] for name, pair in pairs.items()}


def costs(recipe: Recipe, sides: Sequence[int], console: Console) -> list[Figure]:
    """Milliseconds of the live registration, seconds of the refinement, beside scikit-image."""
    figures = []
    n = len(recipe.energies_ev or ())
    for side in sides:
        drift = np.arange(n)[:, None] * (0.37, -0.61)
        counts = rendered(recipe, side, drift, seed=20).counts(1000)
        anchor, smooth = EdgeImage.of(counts[ANCHOR]), smooth_log(counts[ANCHOR])
        match(EdgeImage.of(counts[0]), anchor)  # the anchor's transform
        theirs_s, _ = spent_on(partial(_by_scikit_image, counts[2], smooth), 15)
        for what, action in (("registered", laid), ("registered and moved", moved)):
            spent_s = spent_on(partial(action, counts[2], anchor), 15)
            limit_ms = LIVE_MS.get(side) if action is laid else None
            name = f"image of {side} x {side} {what}"
            figures.append(_cost(name, 1000 * spent_s, 1000 * theirs_s, "ms", limit_ms))
        start = registered(counts, recipe).shifts_before_px
        spent_s = spent_on(partial(refined_shifts, list(counts), start), 3)
        name = f"{n} x {side} x {side} refined"
        figures.append(_cost(name, spent_s, n * theirs_s, "s", REFINED_S.get(side)))
    console.print(figures_table(figures, "cost, median"))
    return figures


def _by_scikit_image(image: NDArray[np.float32], smooth_anchor: NDArray[np.float64]) -> Shifts:
    return correlated(smooth_anchor, smooth_log(image), None)


def _cost(
    name: str, spent: NDArray[np.float64], theirs: float, unit: str, limit: float | None
) -> Figure:
    clock, cpu = spent.tolist()
    target = None if limit is None else Target(limit)
    beside = Beside("registered by scikit-image", float(theirs))
    return Figure(name, clock, unit, beside, target, note=f"CPU {cpu:.3g}")


def laid(image: NDArray[np.float32], anchor: EdgeImage) -> Match:
    """What registering a new image needs."""
    return match(EdgeImage.of(image), anchor)


def moved(image: NDArray[np.float32], anchor: EdgeImage) -> NDArray[np.float32]:
    """The same, and the image laid on the others."""
    return shifted(image, laid(image, anchor).shift_px)


def spent_on(action: Callable[[], object], repeats: int) -> NDArray[np.float64]:
    """Median seconds of a call: wall clock, and CPU of all threads."""
    action()
    clock, cpu = [], []
    for _ in range(repeats):
        begin = time.perf_counter(), time.process_time()
        action()
        clock.append(time.perf_counter() - begin[0])
        cpu.append(time.process_time() - begin[1])
    return np.array([median(clock), median(cpu)])


if __name__ == "__main__":
    main()
