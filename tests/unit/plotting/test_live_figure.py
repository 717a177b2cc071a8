import subprocess
import sys
import threading
from dataclasses import replace
from itertools import combinations, pairwise

import made_up_maps as made_up
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread
from matplotlib.text import Text
from particles import image_documents

from stxm_live import LivePhaseMapper, Recipe
from stxm_live.live.progress import Progress
from stxm_live.plotting import LiveFigure
from stxm_live.plotting.live_figure.header import time_left_in_words
from stxm_live.plotting.live_figure.layout import SIZE_IN
from stxm_live.plotting.live_figure.six_panels import draw_final, draw_growing
from stxm_live.plotting.pictures import agg_figure

HOSTILE = (r"$\frac{x}$", "_under", "a/../b\n%s", "Natrium 名 <b>&amp;", "x" * 300)

COARSE = 40
"""Pixels per inch: most tests look at words, not at pixels."""


def words(figure):
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def drawn(live):
    return live._drawn(live._newest)


@pytest.fixture(scope="module")
def result():
    return made_up.maps()


def test_the_package_is_imported_without_matplotlib():
    code = (
        "import sys, stxm_live.plotting as d; print('matplotlib' in sys.modules);"
        "d.LiveFigure; print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_each_energy_gives_a_picture_that_differs_from_the_one_before(tmp_path):
    live = LiveFigure(tmp_path, dpi=COARSE)
    for latest in (0, 4, 9):
        live.on_cube(made_up.view(latest))
    names = [path.name for path in live.written]
    assert names[:2] == ["energy-01-505.00eV.png", "energy-05-517.50eV.png"]
    assert len(names) == live.n_drawn == 3
    changes = [np.any(a != b, axis=-1).mean() for a, b in pairwise(map(imread, live.written))]
    assert min(changes) > 0.02


def test_an_overview_of_one_energy_is_drawn():
    view = made_up.view(0)
    names = ("energies_ev", "measured", "od", "mean_spectrum", "i0", "i0_std", "mean_counts")
    one = {name: getattr(view, name)[:1] for name in (*names, "shifts_px")}
    live = LiveFigure(dpi=COARSE)
    live.on_cube(replace(view, **one, reference_od=view.reference_od[:, :1]))
    live.on_error(view.key.run_uids[0], ValueError("maps need at least two images"))
    assert live.image().std() > 0


def test_every_revision_of_a_result_has_a_picture_of_its_own(tmp_path, quick_pictures, result):
    live = LiveFigure(tmp_path, dpi=COARSE)
    live.on_maps(result)
    live.on_maps(replace(result, latent_index=None, revision=2))
    assert [path.name for path in live.written] == ["maps.png", "maps-revision-2.png"]
    assert all(path.exists() for path in live.written)


def test_a_second_stack_goes_into_a_folder_of_its_own(tmp_path, quick_pictures):
    live = LiveFigure(tmp_path / "new" / "folder", dpi=COARSE)
    live.on_cube(made_up.view(0, run="aaaa"))
    live.on_cube(made_up.view(0, run="../b$b"))
    live.on_cube(made_up.view(1, run="aaaa"))
    assert [str(path.relative_to(live.folder)) for path in live.written] == [
        "energy-01-505.00eV.png",
        "run-..-b-b-region-1/energy-01-505.00eV.png",
        "energy-02-513.20eV.png",
    ]


def test_it_draws_on_a_thread_that_is_not_the_main_one(tmp_path):
    live = LiveFigure(tmp_path, dpi=COARSE)
    worker = threading.Thread(target=live.on_cube, args=(made_up.view(3),))
    worker.start()
    live.image()
    worker.join()
    assert live.n_drawn == 1


def test_without_a_folder_the_picture_is_there_to_ask_for():
    live = LiveFigure(dpi=COARSE)
    waiting = live.image()
    live.on_cube(made_up.view(4))
    growing = live.image()
    assert growing.dtype == np.uint8
    assert waiting.shape == growing.shape
    assert (waiting != growing).any()


def test_a_failed_analysis_is_shown_over_the_last_image_of_that_run(tmp_path, quick_pictures):
    live = LiveFigure(tmp_path, dpi=COARSE)
    live.on_cube(made_up.view(4, run="3f2a91bc7d"))
    live.on_error("3f2a91bc7d", ValueError(r"517.5 eV: $\frac{$ has shape (60, 80)"))
    shown = drawn(live)
    assert r"analysis failed: 517.5 eV: $\frac{$ has shape" in words(shown).replace("\u00a0", " ")
    assert len(shown.axes) > 6
    live.on_error("another run", ValueError("no frames"))
    assert drawn(live).axes == []
    assert [p.name for p in live.written[1:]] == ["error-3f2a91bc.png", "error-another.png"]


def test_a_failure_to_refine_is_told_over_the_maps_that_are_there(result):
    live = LiveFigure()
    live.on_maps(result)
    live.on_error(result.key.run_uids[0], ValueError("the axis lies beyond the references"))
    said = words(drawn(live))
    assert "analysis failed: the axis lies beyond the references" in said
    assert "Resolved phase map" in said


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"pictures cannot be written to .*file.*choose another"):
        LiveFigure(tmp_path / "file")


def test_hostile_names_and_messages_do_not_break_the_drawing():
    live = LiveFigure(dpi=COARSE)
    pairs = ((HOSTILE[0], HOSTILE[1]), (HOSTILE[2], HOSTILE[4]))
    live.on_cube(made_up.view(10, names=HOSTILE, run=r"$\bad{$", inseparable=pairs))
    live.image()
    live.on_maps(made_up.maps(names=HOSTILE, run=r"$\bad{$", warnings=HOSTILE))
    live.image()
    shown = words(drawn(live))
    assert r"14.3 %  $\frac{x}$" in shown
    assert r"run $\bad{$" in shown


@pytest.mark.parametrize(
    ("shape", "extent_um"),
    [((40, 9), (0, 0.8, 0, 3.9)), ((2, 70), (0, 6.9, 0, 0.1)), ((1, 30), (0, 2.9, 4, 4)),
     ((30, 30), (0, 0, 0, 0))],
)  # fmt: skip
def test_fields_of_any_shape_are_drawn(shape, extent_um):
    live = LiveFigure(dpi=COARSE)
    live.on_cube(made_up.view(11, shape=shape, extent_um=extent_um))
    live.image()


def test_a_cube_without_specimen_or_values_is_drawn():
    live = LiveFigure(dpi=COARSE)
    view, nothing = made_up.view(4), np.full(13, np.nan)
    live.on_cube(
        replace(
            view,
            specimen=np.zeros((60, 80), bool),
            od=np.full_like(view.od, np.nan),
            mean_spectrum=nothing,
            i0=None,
            shifts_px=None,
            mean_counts=nothing,
            progress=None,
        )
    )
    live.image()


@pytest.mark.parametrize("n_phases", [2, 9])
def test_two_or_many_phases_are_drawn(n_phases):
    names = [f"phase {k}" for k in range(n_phases)]
    live = LiveFigure(dpi=COARSE)
    live.on_cube(made_up.view(4, names=names, inseparable=()))
    drawn(live)
    live.on_maps(made_up.maps(names=names))
    live.image()
    assert f"phase {n_phases - 1}" in words(drawn(live))


def test_the_six_panels_are_there_while_it_grows_and_in_the_end(result):
    live = LiveFigure()
    live.on_cube(made_up.view(11))
    growing = words(drawn(live))
    live.on_maps(result)
    final = words(drawn(live))
    for title in ("Optical density at", "phase map", "Ambiguity", "Mean spectrum", "Drift, I0"):
        assert title in growing
        assert title in final
    assert "12 of 13 energies; the final map may differ" in growing
    assert "about 30 s left" in growing
    assert "complete" in final
    assert "Quality limited" in final
    assert all("Synthetic references" in text for text in (growing, final))


def test_the_last_image_which_is_told_after_the_maps_does_not_cover_them(
    result, quick_pictures, tmp_path
):
    live = LiveFigure(tmp_path, dpi=COARSE)
    live.on_maps(result)
    live.on_cube(made_up.view(12))
    assert "Resolved phase map" in words(drawn(live))
    assert live.written[-1].name == "energy-13-532.20eV.png"
    live.on_cube(made_up.view(0, run="the next"))
    assert "Provisional phase map" in words(drawn(live))


def test_drift_beam_and_counts_are_drawn_at_the_energies_that_were_measured():
    figure = agg_figure(SIZE_IN)
    view = made_up.view(4)
    draw_growing(figure, view)
    (drift,) = [ax for ax in figure.axes if ax.get_ylabel() == "shift (px)"]
    (counts,) = [ax for ax in figure.axes if ax.get_ylabel() == "counts"]
    for ax, expected in ((drift, view.shifts_px[:5, ::-1].T), (counts, [view.i0[:5]])):
        for line, values in zip(ax.get_lines(), expected, strict=False):
            np.testing.assert_array_equal(line.get_xdata(), view.energies_ev[:5])
            np.testing.assert_array_equal(line.get_ydata(), values)
    np.testing.assert_allclose(counts.get_lines()[1].get_ydata(), view.mean_counts[:5])


def test_the_status_of_a_result_stands_in_its_corner(result):
    for status, said in (("incomplete", "incomplete"), ("stopped-early", "stopped early")):
        figure = agg_figure(SIZE_IN)
        draw_final(figure, replace(result, status=status))
        assert said in [text.get_text() for text in figure.texts]


@pytest.mark.parametrize(
    ("progress", "waited_s", "said"),
    [
        (Progress(1, 13), 0, "12 images left"),
        (Progress(5, 13, 30.0), 0, "about 4 min left"),
        (Progress(5, 13, 30.0, may_skip=True), 0, "at most 4 min left"),
        (Progress(12, 13, 30.0), 20, "about 10 s left"),
        (Progress(12, 13, 30.0), 40, "last image is due"),
        (Progress(5, 13, 30.0), 3600, "no image for 1 h; about 4 min left"),
        (Progress(13, 13, 30.0), 3600, "all images received"),
    ],
)
def test_the_time_left_counts_down_until_an_image_is_late(progress, waited_s, said):
    assert time_left_in_words(progress, waited_s) == said


@pytest.mark.parametrize("kind", ["growing", "final"])
def test_no_text_lies_on_another_or_leaves_the_figure(kind, result):
    live = LiveFigure()
    if kind == "growing":
        live.on_cube(made_up.view(10))
    else:
        live.on_maps(result)
    assert overlaps(drawn(live)) == ([], [])


def overlaps(figure):
    """Texts that leave the figure, and pairs of which one lies on the other."""
    figure.canvas.draw()
    undrawn = {label for ax in figure.findobj(Axes) for label in _labels_beyond_limits(ax)}
    texts = [
        (text, text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible() and text not in undrawn
    ]
    assert len(texts) > 50
    width, height = figure.bbox.size
    outside = [
        text.get_text()
        for text, box in texts
        if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height
    ]
    clashes = [
        (a.get_text(), b.get_text())
        for (a, one), (b, other) in combinations(texts, 2)
        if one.overlaps(other)
    ]
    return outside, clashes


def _labels_beyond_limits(ax):
    """Tick labels that exist, but are not drawn."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if not low <= tick.get_loc() <= high or not tick.label1.get_visible():
                yield from (tick.label1, tick.label2)


def test_a_figure_needs_no_pyplot():
    assert agg_figure((2, 2)).canvas.manager is None


def test_without_references_clusters_and_scree_plot_come_in_place_of_phases(
    tmp_path, quick_pictures
):
    live = LivePhaseMapper(Recipe.load("first-look"), background=False)
    views, found = [], []
    live.add_sink(on_cube=views.append, on_exploration=found.append)
    for name, doc in image_documents():
        live(name, doc)
    figure = LiveFigure(tmp_path, dpi=COARSE)
    figure.on_cube(views[-2])
    assert "shown when the images are complete" in words(drawn(figure))
    figure.on_exploration(found[0])
    figure.on_cube(views[-1])
    text = words(drawn(figure))
    assert "energy 13 of 13" in text
    assert "No references yet: 3 clusters" in text
    assert "Scree plot" in text
    assert (tmp_path / "clusters.png").is_file()
