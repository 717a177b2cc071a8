import numpy as np
import pytest
from particles import particle_counts
from skimage.io import imread

from stxm_live import Recipe, Stack, map_phases
from stxm_live.plotting import pictures
from stxm_live.plotting.live_figure.six_panels import draw_final
from stxm_live.plotting.panels.energy_axis import energy_axis_panels
from stxm_live.plotting.pictures import agg_figure
from stxm_live.sim.phantom import od_cube


def maps(offset_ev, **changes):
    recipe = Recipe.load("nvpf").with_changes({"model": None, "alignment.enabled": False} | changes)
    _, energies_ev, particle = particle_counts()
    od = od_cube(particle, recipe.reference_spectra.corrected(offset_ev, 0), energies_ev)
    counts = np.random.default_rng(6).poisson(3000 * np.exp(-od)).astype(np.float32)
    return map_phases(Stack.from_arrays(counts, energies_ev, extent_um=(0, 2.13, 1.77, 0)), recipe)


def drawn(panel):
    ax = agg_figure((5, 4)).add_subplot()
    panel(ax)
    return ax


def lines(ax):
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    return names, [line.get_ydata() for line in ax.get_lines()]


@pytest.fixture(scope="module")
def shifted():
    return maps(0.3)


def test_the_likelihood_shows_what_was_found_beside_what_the_map_was_made_with(shifted):
    ax = drawn(energy_axis_panels(shifted)[0])
    used, found = ax.get_lines()[:2]
    assert (used.get_xdata()[0], used.get_ydata()[0]) == (0, 0)
    assert found.get_xdata()[0] == pytest.approx(0.3, abs=0.03)
    assert any(t.get_text().startswith("offset +0.") for t in ax.texts)


def test_the_corrected_reference_runs_through_the_mean_spectrum_and_the_one_used_does_not(shifted):
    for panel in energy_axis_panels(shifted)[1:]:
        names, (used, corrected, mean) = lines(drawn(panel))
        assert names == ["reference, as used", "reference, corrected", "mean of these pixels"]
        assert np.abs(corrected - mean).max() < 0.35 * np.abs(used - mean).max()


def test_pictures_of_the_axis_and_of_the_second_map_are_written(shifted, tmp_path):
    figures = dict(pictures._figures(shifted, None, "roma"))
    assert {"energy-axis", "corrected-map"} <= set(figures)
    pictures.save_png(figures["energy-axis"], tmp_path / "axis.png")
    assert imread(tmp_path / "axis.png").std() > 10


def test_the_live_figure_shows_the_axis_in_the_end(shifted):
    figure = agg_figure((15.6, 8.9))
    draw_final(figure, shifted)
    titles = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert "Which energy axis fits the scan?" in titles


def test_an_axis_that_is_right_is_shown_without_a_correction():
    (_, panel, *_) = energy_axis_panels(maps(0.0))
    assert lines(drawn(panel))[0] == ["reference, as used", "mean of these pixels"]


def test_an_axis_that_was_not_looked_for_has_no_picture():
    assert energy_axis_panels(maps(0.3, energy_fit=False)) == []
