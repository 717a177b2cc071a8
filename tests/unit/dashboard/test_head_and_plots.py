"""The line below the verdict, legends and plots of the dashboard."""

from dataclasses import replace

import made_up_maps as made_up
import numpy as np
import pytest

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from stxm_live.core.stack import StackKey
from stxm_live.dashboard import Board
from stxm_live.dashboard.energy_plot import EnergyPlot
from stxm_live.dashboard.images import rgba_of
from stxm_live.dashboard.layers import doubt_layer, phase_layer
from stxm_live.dashboard.scene import current_scene
from stxm_live.dashboard.text import notes, subline
from stxm_live.plotting.style.palette import UNIDENTIFIED


def shown(maps):
    board = Board()
    board.on_maps(maps)
    return current_scene(board.now)


def test_the_file_of_a_run_stands_below_the_verdict_once():
    maps = made_up.maps()
    origin = {"measured": "2007-12-14T18:52:00", "file": "71214078.hdr"}
    of_run = replace(maps, provenance={**maps.provenance, "origin": origin})
    of_file = replace(of_run, key=StackKey((), source="71214078.hdr"))
    for found in (of_run, of_file):
        text = subline(shown(found))
        assert "measured 2007-12-14 18:52" in text
        assert text.count("71214078.hdr") == 1


def test_an_error_that_later_maps_do_not_have_is_not_said_of_them():
    board, maps = Board(), made_up.maps()
    board.on_error(maps.key.run_uids[0], ValueError("image at 505 eV cannot be aligned"))
    board.on_maps(maps)
    assert "<li>failed before these maps were made: image at 505" in said(board)
    board.on_error(maps.key.run_uids[0], ValueError("they could not be refined"))
    assert "<li>analysis failed: they could" in said(board)


def said(board):
    return notes(current_scene(board.now), board.now)


def test_the_shares_of_a_phase_map_are_called_those_of_the_pixels():
    assert "of the pixels" in phase_layer(shown(made_up.maps()), "final").legend


def test_points_of_many_energies_do_not_hide_the_references():
    plot = EnergyPlot("spectrum", "optical density", 200)
    sizes = []
    for n in (13, 123):
        plot.show(np.arange(n), [], [(np.ones(n), "#000000", "circle")])
        (marks,) = (r.glyph for r in plot.plot.renderers if hasattr(r.glyph, "marker"))
        sizes.append(marks.size)
    assert sizes == [6, 3]


def test_each_pixel_of_the_ambiguity_map_counts_once():
    maps = made_up.maps()
    both = maps.specimen & (maps.ambiguous | maps.unidentified)
    maps = replace(maps, ambiguous=maps.specimen & maps.ambiguous, unidentified=both)
    layer = doubt_layer(shown(maps), "ambiguous", (0, 1))
    pink = (layer.image == rgba_of(UNIDENTIFIED)).all(axis=-1).sum()
    counted = (maps.specimen & maps.valid).sum()
    assert f"no reference fits {100 * pink / counted:.1f} %" in layer.legend
