"""Commands about reference spectra and the energies to measure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from stxm_live.cli.errors import UsageError, one_line_errors
from stxm_live.cli.mixtures import ODOption, PhotonsOption, print_mixtures
from stxm_live.cli.output import console
from stxm_live.cli.run_options import (
    CatalogOption,
    RootsOption,
    SettingsOption,
    opened,
    parse_settings,
)
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import SYNTHETIC_NOTE, ReferenceSpectra
from stxm_live.core.whole_file import whole_file

if TYPE_CHECKING:
    from stxm_live.adaptive.energies.cost import Conditions
    from stxm_live.core.stack import Stack
    from stxm_live.io.catalog import Broker
    from stxm_live.preprocessing.reference_extraction import MeasuredSpectrum, ReferenceSet

_SEED = 0
"""Random seed of the simulated spectra, so that the same list gives the same accuracy."""

_SHOWN = 0.005
"""Share of confused pixels from which two phases are named."""

_BACKGROUND = {
    "auto": "with constant and slope of the usual size",
    "none": "without background",
    "constant": "with a constant of any size",
    "slope": "with constant and slope of any size",
}
"""Words for `Conditions.baseline`."""


SourcesArgument = Annotated[
    list[str],
    typer.Argument(
        help="NAME=SOURCE for each phase. A file of spectra: na3.xsp, or athena.nor@norm (a "
        "column by name or number). A region of a stack or run: stack.hdr@x0,x1,y0,y1 in um, "
        "stack.hdr@mask.msk, run:3f2a91@specimen.",
        metavar="NAME=SOURCE...",
    ),
]
CSVOption = Annotated[Path, typer.Option("--out", "-o", help="The CSV file; a PNG beside it.")]
ReadingOption = Annotated[
    str | None,
    typer.Option(
        help="Recipe whose energies the phases are compared at, and whose settings read stacks."
    ),
]
I0Option = Annotated[
    str | None,
    typer.Option(
        help="I0 of the stacks: a spectrum, a point scan or a stack of an empty field; default: "
        "their empty region."
    ),
]
SyntheticOption = Annotated[
    bool, typer.Option("--synthetic", help="Mark the spectra as calculated.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace the file.")]


@one_line_errors
def references(
    sources: SourcesArgument,
    out: CSVOption = Path("references.csv"),
    recipe: ReadingOption = None,
    i0: I0Option = None,
    synthetic: SyntheticOption = False,
    photons: PhotonsOption = 1000,
    od: ODOption = 1.0,
    catalog: CatalogOption = None,
    roots: RootsOption = None,
    changes: SettingsOption = None,
    force: ForceOption = False,
) -> None:
    """Make reference spectra from stacks, runs and files, and show how different they are.

    Nothing is subtracted or normalized: a factor or a constant does not change the correlation.

    Examples: stxm-live references Na3VPF=na3.xsp Na1VPF=stack.hdr@1,2,0.5,1 --out nvpf.csv;
    stxm-live references Na2VPF=run:3f2a91@1,2,0.5,1 old.csv
    """
    from stxm_live.preprocessing.reference_extraction import doubts, joined

    if out.suffix.lower() != ".csv":
        raise UsageError(f"--out {out}: references are written as CSV; let the name end in .csv")
    refuse_to_replace(out, force)
    chosen = _reading_recipe(recipe, i0, changes, out)
    made = joined(_spectra(sources, chosen, catalog, roots or ()))
    if synthetic:
        made = made.as_synthetic()
    scan_ev = chosen.energies_ev or tuple(made.references.energies_ev)
    _print_matrix(made.references, scan_ev, chosen.ambiguity_threshold)
    for doubt in doubts(made, scan_ev, chosen.ambiguity_threshold):
        console.print(f"[yellow]note: {escape(doubt)}[/]")
    kind = chosen.resolver.baseline
    print_mixtures(made.references, scan_ev, photons=photons, od=od, baseline=kind)
    written = write_with_picture(made, out, scan_ev, chosen)
    console.print(f"wrote {', '.join(escape(str(path)) for path in written)}")


def write_with_picture(
    made: ReferenceSet, out: Path, scan_ev: Sequence[float], recipe: Recipe
) -> list[Path]:
    """Write the references with their picture, and return the files."""
    from stxm_live.plotting.reference_pictures import write_reference_picture
    from stxm_live.preprocessing.reference_extraction import write_references

    written, picture = write_references(made, out), out.with_suffix(".png")
    write_reference_picture(
        made.references,
        picture,
        scan_ev=scan_ev,
        threshold=recipe.ambiguity_threshold,
        std=made.std,
        colors=recipe.colors,
    )
    return [*written, picture]


NumberOption = Annotated[int, typer.Option("--n", "-n", help="Number of energies.")]
ReferencesOption = Annotated[
    Path | None, typer.Option("--references", "-r", help="CSV energy_ev,<phase>,...")
]
ComparedOption = Annotated[
    str | None,
    typer.Option(help="A recipe instead; its own energies are compared with the chosen ones."),
]
LowOption = Annotated[float | None, typer.Option(help="Lowest energy to choose, in eV.")]
HighOption = Annotated[float | None, typer.Option(help="Highest energy to choose, in eV.")]
StepOption = Annotated[
    float, typer.Option("--min-step-ev", help="Smallest distance of two energies.")
]
AxisErrorOption = Annotated[
    float,
    typer.Option("--axis-error-ev", help="Uncertainty of the energy axis (standard deviation)."),
]
KeepOption = Annotated[
    str | None,
    typer.Option(
        help="Energies to keep, as 505,530.3; default: the lowest, for the pre-edge; none: ''."
    ),
]
FewestOption = Annotated[int, typer.Option(help="Smallest number of energies in the table.")]
SnippetOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="Write energies_ev for a recipe (TOML).")
]


@one_line_errors
def choose_energies(
    n_energies: NumberOption = 13,
    references: ReferencesOption = None,
    recipe: ComparedOption = None,
    photons: PhotonsOption = 1000,
    od: ODOption = 1.0,
    low: LowOption = None,
    high: HighOption = None,
    min_step_ev: StepOption = 0.3,
    axis_error_ev: AxisErrorOption = 0.1,
    keep: KeepOption = None,
    fewest: FewestOption = 4,
    out: SnippetOption = None,
    force: ForceOption = False,
) -> None:
    """Choose the energies that distinguish the phases best, and show the loss with fewer.

    Examples: stxm-live choose-energies --recipe nvpf --photons 500;
    stxm-live choose-energies --n 8 --references nvpf.csv --low 512 --high 535 --keep 505
    """
    from stxm_live.adaptive.energies import cost, selection

    if (recipe is None) == (references is None):
        raise UsageError("give either --references or --recipe")
    if out is not None:
        refuse_to_replace(out, force)
    loaded = Recipe.load(recipe) if recipe else None
    spectra = loaded.corrected_references if loaded else ReferenceSpectra.from_csv(references or "")
    kind = loaded.resolver.baseline if loaded else "auto"
    conditions = cost.Conditions(photons, od, axis_error_ev, baseline=kind)
    offer = selection.Offer(low, high, _kept(keep, spectra, low), min_step_ev)
    with console.working("choosing energies"):
        chosen = selection.choose_energies(spectra, n_energies, conditions, offer)
        fewer = selection.choose_fewer(spectra, chosen, conditions, offer, fewest=fewest)
        rows = [("chosen", chosen), *(("fewer", energies) for energies in fewer)]
        if loaded is not None and loaded.energies_ev:
            rows.append(("recipe", loaded.energies_ev))
        console.print(_cost_table(rows, spectra, conditions))
    _print_chosen(chosen, spectra, conditions, has_model=loaded is not None and bool(loaded.model))
    if out is not None:
        with whole_file(out) as unfinished:
            unfinished.write_text(_snippet(chosen, spectra, conditions), encoding="utf-8")
        console.print(f"wrote {escape(str(out))}")


def _print_chosen(
    chosen: Sequence[float], spectra: ReferenceSpectra, conditions: Conditions, *, has_model: bool
) -> None:
    """Print the line for a recipe, the phases that mixtures look like, and notes."""
    console.print(escape(_setting(chosen)))
    print_mixtures(
        spectra,
        chosen,
        photons=conditions.photons,
        od=conditions.od,
        baseline=conditions.baseline,
    )
    if spectra.synthetic:
        console.print(f"[yellow]note: {SYNTHETIC_NOTE}[/]")
    if has_model:
        console.print("note: an encoder works on the energies it was trained on: train a new one")


def refuse_to_replace(path: Path, force: bool, option: str = "--out") -> None:
    """Raise an error if the file exists and may not be replaced."""
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists; choose another name with {option}, or --force")


def _reading_recipe(
    name: str | None, i0: str | None, changes: list[str] | None, out: Path
) -> Recipe:
    """Return the recipe for reading stacks; by default all energies and default settings."""
    from stxm_live.cli.map_inputs import i0_file

    blank = {"name": "references", "references": out.absolute()}
    chosen = Recipe.load(name) if name else Recipe.from_values(blank)
    extra = {} if i0 is None else {"i0.source": "spectrum", "i0.spectrum": i0_file(i0, out.parent)}
    return chosen.with_changes(extra | parse_settings(changes))


def _spectra(
    sources: Sequence[str], recipe: Recipe, catalog: str | None, roots: Sequence[Path]
) -> list[MeasuredSpectrum]:
    """Read the spectra of all sources; the catalogue is opened for the first run, and closed."""
    from stxm_live.cli.reference_sources import parse_source, spectra_of
    from stxm_live.io.catalog.reading import find_run
    from stxm_live.live.replay import stack_of_run
    from stxm_live.preprocessing.reference_extraction import with_estimated_noise

    brokers: list[Broker] = []
    with ExitStack() as closing:

        def stack(run: str) -> Stack:
            if not brokers:
                brokers.append(closing.enter_context(opened(catalog, roots=roots)))
            return stack_of_run(find_run(brokers[0], run), fields=recipe.fields, roots=roots)

        found = []
        for text in sources:
            source = parse_source(text)
            with console.working(f"reading {escape(str(source))}"):
                found.extend(spectra_of(source, recipe, stack))
        return [with_estimated_noise(spectrum) for spectrum in found]


def _print_matrix(spectra: ReferenceSpectra, scan_ev: Sequence[float], threshold: float) -> None:
    """Print the coefficients of every pair, and compare the closest with the threshold."""
    matrix = spectra.correlation(scan_ev)
    table = Table("PCC", *(escape(name) for name in spectra.phase_names), title_justify="left")
    for k, name in enumerate(spectra.phase_names):
        table.add_row(escape(name), *(f"{q:.4f}" for q in matrix[k, :k]))
    console.print(table)
    i, j = np.unravel_index(int(np.tril(matrix + 2, -1).argmax()), matrix.shape)
    pair = f"{spectra.phase_names[j]} and {spectra.phase_names[i]}"
    console.print(
        f"closest on {len(scan_ev)} energies: {escape(pair)}, 1 - PCC = {1 - matrix[i, j]:.4f} "
        f"(ambiguous below {threshold:g})"
    )


def _kept(keep: str | None, spectra: ReferenceSpectra, low: float | None) -> tuple[float, ...]:
    """Return the energies to keep; by default the lowest that can be chosen."""
    if keep is None:
        energies = spectra.energies_ev
        return tuple(energies[energies >= (energies[0] if low is None else low)][:1].tolist())
    try:
        return tuple(float(cell) for cell in keep.split(",") if cell.strip())
    except ValueError:
        raise UsageError(f"--keep {keep}: expected energies in eV, as 505,530.3") from None


def _cost_table(
    rows: Sequence[tuple[str, Sequence[float]]], spectra: ReferenceSpectra, conditions: Conditions
) -> Table:
    """Return a table: expected share of correct labels, loss and worst pair for each list."""
    from stxm_live.adaptive.energies.cost import expect

    title = (
        f"expected share of correct labels, {conditions.photons:g} photons, OD {conditions.od:g}, "
        f"axis off by {conditions.axis_error_ev:g} eV, {_BACKGROUND[conditions.baseline]}"
    )
    table = Table(title=title, title_justify="left")
    for column in ("n", "pure pixels", "mixed pixels", "lost", "most confused"):
        table.add_column(column, justify="left" if column == "most confused" else "right")
    first = None
    for kind, energies in rows:
        found = expect(spectra, energies, conditions, np.random.default_rng(_SEED))
        first = found.accuracy if first is None else first
        a, b, share = found.worst_pair()
        pair = f"{spectra.phase_names[a]} / {spectra.phase_names[b]} ({100 * share:.0f} %)"
        if kind == "recipe":
            table.add_section()
        table.add_row(
            f"{len(energies)}{' (recipe)' if kind == 'recipe' else ''}",
            f"{100 * found.accuracy:.1f} %",
            f"{100 * found.mixed_accuracy:.1f} %",
            "" if kind == "chosen" else f"{100 * (first - found.accuracy):.1f}",
            escape(pair) if share >= _SHOWN else "",
        )
    return table


def _setting(chosen: Sequence[float]) -> str:
    return f"energies_ev = {[round(e, 4) for e in chosen]}"


def _snippet(chosen: Sequence[float], spectra: ReferenceSpectra, conditions: Conditions) -> str:
    """Return lines for a recipe, with a comment on the conditions they were chosen for."""
    kind = "synthetic references" if spectra.synthetic else "references"
    return (
        f"# chosen from {kind} for {conditions.photons:g} photons, OD {conditions.od:g}, "
        f"axis error {conditions.axis_error_ev:g} eV\n{_setting(chosen)}\n"
    )
