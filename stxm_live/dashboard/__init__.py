"""The dashboard of a scan in a browser, and results as pages; bokeh is imported here only."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stxm_live.dashboard.history import CatalogHistory, History
    from stxm_live.dashboard.offline_page.page import write_page
    from stxm_live.dashboard.serving import Served, dashboard, serve
    from stxm_live.dashboard.state import Board

__all__ = ["Board", "CatalogHistory", "History", "Served", "dashboard", "serve", "write_page"]

_HOMES = {
    "Board": "stxm_live.dashboard.state",
    "CatalogHistory": "stxm_live.dashboard.history",
    "History": "stxm_live.dashboard.history",
    "Served": "stxm_live.dashboard.serving",
    "dashboard": "stxm_live.dashboard.serving",
    "serve": "stxm_live.dashboard.serving",
    "write_page": "stxm_live.dashboard.offline_page.page",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name != "write_page":  # which checks for Bokeh itself
        from stxm_live.dashboard.offline_page.page import check_bokeh

        check_bokeh("the dashboard")
    return getattr(import_module(_HOMES[name]), name)
