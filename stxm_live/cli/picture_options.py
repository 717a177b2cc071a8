"""Options of commands that write pictures."""

from __future__ import annotations

from typing import Annotated

import typer

from stxm_live.plotting.style.layout import PictureFormat
from stxm_live.plotting.style.palette import Palette

FormatOption = Annotated[
    PictureFormat,
    typer.Option("--format", help="Kind of the pictures; text stays text in pdf and svg."),
]
PaletteOption = Annotated[
    Palette,
    typer.Option(
        help="Colors of the phases: roma, paper (arXiv:2603.07666) or print (differ in grey)."
    ),
]
