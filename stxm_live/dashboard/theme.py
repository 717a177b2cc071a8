"""Ground and axes of the plots on a light and on a dark page."""

from __future__ import annotations

from bokeh.plotting import figure

from stxm_live.dashboard.offline_page.page_figures import PALE_INK
from stxm_live.plotting.style.grounds import LIGHT_GROUND
from stxm_live.plotting.style.palette import FAINT, GROUND, INK

_DARK_PAPER = "#14171b"
"""Color of a dark page, as in the style sheet; a border without one keeps traces of a resize."""


def recolor(plot: figure, *, is_dark: bool) -> None:
    """Draw ground and axes of a plot for a light or a dark page."""
    ink = PALE_INK if is_dark else INK
    for axis in plot.axis:
        axis.update(
            axis_label_text_color=ink,
            major_label_text_color=ink,
            **dict.fromkeys(
                ("axis_line_color", "major_tick_line_color", "minor_tick_line_color"), FAINT
            ),
        )
    plot.grid.grid_line_color = ink
    plot.background_fill_color = GROUND if is_dark else LIGHT_GROUND
    plot.border_fill_color = _DARK_PAPER if is_dark else LIGHT_GROUND
