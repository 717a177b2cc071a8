import numpy as np
import pytest

from stxm_live.core.stack import Stack, the_one


def test_a_stack_is_one_line_at_the_prompt():
    stack = Stack.from_arrays(np.ones((3, 4, 5)), [700, 705.5, 710])
    assert repr(stack) == "<Stack stack region 1: 3 of 3 images of 4 x 5 pixels, 700 to 710 eV>"


def test_a_choice_of_which_there_is_no_stack_is_named_without_what_was_not_given():
    stack = Stack.from_arrays(np.ones((2, 3, 4)), [515.0, 517.0])
    with pytest.raises(
        ValueError, match=r"^no stack of polarization 'LV'; there is stack region 1$"
    ):
        the_one([stack], None, "LV")
    with pytest.raises(ValueError, match=r"^no stack of region '2' and polarization 'LV'; "):
        the_one([stack], "2", "LV")
