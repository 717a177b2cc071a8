"""Amounts in worlds that the likelihood is not told of, and of a recorded stack.

    python -m benchmarks.accuracy.amounts --nuisance [--iron FOLDER]

Particles of `benchmarks.accuracy.truth_table` at five states of charge, 1000 photons, in its
worlds: an energy axis that is off, another resolution, a background, more noise, blur, stray light.

The recorded stack is that of iron from the Advanced Light Source that the tests know
(``71214078.hdr`` with its end members, I0 and mask). The mean oxidised share is put beside a plain
least-squares fit of the two end members, constant and slope in the authors' mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.truth_table.particles import SHARES
from benchmarks.accuracy.truth_table.worlds import WORLDS, distorted, make_scan
from benchmarks.common.figures import Beside, Figure, Target
from stxm_live import Recipe, ReferenceSpectra, map_phases
from stxm_live.core.recipe_files import read_two_columns
from stxm_live.io.files import read_stack
from stxm_live.phase_mapping.area_amounts import AreaErrors, area_amounts
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.pixel_amounts import common_mixtures, pixel_amounts
from stxm_live.phase_mapping.spectrum_noise import spectrum_noise

PHOTONS, SIDE = 1000.0, 100
NUISANCE = [name for name in WORLDS if name != "absent"]


def of_worlds(recipe: Recipe, sodium: NDArray[np.float64], seeds: range) -> Iterator[Figure]:
    """Yield figures of each world."""
    for name in NUISANCE:
        off, std, area_off, area_std = ([] for _ in range(4))
        for seed in seeds:
            for state in SHARES:
                pixel, area = _errors(recipe, sodium, name, state, seed)
                off.append(pixel[0])
                std.append(pixel[1])
                area_off.append(area[0])
                area_std.append(area[1])
        sigmas = np.abs(np.concatenate(off)) / np.concatenate(std)
        held = [100 * float(np.mean(sigmas < limit)) for limit in (1, 1.96)]
        areas = np.abs(area_off) / np.array(area_std)
        yield Figure(
            f"{name}: pixels within 68 % interval", held[0], "%", note=f"within 95 %: {held[1]:.1f}"
        )
        yield Figure(
            f"{name}: particle's mean of x off",
            float(np.sqrt(np.mean(np.square(area_off)))),
            target=Target(0.03),
            note=f"within 1 and 1.96 sigma: {np.mean(areas < 1):.2f}, {np.mean(areas < 1.96):.2f}",
        )


def _errors(
    recipe: Recipe, sodium: NDArray[np.float64], name: str, state: str, seed: int
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float32]], tuple[float, float]]:
    """Error and standard uncertainty of x, of the pixels and of the particle."""
    energies, world = tuple(recipe.energies_ev or ()), WORLDS[name]
    scan = make_scan(
        recipe.reference_spectra,
        energies,
        world,
        state=state,
        photons=PHOTONS,
        seed=seed,
        side=SIDE,
    )
    gain = world.fano * world.gain
    noise = spectrum_noise(
        scan.od, scan.photons, scan.references, np.array(energies), recipe, gain=gain
    )
    counted = CountedSpectra(scan.od, scan.photons, scan.references, noise)
    mixtures = common_mixtures(counted)
    found = pixel_amounts(counted, mixtures, sodium)
    # the axis that a map finds in such a scan, and that was not applied
    change = distorted(recipe.reference_spectra, energies, world) - scan.references
    errors = AreaErrors(mixtures.dispersion, reference_change=change)
    area = np.ones((1, counted.n_spectra), dtype=bool)
    whole = area_amounts(counted, area, errors, values=sodium)
    assert found.value is not None
    assert found.value_std is not None
    assert whole.value is not None
    assert whole.value_std is not None
    fractions, thickness = (
        each[..., scan.mask] for each in (scan.particle.fractions, scan.particle.thickness)
    )
    true = sodium @ fractions
    mean = float((true * thickness).sum() / thickness.sum())
    area = float(whole.value[0]) - mean, float(whole.value_std[0])
    return (found.value - true, found.value_std), area


def of_iron(folder: Path) -> Iterator[Figure]:
    """Yield the oxidised share of the recorded stack, beside a linear combination fit."""
    names = ("oxidized", "reduced")
    with TemporaryDirectory() as place:
        spectra = {name: read_two_columns(folder / f"{name}.t") for name in names}
        ReferenceSpectra.from_spectra(spectra).to_csv(Path(place) / "references.csv")
        recipe = Recipe.model_validate(
            {
                "name": "fe",
                "references": Path(place) / "references.csv",
                "i0": {"source": "spectrum", "spectrum": folder / "i0.xsp"},
                "specimen": {"mask": folder / "mask_file.msk"},
            }
        )
        maps = map_phases(read_stack(folder / "71214078.hdr"), recipe)
        for baseline in ("auto", "constant"):
            found = maps.redo({"resolver.baseline": baseline}).amounts
            assert found is not None
            energies = np.array(maps.energies_ev)
            terms = [maps.reference_od, np.ones((1, len(energies)))]
            if baseline == "auto":
                terms.append((energies - energies.mean())[None])
            od = maps.od[:, maps.specimen].astype(np.float64)
            fitted = np.linalg.lstsq(np.concatenate(terms).T, od, rcond=None)[0][:2].sum(axis=1)
            with_slope = "constant and slope" if baseline == "auto" else "constant"
            yield Figure(
                f"iron, {with_slope}: oxidised share",
                100 * float(found.area_composition[0, 0]),
                "%",
                beside=Beside("linear combination fit", 100 * float(fitted[0] / fitted.sum())),
                target=Target(3, "difference"),
                note=f"+- {100 * float(found.area_composition_std[0, 0]):.2f}",
            )
