"""Results as the commands print them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table

from stxm_live.core.amount_words import look_alikes, share_in_words
from stxm_live.core.mixed_reference import alternatives
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.plain_text import one_line, printable
from stxm_live.core.twins import labels, merged_shares

if TYPE_CHECKING:
    from stxm_live.io.catalog import RunSummary


class PlainConsole(Console):
    """A console that shows control characters of texts instead of obeying them."""

    _is_working = False

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show what takes a moment while it does; within another such line that one stays."""
        if self._is_working:
            yield
            return
        self._is_working = True
        try:
            with self.status(text):
                yield
        finally:
            self._is_working = False

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Return what is printed, its own control sequences apart."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


console = PlainConsole(highlight=False, soft_wrap=True)

_PIXELS_AND_VOLUME = (
    "of the pixels: each counts the same, as in the paper; of the volume: each counts by its "
    "thickness, mixtures by their parts (± standard uncertainty, or the interval of 95 %)"
)

_STYLES = {"good": "green", "limited": "yellow", "poor": "red"}


def print_result(
    maps: PhaseMaps,
    *,
    files: Sequence[Path] = (),
    agreement: Mapping[str, float] | None = None,
) -> None:
    """Print fractions, ambiguity, verdict, warnings and the files written.

    ``agreement`` maps the name of a map to its share of correct pixels, if the truth is known.
    """
    console.print(_shares(maps))
    if maps.amounts is not None and not maps.no_phases:
        console.print(f"[dim]{_PIXELS_AND_VOLUME}[/]")
    if maps.identity:
        console.print(f"[dim]{escape(maps.identity)}[/]")
    if agreement:
        for name, share in agreement.items():
            console.print(f"  {name}: {_percent(share)} of the pixels correct (simulated truth)")
    _print_amounts(maps)
    style = _STYLES[maps.quality.verdict]
    console.print(f"[bold {style}]{escape(str(maps.quality))}[/]")
    for warning in maps.warnings:
        console.print(f"[dim]note: {escape(warning)}[/]")
    if files:
        console.print(f"{len(files)} files in {escape(str(files[0].parent))}")


def _print_amounts(maps: PhaseMaps) -> None:
    """Print the specimen's value and thickness, where the recipe gives numbers for them."""
    asked = (maps.provenance.get("recipe_values") or {}).get("phases") or {}
    if not (asked.get("value") or asked.get("reference_nm")) or maps.amounts is None:
        return
    amounts = maps.amounts
    if amounts.area_value is not None and amounts.area_value_std is not None:
        name = amounts.quantity or "value"
        value, std = amounts.area_value[0], amounts.area_value_std[0]
        console.print(f"  {escape(name)}: {value:.3f} ± {std:.3f} (specimen, by volume)")
    if amounts.unit != "references":
        thickness, std = amounts.area_thickness[0], amounts.area_thickness_std[0]
        console.print(f"  mean thickness: {thickness:.1f} ± {std:.1f} {amounts.unit}")


def _shares(maps: PhaseMaps) -> Table | str:
    """Return a row for each phase and one for the ambiguous pixels; or a line without phases."""
    title = escape(f"{maps.key}: {maps.status}")
    if maps.no_phases:
        return f"{title}, {maps.no_phases}"
    resolved_by = maps.provenance.get("method") or "not resolved"
    mixtures = alternatives(maps.mixed_references)
    caption = "\n".join(f"{phase} ({mixture})" for phase, mixture in mixtures.items())
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.caption = escape(caption) or None
    table.add_column("phase")
    table.add_column("by correlation\nof the pixels", justify="right")
    table.add_column(f"resolved ({resolved_by})\nof the pixels", justify="right")
    volumes = _volumes(maps)
    if volumes:
        table.add_column("amount\nof the volume", justify="right")
    for name, share, resolved in maps.summary():
        volume = [volumes[name]] if volumes else []
        table.add_row(escape(name), _percent(share), _percent(resolved), *volume)
    table.add_section()
    table.add_row("ambiguous", _percent(maps.ambiguous_share))
    return table


def _volumes(maps: PhaseMaps) -> dict[str, str]:
    """Return the share of each label in the specimen's volume; empty without amounts."""
    amounts = maps.amounts
    if amounts is None:
        return {}
    alike = look_alikes(maps.phase_names, maps.twins, alternatives(maps.mixed_references))
    shares = amounts.area_composition[0]
    found = {}
    for k, label in labels(maps.phase_names, maps.twins).items():
        name = maps.phase_names[k]
        if label != name:  # of phases that are not distinguished, the sum is known best
            share = merged_shares(shares, maps.phase_names, maps.twins)[k]
            found[label] = _percent(float(share))
        else:
            std = amounts.area_composition_std[0, k]
            found[label] = share_in_words(shares[k], std, distinguished=name not in alike)
    return found


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def comparison(differing: list[str] | None) -> str:
    """Return a line on the products that differ; None if there is nothing to compare with."""
    if differing is None:
        return "no stored result to compare with"
    if differing:
        return f"differs from the stored result in: {', '.join(differing)}"
    return "[green]identical to the stored result, bit for bit[/]"


def result_in_words(run: RunSummary) -> str:
    """Return the verdict on a run's maps with the two largest shares, or why there are none."""
    if run.unreadable:
        return f"cannot be read ({run.unreadable})"
    if not run.verdict:
        return "failed" if run.has_maps else ""
    largest = sorted(run.fractions.items(), key=lambda item: -item[1])[:2]
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in largest)
    return f"{run.verdict}: {shares}" if shares else run.verdict


def print_runs(runs: Sequence[RunSummary]) -> None:
    """Print a line for each run, without the columns that no run has anything in.

    Rich's own table takes a millisecond and a half for a row, and breaks rows into several lines
    where the output is read by another program.
    """
    sizes = [" × ".join(map(str, run.scan.shape)) if run.scan else "" for run in runs]
    columns: dict[str, list[str]] = {
        "run": [run.uid[:8] for run in runs],
        "scan": ["" if run.scan_id is None else str(run.scan_id) for run in runs],
        "measured": [run.origin.when or "?" for run in runs],
        "sample or file": [run.origin.sample or run.origin.file for run in runs],
        "E × y × x": [size or "not a stack" for size in sizes],
        "ended": [run.exit_status or "cut off" for run in runs],
        "maps": [result_in_words(run) for run in runs],
    }
    shown = [
        [name, *map(one_line, texts)] for name, texts in columns.items() if any(texts) or not runs
    ]
    widths = [max(map(cell_len, texts)) for texts in shown]
    head, *lines = (
        "  ".join(map(set_cell_size, row, widths)).rstrip() for row in zip(*shown, strict=True)
    )
    console.print(f"[bold]{escape(head)}[/]")
    console.out(*lines, sep="\n", end="\n" * bool(lines))
