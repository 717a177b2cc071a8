"""Phases keep apart for everyone who looks at a map, also where reliability dims them.

Seeing colors is simulated after Machado, Oliveira & Fernandes, "A physiologically-based model for
simulation of color vision deficiency", IEEE Trans. Vis. Comput. Graph. 15 (2009) 1291, severity
1.0, and distances are CIE 1976 Lab, D65; both on linear RGB (IEC 61966-2-1).
"""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from stxm_live.plotting.style.palette import (
    AMBIGUOUS,
    DIMMEST,
    GROUND,
    INVALID,
    SPECIMEN,
    UNIDENTIFIED,
    phase_colors,
)

NAMES = ["Na3VPF", "Na2.4VPF", "Na2VPF", "Na1VPF", "Na1-yVPF"]

VISION = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def lab(rgb, vision="normal"):
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ VISION[vision].T, 0, 1)
    xyz = seen @ TO_XYZ.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def closest(groups):
    """Smallest distance between a color of one group and one of another."""
    return min(
        np.linalg.norm(a[:, None] - b[None], axis=-1).min()
        for a, b in itertools.combinations(groups, 2)
    )


def test_lab_of_white_and_red_is_as_tabulated():
    np.testing.assert_allclose(lab([1.0, 1.0, 1.0]), [100, 0, 0], atol=0.02)
    np.testing.assert_allclose(lab([1.0, 0.0, 0.0]), [53.24, 80.09, 67.20], atol=0.02)


@pytest.mark.parametrize("vision", VISION)
def test_five_phases_are_told_apart_and_from_the_ground(vision):
    colors = [*phase_colors(NAMES), to_rgb(GROUND)]
    assert closest([lab([c], vision) for c in colors]) > 20


@pytest.mark.parametrize("vision", VISION)
def test_a_phase_dimmed_by_low_reliability_is_not_taken_for_another(vision):
    brightness = np.linspace(DIMMEST, 1, 8)[:, None]
    assert closest([lab(c * brightness, vision) for c in phase_colors(NAMES)]) > 10


@pytest.mark.parametrize("vision", VISION)
def test_the_classes_of_the_ambiguity_map_are_told_apart(vision):
    colors = [GROUND, SPECIMEN, AMBIGUOUS, UNIDENTIFIED, INVALID]
    assert closest([lab([to_rgb(c)], vision) for c in colors]) > 20


def test_the_classes_of_the_ambiguity_map_differ_in_a_print_in_grey():
    lightness = sorted(lab(to_rgb(c))[0] for c in (GROUND, SPECIMEN, AMBIGUOUS, UNIDENTIFIED))
    assert np.diff(lightness).min() > 10


def test_the_order_of_the_phases_is_the_order_of_the_colors():
    assert np.all(np.diff(lab(phase_colors(NAMES))[:, 2]) < 0)  # from yellow to blue


def test_the_papers_palette_runs_from_red_to_purple():
    colors = phase_colors(NAMES, palette="paper")
    red, purple = colors[0], colors[-1]
    assert red.argmax() == 0
    assert red[0] > 2 * max(red[1:])
    assert purple[2] > purple[0] > purple[1]


def test_the_palette_for_print_becomes_lighter_from_phase_to_phase():
    lightness = lab(phase_colors(NAMES, palette="print"))[:, 0]
    assert np.diff([lab(to_rgb(GROUND))[0], *lightness]).min() > 10


def test_a_recipe_changes_the_colors_it_names_only():
    colors = phase_colors(NAMES, {"Na2VPF": "lime"})
    np.testing.assert_array_equal(colors[2], [0, 1, 0])
    np.testing.assert_array_equal(np.delete(colors, 2, 0), np.delete(phase_colors(NAMES), 2, 0))


def test_a_color_that_is_none_is_named_with_its_phase():
    with pytest.raises(ValueError, match=r"'reddish' of phase Na2VPF"):
        phase_colors(NAMES, {"Na2VPF": "reddish"})
