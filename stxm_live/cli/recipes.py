"""Commands for recipes, and the training of their models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from stxm_live.cli.errors import UsageError, one_line_errors
from stxm_live.cli.mixtures import ODOption, PhotonsOption, print_mixtures
from stxm_live.cli.output import console
from stxm_live.cli.run_options import CatalogOption, RootsOption
from stxm_live.cli.training_spectra import Gathered, gathered
from stxm_live.core.recipe import Recipe, recipe_path, shipped_recipes
from stxm_live.core.whole_file import whole_file

if TYPE_CHECKING:
    from stxm_live.gmvae import EpochReport, TrainingOptions

app = typer.Typer(help="Write, show and list recipes.", no_args_is_help=True)

TEMPLATE = """\
# A recipe for stxm_live: all settings for maps of one material.
# Paths are relative to this file. Lines that begin with # are the defaults.
name = "{name}"

# Spectra of the pure phases: a CSV file with the columns energy_ev,<phase>,<phase>,...
# (OD of any thickness). Write the word "synthetic" in a comment line if they are calculated.
# Leave it out for a first scan without references: clusters of similar spectra are found then.
references = "references.csv"

# The energies of the scan to use, in eV; all of them if this is left out.
# energies_ev = [505, 513.2, 515.6]
# exclude_energies_ev = []
# The known offset (true minus nominal photon energy), and the standard deviation by which the
# scan's energy resolution is wider than that of the references.
# energy_offset_ev = 0.0
# energy_width_ev = 0.0
# Estimate both from the scan as well; the verdict warns of an offset above the limit.
# energy_fit = true
# energy_warning_ev = 0.05

# A pixel is ambiguous if its two best Pearson coefficients differ by less than this.
# ambiguity_threshold = 0.005
# A pixel is unidentified if its best coefficient is below this; 0 is off, as in the paper.
# min_correlation = 0.0

# A trained model, made by stxm-live train; without one there is no map from the encoder.
# model = "bundle"
# The encoder accepts energies that differ from those of its training by no more than this.
# energy_tolerance_ev = 0.05

# Colors of the phases.
# [colors]
# Na3VPF = "#8b1a1a"

[i0]
# Source of the incident intensity I0: "empty-region" (found beside the specimen),
# "region" (a box), "spectrum" (a file of energy and I0) or "monitor" (read with each image).
source = "empty-region"
# region = [0.0, 1.5, 0.0, 1.5]    # x0, x1, y0, y1 in um
# spectrum = "i0.csv"

[alignment]
# enabled = true
# Largest shift; a larger one is an error that names the image. No limit if left out.
# max_shift_px = 30
# Align the images with the one of "best-contrast", with the one at reference_ev ("constant"), or
# each with the previous one ("preceding").
# reference = "best-contrast"
# reference_ev = 517.5
# Compare edge strength or the images themselves, in the whole field or a box x0, x1, y0, y1 in um.
# edges = true
# region_um = [0.0, 1.5, 0.0, 1.5]
# Apply the shifts of this file (energy_ev,shift_y_px,shift_x_px) instead of measuring them.
# shifts = "shifts.csv"
# Align each image again with a prediction from the others; assume that the drift is smooth.
# refine = true
# smooth_drift = false

[specimen]
# Mask of the specimen pixels: a .msk, .npy or .png file; found from the images if left out.
# mask = "mask.png"

[phases]
# A number for each phase and its meaning: maps then have its mean over the composition.
# value = {{ "phase A" = 3.0, "phase B" = 2.0 }}
# quantity = "x in NaxV2(PO4)2F3"
# Thickness that the references' OD belongs to; thicknesses are multiples of it if left out.
# reference_nm = 100.0

[resolver]
# "likelihood" (counting statistics, mixtures of two phases), "mahalanobis" (the paper: nearest
# cluster in latent space, for ambiguous pixels), "euclidean", "centroid" or "knn" (the paper's
# alternatives to it), or "pearson".
# method = "likelihood"
# A pixel is one phase or two ("phases"), or a mixture of neighbors in the series of the references
# that changes gradually ("composition"; the series is that of [phases] value).
# model = "phases"
# For likelihood: neighbors are likely to have the same phase ("potts"), or each pixel
# is independent, with the phase frequencies of the scan ("none").
# spatial = "potts"
# Clear pixels that contradict latent space: "list" them, or "resolve" them like ambiguous ones.
# audit = "list"
# Phases that an ambiguous pixel may get in latent space: its two best ("pair"), or "all".
# candidates = "pair"
# Clusters of the "training" set, or of the "scan"'s own unambiguous pixels.
# statistics = "training"
# Background of each spectrum in the likelihood: a constant and a slope as large as the scan
# shows them ("auto"), "none", a "constant" of any size, or a constant and a "slope".
# baseline = "auto"

[detector]
# photons_per_count = 1.0
# saturation_counts = 65535
# Counts per pixel without beam, and the time after a count in which no other one is recorded.
# dark_counts = 0.0
# dead_time_ns = 20.0

[adaptive]
# A scan that may skip energies ends when the mean probability of correct labels reaches this ...
# target_certainty = 1.0
# ... or when all remaining energies together would raise it by less than this.
# min_gain = 0.0075
# Always measured: these energies, or as many as "fewest" that distinguish the phases best.
# minimum_ev = [505, 517.5, 530.3]
# fewest = 5

[regions]
# What to look for in the next regions: "doubt" (labels that another scan would correct), or words
# as "phase:Na3VPF", "x between 2.0 and 2.4", "boundary of Na3VPF and Na2VPF and area above 0.2".
# criterion = "doubt"
"""


@app.command("new")
@one_line_errors
def new(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("recipe.toml"),
) -> None:
    """Write a commented recipe to start from.

    Example: stxm-live recipe new lfp.toml
    """
    if path.exists():
        raise FileExistsError(f"{path} exists; choose another name")
    with whole_file(path) as unfinished:
        unfinished.write_text(TEMPLATE.format(name=path.stem), encoding="utf-8")
    console.print(f"wrote {escape(str(path))}; now enter your references in it")


@app.command("show")
@one_line_errors
def show(
    recipe: Annotated[str, typer.Argument(help="A TOML file or a shipped name.")],
    photons: PhotonsOption = 1000,
    od: ODOption = 1.0,
) -> None:
    """Print a recipe and check it; name the phases that mixtures of others look like.

    Examples: stxm-live recipe show nvpf; stxm-live recipe show nvpf --photons 4000 --od 1.4
    """
    loaded = Recipe.load(recipe)
    console.print(escape(recipe_path(recipe).read_text(encoding="utf-8")))
    if loaded.references is None:
        console.print("no references yet: a scan is explored, and no maps are made of it")
        return
    references = loaded.reference_spectra
    energies = loaded.energies_ev or tuple(references.energies_ev)
    kind = "synthetic references" if references.synthetic else "references"
    console.print(
        f"{references.n_phases} {kind}; on {len(energies)} energies the closest two differ by "
        f"1 - PCC = {references.smallest_separation(energies):.4f}"
    )
    if references.without_pre_edge:
        named = escape(", ".join(references.without_pre_edge))
        console.print(f"[yellow]note: no absorption before the edge in {named}[/]")
    kind_of_baseline = loaded.resolver.baseline
    print_mixtures(references, energies, photons=photons, od=od, baseline=kind_of_baseline)


@app.command("list")
@one_line_errors
def list_recipes() -> None:
    """List the recipes that ship with the package."""
    for name, path in shipped_recipes().items():
        console.print(f"{name}: {escape(str(path))}")


TrainedRunsArgument = Annotated[
    list[str] | None, typer.Argument(help="Runs of the catalogue to train on.")
]
RecipeOption = Annotated[str, typer.Option(help="A TOML file or a shipped name.")]
BundleOption = Annotated[Path, typer.Option(help="Folder of the bundle.")]
SimulatedOption = Annotated[
    int | None,
    typer.Option(min=0, help="Number of simulated spectra, alone or in addition to runs."),
]
PerRunOption = Annotated[
    int, typer.Option(min=1, help="Largest number of spectra from one run, evenly chosen.")
]
EpochsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Fixed number of epochs (400 in the paper); default: until the loss stops falling.",
    ),
]
MinutesOption = Annotated[float, typer.Option(help="Time limit in minutes without --epochs.")]
BetaOption = Annotated[float, typer.Option(help="Weight of the Kullback-Leibler divergence.")]
ByParticleOption = Annotated[
    bool, typer.Option("--by-particle", help="Validate on whole runs instead of pixels.")
]


@one_line_errors
def train(
    runs: TrainedRunsArgument = None,
    recipe: RecipeOption = "nvpf",
    out: BundleOption = Path("bundle"),
    simulated: SimulatedOption = None,
    per_run: PerRunOption = 20_000,
    epochs: EpochsOption = None,
    max_minutes: MinutesOption = 9.0,
    beta: BetaOption = 1e-5,
    batch: Annotated[int, typer.Option(min=1, help="Batch size.")] = 128,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    by_particle: ByParticleOption = False,
    catalog: CatalogOption = None,
    roots: RootsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing bundle.")] = False,
) -> None:
    """Train the GMVAE of a recipe, on simulated spectra, on runs of the catalogue, or on both.

    Examples: stxm-live train --simulated 60000; stxm-live train 3f2a91 -1 --recipe lfp.toml
    """
    from stxm_live.gmvae import TrainingOptions
    from stxm_live.phase_mapping.latent_space.bundle import refuse_to_overwrite

    _check_spectra(runs, simulated, by_particle=by_particle)
    refuse_to_overwrite(out, force=force)
    loaded = Recipe.load(recipe)
    options = TrainingOptions(
        beta=beta, epochs=epochs, batch_size=batch, seed=seed, max_minutes=max_minutes
    )
    spectra = gathered(
        loaded,
        runs or (),
        simulated=simulated or 0,
        per_run=per_run,
        seed=seed,
        catalog=catalog,
        roots=roots or (),
    )
    console.print(f"training on {len(spectra.od)} spectra")
    if not by_particle:
        spectra = spectra._replace(groups=None)
    scores = _trained(loaded, spectra, out, options, simulated=bool(simulated), force=force)
    for name, value in scores.items():
        console.print(f"  {name}: {value:.4g}")
    console.print(f'wrote {escape(str(out))}; name it in the recipe: model = "{escape(str(out))}"')


def _check_spectra(runs: list[str] | None, simulated: int | None, *, by_particle: bool) -> None:
    """Raise ValueError if there is nothing to train on, or no particle to validate on."""
    if not runs and not simulated:
        raise UsageError("give runs to train on, --simulated N, or both")
    if by_particle and (simulated or not runs):
        raise UsageError(
            "--by-particle works with runs only: simulated spectra belong to no particle"
        )


def _trained(
    recipe: Recipe,
    spectra: Gathered,
    out: Path,
    options: TrainingOptions,
    *,
    simulated: bool,
    force: bool,
) -> Mapping[str, float]:
    """Train with a progress bar, write the bundle, and return its scores."""
    from stxm_live.gmvae import train_bundle

    with _TrainingBar(options) as bar:
        bundle = train_bundle(
            recipe,
            spectra.od,
            out=out,
            options=options,
            progress=bar.update,
            labels=spectra.labels,
            simulated=simulated,
            note=spectra.note,
            groups=spectra.groups,
            force=force,
        )
    return bundle.info.scores


class _TrainingBar:
    """A progress bar over epochs, or over the time limit if there is no number of epochs."""

    def __init__(self, options: TrainingOptions) -> None:
        self._by_epochs = options.epochs is not None
        self._total = float(options.epochs or 60 * options.max_minutes)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("validation loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            console=console,
        )

    def __enter__(self) -> _TrainingBar:
        self._bar.start()
        self._task = self._bar.add_task("", total=self._total, epoch=0, loss="...")
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, report: EpochReport) -> None:
        done = report.epoch if self._by_epochs else report.elapsed_s
        self._bar.update(
            self._task,
            completed=min(done, self._total),
            epoch=report.epoch,
            loss=f"{report.validation_loss:.4g}",
        )
