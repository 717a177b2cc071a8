"""A panel of Lightfall (ALS) that leads to the page of the running scan; loaded by Lightfall."""

from __future__ import annotations

import os
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps

RECIPE = "STXM_LIVE_RECIPE"
"""Variable of the environment with the recipe of the panel; nvpf without it."""


def __getattr__(name: str) -> Any:
    """Return the manifest, the plug-in or the panel, whose classes are those of Lightfall."""
    made = {"manifest": _manifest, "MapsPanelPlugin": _plugin_class, "MapsPanel": _panel_class}
    if name not in made:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, made[name]())


def panel_text(url: str, results: list[PhaseMaps]) -> str:
    """Return the text of the panel: a link to the page, and the verdict on the newest maps."""
    link = f'<a href="{escape(url)}">Maps of the running scan</a>'
    if not results:
        return f"{link}<br>No maps yet."
    run = "".join(results[-1].key.run_uids[-1:])[:8]
    return f"{link}<br>Run {escape(run)}: {escape(str(results[-1].quality))}"


def _manifest() -> Any:
    from lightfall.plugins import PluginEntry, PluginManifest

    panel = PluginEntry("panel", "stxm_live_maps", f"{__name__}:MapsPanelPlugin", preload=True)
    return PluginManifest(name="stxm-live", plugins=[panel])


def _plugin_class() -> Any:
    from lightfall.plugins.panel_plugin import PanelPlugin

    class MapsPanelPlugin(PanelPlugin):  # type: ignore[misc]
        """The plug-in that provides the panel."""

        @property
        def name(self) -> str:
            return "stxm_live_maps"

        def get_panel_class(self) -> Any:
            return __getattr__("MapsPanel")

    return MapsPanelPlugin


def _panel_class() -> Any:
    from lightfall.acquire.engine import get_engine
    from lightfall.ui.panels.base import BasePanel, PanelMetadata
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QLabel, QVBoxLayout

    from stxm_live.core.recipe import Recipe
    from stxm_live.dashboard import serve
    from stxm_live.live.mapper import LivePhaseMapper

    class MapsPanel(BasePanel):  # type: ignore[misc]
        """Maps of the scans of Lightfall's RunEngine, for as long as the panel is open."""

        panel_metadata = PanelMetadata(
            id="stxm_live.panels.maps",
            name="Phase maps",
            category="analysis",
            icon="mdi.layers-triple",
        )

        def __init__(self, parent: Any = None) -> None:
            super().__init__(parent)
            self.live = LivePhaseMapper(Recipe.load(os.environ.get(RECIPE, "nvpf")))
            self._page, self._engine = serve(self.live), get_engine().RE
            self._token = self._engine.subscribe(self.live)
            self._label, self._timer = QLabel(), QTimer(self)
            self._label.setOpenExternalLinks(True)
            QVBoxLayout(self).addWidget(self._label)
            self._timer.timeout.connect(self.show_newest)
            self._timer.start(1000)

        def show_newest(self) -> None:
            """Show the verdict on the newest maps; called by Qt, on its own thread."""
            self._label.setText(panel_text(self._page.url, self.live.results()))

        def closeEvent(self, event: Any) -> None:  # noqa: N802  Qt's name
            """Leave the RunEngine, and end page and mapper."""
            self._timer.stop()
            self._engine.unsubscribe(self._token)
            self._page.close()
            self.live.close()
            super().closeEvent(event)

    return MapsPanel
