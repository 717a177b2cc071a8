from dataclasses import replace

import made_up_maps as made_up
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from stxm_live.plotting.panels.maps import Sureness, draw_ambiguity, draw_od_image, draw_phase_map
from stxm_live.plotting.panels.result import draw_spectra_of_maps
from stxm_live.plotting.panels.spectra import draw_separability, draw_spectra, scaled_to
from stxm_live.plotting.style.lettering import plain, set_titles, side_legend, wrapped
from stxm_live.plotting.style.palette import AMBIGUOUS, DIMMEST, GROUND, SPECIMEN, phase_colors
from stxm_live.plotting.style.raster import draw_raster, field_of_view


@pytest.fixture
def ax():
    figure = Figure(figsize=(6, 5), dpi=100)
    FigureCanvasAgg(figure)
    return figure.add_axes((0.12, 0.12, 0.5, 0.7))


def pixels(ax):
    """The drawn figure as an array of shape (height, width, 3)."""
    ax.figure.canvas.draw()
    return np.asarray(ax.figure.canvas.buffer_rgba())[..., :3]


def pixel_at(ax, x_um, y_um):
    """Color at motor coordinates, 0 to 255."""
    picture = pixels(ax)
    column, up = ax.transData.transform((x_um, y_um))
    return picture[picture.shape[0] - 1 - int(up), int(column)]


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("x", [(0.0, 3.0), (3.0, 0.0)])
@pytest.mark.parametrize("y", [(10.0, 12.0), (12.0, 10.0)])
def test_a_pixel_is_shown_at_its_motor_position_however_the_scan_ran(ax, x, y):
    image = np.zeros((3, 4, 3))
    image[0, 1] = (1, 0, 0)
    draw_raster(ax, image, (*x, *y))
    x_of_column_1 = np.linspace(*x, 4)[1]
    np.testing.assert_array_equal(pixel_at(ax, x_of_column_1, y[0]), [255, 0, 0])
    np.testing.assert_array_equal(pixel_at(ax, x_of_column_1, y[1]), [0, 0, 0])
    assert ax.get_xlim() == (-0.5, 3.5)
    assert ax.get_ylim() == (9.5, 12.5)


def test_pixels_keep_their_proportions():
    assert field_of_view((0.0, 7.9, 0.0, 1.1), (12, 80)).aspect == pytest.approx(1.2 / 8.0)


def test_a_single_line_gets_square_pixels():
    field = field_of_view((0.0, 9.0, 5.0, 5.0), (1, 10))
    assert (field.y_first, field.y_last, field.unit) == (4.5, 5.5, "um")


@pytest.mark.parametrize("extent", [(0, 0, 0, 0), (0, np.nan, 0, 1), (0, 1, 2, 2)])
def test_without_positions_the_axes_count_pixels(ax, extent):
    draw_raster(ax, np.zeros((3, 4)), extent)
    assert ax.get_xlabel() == "x (pixel)"
    assert ax.get_xlim() == (-0.5, 3.5)
    pixels(ax)


def test_the_grey_scale_ignores_a_few_wild_pixels(ax):
    od = np.linspace(0, 1, 10_000).reshape(100, 100)
    od[50, 50] = 1e6
    draw_od_image(ax, od, (0, 1, 0, 1), 517.5)
    assert ax.images[0].get_clim() == pytest.approx((0.005, 0.995), abs=1e-3)


def test_pixels_without_a_value_are_counted(ax):
    od = np.zeros((10, 10))
    od[0] = np.nan
    draw_od_image(ax, od, (0, 1, 0, 1), 517.5)
    assert any("10.0 % of the pixels have no value" in t.get_text() for t in ax.texts)


def test_reliability_dims_a_pixel_and_keeps_its_hue(ax):
    index = np.array([[0, 0, 0, 0], [1, 1, 1, -1]])
    reliability = np.array([[0.0, 5.0, 5.0, 5.0], [5.0, 5.0, 5.0, np.nan]])
    sureness = Sureness.of_reliability(reliability)
    colors = np.array([[1.0, 0.5, 0.0], [0.0, 0.0, 1.0]])
    draw_phase_map(ax, index, (0, 3, 0, 1), ["A", "B"], colors, title="", sureness=sureness)
    shown = ax.images[0].get_array()
    np.testing.assert_allclose(shown[0, 1], colors[0])
    np.testing.assert_allclose(shown[0, 0], DIMMEST * colors[0])
    np.testing.assert_allclose(shown[1, 3], to_rgb(GROUND), atol=1e-6)


def test_the_legend_gives_the_share_of_each_phase(ax):
    index = np.array([[0, 0, 0, 1], [-1, -1, -1, -1]])
    colors = phase_colors(["A", "B"])
    draw_phase_map(ax, index, (0, 3, 0, 1), ["A", "B"], colors, title="")
    assert [label.split() for label in labels(ax)] == [["75.0", "%", "A"], ["25.0", "%", "B"]]


def test_the_ambiguity_map_shows_classes_and_the_commonest_pairs(ax):
    specimen = np.array([[True] * 8, [False] * 8])
    ambiguous = specimen & (np.arange(8) < 2)
    pair = np.full((2, 2, 8), -1)
    pair[:, 0, 0], pair[:, 0, 1] = (1, 0), (0, 1)
    draw_ambiguity(
        ax, ambiguous, specimen, (0, 7, 0, 1), pair=pair, phase_names=["A", "B"],
        unidentified=specimen & (np.arange(8) == 7), valid=~(specimen & (np.arange(8) == 6)),
    )  # fmt: skip
    shown = ax.images[0].get_array()
    np.testing.assert_allclose(shown[0, 1], to_rgb(AMBIGUOUS), atol=1e-6)
    np.testing.assert_allclose(shown[0, 3], to_rgb(SPECIMEN), atol=1e-6)
    text = "\n".join(" ".join(label.split()) for label in labels(ax))
    assert "57.1 % clear\n28.6 % ambiguous\n14.3 % no reference fits" in text
    assert "1 px no valid spectrum" in text
    assert "100 % A | B" in text


def test_a_reference_is_scaled_by_least_squares():
    rng = np.random.default_rng(1)
    reference, spectrum = rng.random(13), rng.random(13)
    spectrum += reference
    factor, constant = np.polyfit(reference, spectrum, 1)
    scaled = scaled_to(reference, spectrum, np.ones(13, bool))
    np.testing.assert_allclose(scaled, factor * reference + constant)


def test_a_reference_is_never_shown_upside_down():
    reference = np.array([1.0, 2.0, 3.0])
    scaled = scaled_to(reference, np.array([3.0, 2.0, 1.0]), np.ones(3, bool))
    np.testing.assert_allclose(scaled, reference * 10 / 14)


@pytest.mark.parametrize("n_known", [0, 1, 2, 13])
def test_spectra_are_drawn_with_any_number_of_energies(ax, n_known):
    mean = np.full(13, np.nan)
    mean[:n_known] = np.linspace(0.2, 0.9, n_known)
    names = made_up.NAMES
    draw_spectra(ax, made_up.ENERGIES_EV, mean, made_up.references(), names, phase_colors(names))
    assert len(ax.lines[-1].get_xdata()) == n_known
    pixels(ax)


def test_calculated_references_are_labelled_synthetic(ax):
    names = made_up.NAMES
    spectra = (made_up.ENERGIES_EV, np.ones(13), made_up.references(), names, phase_colors(names))
    draw_spectra(ax, *spectra, synthetic=True)
    assert ax.get_legend().get_title().get_text() == "synthetic references"
    draw_spectra(ax, *spectra, synthetic=False)
    assert ax.get_legend().get_title().get_text() == "references"


def test_pairs_that_cannot_be_told_apart_are_framed_and_counted(ax):
    correlation = np.array([[1.0, 0.9, 0.5], [0.9, 1.0, 0.999], [0.5, 0.999, 1.0]])
    draw_separability(ax, correlation, [("C", "B")], ["A", "B", "C"])
    (frame,) = ax.patches
    assert frame.get_center() == pytest.approx((1, 2))  # column B, row C
    assert "2 of 3 pairs distinguished" in labels(ax)
    assert {"0.1", "0.5", "0.001"} <= {text.get_text() for text in ax.texts}


@pytest.mark.parametrize("name", [r"$\frac{$", "_hidden", "名前 😀", "a\nb\tc", "%d{}<b>", ""])
def test_any_name_is_drawn_as_it_is(ax, name):
    side_legend(ax, [(ax.plot([0, 1])[0], name)], title=name)
    pixels(ax)
    assert labels(ax) == [plain(name)]


def test_a_line_is_wrapped_before_a_number_never_between_it_and_its_unit():
    assert wrapped("an energy of 518.3 eV", 18, 3) == "an energy of\n518.3\u00a0eV"


def test_a_long_caption_goes_on_in_a_second_line_below_its_title(ax):
    caption = "specimen 44 to 100 % of the volume; " + "or a mixture of Na2.4VPF and Na1VPF, " * 2
    set_titles(ax, "Share of Na2VPF", caption)
    title, below = ax.texts
    assert below.get_text().replace("\n", " ") == caption.strip()
    renderer = ax.figure.canvas.get_renderer()
    assert below.get_window_extent(renderer).y1 < title.get_window_extent(renderer).y0


def test_a_phase_that_is_as_likely_wrong_as_right_is_dimmest(ax):
    wrong = np.array([[0.0, 0.25, 0.5, 0.9]])
    share = Sureness.of_probability(wrong).share
    np.testing.assert_allclose(share, [[1.0, 0.5, 0.0, 0.0]])


def spectra_legend(ax, share):
    maps = made_up.maps(shape=(24, 30))
    unknown = maps.specimen & (
        np.cumsum(maps.specimen).reshape(24, 30) <= share * maps.specimen.sum()
    )
    draw_spectra_of_maps(ax, replace(maps, unidentified=unknown))
    return labels(ax)


def test_the_mean_of_what_was_not_identified_is_drawn_with_a_band_and_its_share(ax):
    assert spectra_legend(ax, 0.3)[-1] == "not identified, 30 %"
    assert len(ax.collections) == 1
    assert any("scatter" in text.get_text() for text in ax.texts)


def test_a_few_pixels_without_a_reference_are_not_drawn_as_in_the_verdict(ax):
    assert spectra_legend(ax, 0.009)[-1] == "specimen"
    assert not ax.collections
