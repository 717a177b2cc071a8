"""A first look at a stack without references: clusters to name, and save as references."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bokeh.models import Checkbox, Column, LayoutDOM, RadioButtonGroup, Row, TextInput
from bokeh.plotting import figure

from stxm_live.core.recipe import Recipe
from stxm_live.dashboard.first_look_figures import ScreePlot, SpectraPlot
from stxm_live.dashboard.scene import cluster_names
from stxm_live.dashboard.state import Board
from stxm_live.dashboard.style import STYLE, WRAPPED, button, html, select
from stxm_live.dashboard.text import swatches
from stxm_live.phase_mapping.exploration import Exploration, regrouped, save_as_recipe
from stxm_live.plotting.panels.scree import ABOVE, NOISE
from stxm_live.plotting.pictures import safe_name
from stxm_live.plotting.style.palette import AMBIGUOUS, hex_of, phase_colors

_KINDS = ("Clusters", "Components (NMF)")

_WORDS = (
    "Pixels of a cluster have similar spectra; cluster 0 is the largest. Name those that are pure "
    "phases, and leave the others empty. Non-negative components (NMF) are spectra of which all "
    "others are sums: they can be pure where no pixel is. Bars: standard error."
)

MOST_LETTERS = 60
"""Longest name, in characters."""

MOST_OFFERED = 10
"""Most clusters that can be chosen."""

ChangeRecipe = Callable[[Recipe], None]


class FirstLookPanel:
    """Spectra that a first look found, with a field for the name of each.

    Parameters
    ----------
    board : Board
        Does the work on its thread and says what came of it.
    folder : path
        Parent of the folders of saved references.
    change_recipe : callable, optional
        Gets the recipe with the saved references, for the next scans.
    """

    title = "First look"

    def __init__(
        self, board: Board, folder: str | Path, change_recipe: ChangeRecipe | None = None
    ) -> None:
        self._board, self._folder = board, Path(folder)
        self._change_recipe = change_recipe
        self._shown: Exploration | None = None
        self._fields: dict[str, TextInput] = {}
        self.spectra, self.scree = SpectraPlot(), ScreePlot()
        self.kind = RadioButtonGroup(labels=list(_KINDS), active=0, name="spectra-to-name")
        self.kind.on_change("active", lambda attr, old, new: self._offer())
        numbers = [(str(n), str(n)) for n in range(1, MOST_OFFERED + 1)]
        self.n = select(numbers, self._group, "number-of-clusters", width=70)
        self.form = Row(styles=WRAPPED)
        self.of_scree = html("", "legend")
        self.follow = Checkbox(label="map the next scans with them", active=True, margin=(9, 6))

    @property
    def plots(self) -> tuple[figure, figure]:
        """Return the two figures."""
        return self.spectra.plot, self.scree.plot

    def layout(self) -> LayoutDOM:
        """Return the panel."""
        choice = Row(self.kind, html("number", "small", margin=(9, 2)), self.n, styles=WRAPPED)
        save = [button("Save as references", self.save, kind="primary")]
        if self._change_recipe is not None:
            save.append(self.follow)
        return Column(
            html(_WORDS, "small", sizing_mode="stretch_width"),
            choice,
            self.spectra.plot,
            self.form,
            Row(*save, styles=WRAPPED),
            html("<h2>Principal components: how many differ from noise</h2>"),
            self.scree.plot,
            self.of_scree,
            sizing_mode="stretch_width",
        )

    def show(self, exploration: Exploration) -> None:
        """Show another first look, or the same with another number of clusters."""
        if exploration is self._shown:
            return
        self._shown = exploration
        self.n.value = str(len(exploration.clusters.spectra))
        self.scree.draw(exploration.pca)
        entries = [(ABOVE, f"{exploration.pca.n_above_noise} above the noise"), (NOISE, "noise")]
        self.of_scree.text = swatches([*entries, (AMBIGUOUS, "noise floor")])
        self._offer()

    def save(self) -> None:
        """Save the named spectra, and map the next scans with them if that is wanted."""
        found = self._shown
        if found is None:
            return
        names = {spectrum: each.value for spectrum, each in self._fields.items()}
        folder = self._folder / f"{safe_name(str(found.key))} {time.strftime('%Y%m%d-%H%M%S')}"
        change = self._change_recipe if self.follow.active else None
        self._board.do(lambda: _save(found, names, folder, change), "saving the references")

    def _group(self, number: str) -> None:
        """Look for another number of clusters."""
        found = self._shown
        if found is None or int(number) == len(found.clusters.spectra):
            return

        def look() -> None:
            self._board.on_exploration(regrouped(found, int(number)))

        self._board.do(look, f"looking for {number} clusters")

    def _offer(self) -> None:
        """Draw the spectra of one kind, with a field for each."""
        found = self._shown
        if found is None:
            return
        is_nmf = self.kind.active == 1
        spectra = [s for n, s in found.measured_spectra.items() if n.startswith("nmf") == is_nmf]
        titles = [each.name for each in spectra]
        if not is_nmf:
            shares = found.clusters.shares
            names = cluster_names(found)
            titles = [f"{n} {100 * s:.1f} %" for n, s in zip(names, shares, strict=True)]
        colors = _colors([each.name for each in spectra] if is_nmf else list(cluster_names(found)))
        self.spectra.draw(spectra, colors)
        self._fields = {
            each.name: TextInput(
                title=title,
                placeholder="phase name",
                max_length=MOST_LETTERS,
                width=160,
                styles={"border-left": f"8px solid {color}", "padding-left": "6px"},
                stylesheets=[STYLE],
            )
            for each, title, color in zip(spectra, titles, colors, strict=True)
        }
        self.form.children = list(self._fields.values())


def _colors(names: list[str]) -> list[str]:
    return hex_of(phase_colors(names))


def _save(
    found: Exploration, names: dict[str, str], folder: Path, change: ChangeRecipe | None
) -> str:
    """Write the named spectra and return what to do with them, in words."""
    recipe = save_as_recipe(found, names, folder)
    phases = ", ".join(recipe.reference_spectra.phase_names)
    saved = f"References of {phases} are saved, with a recipe, in {folder.resolve()}."
    if change is None:
        return f'{saved} Next: LivePhaseMapper(Recipe.load("{folder.resolve()}"))'
    change(recipe)
    return f"{saved} The scans that begin from now on are mapped with them."
