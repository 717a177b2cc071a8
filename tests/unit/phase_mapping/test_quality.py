import re
from dataclasses import replace

import numpy as np
import pytest

from stxm_live.core.energy_axis import EnergyAxis
from stxm_live.core.mixed_reference import MixedReference
from stxm_live.phase_mapping.facts import Facts
from stxm_live.phase_mapping.layers import LayeredPhase
from stxm_live.phase_mapping.quality import assess
from stxm_live.phase_mapping.residuals import Residual

FINE = Facts(
    missing_ev=(),
    separation=0.02,
    wrong_probability=np.full(50, 0.04, dtype=np.float32),
    median_counts=2345.0,
    misfit=1.2,
    common_field=0.97,
    invalid_share=0.0,
    n_specimen=50,
)


def wrong(mean):
    return np.array([0.0, 2 * mean], dtype=np.float32)


def test_a_result_that_nothing_limits_is_good_and_says_how_much_it_rests_on(nvpf):
    quality = assess(FINE, nvpf)
    assert quality.verdict == "good"
    assert str(quality) == ("good: about 2345 counts per pixel, 4 % of the labels expected wrong")


def test_without_probabilities_the_verdict_makes_no_claim_about_labels(nvpf):
    quality = assess(replace(FINE, wrong_probability=None, misfit=None), nvpf)
    assert quality.cause == "about 2345 counts per pixel"


@pytest.mark.parametrize(
    ("facts", "verdict", "cause"),
    [
        ({"missing_ev": (515.6, 530.3)}, "limited", "energies are missing: 515.6, 530.3 eV"),
        ({"n_specimen": 0}, "poor", "no specimen in the field"),
        ({"specimen_in_box": 0.1}, "limited", "10 % of the box for I0 is specimen"),
        ({"scatter": 3.2}, "limited", "spectra scatter 3.2 times as much as photons"),
        ({"invalid_share": 0.06}, "limited", "6 % of the specimen has no valid spectrum"),
        ({"separation": 0.0049}, "poor", "1 - PCC = 0.0049 on these energies"),
        ({"wrong_probability": wrong(0.12)}, "limited", "12 % of the labels .* 2345 counts"),
        ({"wrong_probability": wrong(0.31)}, "poor", "31 % of the labels are expected wrong"),
        ({"misfit": 9.0}, "limited", "every reference 3.0 times more than the noise"),
        ({"common_field": 0.7}, "limited", "only 70 % of the field is in every image"),
        ({"i0_relative_std": 0.02}, "limited", "I0 is uncertain by 2.0 %: it rests on few empty"),
        ({"mixed_share": 0.64}, "limited", "64 % of the columns hold two phases; a label names"),
        ({"unidentified_share": 0.12}, "limited", "12 % of the specimen agrees with no reference"),
        (
            {"wrong_probability": wrong(0.12), "dispersion": 2.04},
            "limited",
            r"2345 counts per pixel \(variance 2 times the mean\)",
        ),
    ],
)
def test_each_limit_has_its_verdict_cause_consequence_and_next_step(nvpf, facts, verdict, cause):
    quality = assess(replace(FINE, **facts), nvpf)
    assert quality.verdict == verdict
    assert re.search(cause, quality.cause)
    assert quality.consequence
    assert quality.action.endswith(".")
    assert str(quality).startswith(f"{verdict}: {quality.cause}; {quality.consequence}. ")


def test_a_good_verdict_names_phases_that_layers_of_others_look_like(nvpf):
    mixed = (
        MixedReference("Na2VPF", {"Na2.4VPF": 0.73, "Na1VPF": 0.27}, 0.06),
        MixedReference("Na2VPF", {"Na3VPF": 0.53, "Na1VPF": 0.47}, 0.12),
    )
    quality = assess(replace(FINE, mixed_references=mixed), nvpf)
    assert quality.verdict == "good"
    assert quality.cause.endswith("wrong; layers of other phases may look like Na2VPF")


def layered(share):
    """Facts of a map in which Na2VPF changes as layers do."""
    one = LayeredPhase(1, share, 34.2, 0.5, np.array([0.5, 0.0, 0.5]))
    mixed = MixedReference("Na2VPF", {"Na3VPF": 0.53, "Na1VPF": 0.47}, 0.12)
    names = ("Na3VPF", "Na2VPF", "Na1VPF")
    return replace(FINE, layered=(one,), mixed_references=(mixed,), phase_names=names)


def test_a_phase_that_changes_as_layers_do_is_never_good(nvpf):
    quality = assess(layered(0.6), nvpf)
    assert quality.verdict == "limited"
    assert quality.cause == (
        "areas labelled Na2VPF (60 % of the specimen) change gradually (34 sigma), as layers do, "
        "and Na2VPF looks like a mixture of Na3VPF and Na1VPF"
    )
    assert assess(layered(0.02), nvpf).verdict == "good"


def test_layers_are_the_cause_and_longer_dwell_is_no_advice_where_they_make_labels_wrong(nvpf):
    quality = assess(replace(layered(0.6), wrong_probability=wrong(0.5)), nvpf)
    assert quality.verdict == "poor"
    assert "as layers do" in quality.cause
    assert "Dwell" not in quality.action


@pytest.mark.parametrize(
    "facts",
    [
        {"invalid_share": 0.05},
        {"separation": 0.005},
        {"wrong_probability": wrong(0.09)},
        {"misfit": 3.9},
        {"misfit": None},
        {"common_field": 0.8},
        {"mixed_share": 0.49},
    ],
)
def test_up_to_its_limit_nothing_is_said(nvpf, facts):
    assert assess(replace(FINE, **facts), nvpf).verdict == "good"


def test_the_recipe_decides_how_far_apart_references_must_be(nvpf):
    strict = nvpf.with_changes({"ambiguity_threshold": 0.03})
    assert assess(FINE, strict).verdict == "poor"
    assert "0.03" in assess(FINE, strict).cause


def test_the_worst_finding_is_the_verdict(nvpf):
    facts = replace(FINE, invalid_share=0.4, misfit=100.0, wrong_probability=wrong(0.4))
    quality = assess(facts, nvpf)
    assert quality.verdict == "poor"
    assert "40 % of the labels" in quality.cause


def test_missing_energies_come_before_everything_else(nvpf):
    facts = replace(FINE, missing_ev=(505.0,), separation=0.0, wrong_probability=wrong(0.4))
    assert assess(facts, nvpf).cause == "energies are missing: 505 eV"


def test_a_result_without_a_single_spectrum_is_poor_and_no_warning(nvpf):
    facts = replace(
        FINE, n_specimen=0, wrong_probability=np.zeros(0, dtype=np.float32), misfit=None
    )
    assert assess(facts, nvpf).cause == "no specimen in the field"


def axis(offset_ev=0.0, width_ev=0.0, offset_std_ev=0.01, width_std_ev=0.02):
    return EnergyAxis(
        offset_ev=offset_ev,
        offset_std_ev=offset_std_ev,
        width_ev=width_ev,
        width_std_ev=width_std_ev,
        formal_std_ev=0.001,
        energies_std_ev=offset_std_ev,
        mixture_std_ev=0.0,
        composition_std_ev=0.0,
        offsets_ev=np.array([-0.8, 0.8]),
        widths_ev=np.array([0.0]),
        log_likelihood=np.zeros((1, 2)),
    )


@pytest.mark.parametrize(
    "found", [{"offset_ev": -0.2}, {"width_ev": 0.15}, {"offset_ev": 0.06, "width_ev": 0.2}]
)
def test_an_energy_axis_that_is_off_is_named_with_both_its_readings(nvpf, found):
    quality = assess(replace(FINE, energy_axis=axis(**found)), nvpf)
    assert quality.verdict == "limited"
    assert quality.cause.startswith("energy offset or composition between references")
    assert f"nominal ones {found.get('offset_ev', 0):+.3f} ± 0.010 eV" in quality.cause
    assert "(the recipe: +0 and 0 eV)" in quality.cause
    assert f"--set energy_offset_ev={found.get('offset_ev', 0):.2f}" in quality.action
    assert f"--set energy_width_ev={found.get('width_ev', 0):.2f}" in quality.action


@pytest.mark.parametrize(
    "found",
    [
        {"offset_ev": 0.05, "width_ev": 0.1},
        {"offset_ev": 0.2, "offset_std_ev": 0.11},
        {"width_ev": 0.15, "width_std_ev": 0.08},
    ],
)
def test_an_axis_within_its_limits_or_its_uncertainty_is_no_finding(nvpf, found):
    assert assess(replace(FINE, energy_axis=axis(**found)), nvpf).verdict == "good"


def test_an_axis_that_the_recipe_already_corrects_is_no_finding(nvpf):
    corrected = nvpf.with_changes({"energy_offset_ev": 0.3, "energy_width_ev": 0.2})
    facts = replace(FINE, energy_axis=axis(0.32, 0.21))
    assert assess(facts, corrected).verdict == "good"
    assert assess(replace(FINE, energy_axis=axis()), corrected).verdict == "limited"


def test_an_axis_at_the_end_of_what_was_tried_is_no_finding(nvpf):
    assert assess(replace(FINE, energy_axis=axis(0.79)), nvpf).verdict == "good"


@pytest.mark.parametrize(
    "found",
    [
        {"offset_ev": 0.2, "offset_std_ev": 0.05, "width_std_ev": 0.05},
        {"width_ev": 0.2, "width_std_ev": 0.05},
        {"offset_ev": -0.3, "width_ev": 0.8},
    ],
)
def test_an_axis_that_other_faults_may_have_made_is_named_but_not_applied(nvpf, found):
    quality = assess(replace(FINE, energy_axis=axis(**found)), nvpf)
    assert quality.cause.startswith("energy offset or composition between references")
    assert "--set" not in quality.action


def test_labels_that_an_axis_makes_wrong_are_not_blamed_on_the_dwell(nvpf):
    facts = replace(
        FINE,
        energy_axis=axis(0.2),
        wrong_probability=np.full_like(FINE.wrong_probability, 0.4),
    )
    quality = assess(facts, nvpf)
    assert quality.verdict == "poor"
    assert quality.cause.startswith("energy offset or composition between references")
    assert "--set energy_offset_ev=0.20" in quality.action


def test_no_change_is_advised_that_cannot_be_applied(nvpf):
    facts = replace(FINE, energy_axis=axis(0.3), axis_applies=False)
    quality = assess(facts, nvpf)
    assert quality.cause.startswith("energy offset or composition")
    assert "--set" not in quality.action


def residual(share):
    return Residual(
        phase=2,
        rival=1,
        share=share,
        largest_od=-0.035,
        largest_phase=3,
        largest_energy=12,
        significance=64.0,
        mistaken=np.eye(5),
    )


def with_residual(nvpf, share, **facts):
    spectra = nvpf.reference_spectra
    return replace(
        FINE,
        residual=residual(share),
        phase_names=spectra.phase_names,
        energies_ev=nvpf.energies_ev,
        **facts,
    )


@pytest.mark.parametrize(("share", "verdict"), [(0.19, "good"), (0.31, "limited"), (0.7, "poor")])
def test_a_residual_counts_by_what_separates_the_phases(nvpf, share, verdict):
    quality = assess(with_residual(nvpf, share, misfit=1.4), nvpf)
    assert quality.verdict == verdict
    if verdict != "good":
        assert "-0.035 OD at 532.2 eV in Na1VPF (64 sigma)" in quality.cause
        assert f"{share:.1f} of what separates Na2VPF from Na2.4VPF" in quality.cause


def test_the_energy_axis_says_why_there_is_a_residual(nvpf):
    facts = with_residual(nvpf, 0.7, energy_axis=axis(0.2), unidentified_share=0.9)
    quality = assess(facts, nvpf)
    assert quality.verdict == "poor"
    assert quality.cause.startswith("energy offset or composition")


def test_few_pixels_without_reference_are_in_a_good_verdict(nvpf):
    quality = assess(replace(FINE, unidentified_share=0.03), nvpf)
    assert quality.verdict == "good"
    assert "3 % of the specimen agrees with no reference" in quality.cause
    assert assess(replace(FINE, unidentified_share=0.6), nvpf).verdict == "poor"


def test_where_most_wrong_labels_lack_a_reference_the_verdict_does_not_ask_for_more_photons(nvpf):
    facts = replace(FINE, wrong_probability=wrong(0.41), unidentified_share=0.4)
    quality = assess(facts, nvpf)
    assert quality.verdict == "poor"
    assert quality.cause == "40 % of the specimen agrees with no reference"
    assert "Dwell" not in quality.action
    noisy = assess(replace(facts, unidentified_share=0.06), nvpf)
    assert noisy.action == "Dwell longer, or scan with larger pixels."


def test_of_a_thin_specimen_the_verdict_says_so(nvpf):
    quality = assess(replace(FINE, wrong_probability=wrong(0.2), largest_od=0.12), nvpf)
    assert quality.action.startswith("The specimen is thin (largest OD 0.12)")
    thick = assess(replace(FINE, wrong_probability=wrong(0.2), largest_od=0.9), nvpf)
    assert thick.action == "Dwell longer, or scan with larger pixels."


def test_a_box_for_i0_in_the_specimen_is_named_before_what_follows_from_it(nvpf):
    names = nvpf.corrected_references.phase_names
    facts = replace(FINE, wrong_probability=wrong(0.8), twins=(names,), phase_names=names)
    assert assess(facts, nvpf).cause == "the scan distinguishes no phases"
    quality = assess(replace(facts, specimen_in_box=1.0), nvpf)
    assert quality.verdict == "poor"
    assert quality.cause == "100 % of the box for I0 is specimen"
    assert quality.action == "Choose a box beside the specimen ([i0] region)."


def test_a_specimen_brighter_than_i0_is_not_called_thin(nvpf):
    quality = assess(replace(FINE, wrong_probability=wrong(0.5), largest_od=-0.25), nvpf)
    assert quality.verdict == "poor"
    assert quality.cause == "the specimen is brighter than I0 (largest OD -0.25)"
    assert "[i0] region" in quality.action
