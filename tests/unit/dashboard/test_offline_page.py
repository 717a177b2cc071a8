import json
import re
import zlib
from base64 import b64decode
from dataclasses import replace

import made_up_maps as made_up
import numpy as np
import pytest
from made_up_maps import HOSTILE, hostile_maps

from stxm_live.core.mixed_reference import MixedReference
from stxm_live.core.phase_maps import Quality
from stxm_live.dashboard import write_page
from stxm_live.dashboard.layers import doubt_layer
from stxm_live.dashboard.offline_page.page import MOST_BYTES, page
from stxm_live.dashboard.offline_page.page_data import block_means, packed, packed_spectra
from stxm_live.dashboard.pixel_facts import _judgement, pixel_facts
from stxm_live.dashboard.scene import Scene
from stxm_live.dashboard.state import Result
from stxm_live.dashboard.stored_maps import maps_of
from stxm_live.io.results import read_nexus, write_nexus


@pytest.fixture
def no_figures(monkeypatch):
    """A page of words and data; Bokeh takes most of the time."""
    here = "stxm_live.dashboard.offline_page.page"
    monkeypatch.setattr(f"{here}.map_figures", lambda shown, field: dict.fromkeys(shown))
    monkeypatch.setattr(f"{here}.spectrum_figure", lambda *_: None)
    monkeypatch.setattr(f"{here}.unidentified_figure", lambda *_: None)
    monkeypatch.setattr(f"{here}._bokeh_parts", lambda plots: ("", "", dict.fromkeys(plots, "")))


def without_scripts(html):
    return re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)


def unpacked(data):
    """What the page's script makes of it."""
    planes = np.frombuffer(zlib.decompress(b64decode(data.text)), dtype=np.uint8)
    low, high = planes.reshape(2, *data.shape).astype(np.uint16)
    zigzag = low | (high << 8)
    differences = (zigzag >> 1) ^ (-(zigzag & 1).astype(np.int16)).view(np.uint16)
    codes = np.cumsum(differences, axis=-1, dtype=np.uint16)
    values = data.start + (codes.astype(np.float64) - 1) * data.step
    return np.where(codes == 0, np.nan, values)


@pytest.mark.parametrize("step", [0.01, 0.5])
def test_packed_numbers_come_back_to_within_half_a_step(rng, step):
    values = rng.normal(3.0, 40.0, (2, 5, 7))
    values[1, 2, 3] = np.nan
    back = unpacked(packed(values, step))
    np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
    assert np.nanmax(abs(back - values)) <= step / 2 * (1 + 1e-9)


def test_a_range_too_wide_for_the_step_gets_a_wider_one(rng):
    values = np.array([[0.0, 1e6, -3.0]])
    data = packed(values, 0.01)
    assert data.step == pytest.approx(1e6 / 65533, rel=1e-3)
    np.testing.assert_allclose(unpacked(data), values, atol=data.step / 2 * 1.0001)


def test_nothing_but_nan_stays_nan():
    assert np.isnan(unpacked(packed(np.full((3, 4), np.nan), 1.0))).all()


def test_indices_and_masks_are_exact():
    index = np.array([[-1, 0, 4], [2, -1, 3]], dtype=np.int8)
    np.testing.assert_array_equal(unpacked(packed(index, 1.0)), index)
    np.testing.assert_array_equal(unpacked(packed(index > 1, 1.0)), index > 1)


def test_block_means_leave_out_missing_pixels():
    od = np.array([[[1.0, 2.0, 9.0], [np.nan, 3.0, np.nan], [4.0, 6.0, np.nan]]])
    np.testing.assert_array_equal(block_means(od, 2), [[[2.0, 9.0], [5.0, np.nan]]])


def test_spectra_are_as_precise_as_fits(rng):
    od = rng.normal(1.0, 0.1, (4, 64, 64))
    specimen = np.zeros((64, 64), bool)
    specimen[16:48, 16:48] = True
    fine, precision = packed_spectra(od, specimen, 10**6)
    assert precision.step_od == precision.step_beside_od == 0.002
    assert abs(unpacked(fine) - od).max() <= 0.001001

    medium, precision = packed_spectra(od, specimen, len(fine.text) * 2 // 3)
    assert (precision.block_px, precision.step_od) == (1, 0.01)
    assert abs(unpacked(medium) - od)[:, specimen].max() <= 0.005001
    assert abs(unpacked(medium) - od).max() <= 0.040001

    _, coarsest = packed_spectra(od, specimen, 10)
    assert coarsest.block_px == 32
    assert str(coarsest) == (
        "spectra of blocks of 32 x 32 pixels, OD to ±0.01 (±0.04 beside the specimen)"
    )


def test_the_words_of_the_page_are_there_without_scripts(no_figures):
    maps = made_up.maps(provenance={"recipe": "nvpf", "method": "likelihood"})
    text = without_scripts(page(maps.to_xarray()))
    assert "Quality limited: the closest references (Na2.4VPF, Na2VPF)" in text
    assert "Synthetic references" in text
    assert "<li>Note: 518.3 eV: 4 pixels without counts</li>" in text
    for name, share, resolved in maps.summary():
        assert f"{name}</td><td>{100 * resolved:.1f} %</td><td>{100 * share:.1f} %</td>" in text
    assert f"{100 * maps.ambiguous_share:.1f} %" in text
    assert "<pre>nvpf</pre>" in text
    assert "by likelihood" in text


def with_amounts(**changes):
    """A result with amounts, of which Na2VPF looks like a mixture of others."""
    layers = MixedReference("Na2VPF", {"Na2.4VPF": 0.4, "Na1VPF": 0.6}, 0.1)
    return made_up.maps(find_amounts=made_up.amounts, mixed_references=(layers,), **changes)


def test_the_page_has_amounts_with_their_uncertainties(no_figures):
    maps = with_amounts()
    text = without_scripts(page(maps.to_xarray()))
    table = text[text.index('id="amounts"') :]
    assert "<th>thickness (nm)</th><th>x in NaxV2(PO4)2F3</th>" in table
    value = f"{maps.amounts.area_value[0]:.3f} ± 0.011"
    rows = re.findall("<tr>(.*?)</tr>", table)[1:]
    cells = [re.findall("<td>(.*?)</td>", row) for row in rows]
    assert cells[0][:4] == ["specimen", str(maps.specimen.sum()), "250.0 ± 2.0", value]
    assert cells[1][:5] == ["particle 1", "700", "251.0 ± 3.0", "3.000 ± 0.020", "100.0 ± 2.1 %"]
    for name in ("value", "thickness", "composition"):
        assert f'id="map-{name}"' in text
    older = without_scripts(page(made_up.maps().to_xarray()))
    assert 'id="amounts"' not in older
    assert 'id="map-thickness"' not in older


def test_a_phase_that_others_mix_to_has_an_interval_instead_of_a_share(no_figures):
    maps = with_amounts()
    text = without_scripts(page(maps.to_xarray()))
    share = 100 * maps.amounts.area_composition[0, 2]
    assert f"<td>{share - 4.116:.0f} to {share + 4.116:.0f} %</td>" in text
    assert "Na2VPF cannot be distinguished: or a mixture of Na2.4VPF and Na1VPF" in text
    twins = with_amounts(twins=(("Na3VPF", "Na2.4VPF"),))
    assert "Na3VPF cannot be distinguished: or Na2.4VPF" in without_scripts(page(twins.to_xarray()))


def test_a_drawn_layer_and_a_pixel_have_amounts_too():
    maps = with_amounts()
    scene = Scene.of_result(Result(1, maps, "live", "a run", maps, 0.0))
    value = doubt_layer(scene, "value", (0, 1))
    assert "x in NaxV2(PO4)2F3; mean of the specimen" in value.meaning
    assert "± 0.011" in value.meaning
    assert "≤ 0.5" in value.legend
    layered = doubt_layer(scene, "composition", (0, 1), 2)
    assert " to " in layered.meaning
    assert "or a mixture of Na2.4VPF and Na1VPF" in layered.meaning
    clear = doubt_layer(scene, "composition", (0, 1), 4)
    assert "± 2.1 % by volume" in clear.meaning
    row, column = np.argwhere(scene.specimen)[500]
    facts = pixel_facts(scene, row, column)
    assert "thickness 250.0 ± 4.0 nm" in facts.text
    assert "± 0.080" in facts.text
    assert "± 5.0 %" in facts.table


def test_measured_references_are_not_called_synthetic(no_figures):
    maps = made_up.maps(synthetic_references=False)
    assert "ynthetic" not in without_scripts(page(maps.to_xarray()))


def test_products_that_were_not_made_have_no_map(no_figures):
    maps = made_up.maps(
        latent_index=None, resolved_index=None, resolved_fractions=None, wrong_probability=None
    )
    html = page(maps.to_xarray())
    assert 'id="map-phase_index"' in html
    assert 'id="map-resolved_index"' not in html
    assert 'id="map-wrong_probability"' not in html


def test_a_map_with_the_energy_axis_corrected_lies_beside_the_one_asked_for(no_figures):
    asked = made_up.maps()
    corrected = np.where(asked.specimen, 1, -1).astype(np.int8)
    wrong = np.full(corrected.shape, 0.25, dtype=np.float32)
    both = replace(asked, corrected_index=corrected, corrected_wrong_probability=wrong)
    text = without_scripts(page(both.to_xarray()))
    assert text.index('id="map-resolved_index"') < text.index('id="map-corrected_index"')
    assert "Resolved phase map, energy axis corrected" in text
    assert "energy axis corrected" not in without_scripts(page(asked.to_xarray()))


def test_hostile_names_become_neither_tags_nor_scripts():
    html = page(hostile_maps().to_xarray())
    assert "window.hacked=1</script>" not in html
    assert "<img" not in without_scripts(html)
    assert "&lt;script&gt;window.hacked=1&lt;/script&gt;" in html
    header = json.loads(re.search(r'id="header">(.*?)</script>', html, re.DOTALL)[1])
    assert tuple(header["phases"]) == HOSTILE


def test_a_page_made_from_a_nexus_file_is_the_same(tmp_path, no_figures):
    maps = made_up.maps()
    read = read_nexus(write_nexus(maps, tmp_path / "maps.nxs"))
    assert page(read) == page(maps.to_xarray())


def test_the_colors_of_the_recipe_are_used(no_figures):
    maps = made_up.maps(provenance={"recipe_values": {"colors": {"Na2VPF": "#ff0000"}}})
    header = re.search(r'id="header">(.*?)</script>', page(maps.to_xarray()), re.DOTALL)[1]
    assert json.loads(header)["colors"][2] == "#ff0000"


def test_without_bokeh_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("stxm_live.dashboard.offline_page.page.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "stxm-live\[web\]"'):
        write_page(made_up.maps(), tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_a_page_full_of_specimen_stays_below_the_limit(tmp_path, monkeypatch):
    # as 512 rows and columns below five megabytes
    shape, most_bytes = (256, 256), MOST_BYTES // 2
    monkeypatch.setattr("stxm_live.dashboard.offline_page.page.MOST_BYTES", most_bytes)
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(5), shape).transpose(2, 0, 1).astype(np.float32)
    amounts = replace(
        made_up.amounts(shape), composition=shares, composition_std=np.sqrt(shares) / 3
    )
    maps = made_up.maps(shape=shape, find_amounts=lambda: amounts)
    noise = rng.standard_normal((5, *shape))
    everywhere = replace(
        maps,
        specimen=np.ones(shape, bool),
        phase_index=rng.integers(0, 5, shape).astype(np.int8),
        correlation=(0.95 + 0.02 * noise).astype(np.float32),
        reliability=abs(noise[0]).astype(np.float32),
        probability=(noise**2 / (noise**2).sum(axis=0)).astype(np.float32),
        wrong_probability=rng.uniform(0, 0.5, shape).astype(np.float32),
        counts=rng.poisson(1000, shape).astype(np.float32),
    )
    size = write_page(everywhere, tmp_path / "page.html").stat().st_size
    assert 0.5 * most_bytes < size <= most_bytes


def test_the_table_of_phases_says_which_may_be_mixtures_of_others(tmp_path, no_figures):
    mixed = (MixedReference("Na2VPF", {"Na3VPF": 0.53, "Na1VPF": 0.47}, 0.12),)
    maps = made_up.maps(mixed_references=mixed)
    text = without_scripts(write_page(maps, tmp_path / "maps.html").read_text(encoding="utf-8"))
    assert "Na2VPF (or a mixture of Na3VPF and Na1VPF)</td>" in text


def test_a_pixel_of_such_a_phase_says_so_too():
    mixed = (MixedReference("Na2VPF", {"Na3VPF": 0.53, "Na1VPF": 0.47}, 0.12),)
    maps = made_up.maps(mixed_references=mixed)
    row, column = np.argwhere(maps.resolved_index == made_up.NAMES.index("Na2VPF"))[0]
    assert "<b>Na2VPF</b> (or a mixture of Na3VPF and Na1VPF)" in "".join(
        _judgement(maps, row, column)
    )


def test_a_stored_result_keeps_its_whole_verdict_and_the_mixtures():
    mixed = (MixedReference("Na2VPF", {"Na3VPF": 0.53, "Na1VPF": 0.47}, 0.12),)
    quality = Quality("good", "about 700 counts per pixel; layers may look like Na2VPF", "", "")
    maps = made_up.maps(mixed_references=mixed, quality=quality)
    stored = maps_of(maps.to_xarray())
    assert stored.quality == quality
    assert stored.mixed_references == mixed


def test_what_was_not_identified_has_a_section_of_its_own_also_when_read_back(tmp_path, no_figures):
    maps = made_up.maps(shape=(20, 24))
    unknown = maps.specimen & (np.arange(24) > 11)
    maps = replace(maps, unidentified=unknown, dispersion=1.0)
    share = f"Not identified: {100 * unknown.sum() / maps.specimen.sum():.1f} % of the specimen"
    stored = read_nexus(write_nexus(maps, tmp_path / "maps.nxs"))
    assert share in page(stored)
    again = maps_of(stored)
    np.testing.assert_array_equal(
        stored["unidentified_od_scatter"].values, again.unidentified_spectrum.od_scatter
    )
    none = replace(maps, unidentified=np.zeros_like(unknown))
    assert "unidentified_od" not in none.to_xarray()
