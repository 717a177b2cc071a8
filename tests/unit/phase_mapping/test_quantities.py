import numpy as np
import pytest
import two_phases as two

from stxm_live.core.stack import Stack
from stxm_live.phase_mapping.workflow import map_phases


def made(images, quantity, **more):
    return Stack.from_arrays(images, two.ENERGIES, quantity=quantity, **more)


def test_optical_densities_are_mapped_without_i0_and_with_the_noise_of_their_support(tmp_path):
    right, maps = two.right_after(made(two.measured_od(), "od"), tmp_path)

    assert right > 0.98
    np.testing.assert_allclose(maps.od, two.measured_od(), atol=2e-6)
    np.testing.assert_array_equal(maps.i0, 1)
    photons = 1 / maps.dispersion
    assert photons == pytest.approx(4000, rel=0.1)
    assert maps.quality.verdict == "good"
    assert "photons per pixel" in str(maps.quality)
    assert any("are optical densities already" in note for note in maps.warnings)


def test_a_film_under_the_specimen_is_no_specimen_in_optical_densities(tmp_path):
    film = 0.8 + np.linspace(0, 0.1, len(two.ENERGIES))[:, None, None]
    right, maps = two.right_after(made(two.measured_od() + film, "od"), tmp_path)

    assert right > 0.98
    assert (maps.specimen == two.SPECIMEN).mean() > 0.97
    assert maps.quality.verdict == "good"


def test_a_mask_is_the_specimen_of_optical_densities_too(tmp_path):
    mask = two.SPECIMEN & two.LEFT
    np.save(tmp_path / "mask.npy", mask)
    recipe = two.recipe(tmp_path, **{"specimen.mask": tmp_path / "mask.npy"})
    maps = map_phases(made(two.measured_od() + two.PHASES["left"][:, None, None], "od"), recipe)
    np.testing.assert_array_equal(maps.specimen, mask)


def test_optical_densities_that_fill_the_field_are_never_called_good(tmp_path):
    rows, columns = slice(9, 18), slice(9, 26)
    od = two.measured_od()[:, rows, columns]
    maps = map_phases(made(od, "od"), two.recipe(tmp_path))

    wrong = (maps.resolved_index == 0) != two.LEFT[rows, columns]
    assert wrong.mean() < 0.03
    assert maps.quality.verdict == "limited"
    assert "nothing shows the noise" in maps.quality.cause


def test_a_transmission_is_divided_by_no_further_i0(tmp_path):
    transmission = two.counts() / two.I0[:, None, None]
    right, maps = two.right_after(made(transmission, "transmission"), tmp_path)

    assert right > 0.98
    np.testing.assert_allclose(maps.od, two.measured_od(), atol=2e-6)


def test_a_rate_has_the_noise_of_its_support_and_not_that_of_so_many_counts(tmp_path):
    right, maps = two.right_after(made(two.counts() * 1000, "rate"), tmp_path)

    assert right > 0.98
    assert maps.dispersion == pytest.approx(1000, rel=0.1)
    assert "photons per pixel" in maps.quality.cause


@pytest.mark.parametrize("scale", [1.0, 1e-12])
def test_a_yield_grows_with_absorption_on_any_scale(tmp_path, scale):
    right, maps = two.right_after(made(two.measured_yield() * scale, "yield"), tmp_path)

    assert right > 0.95
    od = maps.od[:, 13, 12]
    assert np.corrcoef(od, two.PHASES["left"])[0, 1] > 0.99
    assert maps.quality.verdict != "good"


def test_a_yield_is_divided_by_the_i0_that_the_recipe_names(tmp_path):
    beam = np.linspace(1.0, 3.0, len(two.ENERGIES))
    lines = [f"{e},{1000 * b}" for e, b in zip(two.ENERGIES, beam, strict=True)]
    (tmp_path / "i0.csv").write_text("\n".join(lines))
    stack = made(two.measured_yield() * beam[:, None, None], "yield")

    right, _ = two.right_after(stack, tmp_path, **{"i0.spectrum": tmp_path / "i0.csv"})

    assert right > 0.95


def test_corrections_of_counts_are_refused_for_other_quantities(tmp_path):
    with pytest.raises(ValueError, match=r"corrects counts .*dark_counts.* quantity 'od'"):
        two.right_after(made(two.measured_od(), "od"), tmp_path, **{"detector.dark_counts": 5.0})


def test_optical_densities_that_nobody_calls_so_are_recognized_in_any_stack(tmp_path):
    right, maps = two.right_after(made(two.measured_od(), None), tmp_path)

    assert right > 0.98
    assert maps.provenance["quantity"] == "od"
    assert any("taken as optical densities" in note for note in maps.warnings)


def test_counts_without_their_dark_counts_stay_counts(tmp_path):
    dim = two.counts(photons=0.01) - 0.4
    _, maps = two.right_after(made(dim, None), tmp_path)
    assert maps.provenance["quantity"] == "counts"
