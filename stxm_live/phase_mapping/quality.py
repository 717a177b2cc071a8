"""One verdict on a result: the worst of what limits it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from stxm_live.core.energy_axis import EnergyAxis
from stxm_live.core.mixed_reference import alternatives
from stxm_live.core.phase_maps import Quality
from stxm_live.core.recipe import Recipe
from stxm_live.core.references import listed_ev
from stxm_live.core.twins import together
from stxm_live.phase_mapping.distinguished import close_references, no_phase_distinguished
from stxm_live.phase_mapping.energy_calibration.corrected_map import axis_in_words, departs
from stxm_live.phase_mapping.facts import Facts
from stxm_live.phase_mapping.mixed_columns import mixed_columns
from stxm_live.phase_mapping.repeated_energies import change_in_words
from stxm_live.phase_mapping.scan_errors.errors import Cause

WRONG_LIMITED, WRONG_POOR = 0.1, 0.3
"""Mean probability of a wrong label from which a map is limited, or poor."""

MISFIT_LIMITED = 4.0
"""Misfit, relative to the noise between neighboring pixels, that noise cannot explain."""

COMMON_FIELD_LIMITED = 0.8
"""Share of the field that every image must show after alignment."""

I0_LIMITED = 0.01
"""Relative uncertainty of I0, the same as one of 0.01 in every optical density."""

ADVISED_SIGMA = 6.0
"""Standard errors of offset or width beyond which it is advised to map again: with several faults
at once, a smaller one made one map better and the next one worse."""

WIDEST_EV = 0.5
"""Extra width beyond which it is not the beam's: a phase without a reference looks so, too."""

BOX_LIMITED, BOX_POOR = 0.02, 0.5
"""Share of the box for I0 that looks like specimen, from which a map is limited, or poor."""

UNIDENTIFIED_LIMITED, UNIDENTIFIED_POOR = 0.05, 0.5
"""Share of the specimen that no reference describes, from which a map is limited, or poor."""

MENTIONED = 0.01
"""Share of the specimen without label or reference that is mentioned in a good verdict too."""

RESIDUAL_POOR = 0.6
"""Residual over what separates two phases, from which labels of them mean nothing."""

LAYERED_LIMITED = 0.03
"""Share of the specimen whose labels may as well be layers of other phases."""

CHANGE_POOR = 0.3
"""Share of the specimen that changed during the scan from which a map is poor."""

THIN_OD = 0.2
"""Largest OD below which a specimen is thin."""

_ADVICE: dict[Cause, str] = {
    "order": "Look in which order the images were taken, and correct their energies in the file.",
    "axis": "Look at the curves (energy-axis) and calibrate the monochromator.",
    "axes": "Measure the references on one day, or correct the axis of each.",
    "images": "Record empty support with each image, or look for light that is not from the spot.",
    "lines": "Compare the mean spectra with the references.",
}
"""What to do about the largest of the errors that all spectra share."""

_ORDER = ("poor", "limited", "good")


def assess(facts: Facts, recipe: Recipe) -> Quality:
    """Return the verdict: the worst finding, or good."""
    findings = _findings(facts, recipe)
    if findings:
        return min(findings, key=lambda quality: _ORDER.index(quality.verdict))
    cause = facts.light
    if facts.wrong_probability is not None:
        cause += f", {100 * facts.wrong_probability.mean():.0f} % of the labels expected wrong"
    for share, what in (
        (facts.unidentified_share, "of the specimen agrees with no reference"),
        (facts.invalid_share, "of the specimen has no valid spectrum"),
    ):
        if share >= MENTIONED:
            cause += f"; {100 * share:.0f} % {what}"
    if facts.mixed_references:
        phases = dict.fromkeys(one.phase for one in facts.mixed_references)
        cause += f"; layers of other phases may look like {', '.join(phases)}"
    return Quality("good", cause, "", "")


def _findings(facts: Facts, recipe: Recipe) -> list[Quality]:
    """Everything that limits the result, as it is noticed."""
    axis = _energy_axis(facts, recipe)
    found = (
        _copied(facts),
        _energies(facts),
        _specimen(facts),
        _negative(facts),
        _box(facts),
        no_phase_distinguished(facts),
        close_references(facts, recipe),
        axis,
        _shared_errors(facts),
        _change(facts),
        _unidentified(facts) if axis is None else None,  # else the axis says why
        _misfit(facts) if axis is None else None,
        _layers(facts),
        _unjudged(facts),
        _noise(facts),
        mixed_columns(facts),
        _i0(facts),
        _field(facts),
    )
    return [finding for finding in found if finding is not None]


def _copied(facts: Facts) -> Quality | None:
    if not facts.copied_ev:
        return None
    return Quality(
        "poor",
        f"images repeat others, or lines of them, noise included: {listed_ev(facts.copied_ev)} eV",
        "they are left out, and other images may be old ones as well",
        "Find out why the detector hands out an old image, and scan the region again.",
    )


def _energies(facts: Facts) -> Quality | None:
    if not facts.missing_ev:
        return None
    listed = listed_ev(facts.missing_ev)
    return Quality(
        _worse_if(facts.expected_wrong >= WRONG_POOR),
        f"energies are missing: {listed} eV",
        f"the map is made from the other {len(facts.energies_ev)}, which "
        + (
            f"do not distinguish {', nor '.join(map(together, facts.twins))}"
            if facts.twins
            else "distinguish the phases less well"
        ),
        "Scan the region again, or exclude these energies in the recipe.",
    )


def _specimen(facts: Facts) -> Quality | None:
    if facts.n_specimen == 0:
        return Quality(
            "poor",
            "no specimen in the field",
            "there is nothing to map",
            "Move to a particle, or give a mask in the recipe's [specimen].",
        )
    if facts.invalid_share > 0.05:
        return Quality(
            "limited" if facts.invalid_share < 0.5 else "poor",
            f"{100 * facts.invalid_share:.0f} % of the specimen has no valid spectrum",
            "these pixels are left out of map and fractions",
            "Look for saturated, dead or unscanned pixels in the images.",
        )
    return None


def _negative(facts: Facts) -> Quality | None:
    if not facts.largest_od < 0:
        return None
    return Quality(
        "poor",
        f"the specimen is brighter than I0 (largest OD {facts.largest_od:.2f})",
        "optical densities are negative, and no label can be trusted",
        "Take I0 from beside the specimen ([i0] region), and look whether it is what absorbs.",
    )


def _box(facts: Facts) -> Quality | None:
    if facts.specimen_in_box < BOX_LIMITED:
        return None
    return Quality(
        _worse_if(facts.specimen_in_box >= BOX_POOR),
        f"{100 * facts.specimen_in_box:.0f} % of the box for I0 is specimen",
        "I0 is too low, and every optical density with it",
        "Choose a box beside the specimen ([i0] region).",
    )


def _energy_axis(facts: Facts, recipe: Recipe) -> Quality | None:
    axis = facts.energy_axis
    if axis is None or not departs(axis, recipe):
        return None
    if facts.axis_applies and not _is_sure(axis, recipe):
        action = (
            "Look at the curves (energy-axis) and at the second map; calibrate the monochromator "
            "before you trust either."
        )
    elif facts.axis_applies:
        action = (
            "Look at the curves (energy-axis), calibrate the monochromator, or map again with "
            f"--set energy_offset_ev={axis.offset_ev:.2f} "
            f"--set energy_width_ev={axis.width_ev:.2f}."
        )
    else:
        action = (
            "Look at the curves (energy-axis) and calibrate the monochromator: with this offset "
            "the references no longer cover all energies of the scan."
        )
    return Quality(
        # then it stands before the noise, which is not why these labels are expected wrong
        _worse_if(
            (facts.residual is not None and facts.residual.share >= RESIDUAL_POOR)
            or (facts.expected_wrong >= WRONG_POOR and _is_sure(axis, recipe))
        ),
        axis_in_words(axis, recipe),
        "labels may be wrong with confidence; a second map with the axis corrected lies beside "
        "the one asked for",
        action,
    )


def _is_sure(axis: EnergyAxis, recipe: Recipe) -> bool:
    """Return True if offset or width are not likely to be made of other faults of the scan."""
    offset_ev = abs(axis.offset_ev - recipe.energy_offset_ev)
    wider_ev = abs(axis.width_ev - recipe.energy_width_ev)
    return wider_ev < WIDEST_EV and (
        offset_ev > ADVISED_SIGMA * axis.offset_std_ev
        or wider_ev > ADVISED_SIGMA * axis.width_std_ev
    )


def _shared_errors(facts: Facts) -> Quality | None:
    """Name what explains spectra that agreed with no reference."""
    errors = facts.shared_errors
    if errors is None or (errors.is_minor and facts.unidentified_share >= UNIDENTIFIED_LIMITED):
        return None
    consequence = "probabilities allow for that"
    if errors.moves_labels:
        consequence += ", and labels for the errors of the images"
    may_be_axis = errors.causes[0] == "lines" and not facts.axis_fitted
    if may_be_axis:
        consequence += "; an energy offset would look alike, and no energy axis was fitted"
    return Quality(
        _worse_if(may_be_axis or "order" in errors.causes or facts.expected_wrong >= WRONG_POOR),
        errors.in_words(facts.phase_names, facts.energies_ev),
        consequence,
        _ADVICE[errors.causes[0]],
    )


def _change(facts: Facts) -> Quality | None:
    change = facts.change
    if change is None or not change.is_significant:
        return None
    return Quality(
        _worse_if(abs(change.share) >= CHANGE_POOR),
        change_in_words(change, facts.phase_names),
        "labels mix both states",
        "Reduce the dwell or the number of energies.",
    )


def _worse_if(poor: bool) -> Literal["limited", "poor"]:
    return "poor" if poor else "limited"


def _noise(facts: Facts) -> Quality | None:
    wrong = facts.expected_wrong
    if wrong < WRONG_LIMITED:
        return None
    verdict: Literal["limited", "poor"] = "limited" if wrong < WRONG_POOR else "poor"
    return Quality(
        verdict,
        f"{100 * wrong:.0f} % of the labels are expected wrong at {facts.light}",
        "single pixels cannot be trusted, areas of one color can"
        if verdict == "limited"
        else "only the most frequent phases can be trusted",
        "Dwell longer, or scan with larger pixels."
        if not facts.largest_od < THIN_OD
        else f"The specimen is thin (largest OD {facts.largest_od:.2f}): look for a thicker place, "
        "or dwell longer.",
    )


def _misfit(facts: Facts) -> Quality | None:
    """Judge the residual by what separates the phases; its size alone says little."""
    left = facts.residual
    if left is not None and left.is_harmful:
        return Quality(
            _worse_if(left.share >= RESIDUAL_POOR or facts.expected_wrong >= WRONG_POOR),
            f"the references leave {left.largest_od:+.3f} OD at "
            f"{facts.energies_ev[left.largest_energy]:g} eV in "
            f"{facts.phase_names[left.largest_phase]} ({left.significance:.0f} sigma), and what is "
            f"left is {left.share:.1f} of what separates {facts.phase_names[left.phase]} from "
            f"{facts.phase_names[left.rival]}",
            "labels may be wrong over whole areas, however alike neighbors are",
            "Compare the mean spectra with the references: another orientation, beam damage, I0 "
            "beneath the specimen, or references of another sample or instrument.",
        )
    if facts.misfit is None or facts.misfit < MISFIT_LIMITED:
        return None
    return Quality(
        "limited",
        f"spectra deviate from every reference {np.sqrt(facts.misfit):.1f} times more than "
        "the noise of the counts",
        "references, energy axis or I0 may not fit, and labels may be wrong with confidence",
        "Compare the mean spectrum with the references; check the energy calibration and I0.",
    )


def _layers(facts: Facts) -> Quality | None:
    """Limit maps of phases that change as layers do; that layers may look alike is no finding."""
    share = sum(one.share for one in facts.layered)
    if share < LAYERED_LIMITED:
        return None
    clearest = max(facts.layered, key=lambda one: one.significance)
    phase = facts.phase_names[clearest.phase]
    names = " and ".join(facts.phase_names[one.phase] for one in facts.layered)
    mixtures = alternatives(facts.mixed_references)[phase].removeprefix("or ")
    return Quality(
        _worse_if(facts.expected_wrong >= WRONG_POOR),
        f"areas labelled {names} ({100 * share:.0f} % of the specimen) change gradually "
        f"({clearest.significance:.0f} sigma), as layers do, and {phase} looks like {mixtures}",
        "the phase of these labels may not be there at all, and more photons will not show it",
        "Add an energy that separates them (stxm-live recipe show names the best), or look at the "
        "particle from another side.",
    )


def _unjudged(facts: Facts) -> Quality | None:
    """Without an empty support only spectra that scatter as photons do show that they fit."""
    if facts.scatter is None:
        return None
    if facts.quantity != "counts":
        return Quality(
            "limited",
            f"nothing shows the noise of the images, which are no counts ({facts.quantity})",
            "noise and references that do not fit look alike, so nothing confirms the labels",
            "Map the counts instead, with empty support in the field.",
        )
    return Quality(
        "limited",
        "no empty support shows the noise of the counts, and the spectra scatter "
        f"{facts.scatter:.2g} times as much as photons",
        "the counter and references that do not fit look alike, so nothing confirms the labels",
        "Scan with empty support in the field, or give the counter's photons_per_count "
        "([detector]).",
    )


def _unidentified(facts: Facts) -> Quality | None:
    share = facts.unidentified_share
    if share < UNIDENTIFIED_LIMITED or facts.scatter is not None:  # then the counter may be why
        return None
    # labels there are wrong: if most of the wrong ones are there, more photons do not help
    is_why = facts.expected_wrong >= WRONG_POOR and share >= facts.expected_wrong / 2
    return Quality(
        _worse_if(share >= UNIDENTIFIED_POOR or is_why),
        f"{100 * share:.0f} % of the specimen agrees with no reference",
        "labels there are only the nearest ones",
        'Look at the mean spectrum named "not identified": a phase may lack a reference, or '
        "something else is there.",
    )


def _i0(facts: Facts) -> Quality | None:
    if not facts.i0_relative_std > I0_LIMITED:
        return None
    return Quality(
        "limited",
        f"I0 is uncertain by {100 * facts.i0_relative_std:.1f} %: it rests on few empty pixels",
        "all optical densities of an image are off together",
        "Scan with more empty support, give a larger box ([i0] region) or a measured spectrum.",
    )


def _field(facts: Facts) -> Quality | None:
    if facts.common_field >= COMMON_FIELD_LIMITED:
        return None
    return Quality(
        "limited",
        f"after alignment only {100 * facts.common_field:.0f} % of the field is in every image",
        "the rest has no map",
        "Let the stage settle, or scan a larger region.",
    )
