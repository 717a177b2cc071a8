import csv
from functools import cache

import numpy as np
import pytest
from particles import particle_stack
from PIL import Image

from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.latent_space.assignment import squared_mahalanobis
from stxm_live.phase_mapping.latent_space.model import load_model
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.plotting.paper_figures import ParticleMaps, particle_plates, run_plates, write_plates
from stxm_live.plotting.paper_figures.audit import MARGIN, audit
from stxm_live.plotting.paper_figures.maps import figure_3, figure_4, figure_s3, pixels_of
from stxm_live.plotting.paper_figures.plate import Table, write_table
from stxm_live.plotting.paper_figures.projection import figure_s6
from stxm_live.plotting.paper_figures.references import figure_s4
from stxm_live.plotting.paper_figures.states_of_charge import charge, states_of_charge_plate
from stxm_live.plotting.paper_figures.strategies import strategies_plate


@cache
def result(method="likelihood"):
    recipe = Recipe.load("nvpf").with_changes({"resolver.method": method})
    model = load_model(recipe)
    return map_phases(particle_stack(), recipe, model=model), model.bundle, recipe


def rows_of(plate):
    return [dict(zip(plate.table.columns, row, strict=True)) for row in plate.table.rows]


def drawn_texts(figure):
    from matplotlib.text import Text

    return " | ".join(t.get_text() for t in figure.findobj(Text))


def test_every_figure_of_a_run_is_a_picture_and_a_table(tmp_path, coarse_pictures):
    maps, bundle, recipe = result()
    files = write_plates(run_plates(maps, recipe.reference_spectra, bundle), tmp_path / "f")
    names = ["fig2", "fig3", "figS3", "figS4", "fig4", "audit", "audit", "strategies"]
    assert [f.stem.split("-")[0] for f in files[::2]] == names
    for picture, table in zip(files[::2], files[1::2], strict=True):
        pixels = np.asarray(Image.open(picture).convert("L"))
        assert pixels.std() > 10, picture
        with table.open(newline="") as file:
            lines = list(csv.reader(file))
        assert len({len(line) for line in lines}) == 1, table
        assert len(lines) > 2, table


def test_without_an_encoder_there_are_only_the_figures_of_correlation(nvpf):
    maps = map_phases(particle_stack(), nvpf)
    plates = list(run_plates(maps, nvpf.reference_spectra, None))
    assert [p.name.split("-")[0] for p in plates] == ["fig2", "fig3", "figS3", "figS4"]
    assert all(maps.identity in drawn_texts(plate.figure) for plate in plates)
    with pytest.raises(ValueError, match="made without an encoder"):
        pixels_of(maps)


def test_the_shares_in_the_figures_are_those_of_the_maps():
    maps, bundle, _ = result()
    rows = rows_of(figure_3(maps))
    assert [row["share"] for row in rows] == maps.fractions.tolist()
    clear = rows_of(figure_4(maps, bundle))
    assert len(clear) == (maps.phase_index >= 0).sum()
    for row in clear[::97]:
        at = row["row"], row["column"]
        assert row["phase_resolved"] == maps.phase_names[maps.latent_index[at]]
        assert row["ambiguous"] == maps.ambiguous[at]
        assert (row["z1"], row["z3"]) == (maps.latent[at][0], maps.latent[at][2])


def test_references_appear_once_per_pair_with_the_coefficient_of_numpy():
    maps, _, recipe = result()
    rows = rows_of(figure_s4(recipe.reference_spectra, maps.energies_ev))
    assert len(rows) == 10
    expected = np.corrcoef(maps.reference_od)
    names = maps.phase_names
    for row in rows:
        pair = names.index(row["phase"]), names.index(row["other_phase"])
        assert row["pearson_on_scan"] == pytest.approx(expected[pair], abs=1e-12)


@pytest.mark.parametrize("method", ["mahalanobis", "knn"])
def test_the_strategies_figure_has_the_recipe_s_own_among_them(method):
    maps, bundle, _ = result(method)
    rows = {
        (row["strategy"], row["candidates"]): row for row in rows_of(strategies_plate(maps, bundle))
    }
    assert len(rows) == 8
    own = [rows[method, "pair"][f"share_{name}"] for name in maps.phase_names]
    np.testing.assert_allclose(own, maps.resolved_fractions)
    changed = (maps.latent_index != maps.phase_index).sum() / maps.ambiguous.sum()
    assert rows[method, "pair"]["changed_share_of_ambiguous"] == pytest.approx(changed)


def test_the_audit_lists_clear_pixels_that_lie_nearer_to_another_cluster():
    maps, bundle, _ = result()
    found = audit(maps, bundle)
    clear = (maps.phase_index >= 0) & ~maps.ambiguous
    distance = squared_mahalanobis(maps.latent[clear], bundle.clusters)
    own = np.take_along_axis(distance, maps.phase_index[clear][None].astype(int), axis=0)[0]
    expected = own - distance.min(axis=0) > MARGIN
    assert expected.any()
    np.testing.assert_array_equal(found.suspected_index[clear] >= 0, expected)
    assert not (found.suspected_index[~clear] >= 0).any()
    assert found.counts.sum() == expected.sum()
    assert found.counts.trace() == 0
    assert found.share == pytest.approx(expected.mean())


def test_particles_are_ordered_by_their_phases_and_all_shown():
    maps, _, _ = result()
    n = len(maps.phase_names)

    def with_shares(shares):
        from dataclasses import replace

        return replace(maps, resolved_fractions=np.array(shares, float))

    late = ParticleMaps("Zoe", with_shares([0, 0, 0, 0.5, 0.5]))
    early = ParticleMaps("Ann", with_shares([0.9, 0.1, 0, 0, 0]))
    assert charge(early.maps) == pytest.approx(0.1 / (n - 1))
    assert charge(late.maps) == pytest.approx(3.5 / (n - 1))
    figure = states_of_charge_plate([late, early])
    assert [row["particle"] for row in rows_of(figure)[::n]] == ["Ann", "Zoe"]
    assert "50" in drawn_texts(figure.figure)
    plates = list(particle_plates([late, early]))
    names = ["fig5-particles", "figS7-reliability", "figS8-correlation", "states-of-charge"]
    assert [p.name for p in plates] == names
    assert drawn_texts(plates[0].figure).count("Zoe") == 2
    made_by = f"recipe nvpf {maps.provenance['recipe_sha256'][:8]}, stxm_live "
    assert [drawn_texts(p.figure).count(made_by) for p in plates] == [1] * 4  # they share it


def test_particles_of_one_sample_are_in_a_figure_of_their_own():
    from dataclasses import replace

    maps, bundle, _ = result()
    particles = [ParticleMaps(name, maps) for name in ("Ann", "Zoe", "Ann", "a/b", "a b", "a b")]
    plates = {plate.name: plate for plate in particle_plates(particles, bundle)}
    assert [name for name in plates if name.startswith("fig6")] == ["fig6-1-Ann", "fig6-2-a-b"]
    rows = rows_of(plates["fig6-1-Ann"])
    assert len(rows) == 2 * len(maps.phase_names)
    assert {row["particle"] for row in rows} == {"Ann"}
    assert "figS6-latent-space" in plates
    other = replace(maps, provenance={**maps.provenance, "model_sha256": "of another bundle"})
    mixed = particle_plates([ParticleMaps("Ann", maps), ParticleMaps("Zoe", other)], bundle)
    assert "figS6-latent-space" not in [plate.name for plate in mixed]


def test_each_particle_is_projected_into_the_latent_space_of_all():
    from dataclasses import replace

    maps, bundle, _ = result()
    far = replace(maps, latent=maps.latent + np.float32(50))
    rows = rows_of(figure_s6([ParticleMaps("near", maps), ParticleMaps("far", far)], bundle))
    clear = (maps.phase_index >= 0) & ~maps.ambiguous
    for name, one in (("near", maps), ("far", far)):
        for k, phase in enumerate(maps.phase_names):
            (row,) = (r for r in rows if (r["particle"], r["phase"]) == (name, phase))
            members = clear & (maps.phase_index == k)
            assert row["clear_pixels"] == members.sum()
            if members.any():
                mean = one.latent[members].mean(axis=0, dtype=float)
                np.testing.assert_allclose([row[f"mean_z{i}"] for i in (1, 2, 3)], mean, rtol=1e-3)


def test_the_reliability_over_the_map_has_its_quartiles_beside_the_shares():
    maps, _, _ = result()
    rows = rows_of(figure_s3(maps))
    found = [row["reliability_median"] for row in rows]
    expected = [
        np.median(maps.reliability[maps.phase_index == k]) if share else np.nan
        for k, share in enumerate(maps.fractions)
    ]
    np.testing.assert_allclose(found, expected)


def test_particles_of_other_phases_cannot_be_compared():
    from dataclasses import replace

    maps, _, _ = result()
    other = replace(maps, phase_names=("a", "b", "c", "d", "e"))
    with pytest.raises(ValueError, match=r"same phases can be compared, got Na3VPF.*; a, b"):
        list(particle_plates([ParticleMaps("one", maps), ParticleMaps("two", other)]))


def test_a_table_has_no_formulas_and_leaves_nan_empty(tmp_path):
    table = Table(("name", "value"), [("=cmd()", np.nan), ("a,b", np.float32(0.1)), ("c", 3)])
    write_table(table, tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines == ["name,value", "'=cmd(),", '"a,b",0.1', "c,3"]
