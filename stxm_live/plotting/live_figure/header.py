"""Text above and below the panels of the live figure: stack, verdict, time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stxm_live.live.progress import Progress, duration_in_words
from stxm_live.plotting.live_figure.layout import text_scale
from stxm_live.plotting.style.lettering import PLAIN, plain, wrapped
from stxm_live.plotting.style.palette import FAINT, INK, VERDICT

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

TIME_LEFT = "time left"
"""The gid of the text with the time that is left."""

_BAR, _BAR_GROUND = "#2f6f9f", "#dfe3e8"
_LATE_IMAGES = 2.5
"""The figure reports a missing image after this many times the typical time per image."""

_STATUS = {
    "complete": ("complete", INK),
    "incomplete": ("incomplete", VERDICT["limited"]),
    "stopped-early": ("stopped early", INK),
}


def write_live_header(
    figure: Figure,
    title: str,
    detail: str = "",
    color: str = INK,
    *,
    progress: Progress | None = None,
    status: str = "",
) -> None:
    """Write the title and the detail in its color; on the right the time left or the status."""
    width, height = figure.get_size_inches()
    scale = text_scale(figure)
    margin, letters = 0.16 * scale / width, width / scale
    side = 3.1 * scale if progress is not None else 1.6 * scale if status else 0.0
    title = plain(title, int((letters - side / scale) * 9.2))
    detail = wrapped(detail, int((letters - side / scale) * 13.4), 2)
    for text, y_in, size, ink, weight in (
        (title, 0.09, 12, INK, "bold"),
        (detail, 0.33, 8.5, color, "normal"),
    ):
        figure.text(
            margin,
            1 - y_in * scale / height,
            text,
            ha="left",
            va="top",
            fontsize=size * scale,
            fontweight=weight,
            color=ink,
            linespacing=1.25,
            **PLAIN,
        )
    if progress is not None:
        _write_progress(figure, progress)
    elif status:
        words, ink = _STATUS.get(status, (status, INK))
        _write_right(figure, words, ink)


def write_notes(figure: Figure, notes: str, identity: str = "") -> None:
    """Write notes below the panels, and what the figure shows; two lines at most."""
    width, height = figure.get_size_inches()
    scale = text_scale(figure)
    in_line, n_lines = int(width / scale * 13.4), 1 if identity else 2
    figure.text(
        0.16 * scale / width,
        0.07 * scale / height,
        "\n".join(filter(None, (wrapped(notes, in_line, n_lines), wrapped(identity, in_line, 1)))),
        ha="left",
        va="bottom",
        fontsize=8.5 * scale,
        color=FAINT,
        linespacing=1.2,
        **PLAIN,
    )


def time_left_in_words(progress: Progress, waited_s: float = 0.0) -> str:
    """Return the time that a scan will still take, ``waited_s`` seconds after its newest image.

    Examples
    --------
    >>> time_left_in_words(Progress(5, 13, 30.0))
    'about 4 min left'
    >>> time_left_in_words(Progress(5, 13, 30.0), waited_s=600)
    'no image for 10 min; about 4 min left'
    """
    if progress.left_s is None or progress.image_s is None:
        return f"{progress.n_left} images left"
    about = "at most" if progress.may_skip else "about"
    if progress.n_left == 0:
        return "all images received"
    if waited_s > _LATE_IMAGES * progress.image_s + 5.0:
        waited, left = duration_in_words(waited_s), duration_in_words(progress.left_s)
        return f"no image for {waited}; {about} {left} left"
    left_s = progress.left_s - min(waited_s, progress.image_s)
    return f"{about} {duration_in_words(left_s)} left" if left_s > 0 else "last image is due"


def _write_progress(figure: Figure, progress: Progress) -> None:
    """Write the time left, above a bar that shows the share of the images received."""
    from matplotlib.patches import Rectangle

    width, height = figure.get_size_inches()
    scale = text_scale(figure)
    _write_right(figure, time_left_in_words(progress), INK).set_gid(TIME_LEFT)
    long, thick = 2.6 * scale / width, 0.09 * scale / height
    left, bottom = 1 - 0.16 * scale / width - long, 1 - 0.46 * scale / height
    share = progress.n_images / max(1, progress.n_announced)
    for part, color in ((1.0, _BAR_GROUND), (min(1.0, share), _BAR)):
        figure.add_artist(
            Rectangle(
                (left, bottom),
                part * long,
                thick,
                transform=figure.transFigure,
                facecolor=color,
                edgecolor="none",
            )
        )


def _write_right(figure: Figure, text: str, color: str) -> Text:
    width, height = figure.get_size_inches()
    scale = text_scale(figure)
    return figure.text(
        1 - 0.16 * scale / width,
        1 - 0.09 * scale / height,
        plain(text),
        ha="right",
        va="top",
        fontsize=12 * scale,
        fontweight="bold",
        color=color,
        **PLAIN,
    )
