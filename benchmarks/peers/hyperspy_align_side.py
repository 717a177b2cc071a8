"""Runs inside the environment of HyperSpy: the shifts that `estimate_shift2D` finds.

python hyperspy_align_side.py STACKS.npy OUT.npz ANCHOR

STACKS has shape (n_stacks, n_images, ny, nx); OUT gets shifts (n_stacks, n_images, 2).
"""

from __future__ import annotations

import sys

import hyperspy.api as hs
import numpy as np

SUB_PIXEL_FACTOR = 20
"""As fine as ours; its default is whole pixels."""


def main() -> None:
    """Save the shifts in y and x that `align2D` would apply."""
    path, out, anchor = sys.argv[1:]
    hs.preferences.General.show_progressbar = False
    stacks = np.load(path, mmap_mode="r")
    np.savez(out, HyperSpy=np.array([shifts(stack, int(anchor)) for stack in stacks]))


def shifts(stack: np.ndarray, anchor: int) -> np.ndarray:
    """(y, x) that lay each image on the anchor; `estimate_shift2D` gives their opposite."""
    signal = hs.signals.Signal2D(np.array(stack, dtype=np.float64))
    signal.axes_manager.indices = (anchor,)
    found = signal.estimate_shift2D(reference="current", sub_pixel_factor=SUB_PIXEL_FACTOR)
    return -np.asarray(found, dtype=np.float64)


if __name__ == "__main__":
    main()
