"""Images in which something went wrong: what the user is told, and that the rest survives."""

import numpy as np
import pytest
from particles import NX, NY, particle_counts, particle_stack
from simulated_fields import field_of_view

from stxm_live.core.stack import Stack
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.preprocessing.image_faults import line_levels, lost_lines
from stxm_live.preprocessing.stack_images import ImageCache
from stxm_live.preprocessing.workflow import align_stack

EXTENT_UM = (0.0, 2.13, 1.77, 0.0)


@pytest.fixture(scope="module")
def maps(nvpf):
    return map_phases(particle_stack(), nvpf)


def with_fault(k, fault):
    """The particle with ``fault(image, rng)`` in image k."""
    counts, energies_ev, _ = particle_counts()
    images = np.array(counts)
    images[k] = fault(images[k].copy(), np.random.default_rng(0))
    return Stack.from_arrays(images, energies_ev, extent_um=EXTENT_UM)


def same_labels(first, second, where=(slice(None), slice(None))):
    a, b = first.resolved_index[where], second.resolved_index[where]
    both = (a >= 0) & (b >= 0)
    assert both.sum() > 100
    return (a[both] == b[both]).mean()


def dumped(image, rng, *, rows=slice(21, 38), column=30, left=0.03):
    """The beam goes in the middle of the line above these rows and comes back in the next."""
    dark = np.zeros(image.shape, dtype=bool)
    dark[rows] = True
    dark[rows.start - 1, column:] = dark[rows.stop, :column] = True
    return np.where(dark, rng.poisson(left * image), image)


def test_a_fault_that_many_images_share_is_said_once(nvpf):
    counts, energies_ev, _ = particle_counts()
    lacking = counts.copy()
    lacking[:, 30] = np.nan
    lacking[4, 40] = np.nan
    maps = map_phases(Stack.from_arrays(lacking, energies_ev), nvpf)
    faults = [note for note in maps.warnings if "unusable pixels" in note]
    assert faults == [
        "images at 505, 513.2, 515.6, 516.6 and 8 more to 532.2 eV: unusable pixels: 72 missing",
        "image at 517.5 eV: unusable pixels: 144 missing",
    ]


@pytest.mark.parametrize(("share", "least"), [(0.1, 0.9), (0.3, 0.87)])
def test_lines_that_were_not_recorded_take_no_others_with_them(nvpf, maps, share, least):
    counts, energies_ev, particle = particle_counts()
    lacking = counts.copy()
    lacking[np.random.default_rng(2).random(counts.shape[:2]) < share] = np.nan
    rest = map_phases(Stack.from_arrays(lacking, energies_ev), nvpf)
    assert not any("no beam" in note for note in rest.warnings)
    assert np.isfinite(rest.od).mean() == pytest.approx(1 - share, abs=0.08)
    assert np.abs(rest.shifts_px).max() < 0.5
    labelled = (rest.resolved_index >= 0) & (particle.phase_index >= 0)
    assert (rest.resolved_index == particle.phase_index)[labelled].mean() > least
    assert labelled.sum() > 0.95 * (maps.resolved_index >= 0).sum()


@pytest.mark.parametrize(("k", "left"), [(0, 0.03), (5, 0.0), (5, 0.05), (12, 0.0)])
def test_lines_without_beam_are_left_out_of_their_image_and_named(nvpf, maps, k, left):
    stack = with_fault(k, lambda image, rng: dumped(image, rng, left=left))
    hurt = map_phases(stack, nvpf)
    energy_ev = particle_counts()[1][k]
    expected = f"image at {energy_ev:g} eV: no beam in"
    assert any(w.startswith(expected) for w in hurt.warnings) or left == 0
    assert hurt.status == "complete"
    assert hurt.valid[20:39, 20:50].all()
    assert np.isnan(hurt.od[k, 20:39]).all()
    assert (hurt.resolved_index >= 0).sum() > 0.99 * (maps.resolved_index >= 0).sum()
    assert np.abs(hurt.shifts_px - maps.shifts_px).max() < 0.5
    np.testing.assert_allclose(hurt.i0, maps.i0, rtol=0.01)
    rest = hurt.valid.copy()
    assert rest.mean() > 0.5
    assert same_labels(hurt, maps, rest) > 0.93


def test_an_image_that_lost_most_of_its_beam_is_left_out(nvpf, maps):
    stack = with_fault(5, lambda image, rng: dumped(image, rng, rows=slice(2, 40), left=0.1 / 3))
    hurt = map_phases(stack, nvpf)
    assert hurt.status == "incomplete"
    assert "518.3 eV" in hurt.quality.cause
    assert any("518.3 eV had" in w or "518.3 eV has" in w for w in hurt.warnings)


def test_no_line_of_a_whole_particle_is_taken_for_a_lost_beam(nvpf, maps):
    assert not any("no beam" in warning for warning in maps.warnings)


@pytest.mark.parametrize("case", ["touches three sides", "corner of 1 % empty", "fills the field"])
def test_nor_is_one_of_a_specimen_that_crosses_the_field(nvpf, case):
    rng = np.random.default_rng(0)
    energies_ev = nvpf.energies_ev
    view = field_of_view(case, nvpf.reference_spectra, energies_ev, side=96, rng=rng)
    counts = view.counts(np.full(13, 2000.0), rng)
    assert not lost_lines([line_levels(image) for image in counts]).any()


def test_what_was_seen_before_the_dump_does_not_change_the_result(nvpf):
    stack = with_fault(5, dumped)
    seen = ImageCache(nvpf)
    for n in range(4, 13):
        some = Stack(stack.key, stack.scan, stack.frames[-n:], finished=False)
        align_stack(some, nvpf, seen=seen)
    at_once = map_phases(stack, nvpf)
    assert map_phases(stack, nvpf, seen=seen).identical(at_once)


@pytest.mark.parametrize("value", [1.0, 200.0, 65535.0])
def test_a_blank_or_saturated_image_is_left_out_and_named(nvpf, maps, value):
    hurt = map_phases(with_fault(6, lambda image, rng: np.full_like(image, value)), nvpf)
    assert hurt.status == "incomplete"
    assert "519.2 eV" in hurt.quality.cause
    assert any(f"519.2 eV shows {value:g} counts" in w for w in hurt.warnings)
    assert np.abs(hurt.shifts_px).max() < 1


def test_a_closed_shutter_leaves_the_other_energies_mapped(nvpf, maps):
    hurt = map_phases(with_fault(6, lambda image, rng: rng.poisson(2, image.shape)), nvpf)
    assert any("shutter closed" in w for w in hurt.warnings)
    assert len(hurt.energies_ev) == 12
    both = (hurt.phase_index >= 0) & (maps.phase_index >= 0)
    assert (hurt.phase_index[both] == maps.phase_index[both]).mean() > 0.8


@pytest.mark.parametrize("fault", [np.s_[30], np.s_[:, 40]], ids=["row", "column"])
def test_a_dead_row_or_column_costs_itself_only(nvpf, maps, fault):
    counts, energies_ev, _ = particle_counts()
    images = np.array(counts)
    images[(slice(None), *np.index_exp[fault])] = 0
    hurt = map_phases(Stack.from_arrays(images, energies_ev, extent_um=EXTENT_UM), nvpf)
    assert not hurt.valid[fault].any()
    assert hurt.valid.mean() > 0.85
    assert any("zero or negative" in w for w in hurt.warnings)
    np.testing.assert_allclose(hurt.i0, maps.i0, rtol=0.005)
    assert same_labels(hurt, maps) > 0.95


def test_hot_pixels_cost_themselves_only(nvpf, maps):
    hot = np.random.default_rng(1).random((NY, NX)) < 0.003

    def heated(image, rng):
        return np.where(hot, 8 * image, image)

    hurt = map_phases(with_fault(4, heated), nvpf)
    np.testing.assert_allclose(hurt.i0, maps.i0, rtol=0.005)
    assert same_labels(hurt, maps) > 0.95


def test_a_particle_that_fills_the_field_offers_box_and_spectrum(nvpf):
    rng = np.random.default_rng(0)
    energies_ev = nvpf.energies_ev
    view = field_of_view("fills the field", nvpf.reference_spectra, energies_ev, side=64, rng=rng)
    stack = Stack.from_arrays(view.counts(np.full(13, 2000.0), rng), energies_ev)
    with pytest.raises(ValueError, match="nothing in the field looks empty") as e:
        map_phases(stack, nvpf)
    assert 'source = "region"' in str(e.value)
    assert 'source = "spectrum"' in str(e.value)
