"""Whether beam damage is found by an energy that is measured twice.

    python -m benchmarks.accuracy.damage [--stacks 200] [--side 64 128 256] [--quick]

Own stacks (not those of `stxm_live.sim`): the five shipped phases in smooth domains of a specimen
of uneven thickness, 13 energies of which one comes once more at the end, 1000 photons per pixel,
drift of up to a pixel, I0 off by 1 % in every image. In half of the stacks every phase turns into
the one before it in the list while the stack is scanned, up to 5 % with the last image. The energy
that is repeated is 518.3 eV, the sixth of the scan, or the same measured first.

``found`` is the share of damaged stacks, ``false`` that of undamaged ones, in which the verdict or
a warning says that the specimen changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from benchmarks.common.figures import Figure, Target, benchmark_parser, write_figures
from stxm_live import Recipe
from stxm_live.core.scan import StackScan
from stxm_live.core.specimen_change import SpecimenChange
from stxm_live.core.stack import Frame, Stack, StackKey
from stxm_live.phase_mapping.repeated_energies import change_of
from stxm_live.phase_mapping.workflow import align_images, od_stack
from stxm_live.preprocessing.repeated_images import with_repeated_images
from stxm_live.preprocessing.stack_images import ImageCache

PHOTONS = 1000.0
CHECK_EV = 518.3
DAMAGE = 0.05
LARGEST_OD = 1.6


@dataclass(frozen=True)
class Way:
    """A way to scan.

    Parameters
    ----------
    side : int
        Pixels a side of the field.
    checked_first : bool
        True if the repeated energy is the first of the scan.
    i0_beneath : bool
        True if the 1 % are on the specimen alone, where the empty support does not show them.
    """

    side: int
    checked_first: bool
    i0_beneath: bool

    def __str__(self) -> str:
        when = "measured first and last" if self.checked_first else "sixth and last"
        where = "light on the specimen" if self.i0_beneath else "I0"
        return f"{self.side} x {self.side}, {CHECK_EV:g} eV {when}, {where} off by 1 %"


def scanned(way: Way, damage: float, seed: int, recipe: Recipe) -> Stack:
    """A stack with one repeated energy."""
    rng = np.random.default_rng([13, seed])
    energies_ev = list(recipe.energies_ev or ())
    if way.checked_first:
        energies_ev.sort(key=lambda e: (e != CHECK_EV, e))
    energies_ev.append(CHECK_EV)
    spectra = recipe.reference_spectra.at(energies_ev)
    spectra = spectra * LARGEST_OD / spectra.max()
    amount = _amount(way.side, len(spectra), rng)
    changed = np.concatenate([amount[:1] + amount[1:2], amount[2:], np.zeros_like(amount[:1])])
    drift = rng.uniform(-1, 1, (len(energies_ev), 2)) / np.sqrt(2)
    counts = []
    for k, time in enumerate(np.linspace(0, 1, len(energies_ev))):
        now = amount + damage * time * (changed - amount)
        od = np.tensordot(spectra[:, k], now, axes=1)
        light = ndimage.shift(np.exp(-od), drift[k], order=3, mode="nearest")
        off = 1 + 0.01 * rng.standard_normal()
        beside = od < 0.01
        level = np.where(beside, 1.0, off) if way.i0_beneath else off
        counts.append(rng.poisson(PHOTONS * (1 - 0.05 * time) * np.clip(light, 0, None) * level))
    return _stack(np.array(counts, dtype=np.float32), energies_ev)


def _amount(side: int, n_phases: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Thickness of each phase (n_phases, ny, nx), 1 at most: domains with soft borders."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    edge = 0.75 + 0.1 * _smooth_noise(side, 8.0, rng)
    inside = np.clip((edge - np.hypot(x, y)) * side / 4, 0, 1)
    thickness = inside * np.clip(0.7 + 0.15 * _smooth_noise(side, 5.0, rng), 0.3, 1.0)
    fields = np.array([_smooth_noise(side, 4.0, rng) for _ in range(n_phases)])
    share = np.exp(8 * fields)
    return np.asarray(thickness * share / share.sum(axis=0))


def _smooth_noise(side: int, width_px: float, rng: np.random.Generator) -> NDArray[np.float64]:
    field = ndimage.gaussian_filter(rng.standard_normal((side, side)), width_px, mode="wrap")
    return np.asarray(field / field.std())


def _stack(counts: NDArray[np.float32], energies_ev: list[float]) -> Stack:
    n, ny, nx = counts.shape
    scan = StackScan(
        shape=(n, ny, nx),
        energies_ev=tuple(energies_ev),
        x_extent_um=(0.0, 1.0),
        y_extent_um=(0.0, 1.0),
        data_field="counts",
    )
    frames = [Frame(e, image, e) for e, image in zip(energies_ev, counts, strict=True)]
    first = sorted(frames[:-1], key=lambda frame: frame.energy_ev)
    return Stack(StackKey(("damage",)), scan, tuple(first), checks=(frames[-1],))


def change_in(stack: Stack, recipe: Recipe) -> SpecimenChange | None:
    """The change that `map_phases` with ``quick`` reports, without the maps."""
    images = ImageCache(recipe).usable(stack)
    aligned = with_repeated_images(align_images(images, recipe), images, recipe)
    od = od_stack(aligned, recipe)
    return change_of(od, recipe.corrected_references.at(od.energies_ev), recipe)


def share_found(way: Way, damage: float, n_stacks: int, recipe: Recipe) -> float:
    """Share of the stacks whose specimen is said to have changed."""
    first_seed = 10_000 * (damage > 0)
    changes = [
        change_in(scanned(way, damage, first_seed + k, recipe), recipe) for k in range(n_stacks)
    ]
    return float(np.mean([change is not None and change.is_significant for change in changes]))


def main() -> None:
    """Print a table and, where asked for, write the key figures."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--stacks", type=int, default=200, help="damaged ones, and as many others")
    parser.add_argument("--side", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--quick", action="store_true", help="only I0 that all pixels share")
    options = parser.parse_args()
    recipe = Recipe.load("nvpf")
    table = Table("stacks", "found, %", "false, %", title=f"damage of 5 %, {PHOTONS:g} photons")
    figures = []
    for way in _ways(options.side, quick=options.quick):
        found = 100 * share_found(way, DAMAGE, options.stacks, recipe)
        false = 100 * share_found(way, 0.0, options.stacks, recipe)
        table.add_row(str(way), f"{found:.1f}", f"{false:.1f}")
        figures += [
            Figure(f"found: {way}", found, "%", target=Target(90), larger_is_better=True),
            Figure(f"false: {way}", false, "%", target=Target(1)),
        ]
    Console(width=140).print(table)
    write_figures(options.figures, figures)


def _ways(sides: Sequence[int], *, quick: bool) -> Iterator[Way]:
    for side in sides:
        for checked_first in (False, True):
            for i0_beneath in (False,) if quick else (False, True):
                yield Way(side, checked_first, i0_beneath)


if __name__ == "__main__":
    main()
