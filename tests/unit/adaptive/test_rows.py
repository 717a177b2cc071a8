from dataclasses import replace

import numpy as np
import pytest
from particles import particle_counts

from stxm_live.adaptive.energies.rows import FEWEST, interleaved_rows, row_shares
from stxm_live.core.recipe import Recipe
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Stack
from stxm_live.io.documents.scan_order import ScanOrder
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.preprocessing.alignment.row_gaps import shifted_rows, without_row_gaps
from stxm_live.preprocessing.alignment.spline_shift import shifted

RECIPE = Recipe.load("nvpf")


@pytest.mark.parametrize("share", [0.2, 0.3, 0.5, 0.9])
def test_every_row_gets_about_as_many_energies_and_they_are_spread(share):
    rows = interleaved_rows(60, [share] * 13)
    counts = np.bincount(np.concatenate(rows), minlength=60)
    assert np.ptp(counts) <= 2
    for chosen in rows:
        assert len(chosen) == round(60 * share)
        assert np.diff(chosen).max() <= np.ceil(1 / share) + 1


@pytest.mark.parametrize("share", [0.05, 0.2, 0.3, 0.5, 0.77])
def test_shares_of_the_telling_energies_are_what_was_asked_for(share):
    shares = row_shares(RECIPE.reference_spectra, RECIPE.energies_ev, share)
    assert set(shares) <= set(RECIPE.energies_ev)
    assert len(shares) >= FEWEST
    assert sum(shares.values()) == pytest.approx(13 * share, abs=0.1)
    assert max(shares.values()) <= 1


def test_all_rows_are_all_energies():
    assert row_shares(RECIPE.reference_spectra, RECIPE.energies_ev, 1.0) == dict.fromkeys(
        RECIPE.energies_ev, 1.0
    )


def test_row_gaps_are_filled_between_the_measured_rows():
    image = np.arange(12.0, dtype=np.float32).reshape(4, 3)
    gappy = image.copy()
    gappy[[1, 2]] = np.nan
    np.testing.assert_allclose(without_row_gaps(gappy), image)
    assert without_row_gaps(image) is image


def test_moved_rows_are_where_the_whole_image_has_them():
    y, x = np.indices((40, 50))
    image = (100 + 20 * np.sin(x / 5) * np.cos(y / 8)).astype(np.float32)
    gappy = image.copy()
    gappy[1::2] = np.nan
    for shift in ((0.0, 0.0), (0.4, -1.3), (-3.0, 0.5)):
        moved, whole = shifted_rows(gappy, shift), shifted(image, shift)
        both = np.isfinite(moved) & np.isfinite(whole)
        assert 0.4 < both.mean() < 0.6
        assert np.abs(moved[both] - whole[both]).max() < 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1]], "rows need a list for each of 2 energies"),
        ([[0, 1], []], "rows of an energy must be different numbers from 0 to 2"),
        ([[0, 1], [3]], "different numbers from 0 to 2, got \\(3,\\)"),
        ([[0, 0], [1]], "different numbers from 0 to 2"),
    ],
)
def test_rows_that_do_not_fit_are_an_error(rows, message):
    start = StackScan(
        shape=(2, 3, 4),
        energies_ev=(515.6, 517.5),
        x_extent_um=(0, 3),
        y_extent_um=(5, 3),
        data_field="counts",
    ).metadata()
    start["stxm_live"]["rows"] = rows
    with pytest.raises(ValueError, match=message):
        StackScan.from_start({"uid": "abc", **start})


def test_a_third_of_the_rows_gives_nearly_the_map_of_all_of_them():
    recipe = RECIPE.with_changes({"model": None, "alignment.enabled": False})
    counts, energies, particle = particle_counts()
    right = {}
    for share in (1.0, 0.3):
        shares = row_shares(recipe.reference_spectra, energies, share)
        kept = [k for k, energy in enumerate(energies) if energy in shares]
        rows = interleaved_rows(counts.shape[1], [shares[energies[k]] for k in kept])
        gappy = np.full((len(kept), *counts.shape[1:]), np.nan, dtype=np.float32)
        for image, k, chosen in zip(gappy, kept, rows, strict=True):
            image[list(chosen)] = counts[k][list(chosen)]
        stack = Stack.from_arrays(gappy, [energies[k] for k in kept])
        frames = [replace(f, rows=r) for f, r in zip(stack.frames, rows, strict=True)]
        maps = map_phases(replace(stack, frames=tuple(frames)), recipe, quick=True)
        assert maps.status == "complete"
        mapped = maps.final_index >= 0
        right[share] = np.mean((maps.final_index == particle.phase_index)[mapped])
    assert right[0.3] > right[1.0] - 0.04


def test_pixels_and_lines_of_some_rows_are_where_they_are_announced():
    order = ScanOrder((2, 4, 3), rows=((0, 2), (1, 3)))
    assert [order.line(k)[:2] for k in range(4)] == [(0, 0), (0, 2), (1, 1), (1, 3)]
    assert [order.ends_image(k) for k in range(4)] == [False, True, False, True]
    assert order.pixel(10) == (1, 3, 1)
    assert order.ends_image_with_pixel(5)
    assert not order.ends_image_with_pixel(4)
    assert order.line(4)[:2] == (2, 0)  # beyond the end
