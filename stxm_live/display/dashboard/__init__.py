"""The dashboard of a scan in a browser, served on this machine only, or in a notebook."""

from stxm_live.display.dashboard.board import Board
from stxm_live.display.dashboard.history import CatalogHistory, History
from stxm_live.display.dashboard.serving import Served, dashboard, serve

__all__ = ["Board", "CatalogHistory", "History", "Served", "dashboard", "serve"]
