"""The panel for Lightfall, with stand-ins for its published classes and for Qt: neither is here."""

import sys
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import shapes

import stxm_live.dashboard
from stxm_live.dashboard import lightfall


class Engine:
    def __init__(self):
        self.callbacks = {}

    def subscribe(self, callback):
        self.callbacks[len(self.callbacks)] = callback
        return len(self.callbacks) - 1

    def unsubscribe(self, token):
        del self.callbacks[token]


class BasePanel:
    def __init__(self, parent=None):
        self.parent, self.closed = parent, False

    def closeEvent(self, event):  # noqa: N802
        self.closed = True


@dataclass
class PanelMetadata:
    id: str
    name: str
    description: str = ""
    category: str = "tools"
    icon: str = ""
    singleton: bool = True
    default_area: str = "left"


@dataclass
class PluginEntry:
    type_name: str
    name: str
    import_path: str
    preload: bool = False


@dataclass
class PluginManifest:
    name: str
    version: str = "0.0.0"
    plugins: list[Any] = field(default_factory=list)


class Label:
    def setText(self, text):  # noqa: N802
        self.text = text

    def setOpenExternalLinks(self, is_open):  # noqa: N802
        self.opens_links = is_open


class Timer:
    def __init__(self, parent):
        self.timeout = SimpleNamespace(connect=lambda call: None)

    def start(self, period_ms):
        self.period_ms = period_ms

    def stop(self):
        self.period_ms = None


@pytest.fixture
def engine(monkeypatch):
    engine = Engine()
    contents = {
        "lightfall": {},
        "lightfall.plugins": {"PluginEntry": PluginEntry, "PluginManifest": PluginManifest},
        "lightfall.plugins.panel_plugin": {"PanelPlugin": type("PanelPlugin", (), {})},
        "lightfall.acquire": {},
        "lightfall.acquire.engine": {"get_engine": lambda: SimpleNamespace(RE=engine)},
        "lightfall.ui": {},
        "lightfall.ui.panels": {},
        "lightfall.ui.panels.base": {"BasePanel": BasePanel, "PanelMetadata": PanelMetadata},
        "PySide6": {},
        "PySide6.QtCore": {"QTimer": Timer},
        "PySide6.QtWidgets": {
            "QLabel": Label,
            "QVBoxLayout": lambda parent: SimpleNamespace(addWidget=lambda widget: None),
        },
    }
    for name, content in contents.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    page = SimpleNamespace(url="http://127.0.0.1:1/?token=a&b", close=lambda: None)
    monkeypatch.setattr(stxm_live.dashboard, "serve", lambda live: page, raising=False)
    for name in ("manifest", "MapsPanelPlugin", "MapsPanel"):
        monkeypatch.delitem(lightfall.__dict__, name, raising=False)
    yield engine
    for name in ("manifest", "MapsPanelPlugin", "MapsPanel"):
        lightfall.__dict__.pop(name, None)


def test_the_panel_is_found_by_its_entry_point_and_follows_the_runengine(engine):
    point = EntryPoint("stxm-live", "stxm_live.dashboard.lightfall:manifest", "lightfall.plugins")
    (entry,) = point.load().plugins
    assert (entry.type_name, entry.preload) == ("panel", True)
    plugin = EntryPoint(entry.name, entry.import_path, "").load()()
    assert plugin.name == entry.name
    panel = plugin.get_panel_class()()
    about = panel.panel_metadata
    assert about.icon
    assert about.default_area in ("left", "bottom")  # others are invisible

    panel.show_newest()
    assert "No maps yet" in panel._label.text
    assert "token=a&amp;b" in panel._label.text
    docs = list(shapes.image_run())
    for name, doc in docs:
        for callback in list(engine.callbacks.values()):
            callback(name, doc)
    panel.live.wait(docs[0][1]["uid"], timeout_s=60)
    panel.show_newest()
    assert f"Run {docs[0][1]['uid'][:8]}: " in panel._label.text

    panel.closeEvent(None)
    assert engine.callbacks == {}
    assert panel.closed


def test_other_names_of_the_module_are_errors():
    with pytest.raises(AttributeError, match="no attribute 'panel'"):
        _ = lightfall.panel
