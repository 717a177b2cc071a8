"""The dashboard of a scan in a browser, served on this machine only, or in a notebook."""

from importlib.util import find_spec

if find_spec("bokeh") is None:
    raise ImportError(
        'the dashboard needs Bokeh, which is not installed; pip install "stxm-live[web]"'
    )

from stxm_live.display.dashboard.board import Board
from stxm_live.display.dashboard.history import CatalogHistory, History
from stxm_live.display.dashboard.serving import Served, dashboard, serve

__all__ = ["Board", "CatalogHistory", "History", "Served", "dashboard", "serve"]
