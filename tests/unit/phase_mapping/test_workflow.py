import json
import random
from dataclasses import replace

import numpy as np
import pytest
from particles import NX, NY, particle_counts, particle_stack

from stxm_live.cli.output import print_result
from stxm_live.core.map_products import PRODUCTS
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Frame, Stack
from stxm_live.phase_mapping.latent_space.assignment import STRATEGIES
from stxm_live.phase_mapping.latent_space.model import load_model
from stxm_live.phase_mapping.workflow import map_phases


@pytest.fixture(scope="module")
def maps(nvpf):
    return map_phases(particle_stack(), nvpf)


@pytest.fixture(scope="module")
def with_encoder(shipped_bundle):
    recipe = Recipe.load("nvpf").with_changes({"model": shipped_bundle})
    return map_phases(particle_stack(), recipe)


@pytest.fixture(scope="module")
def nvpf_with_model(nvpf, shipped_bundle):
    return nvpf.with_changes({"model": shipped_bundle})


def right(index):
    """Share of right pixels among those inside one domain of the particle."""
    _, _, particle = particle_counts()
    counted = particle.specimen & ~particle.mixed & (index >= 0)
    assert counted.sum() > 0.9 * (particle.specimen & ~particle.mixed).sum()
    return (index[counted] == particle.phase_index[counted]).mean()


def test_pure_pixels_get_their_true_phase(maps):
    assert right(maps.phase_index) > 0.85
    assert right(maps.resolved_index) > 0.9
    assert right(maps.resolved_index) > right(maps.phase_index)


def test_the_expected_share_of_wrong_labels_is_the_true_one(maps):
    _, _, particle = particle_counts()
    pure = particle.specimen & ~particle.mixed & (maps.resolved_index >= 0)
    expected = maps.wrong_probability[pure].mean()
    assert expected == pytest.approx(1 - right(maps.resolved_index), abs=0.03)


def test_maps_know_the_dwell_of_their_scan_and_whether_it_has_a_scale(nvpf, maps):
    stack = particle_stack()
    known = {"dwell_ms": 4.0, "x_extent_um": (2.0, 2.0)}
    slow = map_phases(replace(stack, scan=stack.scan.model_copy(update=known)), nvpf)
    assert slow.dwell_ms == 4.0
    assert maps.dwell_ms is None
    no_scale = "all positions along x are the same: lengths and areas have no scale"
    assert [no_scale in found.warnings for found in (slow, maps)] == [True, False]


def test_coefficients_are_those_of_numpy(maps):
    row, column = NY // 2, NX // 2
    for k, reference in enumerate(maps.reference_od):
        expected = np.corrcoef(maps.od[:, row, column], reference)[0, 1]
        assert maps.correlation[k, row, column] == pytest.approx(expected, abs=1e-5)


def test_reliability_is_the_lead_of_the_best_in_percent(maps):
    q = np.sort(maps.correlation, axis=0)
    np.testing.assert_allclose(maps.reliability, 100 * (q[-1] - q[-2]), atol=1e-4)
    mapped = maps.phase_index >= 0
    np.testing.assert_array_equal(maps.ambiguous[mapped], maps.reliability[mapped] < 0.5)


def test_every_mapped_pixel_counts_in_the_fractions_ambiguous_or_not(maps):
    counted = np.bincount(maps.phase_index[maps.phase_index >= 0], minlength=5)
    np.testing.assert_allclose(maps.fractions, counted / counted.sum())
    assert maps.fractions.sum() == pytest.approx(1)
    assert maps.resolved_fractions.sum() == pytest.approx(1)


def test_beside_the_specimen_there_is_no_phase(maps):
    outside = ~maps.specimen
    assert (maps.phase_index[outside] == -1).all()
    assert (maps.resolved_index[outside] == -1).all()
    assert np.isnan(maps.correlation[:, outside]).all()
    assert not maps.ambiguous[outside].any()


def test_all_products_have_the_announced_axes(with_encoder):
    sizes = {"energy_ev": 13, "phase": 5, "y": NY, "x": NX, "rank": 2, "latent_axis": 3}
    sizes["direction"] = 2
    for name, product in PRODUCTS.items():
        array = getattr(with_encoder, name)
        if array is not None:
            assert array.shape == tuple(sizes[d] for d in product.dims), name
            assert not array.flags.writeable, name


def test_the_result_depends_neither_on_the_order_of_frames_nor_on_the_rest_of_the_scan(nvpf, maps):
    counts, energies_ev, _ = particle_counts()
    order = list(range(13))
    random.Random(3).shuffle(order)
    shuffled = Stack.from_arrays(
        counts[order], [energies_ev[k] for k in order], extent_um=(0.0, 2.13, 1.77, 0.0)
    )
    assert map_phases(shuffled, nvpf).identical(maps)
    more = Stack.from_arrays(
        np.concatenate([counts, counts[:1]]), [*energies_ev, 540.0], extent_um=(0.0, 2.13, 1.77, 0)
    )
    assert map_phases(more, nvpf).identical(maps)


def test_results_that_differ_name_the_products(nvpf, maps):
    other = map_phases(particle_stack(), nvpf.with_changes({"ambiguity_threshold": 0.01}))
    assert not other.identical(maps)
    assert "ambiguous" in other.differences(maps)
    assert "od" not in other.differences(maps)


def test_nothing_is_written_over_in_the_stack(nvpf):
    stack = particle_stack()
    before = stack.intensity().copy()
    map_phases(stack, nvpf)
    np.testing.assert_array_equal(stack.intensity(), before)


def test_a_missing_energy_makes_the_result_incomplete_and_is_named(nvpf, maps):
    stack = particle_stack()
    frames = tuple(f for f in stack.frames if f.energy_ev != 518.3)
    partial = Stack(stack.key, stack.scan, frames, finished=False)
    partial_maps = map_phases(partial, nvpf)
    assert partial_maps.status == "incomplete"
    assert partial_maps.quality.verdict == "limited"
    assert "518.3 eV" in partial_maps.quality.cause
    assert any("518.3 eV: the maps are made from the other 12" in w for w in partial_maps.warnings)
    both = (partial_maps.resolved_index >= 0) & (maps.resolved_index >= 0)
    assert (partial_maps.resolved_index == maps.resolved_index)[both].mean() > 0.95


def test_an_excluded_energy_is_not_missed(nvpf):
    recipe = nvpf.with_changes({"exclude_energies_ev": (505.0,)})
    maps = map_phases(particle_stack(), recipe)
    assert maps.status == "complete"
    assert 505.0 not in maps.energies_ev


def test_the_energies_really_had_are_used(nvpf):
    energies_ev = particle_counts()[1]
    stack = particle_stack()
    off = tuple(
        Frame(e + 0.03, f.intensity, e) for e, f in zip(energies_ev, stack.frames, strict=True)
    )
    maps = map_phases(Stack(stack.key, stack.scan, off), nvpf)
    np.testing.assert_allclose(maps.energies_ev, np.add(energies_ev, 0.03))
    expected = nvpf.reference_spectra.at(np.add(energies_ev, 0.03))
    np.testing.assert_allclose(maps.reference_od, expected)


def test_references_that_do_not_cover_an_energy_are_an_error_that_names_it(nvpf, tmp_path):
    references = nvpf.reference_spectra
    short = tmp_path / "short.csv"
    keep = references.energies_ev <= 531
    type(references)(
        references.phase_names, references.energies_ev[keep], references.od[:, keep]
    ).to_csv(short)
    with pytest.raises(ValueError, match=r"cover 500 to 531 eV, the scan has 532.2 eV"):
        map_phases(particle_stack(), nvpf.with_changes({"references": short}))


def changed(k, change):
    counts, energies_ev, _ = particle_counts()
    images = np.array(counts)
    images[k] = change(images[k])
    return Stack.from_arrays(images, energies_ev)


def test_dead_pixels_are_left_out_and_counted(nvpf):
    def dead_row(image):
        image[30] = 0
        image[31, :5] = np.nan
        return image

    maps = map_phases(changed(4, dead_row), nvpf)
    assert np.isnan(maps.od[4, 30]).all()
    assert (maps.phase_index[30] >= 0).any()
    assert f"{NX} zero or negative" in " ".join(maps.warnings)
    assert "5 missing" in " ".join(maps.warnings)


def test_saturated_pixels_are_left_out_and_counted(nvpf):
    limit = float(particle_counts()[0].max())
    maps = map_phases(particle_stack(), nvpf.with_changes({"detector.saturation_counts": limit}))
    assert "saturated" in " ".join(maps.warnings)


@pytest.mark.parametrize(
    "change",
    [lambda image: image * 0, lambda image: image * np.nan],
    ids=["shutter closed", "all NaN"],
)
def test_an_image_without_a_usable_pixel_counts_as_missing(nvpf, change):
    maps = map_phases(changed(6, change), nvpf)
    assert maps.status == "incomplete"
    assert "image at 519.2 eV has no usable pixel" in " ".join(maps.warnings)
    assert 519.2 not in maps.energies_ev


def test_without_an_encoder_maps_are_made_and_a_line_tells_how_to_train_one(maps):
    assert maps.latent_index is None
    assert maps.resolved_index is not None
    assert any("stxm-live train" in warning for warning in maps.warnings)


def test_the_paper_s_map_changes_ambiguous_pixels_only(with_encoder):
    clear = (with_encoder.phase_index >= 0) & ~with_encoder.ambiguous
    np.testing.assert_array_equal(with_encoder.latent_index[clear], with_encoder.phase_index[clear])
    changed_pixels = with_encoder.latent_index != with_encoder.phase_index
    assert changed_pixels.any()
    second = with_encoder.ambiguous_pair[1]
    np.testing.assert_array_equal(with_encoder.latent_index[changed_pixels], second[changed_pixels])


@pytest.mark.parametrize(
    ("method", "product"), [("pearson", "phase_index"), ("mahalanobis", "latent_index")]
)
def test_the_recipe_chooses_which_map_is_the_resolved_one(nvpf_with_model, method, product):
    recipe = nvpf_with_model.with_changes({"resolver.method": method})
    maps = map_phases(particle_stack(), recipe)
    np.testing.assert_array_equal(maps.resolved_index, getattr(maps, product))


def test_every_strategy_in_latent_space_gives_a_map_of_its_own(nvpf_with_model, with_encoder):
    maps = {}
    for method in STRATEGIES:
        recipe = nvpf_with_model.with_changes({"resolver.method": method})
        maps[method] = map_phases(particle_stack(), recipe)
        np.testing.assert_array_equal(maps[method].resolved_index, maps[method].latent_index)
        assert maps[method].provenance["method"] == method
    np.testing.assert_array_equal(maps["mahalanobis"].latent_index, with_encoder.latent_index)
    different = {m.latent_index.tobytes() for m in maps.values()}
    assert len(different) == len(STRATEGIES)


def test_clusters_of_the_scan_itself_resolve_differently_from_the_training_set_s(
    nvpf_with_model, with_encoder
):
    recipe = nvpf_with_model.with_changes({"resolver.statistics": "scan"})
    maps = map_phases(particle_stack(), recipe)
    np.testing.assert_array_equal(maps.latent, with_encoder.latent)
    assert "latent_index" in maps.differences(with_encoder)


def test_a_bundle_for_other_energies_leaves_the_maps_without_an_encoder(nvpf_with_model):
    counts, energies_ev, _ = particle_counts()
    shifted = Stack.from_arrays(counts, np.add(energies_ev, 0.2))
    maps = map_phases(shifted, nvpf_with_model)
    assert maps.latent is None
    assert maps.probability is not None
    assert any("off by" in warning and "0.2" in warning for warning in maps.warnings)


def test_a_tampered_bundle_is_refused_and_maps_are_made_without_it(shipped_bundle, nvpf, tmp_path):
    import shutil

    copy = tmp_path / "bundle"
    shutil.copytree(shipped_bundle, copy)
    model = copy / "encoder.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"\x01")
    recipe = nvpf.with_changes({"model": copy, "resolver.method": "mahalanobis"})
    maps = map_phases(particle_stack(), recipe)
    assert maps.latent is None
    assert any("SHA-256" in warning for warning in maps.warnings)
    assert any("by likelihood instead" in warning for warning in maps.warnings)
    assert maps.provenance["method"] == "likelihood"


def test_a_model_for_other_references_is_refused(shipped_bundle, nvpf, tmp_path):
    references = nvpf.reference_spectra
    other = tmp_path / "other.csv"
    type(references)(references.phase_names, references.energies_ev, references.od * 1.1).to_csv(
        other
    )
    recipe = nvpf.with_changes({"references": other, "model": shipped_bundle})
    with pytest.raises(ValueError, match="other references"):
        load_model(recipe)


def test_any_function_may_stand_for_the_encoder(nvpf_with_model):
    model = load_model(nvpf_with_model)._replace(
        encode=lambda spectra: np.zeros((len(spectra), 3), np.float32)
    )
    maps = map_phases(particle_stack(), nvpf_with_model, model=model)
    assert (maps.latent[maps.phase_index >= 0] == 0).all()


def test_the_dataset_has_all_products_with_units_and_coordinates(with_encoder):
    dataset = with_encoder.to_xarray()
    assert dataset["od"].dims == ("energy_ev", "y", "x")
    assert list(dataset["phase"].values) == list(with_encoder.phase_names)
    assert dataset["i0"].attrs["units"] == "counts"
    assert dataset["y"].values[0] == pytest.approx(1.77)  # extents may descend
    assert dataset["y"].values[-1] == pytest.approx(0.0)
    json.loads(dataset.attrs["provenance"])
    missing = {n for n in PRODUCTS if getattr(with_encoder, n) is not None} - set(dataset)
    assert not missing


def test_a_result_shows_itself_in_a_notebook_with_its_verdict(maps):
    html = maps._repr_html_()
    assert "data:image/png;base64," in html
    assert maps.quality.cause.split()[0] in html
    assert "synthetic" in html


def test_synthetic_references_are_named_as_such(maps):
    assert maps.synthetic_references
    assert "the reference spectra are synthetic" in maps.warnings


def test_i0_by_monitor_gives_nearly_the_map_of_i0_from_the_image(nvpf, maps):
    stack = particle_stack()
    ring = np.linspace(500, 460, 13)
    falling = replace(
        stack,
        frames=tuple(
            replace(f, intensity=f.intensity * np.float32(mA / 500), monitor=float(mA))
            for f, mA in zip(stack.frames, ring, strict=True)
        ),
    )
    by_monitor = map_phases(falling, nvpf.with_changes({"i0.source": "monitor"}))
    both = (by_monitor.phase_index >= 0) & (maps.phase_index >= 0)
    assert (by_monitor.phase_index[both] == maps.phase_index[both]).mean() > 0.95
    assert (by_monitor.resolved_index[both] == maps.resolved_index[both]).mean() > 0.93


def test_dark_counts_and_dead_time_of_the_recipe_are_corrected(nvpf, maps):
    stack = particle_stack()
    dwell_ms, dead_ns, dark = 1.0, 30.0, 50.0
    seen = tuple(
        replace(f, intensity=(f.intensity + dark) / (1 + (f.intensity + dark) * dead_ns * 1e-6))
        for f in stack.frames
    )
    scan = stack.scan.model_copy(update={"dwell_ms": dwell_ms})
    detector = {"detector.dark_counts": dark, "detector.dead_time_ns": dead_ns}
    corrected = map_phases(replace(stack, scan=scan, frames=seen), nvpf.with_changes(detector))
    np.testing.assert_allclose(corrected.od, maps.od, atol=2e-5)


@pytest.mark.parametrize("photons", [0.02, 1, 30])
def test_an_image_without_beam_is_left_out_and_named(nvpf, photons):
    rng = np.random.default_rng(3)
    maps = map_phases(changed(5, lambda image: rng.poisson(photons, image.shape)), nvpf)
    assert maps.status == "incomplete"
    assert "518.3 eV" in maps.quality.cause
    assert any("image at 518.3 eV has" in warning for warning in maps.warnings)
    assert np.hypot(*maps.shifts_px.T).max() < 1


def test_a_dimmed_image_is_no_anchor(nvpf, maps):
    rng = np.random.default_rng(3)
    dimmed = map_phases(changed(2, lambda image: rng.poisson(0.06 * image)), nvpf)
    assert dimmed.provenance["anchor_ev"] == maps.provenance["anchor_ev"]
    assert dimmed.status == "complete"


def test_an_energy_nobody_announced_neither_spoils_nor_delays_the_maps(nvpf, maps):
    stack = particle_stack()
    every = nvpf.with_changes({"energies_ev": None})
    expected = map_phases(stack, every)
    for energy_ev, change in ((700.0, 1), (510.0, 0)):
        extra = Frame(energy_ev, stack.frames[0].intensity * np.float32(change))
        more = replace(stack, frames=(*stack.frames, extra))
        assert map_phases(more, every).identical(expected)
        assert map_phases(more, nvpf).identical(maps)


def test_tiny_images_are_mapped_where_they_are(nvpf):
    counts, energies_ev, _ = particle_counts()
    recipe = nvpf.with_changes({"i0.source": "region", "i0.region": (0, 2, 0, 40)})
    maps = map_phases(Stack.from_arrays(counts[:, 20:60, :3], energies_ev), recipe)
    assert not maps.shifts_px.any()


def test_a_field_without_specimen_has_empty_maps_and_says_so(nvpf, capsys):
    counts = np.random.default_rng(2).poisson(1000, (13, 40, 50)).astype(np.float32)
    found = map_phases(Stack.from_arrays(counts, nvpf.energies_ev, extent_um=(0, 1, 0, 1)), nvpf)
    assert found.quality.cause == "no specimen in the field"
    assert (found.resolved_index == -1).all()
    assert np.isnan(found.probability).all()
    assert repr(found).endswith("revision 1: no specimen; poor: no specimen in the field>")
    print_result(found)
    printed = capsys.readouterr().out
    assert "complete, no specimen\n" in printed
    assert "nan" not in repr(found) + printed


def test_one_line_tells_the_shares_of_the_map_and_the_verdict(maps):
    told = repr(maps)
    for name, _, resolved in maps.summary():
        assert f"{name} {100 * resolved:.1f} %" in told
    assert told.endswith(f"; {maps.quality.verdict}: {maps.quality.cause}>")
    invalid = replace(maps, phase_index=np.full_like(maps.phase_index, -1))
    assert invalid.no_phases == "no valid spectrum in the specimen"


@pytest.mark.parametrize(
    ("x_um", "verdict", "cause"),
    [
        ((1.0, 1.2), "poor", "the specimen is brighter than I0"),
        ((0.1, 0.4), "limited", "of the box for I0 is specimen"),
    ],
)
def test_an_i0_box_on_the_particle_is_in_the_verdict(nvpf, x_um, verdict, cause):
    box = (*x_um, 0.8, 1.0)
    found = map_phases(
        particle_stack(), nvpf.with_changes({"i0.source": "region", "i0.region": box}), quick=True
    )
    assert found.quality.verdict == verdict
    assert cause in found.quality.cause


def test_an_i0_in_other_units_does_not_make_the_specimen_thin(nvpf, tmp_path):
    (tmp_path / "i0.csv").write_text("500,0.5\n540,0.5\n")
    changes = {"i0.source": "spectrum", "i0.spectrum": tmp_path / "i0.csv"}
    found = map_phases(particle_stack(), nvpf.with_changes(changes))
    assert np.nanmax(found.od) < 0
    assert "thin" not in str(found.quality)
    assert "brighter" not in str(found.quality)


def test_without_empty_support_only_counts_that_scatter_as_photons_are_judged(nvpf, tmp_path):
    counts, energies_ev, particle = particle_counts()
    np.save(tmp_path / "mask.npy", particle.phase_index >= 0)
    changes = {"i0.source": "spectrum", "specimen.mask": tmp_path / "mask.npy"}
    verdicts = {}
    for factor in (1, 40):
        i0 = tmp_path / f"i0-{factor}.csv"
        i0.write_text(f"500,{3000 * factor}\n540,{3000 * factor}\n")
        recipe = nvpf.with_changes(changes | {"i0.spectrum": i0})
        verdicts[factor] = map_phases(
            Stack.from_arrays(counts * factor, energies_ev), recipe, quick=True
        ).quality
    assert verdicts[1].verdict == "good"
    assert verdicts[40].verdict == "limited"
    assert "no empty support shows the noise of the counts" in verdicts[40].cause


def test_two_energies_do_not_tell_how_noisy_the_counts_are(nvpf):
    two = map_phases(particle_stack(), nvpf.with_changes({"energies_ev": (515.6, 517.5)}))
    assert two.resolved_index is not None
    assert two.dispersion is None
    assert two.od_std is None


def test_quick_maps_go_through_the_encoder_only_where_the_recipe_resolves_by_it():
    recipe, stack = Recipe.load("nvpf"), particle_stack()
    quick = map_phases(stack, recipe, quick=True)
    assert quick.latent is None
    assert quick.resolved_index is not None
    by_cluster = recipe.with_changes({"resolver.method": "mahalanobis"})
    quick = map_phases(stack, by_cluster, quick=True)
    np.testing.assert_array_equal(quick.resolved_index, quick.latent_index)


def test_mapped_phases_that_layers_look_like_are_named_and_change_no_map(maps, capsys):
    nearest = {one.phase: set(one.parts) for one in reversed(maps.mixed_references)}
    assert nearest["Na2.4VPF"] == {"Na3VPF", "Na2VPF"}
    assert nearest["Na2VPF"] == {"Na2.4VPF", "Na1VPF"}
    assert any(
        text.startswith("Na2VPF cannot be distinguished from a mixture of Na2.4VPF and Na1VPF")
        for text in maps.warnings
    )
    print_result(maps)
    assert "Na2.4VPF (or a mixture of Na3VPF and Na2VPF, or of" in capsys.readouterr().out
    stored = json.loads(maps.to_xarray().attrs["mixed_references"])
    assert [one["phase"] for one in stored] == [one.phase for one in maps.mixed_references]
