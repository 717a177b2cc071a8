"""The worlds of the benchmark are the same each time, and their truth is what they say."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.accuracy.composite import (
    detector,
    faults,
    materials,
    named,
    scenes,
    scores,
    ways,
    worlds,
)
from benchmarks.accuracy.composite.textures import TEXTURES, levels_of

EVEN = (0.2,) * 5
NO_SHIFTS = np.zeros((13, 2))


def plain(changes=None, layout=None, photons=1e8, seed=3):
    layout = layout or scenes.Layout(EVEN, side=64)
    return worlds.World(
        materials.shipped(), layout, changes or faults.Faults(), photons=photons, seed=seed
    )


def measured(scan):
    """OD by the mean of the corner, which is empty, and the true phases."""
    i0 = scan.counts[:, :5, :5].mean(axis=(1, 2))
    od = np.log(i0[:, None, None] / np.maximum(scan.counts, 0.5))
    return od, worlds.truth_on(scan, np.zeros((len(scan.energies_ev), 2)))


def test_a_seed_gives_the_same_world_and_another_one_another():
    first, again = worlds.drawn_world(7), worlds.drawn_world(7)
    assert first.faults == again.faults
    assert first.layout == again.layout
    np.testing.assert_array_equal(worlds.scanned(first).counts, worlds.scanned(again).counts)
    assert worlds.drawn_world(8).layout != first.layout


def test_a_fault_changes_neither_the_specimen_nor_the_references():
    without = worlds.scanned(plain())
    with_leak = worlds.scanned(plain(faults.Faults(leak=0.05)))
    np.testing.assert_array_equal(without.amount, with_leak.amount)
    np.testing.assert_array_equal(without.references.od, with_leak.references.od)
    assert not np.array_equal(without.counts, with_leak.counts)


def test_without_faults_and_noise_correlation_is_right_where_columns_are_pure():
    scan = worlds.scanned(plain())
    od, truth = measured(scan)
    pure = truth.known & (np.nan_to_num(truth.share).max(axis=0) > 0.999)
    found = ways.best_correlation(od[:, pure], scan.references.at(scan.energies_ev))
    assert pure.sum() > 300
    assert (found == truth.index[pure]).all()


def test_without_faults_and_noise_the_od_is_that_of_the_columns():
    scan = worlds.scanned(plain())
    od, truth = measured(scan)
    pure = truth.known & (np.nan_to_num(truth.share).max(axis=0) > 0.999)
    references = scan.references.at(scan.energies_ev)
    thickness = scan.amount.sum(axis=0).reshape(64, 3, 64, 3)
    pure &= np.ptp(thickness, axis=(1, 3)) == 0  # a wedge within a pixel is no mean of its OD
    expected = references[truth.index[pure]].T * thickness.mean(axis=(1, 3))[pure]
    np.testing.assert_allclose(od[:, pure], expected * 1.6 / references.max(), atol=5e-3)


@pytest.mark.parametrize("texture", [*TEXTURES, "core and shell"])
def test_every_texture_fills_the_specimen(texture):
    layout = scenes.Layout(EVEN, texture, 3.0, unknown=0.3, columns=0.4, side=64)
    scene = scenes.make_scene(layout, np.random.default_rng(5))
    inside = scene.specimen
    assert 0.05 < inside.mean() < 0.6
    assert scene.amount.sum(axis=0).max() == pytest.approx(1)
    assert (scene.amount[-1] > 0).sum() / inside.sum() == pytest.approx(0.3, abs=0.02)


def test_levels_divide_a_field_by_shares_that_round_to_more_than_one():
    shares = np.array([0.25, 0.75 + 1e-12, 0.0])
    np.testing.assert_allclose(levels_of(np.arange(101.0), shares), [25, 100])


def test_the_unknown_phase_is_no_phase_of_the_recipe():
    truth = measured(worlds.scanned(plain(layout=scenes.Layout(EVEN, side=64, unknown=0.5))))[1]
    both = truth.unknown.sum() + truth.known.sum()
    assert truth.unknown.sum() / both == pytest.approx(0.5, abs=0.06)
    assert not (truth.unknown & truth.known).any()


@pytest.mark.parametrize("seed", range(4))
def test_own_materials_can_be_distinguished_and_reach_beyond_their_energies(seed):
    material = materials.own_material(np.random.default_rng(seed))
    assert 3 <= material.n_phases <= 6
    assert material.grid_ev[0] < material.energies_ev[0] - 3
    assert material.energies_ev[-1] + 3 < material.grid_ev[-1]
    seen = material.at(np.array(material.energies_ev))[:-1]
    distance = 1 - np.corrcoef(seen)[np.triu_indices(material.n_phases, 1)]
    assert distance.min() > materials.NEAREST


def test_an_unknown_phase_is_as_far_from_the_others_as_what_no_mixture_of_them_has():
    material = materials.shipped()
    known = material.spectra[:-1]
    mixture = 0.3 * known[0] + 0.7 * known[3] + 0.1 + 0.01 * (material.grid_ev - 520)
    same = replace(material, spectra=np.vstack([known, mixture]))
    assert same.unknown_od < 1e-9
    line = np.where(np.abs(material.grid_ev - 517.5) < 0.05, known.max(), 0.0)
    other = replace(material, spectra=np.vstack([known, mixture + line]))
    # one of thirteen energies is off by one; a fit of all takes a part of that away
    assert 0.1 < other.unknown_od < 1 / np.sqrt(13)


def test_drift_moves_the_truth_with_the_maps():
    scan = worlds.scanned(plain(faults.Faults(drift_px=1.0)))
    still = worlds.truth_on(scan, -scan.drift_px)
    moved = worlds.truth_on(scan, np.array([3.0, -2.0]) - scan.drift_px)
    inner = np.s_[10:-10, 10:-10]
    np.testing.assert_array_equal(np.roll(still.index, (3, -2), (0, 1))[inner], moved.index[inner])
    assert worlds.misplaced(scan, -scan.drift_px) == pytest.approx(0, abs=1e-12)


def test_counts_spread_as_the_fano_factor_says():
    light = np.zeros((1, 600, 600))
    wide = faults.Faults(fano=1.5)
    counts = detector.counted(light, np.zeros((1, 2)), 80.0, wide, np.random.default_rng(1))
    assert counts.var() / counts.mean() == pytest.approx(1.5, rel=0.03)


def test_there_are_thirty_named_ways_to_be_fooled_each_with_its_name():
    names = {way.name for way in named.WAYS_TO_BE_FOOLED}
    assert len(names) == len(named.WAYS_TO_BE_FOOLED) == 30


def test_a_label_of_the_unknown_phase_is_promised_in_vain_unless_it_is_unidentified():
    share = np.zeros((3, 1, 4))
    share[0, 0, :2] = share[2, 0, 2:] = 1
    truth = worlds.Truth(np.array([[0, 0, 2, 2]], dtype=np.int8), share)
    index, promised = np.zeros((1, 4), dtype=np.int8), np.full((1, 4), 0.9)
    nothing = np.zeros((1, 4), dtype=bool)
    blind = scores.score(ways.Answer(index, promised, nothing), truth)
    assert (blind.accuracy, blind.kept, blind.found) == (1.0, 0.5, 0.0)
    assert not blind.is_honest
    seeing = scores.score(ways.Answer(index, promised, truth.unknown), truth)
    assert (seeing.kept, seeing.found, seeing.false) == (1.0, 1.0, 0.0)


def test_smoothing_mixes_no_support_into_the_specimen():
    where = np.zeros((9, 9), dtype=bool)
    where[2:7, 2:7] = True
    od = np.where(where, 1.0, -7.0)[None]
    np.testing.assert_allclose(ways.smoothed(od, where, 0.8)[0][where], 1.0)


def test_the_default_map_of_a_matched_world_is_right_and_says_so():
    world = replace(plain(photons=5000.0), layout=scenes.Layout((0.5, 0, 0, 0.5, 0), side=64))
    scan = worlds.scanned(world)
    with ways.mapped(scan, energy_fit=False) as maps:
        found = scores.score(ways.default(maps), worlds.truth_on(scan, maps.shifts_px))
    assert found.accuracy > 0.9
    assert found.ece < 0.03
