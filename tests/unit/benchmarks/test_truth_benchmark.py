import numpy as np
import pytest

from stxm_live import Recipe


@pytest.fixture(scope="module")
def table():
    """The benchmark's modules, which are no part of the package."""
    from benchmarks.accuracy.truth_table import particles, scores, worlds

    return particles, scores, worlds


def scan(worlds, name="matched", seed=0, photons=1000.0):
    recipe = Recipe.load("nvpf")
    return worlds.make_scan(
        recipe.reference_spectra,
        recipe.energies_ev,
        worlds.WORLDS[name],
        state="Na2VPF",
        photons=photons,
        seed=seed,
        side=90,
    )


def test_a_particle_has_lamellae_of_both_widths_thin_edges_and_mixed_pixels(table):
    particles, _, _ = table
    shares = particles.phase_shares("Na2VPF", 5)
    particle = particles.make_particle(120, shares, np.random.default_rng(0))
    specimen = particle.thickness > 0
    largest = particle.fractions.max(axis=0)[specimen]
    assert (particle.lamella_px == 1).sum() > 20
    assert (particle.lamella_px == 2).sum() > 40
    assert particle.thickness[specimen].min() < 0.1 < 0.8 < particle.thickness.max()
    assert 0.1 < (largest < 0.99).mean() < 0.4
    np.testing.assert_allclose(particle.fractions.sum(axis=0)[specimen], 1)
    assert not particle.fractions[:, ~specimen].any()
    assert (particle.phase_index[~specimen] == -1).all()


def test_without_noise_the_optical_density_is_that_of_the_truth(table):
    _, _, worlds = table
    made = scan(worlds, photons=1e9)
    particle = made.particle
    amount = (particle.fractions * particle.thickness)[:, made.mask]
    expected = made.references.T @ amount * worlds.LARGEST_OD / made.references.max()
    np.testing.assert_allclose(made.od, expected, atol=1e-3)


def test_a_told_world_differs_from_an_untold_one_in_the_references_only(table):
    _, _, worlds = table
    told, untold = scan(worlds, "offset-told"), scan(worlds, "offset")
    np.testing.assert_array_equal(told.od, untold.od)
    assert np.abs(told.references - untold.references).max() > 0.003


def test_a_fano_factor_spreads_the_counts(table):
    _, _, worlds = table
    counts = worlds._counted(np.full(100_000, 50.0), 2.0, np.random.default_rng(1))
    assert counts.mean() == pytest.approx(50, rel=0.01)
    assert counts.var() == pytest.approx(100, rel=0.03)


def test_an_absent_phase_fills_a_tenth_of_the_specimen(table):
    _, _, worlds = table
    assert scan(worlds, "absent").absent.mean() == pytest.approx(0.1, abs=0.02)
    assert not scan(worlds).absent.any()


def test_the_calibration_error_is_what_was_promised_in_vain(table):
    _, scores, _ = table
    rng = np.random.default_rng(2)
    promised = rng.uniform(0.4, 1.0, 200_000)
    kept = rng.random(200_000) < promised
    assert scores.calibration_error(promised, kept) < 0.01
    less = rng.random(200_000) < promised - 0.2
    assert scores.calibration_error(promised, less) == pytest.approx(0.2, abs=0.01)


def test_the_roc_area_counts_pairs_in_order(table):
    _, scores, _ = table
    score = np.array([0.1, 0.4, 0.35, 0.8])
    # three of the four pairs of a positive and another are in order
    assert scores.roc_area(score, np.array([False, False, True, True])) == 0.75
    assert np.isnan(scores.roc_area(score, np.ones(4, dtype=bool)))
