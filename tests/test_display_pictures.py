import base64
from io import BytesIO

import made_up_maps as made_up
import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from stxm_live.display import pictures, summary_png_base64, write_pictures
from stxm_live.phase_maps import Quality

ALL = {
    "overview",
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


def test_every_product_has_its_picture(tmp_path):
    paths = write_pictures(made_up.maps(), tmp_path / "new")
    assert {path.stem for path in paths} == ALL
    assert paths[0].stem == "overview"
    assert all(imread(path).ndim == 3 for path in paths)


def test_products_that_were_not_made_have_none(tmp_path):
    maps = made_up.maps(
        latent_index=None, resolved_index=None, resolved_fractions=None, wrong_probability=None
    )
    stems = {path.stem for path in write_pictures(maps, tmp_path)}
    assert stems == ALL - {"latent-map", "resolved-map", "wrong-probability"}


def test_the_truth_is_drawn_and_each_map_is_compared_with_it():
    maps, truth = made_up.maps(), made_up.particle()[1]
    drawn = figures(maps, truth)
    right = (maps.phase_index == truth)[maps.specimen].mean()
    assert f"agrees with the simulated truth in {100 * right:.1f} %" in words(drawn["phase-map"])
    assert "truth" in drawn


def test_the_overview_states_the_verdict_and_synthetic_references():
    text = words(figures(made_up.maps())["overview"])
    assert "Quality limited: the closest references" in text
    assert "Synthetic references: the reference spectra are calculated" in text
    measured = made_up.maps(synthetic_references=False, quality=Quality("good", "fine", "", ""))
    text = words(figures(measured)["overview"])
    assert "Quality good: fine" in text
    assert "ynthetic" not in text


def test_every_picture_says_that_references_are_synthetic():
    for name, figure in figures(made_up.maps()).items():
        assert "Synthetic references" in words(figure), name


def test_the_title_of_the_shares_is_of_the_whole_specimen():
    maps = made_up.maps()
    text = words(figures(maps)["phase-map"])
    for name, share, _ in maps.summary():
        assert f"{100 * share:.1f} %  {name}" in text.replace("\u2007", "")


def test_maps_without_any_specimen_are_drawn(tmp_path):
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
    assert write_pictures(maps, tmp_path)


def test_a_notebook_gets_a_png():
    picture = imread(BytesIO(base64.b64decode(summary_png_base64(made_up.maps()))))
    assert picture.shape[2] == 4
    assert "data:image/png;base64" in made_up.maps()._repr_html_()


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
