"""Live figure, pictures, page and dashboard; matplotlib, bokeh and panel are imported here only."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stxm_live.display.dashboard import serve
    from stxm_live.display.figure import LiveFigure
    from stxm_live.display.page import write_page
    from stxm_live.display.pictures import summary_png_base64, write_pictures

__all__ = ["LiveFigure", "serve", "summary_png_base64", "write_page", "write_pictures"]

_HOMES = {
    "LiveFigure": "stxm_live.display.figure",
    "serve": "stxm_live.display.dashboard",
    "summary_png_base64": "stxm_live.display.pictures",
    "write_page": "stxm_live.display.page",
    "write_pictures": "stxm_live.display.pictures",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
