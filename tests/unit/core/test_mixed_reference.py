import json

import pytest

from stxm_live.core.mixed_reference import (
    MixedReference,
    alternatives,
    notes_on_mixtures,
    stored_mixtures,
)

LAYERS = (
    MixedReference("b", {"a": 0.4, "c": 0.6}, 0.02),
    MixedReference("b", {"a": 0.7, "d": 0.3}, 0.15),
    MixedReference("b", {"a": 0.7, "e": 0.3}, 0.8),
    MixedReference("d", {"e": 1.1}, 0.9),
)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"a": 1.0}, "a pixel of one looks like a pixel of the other"),
        ({"a": 0.5, "b": 0.5}, "a layer of one over the other looks the same"),
        ({"a": 0.3, "b": 0.3, "c": 0.4}, "layers of these look the same"),
    ],
)
def test_the_consequence_depends_on_how_many_phases_are_mixed(parts, text):
    assert MixedReference("z", parts, 0.1).consequence == text


def test_a_name_is_followed_by_the_two_nearest_mixtures():
    assert alternatives(LAYERS) == {"b": "or a mixture of a and c, or of a and d", "d": "or e"}


def test_each_phase_has_one_note():
    assert notes_on_mixtures(LAYERS) == [
        "b cannot be distinguished from a mixture of a and c, or of a and d "
        "(0.02 and 0.15 sigma in one pixel)",
        "d cannot be distinguished from e (0.90 sigma in one pixel)",
    ]


def test_results_stored_before_name_no_mixtures():
    assert stored_mixtures({}) == ()
    stored = [{"phase": "b", "parts": {"a": 0.4, "c": 0.6}, "sigma": 0.02}]
    assert stored_mixtures({"mixed_references": json.dumps(stored)}) == LAYERS[:1]
