"""The spectrum beside the maps: of the pixel under the mouse, an area, a phase, or the specimen."""

from __future__ import annotations

from stxm_live.dashboard.area_facts import AreaFacts, area_facts
from stxm_live.dashboard.maps_panel import MapsPanel
from stxm_live.dashboard.pixel_panel import PixelPanel
from stxm_live.dashboard.recompute_panel import pixels_inside
from stxm_live.dashboard.scene import Scene


class ShownSpectrum:
    """The choice of what the panel beside the maps shows.

    That is the pixel under the mouse. When the mouse leaves the maps it is the drawn area, the
    phase that was chosen, or the pixel that was kept last; without these it stays. Kept pixels are
    shown all the time.

    Parameters
    ----------
    maps : MapsPanel
    panel : PixelPanel
    """

    def __init__(self, maps: MapsPanel, panel: PixelPanel) -> None:
        self._maps, self._panel = maps, panel
        self._scene: Scene | None = None
        self._looked: tuple[Scene, int, int] | None = None
        self._is_at_rest = False
        maps.drawn.on_change(self._rest)
        maps.pointer.on_change("at", lambda attr, old, new: self._rest())
        maps.pins.on_change(self._keep)
        panel.on_choice(self._choose)

    def look(self, scene: Scene, row: int, column: int) -> None:
        """Show a pixel."""
        self._looked = scene, row, column
        self._panel.show(scene, row, column)

    def show(self, scene: Scene) -> None:
        """Show the same of a new scene, unless it is another stack."""
        before, self._scene = self._scene, scene
        self._panel.offer(scene)
        if self._looked is not None and before is not None:
            looked, row, column = self._looked
            if not scene.shows_same_field(before):
                self._looked = None
                self._panel.clear()
            elif looked is before:
                self.look(scene, row, column)

    def show_drawn(self) -> None:
        """Show what there is without the mouse, after `show` and when the maps are drawn."""
        self._keep()
        self._is_at_rest = not self._maps.pointer.at or self._looked is None

    def tick(self) -> None:
        """Show what is to be shown without the mouse, if that has changed."""
        scene, is_due, self._is_at_rest = self._scene, self._is_at_rest, False
        if scene is None or not is_due:
            return
        facts = self._area(scene)
        newest = self._maps.pins.newest
        if facts is not None:
            self._panel.show_area(scene, facts)
        elif newest is not None:
            self.look(scene, newest.row, newest.column)
        elif self._looked is not None:
            self._panel.show(*self._looked)
        else:
            self._panel.clear()
            self._panel.show_mean(scene)

    def _area(self, scene: Scene) -> AreaFacts | None:
        """Return the drawn area, else the pixels of the chosen phase, else None."""
        corners = self._maps.drawn.corners_um
        if corners is not None:
            return area_facts(scene, pixels_inside(corners, scene))
        if not self._panel.mean_of.value or scene.index is None:
            return None
        k = int(self._panel.mean_of.value)
        return area_facts(scene, scene.index == k, f"all of {scene.phase_names[k]}")

    def _choose(self) -> None:
        self._looked = None
        self._rest()

    def _keep(self) -> None:
        self._panel.keep(self._scene, list(self._maps.pins))

    def _rest(self) -> None:
        """Show the area soon, if the mouse is not on the maps."""
        self._is_at_rest = not self._maps.pointer.at
