import subprocess
import sys
import threading
from dataclasses import replace
from itertools import combinations, pairwise

import made_up_backend
import made_up_maps as made_up
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread
from matplotlib.text import Text

from stxm_live.display import LiveFigure
from stxm_live.display.pictures import agg_figure

HOSTILE = (r"$\frac{x}$", "_under", "a/../b\n%s", "Natrium 名 <b>&amp;", "x" * 300)


@pytest.fixture
def windows():
    """pyplot with windows that nobody sees; gives the function that rings their timers."""
    import matplotlib.pyplot as plt

    before = plt.get_backend()
    plt.switch_backend("module://made_up_backend")
    made_up_backend.TIMERS.clear()
    yield made_up_backend.ring
    plt.close("all")
    plt.switch_backend(before)


def test_the_package_is_imported_without_matplotlib():
    code = (
        "import sys, stxm_live.display as d; print(d.__all__, 'matplotlib' in sys.modules);"
        "d.LiveFigure; print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.endswith("'write_pictures'] False")
    assert second == "False"


def test_each_energy_gives_a_picture_that_differs_from_the_one_before(tmp_path):
    live = LiveFigure(tmp_path)
    for latest in (0, 1, 4, 9, 12):
        live.on_cube(made_up.view(latest))
    names = [path.name for path in live.written]
    assert names[0] == "energy-01-505.00eV.png"
    assert names[2] == "energy-05-517.50eV.png"
    assert len(names) == live.n_drawn == 5
    pictures = [imread(path) for path in live.written]
    changes = [np.any(a != b, axis=-1).mean() for a, b in pairwise(pictures)]
    assert min(changes) > 0.02


def test_an_overview_of_one_energy_is_drawn():
    view = made_up.view(0)
    one = {
        name: getattr(view, name)[..., :1] for name in ("measured", "mean_spectrum", "reference_od")
    }
    live = LiveFigure()
    live.on_cube(replace(view, energies_ev=view.energies_ev[:1], od=view.od[:1], **one))
    live.on_error(view.key.run_uids[0], ValueError("maps need at least two images"))
    assert live.image().std() > 0


def test_every_revision_of_a_result_has_a_picture_of_its_own(tmp_path):
    live = LiveFigure(tmp_path)
    live.on_maps(made_up.maps())
    live.on_maps(made_up.maps(latent_index=None, revision=2))
    assert [path.name for path in live.written] == ["maps.png", "maps-revision-2.png"]
    assert all(path.exists() for path in live.written)


def test_a_second_stack_goes_into_a_folder_of_its_own(tmp_path):
    live = LiveFigure(tmp_path / "new" / "folder")
    live.on_cube(made_up.view(0, run="aaaa"))
    live.on_cube(made_up.view(0, run="../b$b"))
    live.on_cube(made_up.view(1, run="aaaa"))
    assert [str(path.relative_to(live.folder)) for path in live.written] == [
        "energy-01-505.00eV.png",
        "run-..-b-b-region-1/energy-01-505.00eV.png",
        "energy-02-513.20eV.png",
    ]


def test_it_draws_on_a_thread_that_is_not_the_main_one(tmp_path):
    live = LiveFigure(tmp_path)
    worker = threading.Thread(target=live.on_cube, args=(made_up.view(3),))
    worker.start()
    live.image()
    worker.join()
    assert live.n_drawn == 1


def test_without_a_folder_the_picture_is_there_to_ask_for():
    live = LiveFigure()
    waiting = live.image()
    live.on_cube(made_up.view(4))
    growing = live.image()
    assert growing.dtype == np.uint8
    assert waiting.shape != growing.shape or (waiting != growing).any()


def test_a_failed_analysis_is_shown_over_the_last_image_of_that_run(tmp_path):
    live = LiveFigure(tmp_path)
    live.on_cube(made_up.view(4, run="3f2a91bc7d"))
    live.on_error("3f2a91bc7d", ValueError(r"517.5 eV: $\frac{$ has shape (60, 80)"))
    shown = live._drawn(live._newest)
    assert r"analysis failed: 517.5 eV: $\frac{$ has shape" in _words(shown)
    assert len(shown.axes) > 4
    live.on_error("another run", ValueError("no frames"))
    assert live._drawn(live._newest).axes == []
    assert [p.name for p in live.written[1:]] == ["error-3f2a91bc.png", "error-another.png"]


def _words(figure):
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"pictures cannot be written to .*file.*choose another"):
        LiveFigure(tmp_path / "file")


def test_hostile_names_and_messages_do_not_break_the_drawing():
    live = LiveFigure()
    pairs = ((HOSTILE[0], HOSTILE[1]), (HOSTILE[2], HOSTILE[4]))
    live.on_cube(made_up.view(3, names=HOSTILE, run=r"$\bad{$", inseparable=pairs))
    live.image()
    live.on_maps(made_up.maps(names=HOSTILE, run=r"$\bad{$", warnings=HOSTILE))
    live.image()
    shown = live._drawn(live._newest)
    assert r"14.3 %  $\frac{x}$" in _words(shown)
    assert r"run $\bad{$" in _words(shown)


@pytest.mark.parametrize(
    ("shape", "extent_um"),
    [((60, 80), (3, 2, 1, 0)), ((40, 9), (0, 0.8, 0, 3.9)), ((2, 70), (0, 6.9, 0, 0.1)),
     ((1, 30), (0, 2.9, 4, 4)), ((30, 30), (0, 0, 0, 0))],
)  # fmt: skip
def test_fields_of_any_shape_are_drawn(shape, extent_um):
    live = LiveFigure()
    live.on_cube(made_up.view(11, shape=shape, extent_um=extent_um))
    live.image()


def test_a_cube_without_specimen_or_values_is_drawn():
    live = LiveFigure()
    view = made_up.view(4)
    nothing = {"od": np.full_like(view.od, np.nan), "mean_spectrum": np.full(13, np.nan)}
    live.on_cube(made_up.view(4, specimen=np.zeros((60, 80), bool), **nothing))
    live.image()


@pytest.mark.parametrize("n_phases", [2, 9])
def test_two_or_many_phases_are_drawn(n_phases):
    names = [f"phase {k}" for k in range(n_phases)]
    live = LiveFigure()
    live.on_cube(made_up.view(4, names=names, inseparable=()))
    live.image()
    live.on_maps(made_up.maps(names=names))
    live.image()


@pytest.mark.parametrize("kind", ["growing", "final"])
def test_no_text_lies_on_another_or_leaves_the_figure(kind):
    live = LiveFigure()
    if kind == "growing":
        live.on_cube(made_up.view(4))
    else:
        live.on_maps(made_up.maps())
    figure = live._drawn(live._newest)
    figure.canvas.draw()
    undrawn = {label for ax in figure.findobj(Axes) for label in _labels_beyond_limits(ax)}
    texts = [
        (text, text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible() and text not in undrawn
    ]
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
    assert len(texts) > 50
    assert (outside, clashes) == ([], [])


def _labels_beyond_limits(ax):
    """Tick labels that exist, but are not drawn."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if not low <= tick.get_loc() <= high:
                yield from (tick.label1, tick.label2)


def test_a_window_shows_the_newest_snapshot_when_its_timer_rings(windows):
    live = LiveFigure()
    live.show()
    drawn = live.n_drawn
    worker = threading.Thread(target=lambda: [live.on_cube(made_up.view(k)) for k in (2, 3, 4)])
    worker.start()
    worker.join()
    assert live.n_drawn == drawn  # nothing is drawn on the worker's thread
    windows()
    windows()
    assert live.n_drawn == drawn + 1
    shown = np.asarray(live._window.figure.canvas.buffer_rgba())
    windows()
    assert (shown < 128).any()


def test_a_closed_window_stops_its_timer_and_may_be_opened_again(windows):
    import matplotlib.pyplot as plt

    live = LiveFigure()
    live.show()
    live._window.figure.canvas.callbacks.process("close_event", None)
    plt.close("all")
    live.on_cube(made_up.view(4))
    drawn = live.n_drawn
    windows()
    assert live.n_drawn == drawn
    live.show()
    assert live.n_drawn == drawn + 1
    live.close()


def test_a_window_and_a_folder_work_side_by_side(windows, tmp_path):
    live = LiveFigure(tmp_path)
    live.show()
    live.on_cube(made_up.view(4))
    windows()
    assert len(live.written) == 1
    assert live.n_drawn == 3  # window waiting, file, window


def test_a_backend_without_windows_is_named():
    import matplotlib.pyplot as plt

    before = plt.get_backend()
    plt.switch_backend("agg")
    with pytest.raises(RuntimeError, match=r"backend 'agg' has no window.*folder"):
        LiveFigure().show()
    assert plt.get_fignums() == []
    plt.switch_backend(before)


def test_a_figure_needs_no_pyplot():
    assert agg_figure((2, 2)).canvas.manager is None
