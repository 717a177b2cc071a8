"""Regions are suggested where a scan would help, within limits, and say why."""

import numpy as np
import pytest
from made_up_maps import ENERGIES_EV, particle, references
from made_up_maps import maps as made_up
from scipy.ndimage import gaussian_filter

from stxm_live import Region, Stack, map_phases
from stxm_live.adaptive.regions import Absorber, DoseMap, Overhead, suggest_regions
from stxm_live.adaptive.regions.expected_gain import Improvement, doubt_removed, separation
from stxm_live.phase_mapping.likelihood import fit_references
from stxm_live.phase_mapping.weighted_products import Baseline

NM_OF_REFERENCE = 100


def certain_maps(doubtful=(), *, other_phase=(), shape=(60, 80), **changes):
    """Maps that are sure of phase 2 everywhere, but for squares of 6 pixels around places.

    There phases 2 and 3 are even (``doubtful``), or phase 0 is certain (``other_phase``).
    """
    maps = made_up(shape=shape)
    mapped = maps.phase_index >= 0
    probability = np.zeros((5, *shape), dtype=np.float32)
    probability[2] = 1
    for row, column in doubtful:
        probability[:, *square(row, column)] = np.array([0, 0, 0.5, 0.5, 0])[:, None, None]
    for row, column in other_phase:
        probability[:, *square(row, column)] = np.array([1, 0, 0, 0, 0])[:, None, None]
    index = np.where(mapped, probability.argmax(axis=0), -1).astype(np.int8)
    values = {
        "probability": np.where(mapped, probability, np.nan).astype(np.float32),
        "phase_index": index,
        "resolved_index": index,
        "wrong_probability": np.where(mapped, 1 - probability.max(axis=0), np.nan).astype("f4"),
        "unidentified": np.zeros(shape, dtype=bool),
        "dispersion": 1.0,
        "i0_std": np.zeros(13),
    }
    return made_up(shape=shape, **(values | changes))


def square(row, column):
    return slice(row - 3, row + 3), slice(column - 3, column + 3)


def middle(region):
    return tuple(np.mean(extent) for extent in (region.x_extent_um, region.y_extent_um))


def position(maps, row, column):
    """Motor coordinates of a place between pixels."""
    x0, x1, y0, y1 = maps.extent_um
    ny, nx = maps.specimen.shape
    return x0 + (x1 - x0) * column / (nx - 1), y0 + (y1 - y0) * row / (ny - 1)


def test_the_region_lies_on_the_planted_doubt_and_keeps_the_direction_of_the_scan():
    maps = certain_maps([(20, 50)])
    (region,) = suggest_regions(maps, 1, size_um=0.2, step_um=0.01)
    np.testing.assert_allclose(middle(region), position(maps, 19.5, 49.5), atol=0.05)
    first, last = region.y_extent_um
    assert first > last  # y of these maps descends
    assert region.x_extent_um[0] < region.x_extent_um[1]
    assert (region.nx, region.ny) == (20, 20)
    assert region.step_um == pytest.approx((0.01, 0.01))
    assert region.scan_table()["Y"]["NPOINTS"] == 20


def test_regions_are_ranked_and_do_not_lie_on_one_another():
    maps = certain_maps([(20, 50), (20, 56), (40, 30)])
    regions = suggest_regions(maps, 3, size_um=0.28)
    gains = [region.expected_gain for region in regions]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 1.5 * gains[1]  # two places in one box
    for k, one in enumerate(regions):
        for other in regions[:k]:
            assert shared_um2(one, other) <= 0.1 * 0.28**2 + 1e-9


def test_gains_descend_and_count_nothing_twice_that_was_scanned_or_is_in_a_better_region():
    everywhere = [(row, column) for row in range(20, 44, 6) for column in range(30, 54, 6)]
    maps = certain_maps(everywhere)
    options = {"size_um": 0.4, "max_overlap": 0.9}
    regions = suggest_regions(maps, 6, **options)
    gains = [region.expected_gain for region in regions]
    assert gains == sorted(gains, reverse=True)
    (field,) = suggest_regions(maps, 1, size_um=(1.5, 1.1))  # all of it
    assert sum(gains) <= field.expected_gain * (1 + 1e-6)
    rest = suggest_regions(maps, 5, **options, scanned=regions[:1])
    assert [r.expected_gain for r in rest] == pytest.approx(gains[1:])


def test_by_another_criterion_the_order_is_not_that_of_the_gain():
    maps = certain_maps([(40, 18), (40, 30)], other_phase=[(20, 50), (20, 56), (40, 24)])
    two_squares, one_square = suggest_regions(maps, 2, size_um=0.3, criterion="rare")
    np.testing.assert_allclose(middle(two_squares), position(maps, 19.5, 52.5), atol=0.08)
    assert one_square.expected_gain > two_squares.expected_gain  # it has doubt beside it


def test_a_second_region_leaves_the_first_alone_though_the_doubt_goes_on_beside_it():
    everywhere = [(row, column) for row in range(20, 44, 6) for column in range(30, 54, 6)]
    maps = certain_maps(everywhere)
    one, other = suggest_regions(maps, 2, size_um=0.4)
    assert shared_um2(one, other) <= 0.1 * 0.4**2 + 1e-9
    one, other = suggest_regions(maps, 2, size_um=0.4, max_overlap=0.6)
    assert shared_um2(one, other) > 0.1 * 0.4**2


def shared_um2(one, other):
    area = 1.0
    for a, b in ((one.x_extent_um, other.x_extent_um), (one.y_extent_um, other.y_extent_um)):
        low, high = max(min(a), min(b)), min(max(a), max(b))
        area *= max(0.0, high - low + one.step_um[0])
    return area


def test_a_doubt_that_more_photons_do_not_remove_promises_nothing():
    everywhere = [(row, column) for row in range(3, 60, 6) for column in range(3, 80, 6)]
    maps = certain_maps(everywhere)
    flat = np.repeat(maps.reference_od[2:3], 5, axis=0)  # all phases look alike
    alike = certain_maps(everywhere, reference_od=flat)
    options = {"size_um": 0.2, "dwell_ms": 10, "map_dwell_ms": 1, "step_um": 0.02}
    (region,) = suggest_regions(maps, 1, **options)
    assert region.expected_gain == pytest.approx(50, rel=0.05)  # half of 100 pixels
    assert sum(r.expected_gain for r in suggest_regions(alike, 1, **options)) < 0.5


def test_more_photons_remove_more_doubt():
    everywhere = [(row, column) for row in range(3, 60, 6) for column in range(3, 80, 6)]
    maps = certain_maps(everywhere, i0=np.full(13, 30.0))
    gains = [
        suggest_regions(maps, 1, size_um=0.2, step_um=0.02, dwell_ms=dwell, map_dwell_ms=1)[
            0
        ].expected_gain
        for dwell in (1, 4, 400)
    ]
    assert gains[0] < 0.8 * gains[1]
    assert gains[2] == pytest.approx(50, rel=0.05)


@pytest.mark.parametrize("std", [(), (None,), (0.2, 0.3)], ids=["none", "constant", "slope"])
def test_two_phases_are_as_far_apart_as_the_likelihood_finds_them_beside_any_background(rng, std):
    energies, reference_od = np.array(ENERGIES_EV), references()
    shapes = Baseline.slope(energies).shapes[: len(std)]
    sizes = np.array([0.5 if one is None else one for one in std])
    background = (shapes.T * sizes) @ rng.standard_normal((len(std), 4000))
    true_od = 3 * reference_od[2][:, None] + background
    photons = rng.poisson(1000 * np.exp(-true_od)).clip(1)
    od = np.log(1000 / photons)
    maps = made_up(
        shape=(1, 4000),
        od=od[:, None].astype(np.float32),
        dispersion=1.0,
        provenance={"baseline_std": list(std)},
    )
    apart = separation(maps, np.ones((1, 4000), bool), np.full(4000, 2))
    baseline = Baseline.of_std(energies, std)
    fit = fit_references(od, photons, reference_od, baseline=baseline, gain=1.0)
    for rival in (1, 3):
        better = (fit.chi2[rival] - fit.chi2[2]).mean()
        assert better == pytest.approx(np.mean(apart[rival] ** 2), rel=0.05)


def test_a_further_scan_keeps_what_is_promised_where_every_spectrum_has_a_slope(nvpf):
    recipe = nvpf.with_changes({"model": None, "alignment.enabled": False, "energy_fit": False})
    maps, truth = mapped_with_slopes(recipe, photons=300, seed=1)
    later, _ = mapped_with_slopes(recipe, photons=2700, seed=2)
    assert maps.provenance["baseline_std"][0] >= 0.1  # it was noticed
    wrong, still = ((m.resolved_index != truth) & (truth >= 0) for m in (maps, later))
    promised = doubt_removed(maps, Improvement(photons=9))[truth >= 0].sum()
    assert promised == pytest.approx(wrong.sum() - still.sum(), rel=0.3)


def mapped_with_slopes(recipe, photons, seed, shape=(64, 70)):
    """Maps of a particle with a constant and a slope of each pixel, and the true phases."""
    rng = np.random.default_rng(0)
    specimen, _ = particle(shape)
    domains = [gaussian_filter(rng.standard_normal(shape), 4) for _ in range(5)]
    truth = np.where(specimen, np.argmax(domains, axis=0), -1)
    energies = np.array(recipe.energies_ev)
    od = recipe.reference_spectra.at(energies)[truth].transpose(2, 0, 1) * 2.5
    od += np.tensordot(Baseline.slope(energies).shapes.T, rng.normal(0, 0.2, (2, *shape)), 1)
    counts = np.random.default_rng(seed).poisson(photons * np.exp(-od * specimen))
    return map_phases(Stack.from_arrays(counts.astype(np.float32), energies), recipe), truth


def test_the_exposure_is_that_of_the_map_unless_said_otherwise():
    everywhere = [(row, column) for row in range(3, 60, 6) for column in range(3, 80, 6)]
    maps = certain_maps(everywhere, i0=np.full(13, 30.0), dwell_ms=4.0)
    options = {"size_um": 0.2, "step_um": 0.02}
    (same,) = suggest_regions(maps, 1, **options)
    assert same.dwell_ms == 4.0
    assert same.minutes == pytest.approx(13 * (100 * 4e-3 + 10 * 0.1 + 2) / 60)
    (longer,) = suggest_regions(maps, 1, dwell_ms=16, **options)
    (told,) = suggest_regions(maps, 1, dwell_ms=4, map_dwell_ms=1, **options)
    assert longer.expected_gain == told.expected_gain > same.expected_gain


def test_a_boundary_promises_more_the_finer_the_step():
    maps = certain_maps(other_phase=[(20, 50)])
    gains = [
        suggest_regions(maps, 1, size_um=0.3, step_um=step)[0].expected_gain
        for step in (0.01, 0.005)
    ]
    # 24 sides of an eighth of a pixel on either side of the boundary
    assert gains[0] == pytest.approx(6 * (1 - 0.5), rel=0.15)
    assert gains[1] / gains[0] == pytest.approx(1.5, rel=0.01)


def test_boundaries_are_named_with_what_a_region_holds_and_costs():
    maps = certain_maps(other_phase=[(30, 40)], ambiguous=np.ones((60, 80), dtype=bool))
    dose = DoseMap(Absorber(3.165, 100, photons_per_count=10))
    (region,) = suggest_regions(
        maps,
        1,
        size_um=0.4,
        step_um=0.01,
        dwell_ms=5,
        criterion="boundaries",
        overhead=Overhead(line_s=0.2, energy_s=3),
        dose=dose,
    )
    assert region.reason.startswith("boundary Na3VPF/Na2VPF, 100 % ambiguous, 0.16 µm², ")
    assert region.minutes == pytest.approx(13 * (1600 * 5e-3 + 40 * 0.2 + 3) / 60)
    assert f"{region.dose_mgy:.2g} MGy, 4 min" in region.reason
    assert region.criterion == "boundaries"
    assert region.dwell_ms == 5


def test_a_rare_phase_is_found():
    maps = certain_maps([(40, 30)], other_phase=[(20, 50)])
    (region,) = suggest_regions(maps, 1, size_um=0.2, criterion="rare")
    np.testing.assert_allclose(middle(region), position(maps, 19.5, 49.5), atol=0.05)
    assert region.reason.startswith("rare Na3VPF (")


def test_unidentified_spectra_are_found():
    unidentified = np.zeros((60, 80), dtype=bool)
    unidentified[square(35, 30)] = True
    maps = certain_maps([(20, 50)], unidentified=unidentified)
    (region,) = suggest_regions(maps, 1, size_um=0.12, criterion="unidentified")
    np.testing.assert_allclose(middle(region), position(maps, 34.5, 29.5), atol=0.03)
    assert "100 % unidentified" in region.reason


def test_a_mixture_weighs_its_criteria():
    maps = certain_maps([(40, 30)], other_phase=[(20, 50)])
    for weights, place in (
        ({"doubt": 1, "rare": 0.05}, (40, 30)),
        ({"doubt": 0.05, "rare": 1}, (20, 50)),
    ):
        region = suggest_regions(maps, 1, size_um=0.2, step_um=0.02, criterion=weights)[0]
        row, column = place
        expected = position(maps, row - 0.5, column - 0.5)
        np.testing.assert_allclose(middle(region), expected, atol=0.06)
        assert region.criterion == "mixture"


def two_particles():
    """A large one at the left and a small one at the right; certain maps."""
    specimen = np.zeros((60, 80), dtype=bool)
    specimen[15:45, 10:40] = True
    specimen[25:37, 60:72] = True
    index = np.where(specimen, 2, -1).astype(np.int8)
    probability = np.where(specimen, np.arange(5)[:, None, None] == 2, np.nan).astype(np.float32)
    return certain_maps(
        specimen=specimen,
        phase_index=index,
        resolved_index=index,
        probability=probability,
        wrong_probability=np.where(specimen, 0, np.nan).astype(np.float32),
    )


def test_another_particle_is_one_that_no_scan_has_shown():
    maps = two_particles()
    first, second = suggest_regions(maps, 5, size_um=0.5, criterion="particles")
    assert middle(first)[0] < middle(second)[0]  # the larger one first; each once
    assert second.reason.startswith("another particle")
    (left,) = suggest_regions(maps, 5, size_um=0.5, criterion="particles", scanned=[first])
    assert middle(left) == pytest.approx(middle(second))


def test_the_rule_of_2018_takes_optical_density_and_area():
    od = np.zeros((13, 60, 80), dtype=np.float32)
    od[:, 10:30, 10:30] = 1.0
    od[:, 40:55, 50:75] = 1.2
    od[:, 15:20, 60:65] = 1.0  # too small
    od[:, 30:60, 0:5] = 2.0  # too dark
    specimen = od[0] > 0
    index = np.where(specimen, 2, -1).astype(np.int8)
    maps = certain_maps(
        od=od,
        specimen=specimen,
        phase_index=index,
        resolved_index=index,
        extent_um=(0.0, 7.9, 0.0, 5.9),
        probability=None,
    )
    regions = suggest_regions(maps, 5, size_um=2.0, criterion="od-2018")
    centres = [middle(region) for region in regions]
    np.testing.assert_allclose(centres, [(1.95, 1.95), (6.2, 4.7)], atol=0.1)
    assert [region.expected_gain for region in regions] == [None, None]
    assert regions[0].reason.startswith("OD 0.5 to 1.5")


def test_scanned_places_are_avoided_and_overviews_are_none():
    maps = certain_maps([(20, 50), (40, 30)])
    best, second = suggest_regions(maps, 2, size_um=0.2)
    for scanned in (best, (*best.x_extent_um, *best.y_extent_um)):
        (left,) = suggest_regions(maps, 1, size_um=0.2, scanned=[scanned])
        assert middle(left) == pytest.approx(middle(second), abs=0.05)
    assert suggest_regions(maps, 2, size_um=0.2, scanned=[maps])[0] == best


def test_no_pixel_of_a_region_lies_outside_the_limits():
    maps = certain_maps([(20, 50), (40, 30)])
    x, y = position(maps, 20, 50)
    for limits in (((x + 0.01, 3.5), (-2.1, -1.05)), ((2.05, x), (y - 0.02, -1.05))):
        for region in suggest_regions(maps, 4, size_um=0.2, limits=limits):
            for extent, (low, high) in zip(
                (region.x_extent_um, region.y_extent_um), limits, strict=True
            ):
                assert low <= min(extent) < max(extent) <= high


def test_without_limits_the_motors_stay_where_they_have_been():
    corner = np.zeros((60, 80), dtype=bool)
    maps = certain_maps(unidentified=~corner)
    for region in suggest_regions(maps, 50, size_um=0.2, step_um=0.005, criterion="unidentified"):
        assert 2.0 <= min(region.x_extent_um) < max(region.x_extent_um) <= 3.58
        assert -2.18 <= min(region.y_extent_um) < max(region.y_extent_um) <= -1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n is 0; ask for one region"),
        ({"size_um": 5.0}, "regions of 5 um are larger than the field of the maps.*1.6 um in x"),
        ({"size_um": 0.0}, "size_um is 0.0"),
        ({"size_um": 0.01, "step_um": 0.01}, "no second pixel in x"),
        ({"step_um": -1.0}, "step_um is -1"),
        ({"dwell_ms": 0.0}, "dwell_ms is 0"),
        (
            {"criterion": "prettiest"},
            "'prettiest' is unknown; expected one of doubt, boundaries",
        ),
        ({"criterion": {"doubt": -1}}, "has weight -1"),
        ({"limits": ((0, 0), (-2, -1))}, "limits of x are .* EPICS motors without limits"),
        ({"limits": ((2, 3), None)}, "limits of y are None"),
        ({"limits": {"x": (2, 3)}}, "limits of y are None"),
        ({"limits": ((2, float("nan")), (-2, -1))}, "limits of x"),
        ({"limits": ((50, 60), (-2, -1))}, "no region of this size fits within the limits"),
        ({"max_overlap": 1.0}, "max_overlap is 1"),
    ],
)
def test_a_question_without_an_answer_is_refused_with_a_reason(options, message):
    arguments = {"n": 2, "size_um": 0.2} | options
    with pytest.raises(ValueError, match=message):
        suggest_regions(certain_maps([(20, 50)]), arguments.pop("n"), **arguments)


def test_without_specimen_there_is_nothing_to_suggest():
    nothing = np.full((60, 80), -1, dtype=np.int8)
    with pytest.raises(ValueError, match="no specimen in the field of run 3f2a91bc"):
        suggest_regions(certain_maps(phase_index=nothing), 1, size_um=0.2)


@pytest.mark.parametrize("ends_um", [(1.0, 1.0), (0.0, 1e-320), (0.0, np.nan), (0.0, np.inf)])
def test_a_field_without_size_has_no_regions(ends_um):
    with pytest.raises(ValueError, match="have no size; correct the scan's extents"):
        suggest_regions(made_up(extent_um=(*ends_um, *ends_um)), 1, size_um=0.2)


def test_incomplete_maps_have_boundaries_but_no_doubt():
    maps = made_up(status="incomplete", probability=None, wrong_probability=None)
    with pytest.raises(ValueError, match=r'are incomplete.*criterion="boundaries"'):
        suggest_regions(maps, 1, size_um=0.2)
    (region,) = suggest_regions(maps, 1, size_um=0.2, criterion="boundaries")
    assert region.expected_gain is None
    assert region.dose_mgy is None
    assert region.minutes is None


def test_a_sure_map_leaves_nothing_to_suggest():
    assert suggest_regions(certain_maps(), 3, size_um=0.2) == []


def test_a_thin_specimen_absorbs_the_dose_of_its_surface():
    maps = thin_maps()
    dose = Absorber(2.0, NM_OF_REFERENCE, photons_per_count=3.0).absorbed_mgy(maps)
    row, column = 30, 40
    k = maps.final_index[row, column]
    photons_per_cm2 = 3.0 * 1000 / (0.02e-4) ** 2
    joules = np.array(maps.energies_ev) * 1.602176634e-19
    cm2_per_g = references()[k] / 100e-7 / 2.0
    gray = (photons_per_cm2 * joules * cm2_per_g * 1000).sum()
    assert dose[row, column] == pytest.approx(gray * 1e-6, rel=1e-3)
    assert not dose[~maps.specimen].any()


def thin_maps(**changes):
    """Maps of a specimen so thin that nothing of it lies in the shade."""
    return certain_maps(od=np.full((13, 60, 80), 1e-4, dtype=np.float32), **changes)


def test_a_thick_specimen_absorbs_what_it_takes_from_the_beam():
    od = np.full((13, 60, 80), 2.0, dtype=np.float32)
    thin, thick = (
        Absorber(2.0, NM_OF_REFERENCE, 1.0).absorbed_mgy(maps)[30, 40]
        for maps in (thin_maps(), certain_maps(od=od))
    )
    assert thick / thin == pytest.approx((1 - np.exp(-2)) / 2, rel=1e-3)


def test_the_dose_of_stacks_adds_up_and_refined_maps_count_once():
    doses = DoseMap(Absorber(2.0, NM_OF_REFERENCE, 1.0))
    first = thin_maps()
    doses.add(first)
    doses.add(thin_maps(revision=2))
    whole = Region((2.0, 3.58), (-1.0, -2.18), nx=80, ny=60)
    once = doses.so_far_mgy(whole)
    assert once == pytest.approx(
        doses.absorber.absorbed_mgy(first)[first.specimen].mean(), rel=0.01
    )
    doses.add(thin_maps(run="other"))
    assert doses.n_stacks == 2
    assert doses.so_far_mgy(whole) == pytest.approx(2 * once)
    assert doses.so_far_mgy(Region((10, 11), (10, 11), nx=2, ny=2)) == 0


def test_the_expected_dose_grows_with_photons_and_with_smaller_pixels():
    maps = thin_maps()
    doses = DoseMap(Absorber(2.0, NM_OF_REFERENCE, 1.0))
    here = doses.absorber.absorbed_mgy(maps)[25:35, 35:45].mean()
    region = Region((2.705, 2.895), (-1.505, -1.695), nx=20, ny=20)
    assert doses.expected_mgy(maps, region, photons=3.0) == pytest.approx(12 * here, rel=0.02)


def test_the_highest_dose_is_what_a_pixel_had_and_what_the_scan_adds():
    maps = thin_maps()
    doses = DoseMap(Absorber(2.0, NM_OF_REFERENCE, 1.0))
    region = Region((2.705, 2.895), (-1.505, -1.695), nx=20, ny=20)  # 10 x 10 pixels of the map
    before = doses.absorber.absorbed_mgy(maps)[25:35, 35:45]
    assert doses.highest_mgy(maps, region, photons=3.0) == pytest.approx(12 * before.max())
    doses.add(maps)
    assert doses.highest_mgy(maps, region, photons=3.0) == pytest.approx(13 * before.max())
    doses.clear()
    assert doses.highest_mgy(maps, region) == pytest.approx(4 * before.max())
    less_than_a_pixel = Region((2.801, 2.804), (-1.601, -1.604), nx=2, ny=2)
    assert doses.highest_mgy(maps, less_than_a_pixel) > 0


def test_beyond_the_maps_no_dose_is_known():
    doses = DoseMap(Absorber(2.0, NM_OF_REFERENCE, 1.0))
    with pytest.raises(ValueError, match="reaches beyond run 3f2a91bc region 1 in y, where its"):
        doses.highest_mgy(thin_maps(), Region((2.2, 2.4), (-1.2, -0.9), nx=9, ny=9))


@pytest.mark.parametrize("wrong", [{"density_g_cm3": 0.0}, {"reference_nm": -1.0}])
def test_an_absorber_without_substance_is_refused(wrong):
    values = {"density_g_cm3": 2.0, "reference_nm": 100.0, "photons_per_count": 1.0} | wrong
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Absorber(**values)
