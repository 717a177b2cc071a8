"""Results as tables for a spreadsheet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stxm_live.core.measured_mean import measured_mean
from stxm_live.core.origin import identity
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.plain_text import cell, remark
from stxm_live.core.whole_file import whole_file
from stxm_live.io.results.amount_table import amount_rows
from stxm_live.io.results.dataset import as_dataset, final_index_name

if TYPE_CHECKING:
    import xarray

Row = Sequence[Any]


def write_csv(
    maps: PhaseMaps | xarray.Dataset, folder: str | Path, *, pixels: bool = False
) -> list[Path]:
    """Write ``fractions.csv``, ``spectra.csv``, ``images.csv``, ``amounts.csv``, ``pixels.csv``.

    Lines that begin with ``#`` say what the result is, its verdict and its warnings. A value
    that is not known is an empty field. Shares are 0 to 1, of the specimen pixels with a valid
    spectrum; areas are from the map by correlation, in um2.

    ``spectra.csv`` has, for each phase, its reference (OD of the references' own thickness),
    mean and standard deviation of the OD of its pixels in the final map; and for the pixels that
    were not identified, if there are any, their mean OD, its standard error, and the scatter of
    the pixels with differences of thickness taken out;
    ``images.csv`` the shift in pixels and I0 in counts of each image; ``amounts.csv`` thickness,
    value and shares of specimen and particles with their standard uncertainties, where the map is
    resolved. ``pixels.csv``, if asked, has a row for each specimen pixel with a valid spectrum:
    position (um), counts, phases, R, coefficients, probabilities, thickness, value and shares, OD.

    Parameters
    ----------
    maps : PhaseMaps or xarray.Dataset
        A dataset as `PhaseMaps.to_xarray` makes it.
    folder : path
        Created if it does not exist; files of the same names are replaced.
    pixels : bool
        Also write the table of pixels; some 100 MB for 512 x 512.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    dataset = as_dataset(maps)
    tables = {"fractions": _fractions, "spectra": _spectra, "images": _images}
    if "composition" in dataset:
        tables["amounts"] = amount_rows
    if pixels:
        tables["pixels"] = _pixels
    written = []
    for name, rows in tables.items():
        path = Path(folder) / f"{name}.csv"
        _write(path, _notes(dataset), rows(dataset))
        written.append(path)
    return written


def _write(path: Path, notes: Iterable[str], rows: Iterable[Row]) -> None:
    # JSON may bring half a character in a name: it is written as a question mark
    options: dict[str, Any] = {"newline": "", "encoding": "utf-8", "errors": "replace"}
    with whole_file(path) as unfinished, unfinished.open("w", **options) as file:
        file.writelines(f"# {remark(line)}\n" for line in notes)
        csv.writer(file).writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula; NaN and None are empty."""
    if isinstance(value, str):
        return cell(value)
    if value is None or value != value:
        return ""
    return f"{value:.7g}" if isinstance(value, float | np.floating) else value


def _notes(dataset: xarray.Dataset) -> list[str]:
    attributes = dataset.attrs
    provenance = json.loads(attributes["provenance"])
    runs = ", ".join(attributes["run_uids"]) or attributes.get("source") or "none (file)"
    return [
        f"stxm_live {provenance.get('version', '')}; runs: {runs}; region {attributes['region']}",
        *filter(None, [identity(provenance, dwell_ms=attributes.get("dwell_ms"))]),
        f"status: {attributes['status']}; quality {attributes['quality']}",
        *(
            ["SYNTHETIC references: calculated spectra"]
            if attributes["synthetic_references"]
            else []
        ),
        *(f"note: {text}" for text in attributes["warnings"]),
    ]


def _fractions(dataset: xarray.Dataset) -> Iterable[Row]:
    yield "phase", "share_by_correlation", "share_resolved", "n_pixels_by_correlation", "area_um2"
    counts = _members(dataset, "phase_index").sum(axis=(1, 2))
    resolved = dataset.get("resolved_fractions")
    for k, name in enumerate(dataset["phase"].values.tolist()):
        share = None if resolved is None else resolved.values[k]
        area_um2 = int(counts[k]) * _pixel_area_um2(dataset)
        yield name, dataset["fractions"].values[k], share, int(counts[k]), area_um2
    counted = (dataset["specimen"] & dataset["valid"]).values
    n_ambiguous = int(dataset["ambiguous"].values[counted].sum())
    share = n_ambiguous / counted.sum() if counted.any() else None
    area_um2 = n_ambiguous * _pixel_area_um2(dataset)
    yield "(ambiguous, in the shares above)", share, None, n_ambiguous, area_um2


def _pixel_area_um2(dataset: xarray.Dataset) -> float:
    """Return the area of a pixel; NaN for a field one pixel wide, without a pixel size."""
    sides_um = [np.diff(dataset[axis].values[:2]) for axis in ("y", "x")]
    return float(abs(np.prod(sides_um))) if all(side.size for side in sides_um) else float("nan")


def _spectra(dataset: xarray.Dataset) -> Iterable[Row]:
    names = dataset["phase"].values.tolist()
    columns: dict[str, Any] = {"energy_ev": dataset["energy_ev"].values}
    for k, (name, mask) in enumerate(zip(names, _members(dataset), strict=True)):
        columns[f"{name} reference_od"] = dataset["reference_od"].values[k]
        columns[f"{name} mean_od"], columns[f"{name} std_od"] = _mean_and_std(dataset, mask)
    for column, product in _UNIDENTIFIED.items():
        if product in dataset:
            columns[column] = dataset[product].values
    yield list(columns)
    yield from zip(*columns.values(), strict=True)


def _members(dataset: xarray.Dataset, name: str | None = None) -> Any:
    """Return the pixels that a map gives to each phase, of shape (n_phases, ny, nx)."""
    index = dataset[name or final_index_name(dataset)].values
    return index == np.arange(dataset.sizes["phase"])[:, None, None]


def _mean_and_std(dataset: xarray.Dataset, mask: Any) -> tuple[Any, Any]:
    if not mask.any():
        return (np.full(dataset.sizes["energy_ev"], np.nan),) * 2
    od = dataset["od"].values[:, mask].astype(np.float64)
    mean = measured_mean(od)
    return mean, np.sqrt(measured_mean(np.square(od - mean[:, None])))


def _images(dataset: xarray.Dataset) -> Iterable[Row]:
    yield "energy_ev", "shift_y_px", "shift_x_px", "i0_counts"
    for e, energy_ev in enumerate(dataset["energy_ev"].values):
        yield energy_ev, *dataset["shifts_px"].values[e], dataset["i0"].values[e]


_UNIDENTIFIED = {
    "(not identified) mean_od": "unidentified_od",
    "(not identified) std_error_od": "unidentified_od_std",
    "(not identified) scatter_od": "unidentified_od_scatter",
}
"""Columns of ``spectra.csv`` and the products they show."""

_OF_A_PIXEL = (
    *("counts", "reliability", "wrong_probability"),
    *("thickness", "thickness_std", "value", "value_std"),
)
_OF_EACH_PHASE = ("correlation", "probability", "composition", "composition_std")
_INDICES = ("phase_index", "latent_index", "resolved_index", "corrected_index")


def _pixels(dataset: xarray.Dataset) -> Iterable[Row]:
    phases = dataset["phase"].values.tolist()
    flat = [n for n in _OF_A_PIXEL if n in dataset]
    indices = [name for name in _INDICES if name in dataset]
    stacks = [n for n in _OF_EACH_PHASE if n in dataset]
    yield [
        *("row", "column", "y_um", "x_um", *flat, "ambiguous", *indices),
        *(f"{name} {phase}" for name in stacks for phase in phases),
        *(f"od {energy_ev:g} eV" for energy_ev in dataset["energy_ev"].values),
    ]
    arrays = {str(name): variable.values for name, variable in dataset.data_vars.items()}
    y_um, x_um = dataset["y"].values, dataset["x"].values
    for row, column in np.argwhere(arrays["specimen"] & arrays["valid"]):
        cells = [row, column, y_um[row], x_um[column]]
        cells += [arrays[name][row, column] for name in flat]
        cells.append(int(arrays["ambiguous"][row, column]))
        for name in indices:
            index = arrays[name][row, column]
            cells.append(phases[index] if index >= 0 else "")
        for name in (*stacks, "od"):
            cells += list(arrays[name][:, row, column])
        yield cells
