import numpy as np

from stxm_live.core.stack import Stack


def test_a_stack_is_one_line_at_the_prompt():
    stack = Stack.from_arrays(np.ones((3, 4, 5)), [700, 705.5, 710])
    assert repr(stack) == "<Stack stack region 1: 3 of 3 images of 4 x 5 pixels, 700 to 710 eV>"
