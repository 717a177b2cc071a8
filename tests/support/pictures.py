"""Figures and pages that commands write, without rendering them."""

from itertools import islice
from pathlib import Path

import pytest


@pytest.fixture
def quick_pictures(monkeypatch):
    """Figures are drawn and saved as empty files: rendering takes three quarters of the time."""
    from matplotlib.figure import Figure

    render = Figure.savefig

    def save(figure, target, **options):
        if isinstance(target, str | Path):
            Path(target).touch()
        else:
            render(figure, target, **options)

    monkeypatch.setattr(Figure, "savefig", save)


@pytest.fixture
def no_pictures(monkeypatch, quick_pictures):
    """Of the pictures of a result there is the overview alone, empty: to arrange ten takes 1 s."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(
        "stxm_live.plotting.pictures._figures", lambda *_: iter([("overview", Figure())])
    )


@pytest.fixture
def one_plate(monkeypatch, quick_pictures):
    """Of the paper's figures there is the first alone, empty: to draw all of a run takes 1 s."""
    from stxm_live.plotting import paper_figures

    write = paper_figures.write_plates
    monkeypatch.setattr(
        paper_figures,
        "write_plates",
        lambda plates, *to, **options: write(islice(plates, 1), *to, **options),
    )


@pytest.fixture
def no_pages(monkeypatch):
    """The HTML page of a result is an empty file: to make it takes .5 s."""
    monkeypatch.setattr("stxm_live.dashboard.offline_page.page.page", lambda dataset: "")


@pytest.fixture
def coarse_pictures(monkeypatch):
    """Figures are rendered with few pixels."""
    from matplotlib.figure import Figure

    render = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda *a, **options: render(*a, **options, dpi=40))
