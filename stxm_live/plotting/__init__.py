"""Live figure and pictures; matplotlib is imported here only."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stxm_live.plotting.live_figure.figure import LiveFigure
    from stxm_live.plotting.one_product import plot_product
    from stxm_live.plotting.pictures import summary_png_base64, write_pictures

__all__ = ["LiveFigure", "plot_product", "summary_png_base64", "write_pictures"]

_HOMES = {
    "LiveFigure": "stxm_live.plotting.live_figure.figure",
    "plot_product": "stxm_live.plotting.one_product",
    "summary_png_base64": "stxm_live.plotting.pictures",
    "write_pictures": "stxm_live.plotting.pictures",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
