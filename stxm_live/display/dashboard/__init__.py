"""The dashboard of a scan in a browser, served on this machine only, or in a notebook."""

from stxm_live.display.page import check_bokeh

check_bokeh("the dashboard")

from stxm_live.display.dashboard.board import Board  # noqa: E402  after the check
from stxm_live.display.dashboard.history import CatalogHistory, History  # noqa: E402  after the check
from stxm_live.display.dashboard.serving import Served, dashboard, serve  # noqa: E402  after the check

__all__ = ["Board", "CatalogHistory", "History", "Served", "dashboard", "serve"]
