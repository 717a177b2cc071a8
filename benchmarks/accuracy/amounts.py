"""Composition, thickness and values of pixels and areas, beside the Cramer-Rao bound.

    python -m benchmarks.accuracy.amounts [--photons 300 1000 4000 10000] [--areas 8] [--quick]
        [--nuisance] [--iron FOLDER]

Own pixels (not those of `stxm_live.sim`): 0.6 to 2.2 thicknesses of the shipped references, counted
at the 13 energies of the recipe. Their composition is a solid solution (sodium from 0.7 to 2.9
between neighboring phases), a core of Na3VPF in a shell of Na1VPF in all proportions, or domains
of one phase. Areas are 1500 such pixels.

``rms`` is the error of the sodium content of a pixel over the Cramer-Rao bound: the least standard
deviation of an unbiased estimate that knows which two phases a pixel holds, but neither their
shares, nor the thickness, nor the constant and slope that the likelihood allows for.
`benchmarks.accuracy.amount_worlds` has the worlds of ``--nuisance`` and the stack of ``--iron``.
``68`` and ``95`` are the shares of pixels within 1 and 1.96 standard uncertainties.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.amount_worlds import of_iron, of_worlds
from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report
from stxm_live import Recipe
from stxm_live.phase_mapping.area_amounts import AreaErrors, area_amounts, area_sums
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.fitted_products import each_part
from stxm_live.phase_mapping.pixel_amounts import common_mixtures, moments, pixel_amounts
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise
from stxm_live.phase_mapping.weighted_products import Baseline, Products, products

SODIUM = np.array([3.0, 2.4, 2.0, 1.0, 0.5])
KINDS = ("solid solution", "core and shell", "domains")
PIXELS = 1500
LARGE = 100_000


class World(NamedTuple):
    """Pixels whose composition (n_phases, n_pixels) and thickness (n_pixels,) are known."""

    composition: NDArray[np.float64]
    thickness: NDArray[np.float64]
    counts: NDArray[np.int64]
    od: NDArray[np.float64]
    expected: NDArray[np.float64]

    @property
    def sodium(self) -> NDArray[np.float64]:
        """Sodium content of each pixel."""
        return SODIUM @ self.composition


def world(kind: str, photons: float, n: int, recipe: Recipe, rng: np.random.Generator) -> World:
    """Pixels of one kind, counted."""
    composition, columns = np.zeros((5, n)), np.arange(n)
    thickness = rng.uniform(0.6, 2.2, n)
    if kind == "domains":
        composition[rng.integers(0, 5, n), columns] = 1
    elif kind == "core and shell":
        composition[0] = rng.uniform(0, 1, n)
        composition[3] = 1 - composition[0]
    else:
        x = rng.uniform(0.7, 2.9, n)
        above = 4 - np.searchsorted(SODIUM[::-1], x)
        share = (x - SODIUM[above + 1]) / (SODIUM[above] - SODIUM[above + 1])
        composition[above, columns], composition[above + 1, columns] = share, 1 - share
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    expected = photons * np.exp(-references.T @ (composition * thickness))
    counts = np.maximum(rng.poisson(expected), 1)
    return World(composition, thickness, counts, -np.log(counts / photons), expected)


def bound(
    pixels: World, references: NDArray[np.float64], baseline: Baseline
) -> NDArray[np.float64]:
    """Least standard deviation of the sodium content of each pixel, (n_pixels,)."""
    found = products(np.zeros_like(pixels.od), pixels.expected, references, baseline)
    gram = np.moveaxis(found.gram(), 2, 0)
    least = np.full(len(gram), np.inf)
    for first in range(5):
        for second in range(first + 1, 5):
            held = pixels.composition[[first, second]].sum(axis=0) > 1 - 1e-9
            if second - first > 1:  # beside a pure pixel the neighbors in the list are nearest
                held &= pixels.composition[[first, second]].min(axis=0) > 0
            pair = gram[held][:, [first, second]][:, :, [first, second]]
            gradient = SODIUM[[first, second]] - pixels.sodium[held][:, None]
            gradient /= pixels.thickness[held][:, None]
            variance = np.einsum("ni,nij,nj->n", gradient, np.linalg.inv(pair), gradient)
            least[held] = np.minimum(least[held], np.sqrt(variance))
    return least


def compared(kind: str, photons: float, n_areas: int, recipe: Recipe) -> list[Figure]:
    """Figures of one kind of pixels."""
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    baseline = Baseline.slope(np.array(recipe.energies_ev), constant_std=0.01, slope_std=0.005)
    noise = SpectrumNoise(1.0, True, baseline)
    off, std, least, thick, area_off, area_std, area_thick = ([] for _ in range(7))
    for seed in range(n_areas):
        pixels = world(kind, photons, PIXELS, recipe, np.random.default_rng(seed))
        n = pixels.counts.astype(np.float64)
        counted = CountedSpectra(pixels.od, n, references, noise)
        found = pixel_amounts(counted, common_mixtures(counted), SODIUM)
        assert found.value is not None
        off.append(found.value - pixels.sodium)
        std.append(found.value_std)
        least.append(bound(pixels, references, baseline))
        thick.append(found.thickness.mean() / pixels.thickness.mean() - 1)
        area = np.ones((1, PIXELS), dtype=bool)
        whole = area_amounts(counted, area, AreaErrors(1.0), values=SODIUM)
        assert whole.value is not None
        assert whole.value_std is not None
        volume = pixels.composition @ pixels.thickness
        area_off.append(whole.value[0] - SODIUM @ volume / volume.sum())
        area_std.append(whole.value_std[0])
        area_thick.append(whole.thickness[0] / pixels.thickness.mean() - 1)
    rms, at_best = (float(np.sqrt(np.mean(np.square(v)))) for v in (off, least))
    sigmas = np.abs(np.array(off)) / np.array(std)
    of_areas = np.abs(np.array(area_off)) / np.array(area_std)
    held = ", ".join(f"{np.mean(of_areas < limit):.2f}" for limit in (1, 1.96))
    name = f"{kind}, {photons:g} photons"
    return [
        Figure(
            f"{name}: rms of x", rms, beside=Beside("bound", at_best), target=Target(1.1, "ratio")
        ),
        Figure(f"{name}: within 68 % interval", 100 * float(np.mean(sigmas < 1)), "%"),
        Figure(f"{name}: within 95 % interval", 100 * float(np.mean(sigmas < 1.96)), "%"),
        Figure(
            f"{name}: area's mean of x off",
            float(np.sqrt(np.mean(np.square(area_off)))),
            target=Target(0.03),
            note=f"within 1 and 1.96 sigma: {held}",
        ),
        Figure(
            f"{name}: thickness off",
            100 * float(np.abs([*thick, *area_thick]).max()),
            "%",
            target=Target(3),
        ),
    ]


def seconds(recipe: Recipe) -> list[Figure]:
    """Time for as many pixels as a specimen has in a field of 512 x 512, and processor time."""
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    baseline = Baseline.slope(np.array(recipe.energies_ev), constant_std=0.01, slope_std=0.005)
    noise = SpectrumNoise(1.0, True, baseline)
    pixels = world("domains", 1000, LARGE, recipe, np.random.default_rng(0))
    od, n = pixels.od.astype(np.float32), pixels.counts.astype(np.float32)
    members = np.ones((1, LARGE))
    counted = CountedSpectra(od, n, references, noise)
    mixtures = common_mixtures(counted)

    def of_part(part: slice, found: Products) -> object:
        return moments(found, mixtures, SODIUM), area_sums(found, members[:, part])

    times = []
    for _ in range(3):
        start, on_processors = perf_counter(), process_time()
        common_mixtures(counted)
        each_part(of_part, counted)
        times.append((perf_counter() - start, process_time() - on_processors))
    wall, processors = np.min(times, axis=0)
    name = f"amounts of {LARGE} pixels"
    return [
        Figure(name, float(wall), "s", target=Target(0.3)),
        Figure(f"{name}, time of all processors", float(processors), "s", target=Target(0.6)),
    ]


def main() -> None:
    """Print a table and, where asked for, write the key figures."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--photons", type=float, nargs="+", default=[300, 1000, 4000, 10000])
    parser.add_argument("--areas", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="1000 photons and two areas")
    parser.add_argument("--nuisance", action="store_true", help="worlds that are not as expected")
    parser.add_argument("--iron", type=Path, metavar="FOLDER", help="the recorded stack of iron")
    options = parser.parse_args()
    recipe = Recipe.load("nvpf")
    photons, n_areas = ([1000.0], 2) if options.quick else (options.photons, options.areas)
    figures = [
        figure
        for each in photons
        for kind in KINDS
        for figure in compared(kind, each, n_areas, recipe)
    ]
    if options.nuisance:
        figures += of_worlds(recipe, SODIUM, range(2))
    if options.iron:
        figures += of_iron(options.iron)
    report("amounts", [*figures, *seconds(recipe)], options.figures)


if __name__ == "__main__":
    main()
