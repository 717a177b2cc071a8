import base64
from dataclasses import replace
from io import BytesIO

import made_up_maps as made_up
import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from stxm_live.core.phase_maps import Quality
from stxm_live.core.region import Region
from stxm_live.plotting import pictures, summary_png_base64, write_pictures

ALL = {
    "overview",
    "summary",
    "phase-map",
    "reliability",
    "ambiguity",
    "latent-map",
    "resolved-map",
    "wrong-probability",
    "correlation",
}


def words(figure):
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def figures(maps, truth=None):
    return dict(pictures._figures(maps, truth, "roma"))


@pytest.fixture(scope="module")
def drawn():
    """The pictures of a result whose truth is known, by name."""
    return figures(made_up.maps(), made_up.particle()[1])


def test_every_product_has_its_picture(tmp_path, drawn):
    assert drawn.keys() == {*ALL, "truth"}
    assert next(iter(drawn)) == "overview"
    pictures.save_png(drawn["summary"], tmp_path / "summary.png")
    assert imread(tmp_path / "summary.png").std() > 0.1


def test_the_foot_of_a_picture_says_what_it_shows(drawn):
    provenance = {"origin": {"sample": "NVPF 7"}, "recipe": "nvpf"}
    for figure in (*drawn.values(), figures(made_up.maps(provenance=provenance))["phase-map"]):
        assert made_up.maps().identity in words(figure)
    assert "sample NVPF 7" in words(figure)


def test_the_foot_of_a_narrow_picture_ends_with_the_version():
    sample = "NVPF 7, half charged, washed twice, from the second of three cells"
    provenance = {"origin": {"sample": sample, "when": "2026-03-01 14:30"}, "recipe": "nvpf"}
    maps = made_up.maps(provenance=provenance, warnings=("a note of many words " * 8, "another"))
    found = words(figures(maps)["phase-map"]).replace("\n", " ")
    assert maps.identity in found
    assert "(and 1 more, all in overview)" in found


def test_pictures_of_an_earlier_result_do_not_stay_beside_those_of_a_new_one(
    tmp_path, quick_pictures
):
    for name in ("truth.png", "energy-axis.png", "mine.png"):
        (tmp_path / name).touch()
    written = {path.name for path in write_pictures(made_up.maps(), tmp_path)}
    assert {path.name for path in tmp_path.iterdir()} == {*written, "mine.png"}


@pytest.mark.parametrize(("kind", "begins"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_a_picture_for_a_paper_keeps_its_text(tmp_path, coarse_pictures, drawn, kind, begins):
    path = pictures.save_picture(drawn["phase-map"], tmp_path / "phase-map", kind)

    content = path.read_bytes()
    assert path.name == f"phase-map.{kind}"
    assert content.startswith(begins)
    assert (b"Initial phase map" if kind == "svg" else b"/FontFile2") in content


def test_one_product_is_drawn_on_axes_of_ones_own():
    from matplotlib import pyplot

    maps = made_up.maps()
    figure, axes = pyplot.subplots()
    assert maps.plot("reliability", ax=axes) is axes
    assert axes.images
    assert "Reliability of the initial map" in words(figure)
    own = maps.plot()
    assert "Resolved phase map" in words(own.figure)
    name = maps.phase_names[1]
    assert f"Correlation with {name}" in words(maps.plot(f"correlation-{name}").figure)
    with pytest.raises(ValueError, match="product 'height': this result has optical-density, "):
        maps.plot("height")
    pyplot.close("all")


def test_all_warnings_are_written_in_the_overview():
    maps = made_up.maps(warnings=tuple(f"note {k} of the scan" for k in range(9)))
    text = words(figures(maps)["overview"])
    assert all(warning in text for warning in maps.warnings)


def test_amounts_have_a_picture_with_the_mean_of_the_specimen():
    drawn = figures(made_up.maps(find_amounts=made_up.amounts))
    assert drawn.keys() == {*ALL, "amounts"}
    text = words(drawn["amounts"])
    assert "mean of the specimen 250.0 ± 2.0 nm" in text
    assert "x in NaxV2(PO4)2F3" in text
    assert "Share of Na2VPF" in text


def test_maps_without_any_specimen_are_drawn_and_products_not_made_have_no_picture(
    tmp_path, coarse_pictures
):
    nothing = np.zeros((60, 80), bool)
    maps = made_up.maps(
        specimen=nothing,
        phase_index=np.full((60, 80), -1, np.int8),
        ambiguous=nothing,
        reliability=np.full((60, 80), np.nan, np.float32),
        correlation=np.full((5, 60, 80), np.nan, np.float32),
        unidentified=nothing,
        latent_index=None,
        resolved_index=None,
        resolved_fractions=None,
        wrong_probability=None,
    )
    maps = replace(maps, fractions=np.full(5, np.nan))
    drawn = figures(maps)
    assert drawn.keys() == ALL - {"latent-map", "resolved-map", "wrong-probability"}
    said = [text.get_text() for f in drawn.values() for text in f.findobj(Text)]
    assert any("0.0 %" in text for text in said)
    assert not any("nan %" in text for text in said)
    for name, figure in drawn.items():
        pictures.save_png(figure, tmp_path / f"{name}.png")


def test_the_truth_is_drawn_and_each_map_is_compared_with_it(drawn):
    maps, truth = made_up.maps(), made_up.particle()[1]
    right = (maps.phase_index == truth)[maps.specimen].mean()
    assert f"agrees with the simulated truth in {100 * right:.1f} %" in words(drawn["phase-map"])


@pytest.mark.parametrize("name", ["overview", "summary"])
def test_the_verdict_and_synthetic_references_are_stated(drawn, name):
    text = words(drawn[name])
    assert "Quality limited: the closest references" in text
    assert "Synthetic references: the reference spectra are calculated" in text


def test_measured_references_and_a_good_verdict_are_not_called_otherwise():
    measured = made_up.maps(synthetic_references=False, quality=Quality("good", "fine", "", ""))
    text = words(next(pictures._figures(measured, None, "roma"))[1])
    assert "Quality good: fine" in text
    assert "ynthetic" not in text


def test_every_picture_says_that_references_are_synthetic(drawn):
    for name, figure in drawn.items():
        assert "Synthetic references" in words(figure), name


def test_synthetic_references_are_said_once_in_a_picture():
    maps = made_up.maps(
        synthetic_references=True, warnings=("the reference spectra are synthetic",)
    )
    for figure in figures(maps).values():
        assert words(figure).count("the reference spectra are") == 1


def test_the_title_of_the_shares_is_of_the_whole_specimen(drawn):
    text = words(drawn["phase-map"])
    for name, share, _ in made_up.maps().summary():
        assert f"{100 * share:.1f} %  {name}" in text.replace("\u2007", "")


def test_a_notebook_gets_a_png():
    picture = imread(BytesIO(base64.b64decode(summary_png_base64(made_up.maps()))))
    assert picture.shape[2] == 4


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="choose another folder"):
        write_pictures(made_up.maps(), tmp_path / "file" / "below")


@pytest.mark.parametrize("text", ["../../etc", "a b/c:d", "...", "", "名", "x" * 500, "$(rm)"])
def test_a_safe_name_stays_in_its_folder(tmp_path, text):
    name = pictures.safe_name(text)
    assert (tmp_path / name).resolve().parent == tmp_path
    assert len(name) <= 80
    (tmp_path / name).touch()


REGIONS = (
    Region((2.5, 2.9), (-1.3, -1.6), nx=21, ny=16, reason="boundary A/$B$", expected_gain=12.3),
    Region((3.4, 3.1), (-2.3, -1.9), nx=16, ny=21, reason="<b>rare</b>"),  # reaches beyond the map
)


def test_regions_are_outlined_and_numbered_on_the_map_in_motor_coordinates(
    tmp_path, quick_pictures
):
    written = write_pictures(made_up.maps(), tmp_path, regions=REGIONS)
    assert written[-1].name == "next-regions.png"
    figure = pictures._regions_sheet(made_up.maps(), REGIONS, "roma")
    ax = figure.axes[0]
    boxes = [p for p in ax.patches if isinstance(p, Rectangle) and not p.get_fill()]
    np.testing.assert_allclose(boxes[0].get_bbox().extents, (2.5, -1.6, 2.9, -1.3))
    np.testing.assert_allclose(boxes[1].get_bbox().extents, (3.1, -2.3, 3.4, -1.9))
    numbers = {text.get_text(): text.get_position() for text in ax.texts}
    assert numbers["1"] == (2.5, -1.3)  # upper left: y of the picture ascends
    assert numbers["2"] == (3.1, -1.9)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert (left, right, bottom, top) == pytest.approx((1.99, 3.59, -2.19, -0.99))
    assert "y -1.600 to -1.300 µm; about 12 labels corrected\nboundary A/$B$" in words(figure)
    assert "<b>rare</b>" in words(figure)


def test_outlines_are_seen_on_every_phase_color_and_on_the_ground(tmp_path):
    """A line of white and one of black lie side by side: one of them contrasts with any color."""
    for palette in ("roma", "paper"):
        figure = pictures._regions_sheet(made_up.maps(), REGIONS[:1], palette)
        pictures.save_png(figure, tmp_path / "next.png")
        image = imread(tmp_path / "next.png")[..., :3]
        x, y = figure.axes[0].transData.transform((2.7, -1.6))
        across = image[-int(y) - 8 : -int(y) + 8, int(x)].mean(axis=1)
        assert across.min() < 0.1
        assert across.max() > 0.9


def test_of_many_regions_all_are_numbered_and_the_first_described():
    figure = pictures._regions_sheet(made_up.maps(), REGIONS * 6, "roma")
    assert len([t for t in figure.axes[0].texts if t.get_text().isdigit()]) == 12
    assert "and 5 more" in words(figure)


def test_the_overview_has_all_notes_once_and_other_pictures_say_so():
    notes = tuple(f"image {k}: " + "a long story of this image " * 6 for k in range(20))
    maps = made_up.maps(warnings=notes)
    figures = dict(pictures._figures(maps, None, "roma"))
    overview = words(figures["overview"])
    assert [overview.count(f"image {k}: ") for k in range(20)] == [1] * 20
    assert "more" not in overview
    assert "(and 19 more, all in overview)" in words(figures["correlation"])
