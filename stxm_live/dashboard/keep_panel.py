"""Keep the maps that are shown: in files, or as a result in the catalogue."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bokeh.models import Column, LayoutDOM, Row

from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.recipe_saving import with_saved_recipe
from stxm_live.dashboard.scene import Scene
from stxm_live.dashboard.state import Board
from stxm_live.dashboard.style import WRAPPED, button, html
from stxm_live.plotting.pictures import safe_name

if TYPE_CHECKING:
    from stxm_live.dashboard.history import History

_WORDS = (
    "<b>Export</b> writes NeXus, CSV tables, pictures, a page that opens offline, and the recipe "
    "with its files, into a new folder on the computer of this session."
)
_STORE_WORDS = " <b>Store</b> adds the maps to the catalogue as a result of their run."
_NO_MAPS = "There are no maps to keep yet; wait for the scan to end."


class KeepPanel:
    """Buttons that keep the maps that are shown, also those that were changed by hand.

    Parameters
    ----------
    board : Board
        Does the work on its thread and says what came of it.
    history : History or None
        One with a method ``store``, as `CatalogHistory`, can store results.
    folder : path
        Parent of the folders of exports.
    """

    title = "Keep"

    def __init__(self, board: Board, history: History | None, folder: str | Path) -> None:
        self._board, self._folder = board, Path(folder)
        self._store: Callable[[PhaseMaps, Path], str] | None = getattr(history, "store", None)
        self._scene: Scene | None = None
        words = _WORDS + (_STORE_WORDS if self._store is not None else "")
        self.words = html(words, "small", sizing_mode="stretch_width")

    def layout(self) -> LayoutDOM:
        """Return the panel."""
        buttons = [button("Export", self._export, kind="primary")]
        if self._store is not None:
            buttons.append(button("Store in the catalogue", self._store_maps))
        return Column(self.words, Row(*buttons, styles=WRAPPED), sizing_mode="stretch_width")

    def show(self, scene: Scene) -> None:
        """Keep the maps of this scene from now on."""
        self._scene = scene

    def _export(self) -> None:
        maps = self._maps()
        if maps is not None:
            folder = self._folder / f"{safe_name(str(maps.key))} {time.strftime('%Y%m%d-%H%M%S')}"
            self._board.do(lambda: self._write(maps, folder), "exporting the maps")

    def _write(self, maps: PhaseMaps, folder: Path) -> str:
        export_maps(maps, folder)
        return f"Exported to {folder.resolve()}"

    def _store_maps(self) -> None:
        maps, store, recipes = self._maps(), self._store, self._folder / "recipes"
        if maps is not None and store is not None:
            self._board.do(
                lambda: f"Stored as result {store(maps, recipes)[:8]}", "storing the maps"
            )

    def _maps(self) -> PhaseMaps | None:
        maps = None if self._scene is None else self._scene.maps
        if maps is None:
            self._board.say(note=_NO_MAPS)
        return maps


def export_maps(maps: PhaseMaps, folder: Path) -> None:
    """Write everything about a result into a folder: numbers, tables, pictures, page, recipe.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    from stxm_live.dashboard.offline_page.page import write_page
    from stxm_live.io.results import write_csv, write_nexus
    from stxm_live.plotting.pictures import write_pictures

    folder.mkdir(parents=True, exist_ok=True)
    maps = with_saved_recipe(maps, folder / "recipe")
    dataset = maps.to_xarray()
    write_nexus(dataset, folder / "maps.nxs")
    write_page(dataset, folder / "maps.html")
    write_csv(dataset, folder / "csv")
    write_pictures(maps, folder / "pictures")
