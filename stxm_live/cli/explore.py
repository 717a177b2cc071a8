"""The command ``explore``: a first look at a stack without references."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from stxm_live.cli.errors import UsageError, one_line_errors
from stxm_live.cli.output import console
from stxm_live.cli.references import ForceOption, refuse_to_replace, write_with_picture
from stxm_live.cli.run_options import (
    CatalogOption,
    DetectorOption,
    I0Option,
    MaskOption,
    PolarizationOption,
    QuantityOption,
    RegionOption,
    RootsOption,
    SettingsOption,
    Which,
    names_files,
    opened,
    parse_settings,
)
from stxm_live.core.recipe import Recipe

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.core.recipe_options import FieldOptions
    from stxm_live.core.stack import Stack
    from stxm_live.phase_mapping.exploration import Exploration
    from stxm_live.preprocessing.reference_extraction import MeasuredSpectrum, ReferenceSet

StackOrRunArgument = Annotated[
    list[str],
    typer.Argument(
        help="Files of a stack, as for map; or a run of the catalogue: uid, the beginning of one, "
        "scan_id, or -1; several if each energy is a separate run.",
        metavar="STACK|RUN...",
    ),
]
ClustersOption = Annotated[
    int | None,
    typer.Option(
        help="Number of clusters; default: the principal components above the noise, 1 to 5."
    ),
]
ComponentsOption = Annotated[
    int | None,
    typer.Option(help="Number of non-negative components; default: that of the clusters."),
]
ByOption = Annotated[
    Literal["shape", "od"],
    typer.Option(
        help="Compare the shape of spectra, whatever the thickness, or their optical density."
    ),
]
SeedOption = Annotated[int, typer.Option(help="Random seed of k-means and components.")]
MapsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        help="An image to draw: an energy in eV (708.2), a band (707:709), a difference "
        "(708.2-690), a ratio (708.2/710), a component (pca0, nmf1). Repeatable.",
    ),
]
RGBOption = Annotated[
    str | None,
    typer.Option(help="Three of these for red, green and blue, as 708.2,710,nmf0."),
]
SaveOption = Annotated[
    Path | None,
    typer.Option("--save-references", help="Write the named spectra as a CSV of references."),
]
NameOption = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        help="SPECTRUM=PHASE: name cluster 0, a component nmf1, or 'unidentified'. Repeatable.",
    ),
]
KnownOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="A recipe: its settings are used, spectra that its references do not describe are "
        "shown, and saved references are added to its own.",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder for the files; default: STACK-explored.")
]


@one_line_errors
def explore(
    stack: StackOrRunArgument,
    recipe: KnownOption = None,
    clusters: ClustersOption = None,
    components: ComponentsOption = None,
    by: ByOption = "shape",
    images: MapsOption = None,
    rgb: RGBOption = None,
    save_references: SaveOption = None,
    name: NameOption = None,
    i0: I0Option = None,
    mask: MaskOption = None,
    catalog: CatalogOption = None,
    region: RegionOption = None,
    polarization: PolarizationOption = None,
    detector: DetectorOption = None,
    quantity: QuantityOption = None,
    roots: RootsOption = None,
    changes: SettingsOption = None,
    seed: SeedOption = 0,
    out: OutOption = None,
    force: ForceOption = False,
) -> None:
    """Look at a stack without references: components, clusters, band maps; and name what is found.

    Examples: stxm-live explore particle.hdr; stxm-live explore -1 --catalog runs;
    stxm-live explore particle.hdr --clusters 2 --save-references fe.csv --name 0=oxidized
    --name 1=reduced
    """
    from stxm_live.cli.map_inputs import with_inputs
    from stxm_live.phase_mapping.exploration import explore_stack, named_references
    from stxm_live.phase_mapping.exploration.workflow import blank_recipe

    names = _names(name, save_references, force=force)
    channels = _three(rgb)
    chosen = Recipe.load(recipe) if recipe else blank_recipe()
    settings, which = parse_settings(changes), Which(region, polarization, roots)
    fields = chosen.with_changes(settings).fields
    if names_files(stack):
        frames, stem = _of_files(stack, fields, which, detector, quantity)
    else:
        frames, stem = _of_runs(stack, fields, which, catalog)
    folder = out or Path(f"{stem}-explored")
    chosen = with_inputs(chosen, folder, i0=i0, mask=mask, changes=settings)
    with console.working("exploring"):
        found = explore_stack(
            frames, chosen, n_clusters=clusters, n_components=components, cluster_by=by, seed=seed
        )
        spectra = dict(found.measured_spectra)
        maps = None if chosen.references is None else _maps_of(frames, chosen, spectra)
        known = None if chosen.references is None else chosen.corrected_references
        made = named_references(spectra, names, known) if names else None
        files = _write(found, maps, folder, images=images or (), channels=channels, names=names)
    _print(found, maps)
    console.print(f"{len(files)} files in {escape(str(folder))}")
    if save_references is not None and made is not None:
        _save(made, save_references, chosen)


def _of_files(
    stack: Sequence[str],
    fields: FieldOptions,
    which: Which,
    detector: str | None,
    quantity: str | None,
) -> tuple[Stack, str]:
    """Return the stack of files, and the name of the first one without suffix."""
    from stxm_live.cli.map_inputs import files_of, stack_of_files, stem_of

    paths = files_of(stack)
    frames = stack_of_files(
        paths,
        fields=fields,
        region=which.region,
        detector=detector,
        quantity=quantity,
        roots=which.roots,
    )
    return frames, stem_of(paths[0])


def _of_runs(
    stack: Sequence[str], fields: FieldOptions, which: Which, catalog: str | None
) -> tuple[Stack, str]:
    """Return the stack of runs of the catalogue, and the beginning of the first one's uid."""
    from stxm_live.io.catalog.reading import find_run
    from stxm_live.live.replay import stack_of_run

    with opened(catalog, roots=which.roots) as broker:
        found = [find_run(broker, run) for run in stack]
        frames = stack_of_run(found, fields=fields, **which.options)
    return frames, str(found[0].start["uid"])[:8]


def _names(given: Sequence[str] | None, target: Path | None, *, force: bool) -> dict[str, str]:
    """Return the names of the spectra to save; errors before anything is computed."""
    names = {}
    for text in given or ():
        spectrum, sign, phase = text.partition("=")
        if not sign or not spectrum.strip() or not phase.strip():
            raise UsageError(f"--name {text}: expected SPECTRUM=PHASE, as 0=Na1VPF")
        if spectrum.strip() in names:
            raise UsageError(f"--name {text}: {spectrum.strip()} has two names")
        names[spectrum.strip()] = phase.strip()
    if target is None:
        if names:
            raise UsageError("--name: give the file to write as well, --save-references NAME.csv")
        return names
    if not names:
        raise UsageError("--save-references: say which spectra, as --name 0=Na1VPF --name 1=Na3VPF")
    if target.suffix.lower() != ".csv":
        raise UsageError(f"--save-references {target}: let the name end in .csv")
    refuse_to_replace(target, force, "--save-references")
    return names


def _three(text: str | None) -> tuple[str, str, str] | None:
    """Return the three images of --rgb."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3:
        raise UsageError(f"--rgb {text}: expected three images, as 708.2,710,nmf0")
    return parts[0], parts[1], parts[2]


def _maps_of(
    frames: Stack, recipe: Recipe, spectra: dict[str, MeasuredSpectrum]
) -> PhaseMaps | None:
    """Return the maps with the recipe's references if some spectra are not described by them."""
    from stxm_live.phase_mapping.exploration import unidentified_component
    from stxm_live.phase_mapping.workflow import map_phases

    try:
        maps = map_phases(frames, recipe)
    except ValueError as error:
        console.print(
            f"[yellow]note: no maps with the recipe's references, so nothing shows which spectra "
            f"they do not describe: {escape(str(error))}[/]"
        )
        return None
    component = unidentified_component(maps)
    if component is None:
        return None
    spectra[component.name] = component
    return maps


def _write(
    found: Exploration,
    maps: PhaseMaps | None,
    folder: Path,
    *,
    images: Sequence[str],
    channels: tuple[str, str, str] | None,
    names: dict[str, str],
) -> list[Path]:
    """Write the pictures, and all numbers as NeXus; return the files."""
    from stxm_live.io.results import write_nexus
    from stxm_live.phase_mapping.exploration import exploration_dataset
    from stxm_live.phase_mapping.exploration.saving import EXPLORATION_FILE
    from stxm_live.plotting.exploration import exploration_plates, unidentified_plate
    from stxm_live.plotting.paper_figures import write_plates

    plates = list(exploration_plates(found, maps=images, rgb=channels))
    if maps is not None:
        plates.append(unidentified_plate(maps))
    pictures = write_plates(plates, folder)
    return [*pictures, write_nexus(exploration_dataset(found, names), folder / EXPLORATION_FILE)]


def _print(found: Exploration, maps: PhaseMaps | None) -> None:
    """Print what was found, and notes."""
    spectra, pca = found.spectra, found.pca
    n_pixels, n_energies = spectra.od.shape
    table = Table(title=escape(f"{spectra.key}: clusters"), title_justify="left")
    for column in ("cluster", "share of the pixels", "mean OD"):
        table.add_column(column, justify="right")
    for one, share in zip(found.clusters.spectra, found.clusters.shares, strict=True):
        table.add_row(one.name, f"{100 * share:.1f} %", f"{one.od.mean():.3f}")
    console.print(
        f"{n_pixels} specimen pixels, {n_energies} energies; {pca.n_above_noise} principal "
        "components above the noise"
    )
    console.print(table)
    if maps is not None and maps.unidentified_spectrum is not None:
        one_new = maps.unidentified_spectrum
        console.print(
            f"[yellow]unidentified: {100 * one_new.share:.1f} % of the specimen is not described "
            "by the recipe's references; --name unidentified=PHASE adds its mean spectrum[/]"
        )
    for note in found.notes:
        console.print(f"[dim]note: {escape(note)}[/]")


def _save(made: ReferenceSet, target: Path, recipe: Recipe) -> None:
    """Write the references with their picture, and say how to use them."""
    from stxm_live.preprocessing.reference_extraction import doubts

    scan_ev = tuple(float(e) for e in made.references.energies_ev)
    for doubt in doubts(made, scan_ev, recipe.ambiguity_threshold):
        console.print(f"[yellow]note: {escape(doubt)}[/]")
    written = write_with_picture(made, target, scan_ev, recipe)
    console.print(f"wrote {', '.join(escape(str(path)) for path in written)}")
    console.print(f"next: stxm-live map STACK --references {escape(str(target))}")
