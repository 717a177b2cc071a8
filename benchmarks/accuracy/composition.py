"""What a scan supports, domains, a solid solution or layers, and the map of a composition.

    python -m benchmarks.accuracy.composition [--seeds 20] [--photons 300 1000 4000] [--first 100]
        [--axis]

Specimens of `benchmarks.accuracy.composition_worlds`: domains, a solid solution, or cores of Na3VPF
in shells of Na1VPF and the reverse. Each pixel has a constant and a slope of its own, each image
an error of I0 of 0.5 %. Thresholds were chosen with seeds below 20.

A sentence is right if it names what the specimen is. With the shipped references a core in a shell
has the spectra of a solid solution, or of domains of a phase between: there a sentence is right
that names the layers, too.

``rms of x`` is the error of the sodium content of a pixel with ``model = "composition"``, beside
the Cramer-Rao bound of a pixel by itself (`benchmarks.accuracy.amounts`); ``68`` and ``95`` are the
shares of pixels within 1 and 1.96 standard uncertainties. With ``--axis`` the references are 0.1 eV
off, or 0.2 eV too broad, and nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from time import process_time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.amounts import World as PixelWorld
from benchmarks.accuracy.amounts import bound
from benchmarks.accuracy.composition_worlds import KINDS, World, world
from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report
from stxm_live import Recipe
from stxm_live.core.series import Series, series_of
from stxm_live.phase_mapping.composition.evidence import Evidence, evidence
from stxm_live.phase_mapping.composition.models import Gradual
from stxm_live.phase_mapping.composition.smooth_pixels import smooth_pixels
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.mixed_references import of_mapped
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise, spectrum_noise

VALUES = {"Na3VPF": 3.0, "Na2.4VPF": 2.4, "Na2VPF": 2.0, "Na1VPF": 1.0, "Na1-yVPF": 0.5}
SHARED_STD = 0.005
WRONG_EV = {"energy_offset_ev": 0.1, "energy_width_ev": 0.2}


def noise_in(one: World, recipe: Recipe) -> SpectrumNoise:
    """Return the noise that a map would find."""
    energies = np.array(recipe.energies_ev)
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    return spectrum_noise(one.od, one.photons, references, energies, recipe, gain=1.0)


def supported(one: World, recipe: Recipe, series: Series) -> Evidence | None:
    """Return what the spectra of a specimen support."""
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    noise = noise_in(one, recipe)
    counted = CountedSpectra(one.od, one.photons, references, noise)
    return evidence(counted, one.mask, series, shared_std=SHARED_STD)


def is_right(found: Evidence, one: World, kind: str, recipe: Recipe) -> bool:
    """Return True if the sentence names what the specimen is."""
    if kind != "core and shell" or found.supported != "domains":
        return found.supported == kind or (kind == "core and shell" and found.layers is not None)
    names = recipe.corrected_references.phase_names
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    baseline = noise_in(one, recipe).baseline
    mixed = of_mapped(names, references, one.od, one.photons, baseline, np.ones(len(names)))
    return any(set(each.parts) == {"Na3VPF", "Na1VPF"} for each in mixed)


class Errors(NamedTuple):
    """Error of x in each pixel, its uncertainty, and the bound of it."""

    off: NDArray[np.float64]
    std: NDArray[np.float64]
    least: NDArray[np.float64]


def errors_of_x(one: World, found: Evidence, recipe: Recipe, series: Series) -> Errors:
    """Return the errors of a map of the composition."""
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    noise = noise_in(one, recipe)
    smooth = smooth_pixels(
        CountedSpectra(one.od, one.photons, references, noise),
        one.mask,
        series,
        gradual=found.gradual,
        scatter=noise.gain,
        shared_std=SHARED_STD,
    ).amounts
    assert smooth.value is not None
    assert smooth.value_std is not None
    of_pixels = PixelWorld(
        one.composition,
        one.thickness,
        one.photons.astype(np.int64),
        one.od.astype(np.float64),
        one.expected,
    )
    least = bound(of_pixels, references, noise.baseline)
    two = np.isfinite(least)
    off = smooth.value - series.values @ one.composition
    return Errors(off[two], smooth.value_std[two].astype(np.float64), least[two])


def of_x(name: str, errors: list[Errors]) -> Figure:
    """Return the figure of the map of x."""
    off, std, least = (np.concatenate(each) for each in zip(*errors, strict=True))
    rms, at_best = (float(np.sqrt(np.mean(np.square(v)))) for v in (off, least))
    held = ", ".join(f"{100 * np.mean(np.abs(off) < s * std):.0f}" for s in (1, 1.96))
    return Figure(
        f"rms of x: {name}",
        rms,
        beside=Beside("bound", at_best),
        target=Target(1.1, "ratio"),
        note=f"within 68 and 95 % interval: {held} %",
    )


def of_axis(recipe: Recipe, series: Series, seeds: range, photons: list[float]) -> Iterator[Figure]:
    """Yield figures of references that do not fit the energy axis of the scan."""
    for name in ("energy_offset_ev", "energy_width_ev"):
        wrong = recipe.with_changes({name: WRONG_EV[name]})
        each = list(product(photons, KINDS[:2], seeds))
        said, right = 0, 0
        for n, kind, seed in each:
            found = supported(world(kind, n, recipe, seed), wrong, series)
            if found is not None and found.supported:
                said += 1
                right += found.supported == kind
        yield Figure(
            f"right sentences: {name} {WRONG_EV[name]:g} eV wrong",
            right / max(said, 1),
            target=Target(0.95),
            larger_is_better=True,
            note=f"{said} of {len(each)} scans decide",
        )


def seconds(recipe: Recipe, series: Series) -> list[Figure]:
    """Return processor times of the composition of a field of 512 x 512."""
    rng, one = np.random.default_rng(0), world("solid solution", 1000, recipe, 0)
    y, x = np.indices((512, 512)) / 512 - 0.5
    mask = np.hypot(y, x) < 0.35
    some = rng.integers(0, one.mask.sum(), int(mask.sum()))
    od, photons = one.od[:, some], one.photons[:, some]
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    noise, gradual = noise_in(one, recipe), Gradual(0.2, 0.3, 0.1)
    start = process_time()
    counted = CountedSpectra(od, photons, references, noise)
    evidence(counted, mask, series, shared_std=SHARED_STD)
    middle = process_time()
    smooth_pixels(counted, mask, series, gradual=gradual, scatter=1.0)
    end = process_time()
    name = f"of {len(some)} pixels, processor time"
    return [
        Figure(f"evidence {name}", middle - start, "s"),
        Figure(f"composition {name}", end - middle, "s"),
    ]


def main() -> None:
    """Print a table and, where asked for, write the key figures."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--photons", type=float, nargs="+", default=[300, 1000, 4000])
    parser.add_argument("--axis", action="store_true", help="also with a wrong energy axis")
    parser.add_argument("--each", action="store_true", help="print each specimen")
    options = parser.parse_args()
    recipe = Recipe.load("nvpf").with_changes({"phases.value": VALUES})
    series = series_of(recipe.corrected_references, recipe.phases)
    assert series is not None
    figures, times = [], []
    for photons in options.photons:
        for kind in KINDS:
            said, right, errors = 0, 0, []
            for seed in range(options.first, options.first + options.seeds):
                one = world(kind, photons, recipe, seed)
                start = process_time()
                found = supported(one, recipe, series)
                times.append(process_time() - start)
                if options.each:
                    print(photons, kind, seed, found, flush=True)
                if found is not None:
                    errors.append(errors_of_x(one, found, recipe, series))
                if found is not None and found.supported:
                    said += 1
                    right += is_right(found, one, kind, recipe)
            figures.append(
                Figure(
                    f"right sentences: {kind}, {photons:g} photons",
                    right / said if said else 1.0,
                    target=Target(0.95),
                    larger_is_better=True,
                    note=f"{said} of {options.seeds} scans decide",
                )
            )
            figures.append(of_x(f"{kind}, {photons:g} photons", errors))
    figures.append(Figure("processor time of a scan of 2500 pixels", float(np.mean(times)), "s"))
    figures += seconds(recipe, series)
    if options.axis:
        seeds = range(options.first, options.first + options.seeds)
        figures += of_axis(recipe, series, seeds, options.photons)
    report("composition", figures, options.figures)


if __name__ == "__main__":
    main()
