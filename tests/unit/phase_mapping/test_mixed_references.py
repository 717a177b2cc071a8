import numpy as np
import pytest
from scipy.optimize import minimize

from stxm_live.core.references import ReferenceSpectra
from stxm_live.phase_mapping.mixed_references import (
    TypicalPixel,
    expected_baseline,
    mixed_references,
    of_mapped,
)
from stxm_live.phase_mapping.separating_energies import further_energies
from stxm_live.phase_mapping.weighted_products import Baseline

ENERGIES = np.linspace(500.0, 520.0, 101)


def peak(centre_ev, width_ev=1.0):
    return np.exp(-0.5 * ((ENERGIES - centre_ev) / width_ev) ** 2)


def spectra(**od):
    return ReferenceSpectra(tuple(od), ENERGIES, np.array(list(od.values())))


SEPARATE = {"a": 0.1 + peak(505), "c": 0.1 + peak(510), "d": 0.1 + peak(515)}


def mixed(references, energies_ev=ENERGIES, **conditions):
    pixel = TypicalPixel.expected(
        references, energies_ev, **{"photons": 1000.0, "od": 1.0} | conditions
    )
    return mixed_references(references.phase_names, pixel)


def test_an_exact_mixture_is_named_with_its_shares_at_no_distance():
    b = 0.3 * SEPARATE["a"] + 0.7 * SEPARATE["c"]
    (found,) = mixed(spectra(**SEPARATE, b=b))
    assert found.phase == "b"
    assert found.parts == pytest.approx({"a": 0.3, "c": 0.7})
    assert found.sigma == pytest.approx(0, abs=1e-6)


def test_a_mixture_is_named_beneath_a_constant_and_a_slope_that_the_likelihood_allows():
    b = 0.3 * SEPARATE["a"] + 0.7 * SEPARATE["c"] + 0.2 + 0.01 * (ENERGIES - 500)
    references = spectra(**SEPARATE, b=b)
    (found,) = mixed(references)
    assert found.parts == pytest.approx({"a": 0.3, "c": 0.7})
    assert mixed(references, baseline=Baseline.none(len(ENERGIES))) == ()


def test_references_that_differ_by_more_than_noise_are_not_named():
    assert mixed(spectra(**SEPARATE)) == ()


def test_with_few_photons_noise_hides_what_many_show():
    b = 0.3 * SEPARATE["a"] + 0.7 * SEPARATE["c"] + 0.05 * peak(518)
    references = spectra(**SEPARATE, b=b)
    assert [one.phase for one in mixed(references, photons=20)] == ["b"]
    assert mixed(references, photons=100_000) == ()


def test_the_distance_is_the_least_misfit_in_units_of_the_noise():
    b = 0.3 * SEPARATE["a"] + 0.7 * SEPARATE["c"] + 0.05 * peak(518)
    references = spectra(**SEPARATE, b=b)
    pixel = TypicalPixel.expected(references, ENERGIES, photons=500.0, od=1.2)
    shares, sigma = pixel.distance(3, [0, 1, 2])

    amount = 1.2 / references.od.mean(axis=0).max()
    std = np.sqrt(np.exp(amount * b) / 500)

    def chi(values):
        *mixture, constant, slope = values
        model = amount * np.dot(mixture, references.od[:3])
        model = model + constant + slope * (ENERGIES - 510) / 20
        return np.sqrt(np.sum(((amount * b - model) / std) ** 2))

    free = [(0, None)] * 3 + [(None, None)] * 2
    least = minimize(chi, [0.3, 0.3, 0.3, 0.0, 0.0], bounds=free, tol=1e-12)
    assert sigma == pytest.approx(least.fun, rel=1e-4)
    assert shares == pytest.approx(least.x[:3], abs=1e-3)


def test_a_background_of_a_known_size_hides_less_than_one_of_any_size():
    b = SEPARATE["a"] + 0.3
    references = spectra(**SEPARATE, b=b)
    small = Baseline.slope(ENERGIES, constant_std=0.01, slope_std=0.01)
    distances = [
        TypicalPixel.expected(references, ENERGIES, photons=1000, od=1.0, baseline=one).distance(
            3, [0]
        )[1]
        for one in (Baseline.slope(ENERGIES), small, Baseline.none(len(ENERGIES)))
    ]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert distances[0] < distances[1] < distances[2]


def test_every_mixture_is_given_once_and_without_a_superfluous_part():
    """c lies between a and e, and b between a and c: b is also one of a and e."""
    a, e = SEPARATE["a"], SEPARATE["d"]
    c = 0.5 * a + 0.5 * e
    b = 0.5 * a + 0.5 * c
    found = mixed(spectra(a=a, b=b, c=c, e=e, other=SEPARATE["c"]))
    assert {(one.phase, tuple(one.parts)) for one in found} == {
        ("b", ("a", "c")),
        ("b", ("a", "e")),
        ("c", ("a", "e")),
        ("c", ("b", "e")),
    }
    of_b = {tuple(one.parts): one.parts for one in found if one.phase == "b"}
    assert of_b["a", "e"] == pytest.approx({"a": 0.75, "e": 0.25})


def test_a_mixture_of_many_phases_is_found_too():
    parts = {name: 0.1 + peak(502 + 3 * k) for k, name in enumerate("acdef")}
    (found,) = mixed(spectra(**parts, b=np.mean(list(parts.values()), axis=0)), photons=30_000)
    assert found.parts == pytest.approx(dict.fromkeys("acdef", 0.2))


def test_two_references_of_one_phase_look_the_same():
    found = mixed(spectra(**SEPARATE, twin=2 * SEPARATE["a"]))
    assert [(one.phase, dict(one.parts)) for one in found] == [
        ("a", {"twin": pytest.approx(0.5)}),
        ("twin", {"a": pytest.approx(2.0)}),
    ]


def test_the_shipped_references_lie_nearly_on_a_line(nvpf):
    references = nvpf.reference_spectra
    found = mixed(references, nvpf.energies_ev, od=1.4)
    nearest = {one.phase: one for one in reversed(found)}
    assert list(nearest) == ["Na2VPF", "Na2.4VPF"]
    assert nearest["Na2.4VPF"].parts == pytest.approx({"Na3VPF": 0.41, "Na2VPF": 0.59}, abs=0.01)
    assert nearest["Na2.4VPF"].sigma < 0.02
    assert nearest["Na2VPF"].parts == pytest.approx({"Na2.4VPF": 0.73, "Na1VPF": 0.27}, abs=0.01)
    assert nearest["Na2VPF"].sigma < 0.08
    # core and shell: the two ends of the line
    assert {"Na3VPF", "Na1VPF"} in [set(one.parts) for one in found if one.phase == "Na2VPF"]


def test_the_energy_that_separates_a_mixture_is_found():
    b = 0.3 * SEPARATE["a"] + 0.7 * SEPARATE["c"] + 0.5 * peak(518, 0.3)
    references = spectra(**SEPARATE, b=b)
    measured = np.arange(501.0, 517.0, 1.0)
    (found,) = mixed(references, measured)
    assert found.phase == "b"
    baseline = expected_baseline(measured)
    better = further_energies("b", references, measured, photons=1000, od=1.0, baseline=baseline)
    assert better.energies_ev[0] == pytest.approx(518.0, abs=0.2)
    assert 1 < better.sigma[0] < better.sigma[1]
    assert str(better).startswith("measure 518 eV in addition (")
    # and the promise is kept
    assert mixed(references, [*measured, better.energies_ev[0]]) == ()


def test_no_energy_separates_an_exact_mixture():
    b = 0.3 * SEPARATE["a"] + 0.7 * SEPARATE["c"]
    measured = np.arange(501.0, 517.0, 1.0)
    found = further_energies(
        "b",
        spectra(**SEPARATE, b=b),
        measured,
        photons=1000,
        od=1.0,
        baseline=expected_baseline(measured),
    )
    assert str(found) == (
        "no further energy from 500 to 520 eV is enough (0.00 sigma with all of them); "
        "no dose is enough"
    )


def test_the_photons_that_separate_a_mixture_are_named(nvpf):
    references, energies = nvpf.reference_spectra, nvpf.energies_ev
    baseline = expected_baseline(energies)
    found = further_energies(
        "Na2VPF", references, energies, photons=1000, od=1.0, baseline=baseline
    )
    assert "1 sigma takes 320,000 photons per pixel and energy" in str(found)
    assert "Na2VPF" in [one.phase for one in mixed(references, energies, photons=300_000)]
    assert "Na2VPF" not in [one.phase for one in mixed(references, energies, photons=340_000)]


@pytest.mark.parametrize("conditions", [{"photons": 0.0}, {"od": -1.0}])
def test_photons_and_od_are_above_zero(conditions):
    (name,) = conditions
    with pytest.raises(ValueError, match=f"{name} = .*: expected a number above 0"):
        mixed(spectra(**SEPARATE), **conditions)


def test_references_that_are_nowhere_positive_have_no_thickness():
    with pytest.raises(ValueError, match="nowhere positive"):
        mixed(spectra(**{name: -od for name, od in SEPARATE.items()}))


@pytest.mark.parametrize(("kind", "n_terms", "n_free"), [("none", 0, 0), ("constant", 1, 1)])
def test_the_recipe_says_what_background_there_is(kind, n_terms, n_free):
    baseline = expected_baseline(ENERGIES, kind)
    assert (len(baseline.shapes), baseline.n_free) == (n_terms, n_free)


def test_with_few_energies_the_background_has_the_usual_size():
    assert expected_baseline(ENERGIES[:5]).n_free == 0
    assert expected_baseline(ENERGIES).n_free == 2


def test_only_phases_of_the_map_are_named_at_its_own_photons():
    references = spectra(**SEPARATE, b=0.3 * SEPARATE["a"] + 0.7 * SEPARATE["c"])
    od = np.repeat(references.od.mean(axis=0)[:, None], 20, axis=1).astype(np.float32)
    photons = (1000 * np.exp(-od)).astype(np.float32)
    arguments = (references.phase_names, references.od, od, photons, Baseline.slope(ENERGIES))
    found = of_mapped(*arguments, [0.5, 0.3, 0.1, 0.1])
    assert [one.phase for one in found] == ["b"]
    assert of_mapped(*arguments, [0.5, 0.3, 0.195, 0.005]) == ()


def test_a_map_without_spectra_names_nothing():
    none = np.empty((len(ENERGIES), 0), dtype=np.float32)
    arguments = (("a", "b"), np.array([peak(505), peak(510)]), none, none, Baseline.none(101))
    assert of_mapped(*arguments, [np.nan, np.nan]) == ()
