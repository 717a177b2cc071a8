"""Runs inside the environment of MANTiS: the shifts its alignment finds, without its window.

python mantis_align_side.py STACKS.npy OUT.npz ANCHOR

STACKS has shape (n_stacks, n_images, ny, nx), sides even; OUT gets shifts (n_stacks, n_images, 2)
for each edge enhancement that MANTiS offers. As its dialogue does it, every image is compared with
the anchor. MANTiS divides by the sum of all edges, which of whole numbers is exactly zero; counts
are given as rates, which makes that rare. The shifts of an image are NaN where it happens.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from mantis_xray.analysis import data_stack, data_struct

RATE = 0.37
"""Counts to rate; any that is not a whole number."""

EDGES = {"MANTiS": 0, "MANTiS, Sobel": 1, "MANTiS, Prewitt": 2}


def main() -> None:
    """Save shifts in y and x, by the name of the method."""
    warnings.simplefilter("ignore", DeprecationWarning)  # MANTiS names old modules of SciPy
    path, out, anchor = sys.argv[1:]
    stacks = np.load(path, mmap_mode="r")
    found = {name: [shifts(s, int(anchor), edge) for s in stacks] for name, edge in EDGES.items()}
    np.savez(out, **{name: np.array(rows) for name, rows in found.items()})


def shifts(stack: np.ndarray, anchor: int, edge: int) -> np.ndarray:
    """(y, x) that MANTiS would apply to each image."""
    owner = data_stack.data(data_struct.h5())
    rows = []
    rates = stack.astype(np.float64) * RATE
    for k, image in enumerate(rates):
        y, x, _ = owner.register_images(
            rates[anchor], image, have_ref_img_fft=k > 0, edge_enhancement=edge
        )
        rows.append((0.0, 0.0) if k == anchor else (y, x))
    return np.array(rows, dtype=np.float64)


if __name__ == "__main__":
    main()
