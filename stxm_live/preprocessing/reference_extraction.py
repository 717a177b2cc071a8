"""Reference spectra from measurements: regions of stacks, spectra on different grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.products import product
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.region import box_mask
from stxm_live.core.stack import Stack
from stxm_live.core.whole_file import whole_file
from stxm_live.preprocessing.noise import normal_std
from stxm_live.preprocessing.normalization import AlignedStack
from stxm_live.preprocessing.workflow import register_without_references

BoxUm = tuple[float, float, float, float]
"""[x0, x1, y0, y1] in um."""

PROPORTIONAL = 1e-6
"""Spectra whose 1 - PCC is less are equal except for a factor and a constant."""

_SAME_EV = 1e-3
"""Energies of two spectra this close are taken as equal."""

_FEWEST_FOR_NOISE = 30
"""A spectrum with fewer energies is not smooth enough for an estimate of its noise."""


@dataclass(frozen=True, eq=False)
class MeasuredSpectrum:
    """The measured spectrum of one phase.

    Parameters
    ----------
    name : str
    energies_ev : ndarray of shape (n_energies,)
        Ascending.
    od : ndarray of shape (n_energies,)
    source : str
        Origin, for the comment in the file.
    std : ndarray of shape (n_energies,), optional
        Standard error of ``od``; None if unknown.
    synthetic : bool
    """

    name: str
    energies_ev: NDArray[np.float64]
    od: NDArray[np.float64]
    source: str
    std: NDArray[np.float64] | None = None
    synthetic: bool = False


@dataclass(frozen=True, eq=False)
class ReferenceSet:
    """References on one grid, with their errors and origins.

    Parameters
    ----------
    references : ReferenceSpectra
    std : ndarray of shape (n_phases, n_energies)
        Standard error of the OD; NaN where it is unknown.
    sources : tuple of str
    notes : tuple of str
        Notes on energies that were dropped for the common grid.
    """

    references: ReferenceSpectra
    std: NDArray[np.float64]
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def as_synthetic(self) -> ReferenceSet:
        """Return the set, marked as calculated."""
        return replace(self, references=replace(self.references, synthetic=True))


def region_spectrum(
    stack: Stack,
    region: BoxUm | NDArray[np.bool_] | None,
    recipe: Recipe,
    *,
    name: str,
    source: str,
) -> MeasuredSpectrum:
    """Return the mean OD spectrum of a region of a stack, with its standard error.

    Parameters
    ----------
    stack : Stack
    region : box, mask of shape (ny, nx), or None
        Specimen pixels of a box [x0, x1, y0, y1] in um, or all pixels of a mask; None is the
        whole specimen.
    recipe : Recipe
        Settings of alignment, I0, specimen and detector; every energy of the stack is used
        except those that it excludes.
    name, source : str

    Returns
    -------
    MeasuredSpectrum

    Raises
    ------
    ValueError
        If the region is outside the images or has no specimen, or as for `align_stack`.

    Notes
    -----
    Nothing is subtracted or normalized. The standard error has two parts. One is the scatter of
    the pixels about the mean spectrum scaled to each of them, so that a mixture of phases adds to
    the error but thickness does not. The other is the uncertainty of I0, which all pixels share.
    ln of few counts is too low on average by half its variance; the mean is corrected for this.
    """
    measured = register_without_references(stack, recipe.with_changes({"energies_ev": None}))
    inside = _region_mask(measured, region, source)
    od = measured.od
    chosen = inside & np.isfinite(od).all(axis=0)
    if region is None or isinstance(region, tuple):
        chosen &= measured.field.specimen
    if not chosen.any():
        raise ValueError(
            f"{source}: none of the {int(inside.sum())} pixels of the region is specimen with a "
            "spectrum; choose a region on the particle (the maps show where it is)"
        )
    pixels = od[:, chosen].astype(np.float64)
    mean = pixels.mean(axis=1)
    thickness = product(mean[None], pixels)[0] / max(float(mean @ mean), np.finfo(np.float64).tiny)
    n_pixels = pixels.shape[1]
    variance = ((pixels - np.outer(mean, thickness)) ** 2).sum(axis=1) / max(n_pixels - 1, 1)
    of_i0 = measured.i0_std / measured.i0
    return MeasuredSpectrum(
        name=name,
        energies_ev=np.array(measured.energies_ev),
        od=mean - 0.5 * variance,
        source=f"{source}, mean OD of {n_pixels} pixels",
        std=np.hypot(np.sqrt(variance / n_pixels), of_i0) if n_pixels > 1 else None,
    )


def _region_mask(
    aligned: AlignedStack, region: BoxUm | NDArray[np.bool_] | None, source: str
) -> NDArray[np.bool_]:
    """Return the region as a mask; errors name the source."""
    shape = aligned.intensity.shape[1:]
    if region is None:
        return np.ones(shape, dtype=bool)
    if isinstance(region, tuple):
        try:
            return box_mask(region, aligned.extent_um, shape)
        except ValueError:
            x0, x1, y0, y1 = aligned.extent_um
            raise ValueError(
                f"{source}: the box is outside the image (x {x0:g} to {x1:g}, "
                f"y {y0:g} to {y1:g} um); a box is x0,x1,y0,y1 in um"
            ) from None
    if region.shape != shape:
        raise ValueError(f"{source}: the mask has shape {region.shape}, the images have {shape}")
    return region


def joined(spectra: Sequence[MeasuredSpectrum]) -> ReferenceSet:
    """Return spectra on the grid of all their energies within their common range.

    Each is interpolated linearly between its own energies, so that no point is lost.

    Raises
    ------
    ValueError
        If there are fewer than two phases, a name is repeated, or there is no common range.
    """
    names = [spectrum.name for spectrum in spectra]
    if len(names) < 2:
        raise ValueError(
            f"references need at least two phases, got {', '.join(names) or 'none'}; "
            "add NAME=SOURCE for each"
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"phase {twice} is given twice; name each spectrum differently")
    low = max(spectrum.energies_ev[0] for spectrum in spectra)
    high = min(spectrum.energies_ev[-1] for spectrum in spectra)
    ranges = [f"{s.name} covers {s.energies_ev[0]:g} to {s.energies_ev[-1]:g} eV" for s in spectra]
    everything = np.unique(np.concatenate([spectrum.energies_ev for spectrum in spectra]))
    grid = everything[(everything >= low) & (everything <= high)]
    grid = grid[np.diff(grid, prepend=-np.inf) > _SAME_EV]
    if len(grid) < 2:
        raise ValueError(
            f"the spectra have no common range of energies: {'; '.join(ranges)}; leave one out, or "
            "measure it over the range of the others"
        )
    notes = []
    if max(np.ptp(s.energies_ev) for s in spectra) > np.ptp(grid) + _SAME_EV:
        notes.append(
            f"only {grid[0]:g} to {grid[-1]:g} eV is kept, the common range: {'; '.join(ranges)}"
        )
    od = np.array([np.interp(grid, s.energies_ev, s.od) for s in spectra])
    std = np.array(
        [
            np.full(grid.shape, np.nan) if s.std is None else np.interp(grid, s.energies_ev, s.std)
            for s in spectra
        ]
    )
    # the word in a comment of the file marks it, so a source that has it counts as well
    synthetic = any(s.synthetic or "synthetic" in s.source.lower() for s in spectra)
    references = ReferenceSpectra(tuple(names), grid, od, synthetic)
    return ReferenceSet(references, std, tuple(s.source for s in spectra), tuple(notes))


def with_estimated_noise(spectrum: MeasuredSpectrum) -> MeasuredSpectrum:
    """Return a spectrum with an error, estimated from its jumps if it has none.

    A jump is the distance of a point from the line between its neighbors; the median over the
    spectrum is used. A spectrum of fewer than 30 energies is not changed.
    """
    if spectrum.std is not None or len(spectrum.od) < _FEWEST_FOR_NOISE:
        return spectrum
    e, od = spectrum.energies_ev, spectrum.od
    share = (e[1:-1] - e[:-2]) / (e[2:] - e[:-2])
    jump = od[1:-1] - (1 - share) * od[:-2] - share * od[2:]
    jump /= np.sqrt(1 + share**2 + (1 - share) ** 2)
    return replace(spectrum, std=np.full(od.shape, normal_std(jump)))


def doubts(made: ReferenceSet, energies_ev: Sequence[float], threshold: float) -> list[str]:
    """Return warnings about these references on these energies, a line each.

    Parameters
    ----------
    made : ReferenceSet
    energies_ev : sequence of float
        Energies of the scan.
    threshold : float
        Difference of the two best coefficients below which a pixel is ambiguous.
    """
    references = made.references
    found = list(made.notes)
    margins = 1 - references.correlation(energies_ev)
    for i, j in zip(*np.triu_indices(references.n_phases, 1), strict=True):
        pair = f"{references.phase_names[i]} and {references.phase_names[j]}"
        if margins[i, j] < PROPORTIONAL:
            found.append(
                f"{pair} are equal except for a factor and a constant on these energies: they "
                "cannot be distinguished; are they two files of one phase?"
            )
        elif margins[i, j] < threshold:
            found.append(
                f"{pair} differ by 1 - PCC = {margins[i, j]:.2g}, less than the ambiguity "
                f"threshold {threshold:g}: all their pixels will be ambiguous; measure more "
                "energies (stxm-live choose-energies)"
            )
    found.extend(_noisy(made, energies_ev, margins))
    low = references.without_pre_edge
    if low:
        found.append(
            f"{', '.join(low)}: no absorption before the edge, so it seems to be subtracted: "
            'leave [resolver] baseline at "auto" or "slope", or labels will be wrong'
        )
    return found


def _noisy(
    made: ReferenceSet, energies_ev: Sequence[float], margins: NDArray[np.float64]
) -> list[str]:
    """Return warnings on spectra whose noise is as large as the distance to their neighbor."""
    references = made.references
    od = references.at(energies_ev)
    known_ev = references.energies_ev
    std = np.nan_to_num([np.interp(energies_ev, known_ev, row) for row in made.std])
    length2 = np.sum((od - od.mean(axis=1, keepdims=True)) ** 2, axis=1)
    # noise orthogonal to a spectrum lowers its coefficients by half of this
    lost = 0.5 * np.sum(std**2, axis=1) / np.maximum(length2, np.finfo(np.float64).tiny)
    found = []
    for k, name in enumerate(references.phase_names):
        others = [j for j in range(len(od)) if j != k]
        nearest = others[int(margins[k, others].argmin())]
        margin = float(margins[k, nearest])
        if margin >= PROPORTIONAL and lost[k] >= margin - lost[k] - lost[nearest]:
            found.append(
                f"{name} is noisier than its margin to {references.phase_names[nearest]}: of "
                f"1 - PCC = {margin:.2g} noise makes {lost[k]:.2g}; take more pixels or a longer "
                "measurement"
            )
    return found


def write_references(made: ReferenceSet, path: Path) -> list[Path]:
    """Write the CSV file that recipes name, and the standard errors if there are any.

    They are in columns ``<phase>_std`` of that file, which maps use, and in a file of their own.

    Returns
    -------
    list of Path
        The written files: ``path``, and ``<stem>-standard-errors.csv``.
    """
    remarks = [f"{n}: {s}" for n, s in zip(made.references.phase_names, made.sources, strict=True)]
    if np.isnan(made.std).all():
        _write_with_remarks(made.references, remarks, path)
        return [path]
    _write_with_remarks(replace(made.references, od_std=made.std), remarks, path)
    errors = path.with_name(f"{path.stem}-standard-errors.csv")
    header = ",".join(["energy_ev", *made.references.phase_names])
    table = np.column_stack([made.references.energies_ev, made.std.T])
    lines = [",".join("" if np.isnan(v) else f"{v:.6g}" for v in row) for row in table]
    with whole_file(errors) as unfinished:
        unfinished.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return [path, errors]


def _write_with_remarks(references: ReferenceSpectra, remarks: list[str], path: Path) -> None:
    """Write the CSV file with a comment line for each note."""
    lines = ("# " + " ".join(remark.split()) for remark in remarks)
    with whole_file(path) as unfinished:
        references.to_csv(unfinished)
        text = unfinished.read_text(encoding="utf-8")
        unfinished.write_text("\n".join([*lines, text]), encoding="utf-8")
