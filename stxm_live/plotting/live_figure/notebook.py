"""A picture below a notebook's cell that a newer picture replaces."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from stxm_live.plotting.pictures import save_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draws_inline() -> bool:
    """Return True if pyplot shows figures below a notebook's cell (``%matplotlib inline``)."""
    import matplotlib as mpl

    return "inline" in str(mpl.get_backend()).lower()


class NotebookPicture:
    """A place in a notebook that shows one PNG at a time; may be used on any thread."""

    def __init__(self) -> None:
        self._place: Any = None

    def show(self, figure: Figure) -> None:
        """Show this figure in place of the previous one."""
        from IPython.display import Image, display

        buffer = BytesIO()
        save_png(figure, buffer)
        image = Image(data=buffer.getvalue(), format="png")  # type: ignore[no-untyped-call]
        if self._place is None:
            self._place = display(image, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._place.update(image)
