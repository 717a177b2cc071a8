"""``NAME=SOURCE@PART``: the origin of a reference spectrum as one argument of a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stxm_live.core.recipe import Recipe
from stxm_live.core.recipe_files import read_mask
from stxm_live.core.references import STD
from stxm_live.io.files import read_stack
from stxm_live.io.files.reading import stack_file
from stxm_live.io.files.spectrum_columns import SPECTRUM_SUFFIXES, read_columns
from stxm_live.preprocessing.reference_extraction import BoxUm, MeasuredSpectrum, region_spectrum

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stxm_live.core.stack import Stack

_MASKS = (".msk", ".npy", ".png")

_RUN = "run:"

_WHOLE = "specimen"


class Source(NamedTuple):
    """The parts of ``NAME=PLACE@PART``; name and part may be missing."""

    name: str | None
    place: str
    part: str | None

    @property
    def run(self) -> str | None:
        """Name of the run, if the source is a run of the catalogue."""
        return self.place.removeprefix(_RUN) if self.place.startswith(_RUN) else None

    def __str__(self) -> str:
        return self.place if self.part is None else f"{self.place}@{self.part}"


def parse_source(text: str) -> Source:
    """Split a source into its parts.

    Examples
    --------
    >>> parse_source("Na1VPF=stack.hdr@0,1.5,0,2")
    Source(name='Na1VPF', place='stack.hdr', part='0,1.5,0,2')
    >>> parse_source("nvpf.csv")
    Source(name=None, place='nvpf.csv', part=None)
    """
    name, sign, rest = text.partition("=")
    if not sign or Path(text).is_file():
        name, rest = "", text
    elif not name.strip() or not rest:
        raise ValueError(f"{text!r}: expected NAME=SOURCE, such as Na3VPF=na3.xsp")
    place, _, part = (rest, "", "") if Path(rest).is_file() else rest.rpartition("@")
    if not place:
        place, part = rest, ""
    return Source(name.strip() or None, place, part or None)


def spectra_of(
    source: Source, recipe: Recipe, stack_of_run: Callable[[str], Stack]
) -> list[MeasuredSpectrum]:
    """Read the spectra of a source; without a name all columns, or the file's name for one.

    Raises
    ------
    FileNotFoundError, ValueError
        If the source cannot be read; the message says what to write instead.
    """
    if source.run is not None:
        stack: Stack | None = stack_of_run(source.run)
    elif Path(source.place).suffix.lower() in SPECTRUM_SUFFIXES:
        return columns_of(source)
    else:
        _check_stack_file(Path(source.place))
        stack = None
    if source.name is None:
        raise ValueError(f"{source}: give the phase a name, as NAME={source}")
    if source.part is None:
        raise ValueError(
            f"{source}: choose the pixels: add @x0,x1,y0,y1 (a box in um), @mask.msk (or .npy, "
            f".png) or @{_WHOLE} (the whole specimen)"
        )
    region = _region(source)
    stack = read_stack(source.place) if stack is None else stack
    return [region_spectrum(stack, region, recipe, name=source.name, source=str(source))]


def _check_stack_file(path: Path) -> None:
    """Raise an error if there is no such stack; it also names the readable spectrum formats."""
    try:
        stack_file(path)
    except ValueError as error:
        raise ValueError(f"{error}; spectra: {', '.join(SPECTRUM_SUFFIXES)}") from None


def columns_of(source: Source) -> list[MeasuredSpectrum]:
    """Return the spectra of a text file: the part, the only one, or all of several columns."""
    columns = read_columns(source.place)
    column = dict(zip(columns.names, columns.values, strict=True))
    errors = {n + STD: n for n in columns.names if n + STD in columns.names}

    def spectrum(name: str, values: NDArray[np.float64]) -> MeasuredSpectrum:
        std = column.get((source.part or name) + STD)
        return MeasuredSpectrum(
            name, columns.energies_ev, values, str(source), std=std, synthetic=columns.synthetic
        )

    if source.name is not None or source.part is not None:
        values = columns.column(source.part)
        return [spectrum(source.name or source.part or columns.path.stem, values)]
    if len(columns.names) == 1:
        return [spectrum(columns.path.stem, columns.values[0])]
    return [
        replace(spectrum(name, values), source=f"{source}@{name}")
        for name, values in column.items()
        if name not in errors
    ]


def _region(source: Source) -> BoxUm | NDArray[np.bool_] | None:
    """Return a box, a mask, or None for the whole specimen."""
    part = source.part or ""
    if part == _WHOLE:
        return None
    if Path(part).suffix.lower() in _MASKS:
        return read_mask(Path(part))
    try:
        x0, x1, y0, y1 = (float(cell) for cell in part.split(","))
    except ValueError:
        raise ValueError(
            f"{source}: {part!r} is not a region; write x0,x1,y0,y1 in um, a mask file "
            f"({', '.join(_MASKS)}) or {_WHOLE}"
        ) from None
    return x0, x1, y0, y1
