"""References and I0 as people have them, as the files of a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from stxm_live.cli.output import console
from stxm_live.cli.reference_sources import Source, columns_of, parse_source
from stxm_live.core.recipe import Recipe
from stxm_live.core.recipe_files import read_two_columns
from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.whole_file import whole_file
from stxm_live.io.files.spectrum_columns import SPECTRUM_SUFFIXES, read_columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stxm_live.core.recipe_options import FieldOptions
    from stxm_live.core.stack import Stack

_FORMS = frozenset(
    [
        "bkg",
        "der",
        "fbkg",
        "flat",
        "i0",
        "ifluor",
        "irefer",
        "it",
        "itrans",
        "mu",
        "mufluor",
        "murefer",
        "mutrans",
        "nbkg",
        "nfbkg",
        "nflat",
        "norm",
        "normfluor",
        "normtrans",
        "post_edge",
        "pre_edge",
        "xmu",
    ]
)
"""Names of columns that hold one spectrum in several forms, not several spectra."""

_UNEVEN = 0.3
"""Spread of the mean image of a stack, relative to its median, from which it is not empty."""


def files_of(arguments: Sequence[str]) -> list[Path]:
    """Return the files of a command's arguments; a pattern stands for all that match it.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or none matches; the message names the argument.
    """
    files: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.exists():
            files.append(path)
            continue
        folder = Path(path.anchor or ".")
        is_pattern = any(sign in argument for sign in "*?[")
        found = sorted(folder.glob(str(path.relative_to(path.anchor)))) if is_pattern else []
        if not found:
            raise FileNotFoundError(f"{argument}: no such file")
        files += found
    return list(dict.fromkeys(files))


def stem_of(path: Path) -> str:
    """Return the name of a file or folder without suffix; of ``.`` and ``..`` the folder's own."""
    return (path if path.name.strip(".") else path.resolve()).stem


def stack_of_files(
    paths: Sequence[Path],
    *,
    fields: FieldOptions,
    region: str | None = None,
    detector: str | None = None,
    quantity: str | None = None,
    roots: Sequence[Path] | None = None,
) -> Stack:
    """Read the stack of one or several files, of runs or of images."""
    from stxm_live.io.catalog.document_files import is_document_file, runs_in_file
    from stxm_live.io.files import read_stack
    from stxm_live.live.replay import stack_of_run

    with console.working(f"reading {escape(', '.join(map(str, paths)))}"):
        if any(map(is_document_file, paths)):
            runs = [run for path in paths for run in runs_in_file(path)]
            return stack_of_run(runs, region=region, fields=fields, roots=tuple(roots or ()))
        source = paths[0] if len(paths) == 1 else paths
        return read_stack(source, region=region, detector=detector, quantity=quantity)


def with_inputs(
    recipe: Recipe,
    folder: Path,
    *,
    i0: str | None = None,
    mask: Path | None = None,
    changes: Mapping[str, Any],
) -> Recipe:
    """Return a recipe with I0 and mask of a command's options, and then its changes.

    Raises
    ------
    FileNotFoundError, ValueError
        If one of them is not there, or I0 cannot be read.
    """
    if mask is not None and not mask.exists():
        raise FileNotFoundError(f"{mask}: no such file")
    extra: dict[str, Any] = {} if mask is None else {"specimen.mask": mask}
    if i0 is not None:
        extra |= {"i0.source": "spectrum", "i0.spectrum": i0_file(i0, folder)}
    return recipe.with_changes(extra | dict(changes))


def read_inputs(recipe: Recipe) -> None:
    """Read references and I0, so that a fault is found before the stack is read.

    Raises
    ------
    OSError, ValueError
        If a file is not there or cannot be read, or if there are no references.
    """
    _ = recipe.reference_spectra, recipe.i0_spectrum


def recipe_of_references(name: str, references: Sequence[str], folder: Path) -> Recipe:
    """Return a recipe of references only; spectra of other files are joined in the folder.

    Each reference is a file, ``FILE@COLUMN`` or ``NAME=FILE@COLUMN``. A single file may hold a
    column for each phase.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file cannot be read, or has several columns and none is chosen.
    """
    sources = [parse_source(text) for text in references]
    only = sources[0] if len(sources) == 1 else None
    if only is not None and only.name is only.part is None and _suffix(only) == ".csv":
        return Recipe.from_values({"name": name, "references": Path(only.place).absolute()})
    spectra: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    synthetic = False
    for source in sources:
        for phase, (energies_ev, od, calculated) in _spectra(source, only is not None).items():
            if phase in spectra:
                raise ValueError(
                    f"{source}: there are two references named {phase}; write NAME={source}"
                )
            spectra[phase], synthetic = (energies_ev, od), synthetic or calculated
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "references.csv"
    ReferenceSpectra.from_spectra(spectra, synthetic=synthetic).to_csv(path)
    return Recipe.from_values({"name": name, "references": path.absolute()})


def _spectra(
    source: Source, may_be_several: bool
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64], bool]]:
    """Return energies, OD and if it was calculated, by the name of the phase."""
    stem = Path(source.place).stem
    if _suffix(source) not in SPECTRUM_SUFFIXES and source.part is None:
        return {source.name or stem: (*read_two_columns(source.place), False)}
    columns = read_columns(source.place)
    if not may_be_several or source.part or not _FORMS.isdisjoint(map(str.lower, columns.names)):
        return {
            source.name or stem: (
                columns.energies_ev,
                columns.column(source.part),
                columns.synthetic,
            )
        }
    return {s.name: (s.energies_ev, s.od, s.synthetic) for s in columns_of(source)}


def i0_file(i0: str, folder: Path) -> Path:
    """Return a file of two columns with I0, made in the folder from what is given.

    It may be such a file, ``FILE@COLUMN``, a point scan in SDF or NXstxm, or a stack of an empty
    field, of which the mean of each image is taken.

    Raises
    ------
    FileNotFoundError, ValueError
        If it cannot be read, or the stack is not empty.
    """
    import numpy as np

    source = parse_source(i0)
    path = Path(source.place)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if source.part is None and (path.is_dir() or _suffix(source) not in SPECTRUM_SUFFIXES):
        energies_ev, values = _recorded_i0(path)
    elif source.part is None:
        return path.absolute()
    else:
        columns = read_columns(path)
        energies_ev, values = columns.energies_ev, columns.column(source.part)
    made = folder / "i0.csv"
    table = np.column_stack([energies_ev, values])
    with whole_file(made) as unfinished:
        np.savetxt(
            unfinished, table, fmt="%.17g", delimiter=",", header="energy_ev,i0", comments=""
        )
    return made.absolute()


def _recorded_i0(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return I0 from a point scan, a text file, or a stack of an empty field."""
    import numpy as np

    from stxm_live.io.files import read_spectrum, read_stack

    try:
        return read_spectrum(path)
    except ValueError as error:
        try:
            stack = read_stack(path)
        except ValueError:
            raise error from None
    images = stack.intensity()
    low, middle, high = np.nanpercentile(np.nanmean(images, axis=0), [5, 50, 95])
    if high - low > _UNEVEN * middle:
        raise ValueError(
            f"{path}: its mean image varies by {100 * (high - low) / middle:.0f} %: it is not of "
            "an empty field and cannot be I0"
        )
    console.print(f"I0: the mean of each image of {path}")
    return np.array(stack.energies_ev), np.nanmean(images, axis=(1, 2), dtype=np.float64)


def _suffix(source: Source) -> str:
    return Path(source.place).suffix.lower()
