"""A first look at a stack without references, beside scikit-learn alone in one run.

    python -m benchmarks.speed.exploration [--side 125] [--energies 123] [--real FOLDER]

Synthetic counts of two phases. Ours reads nothing, aligns, finds I0 and OD, and does the same PCA,
k-means and NMF, with the noise floor and the clusters' spectra; the pictures are timed apart.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, PCA

from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report
from stxm_live import Stack
from stxm_live.io.files import read_stack
from stxm_live.phase_mapping.exploration import Exploration, explore_stack
from stxm_live.phase_mapping.exploration.clusters import by_shape
from stxm_live.plotting.exploration import exploration_plates
from stxm_live.plotting.paper_figures import write_plates


def main() -> None:
    """Print the times of both, and of the pictures."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=125, help="pixels along each side")
    parser.add_argument("--energies", type=int, default=123)
    parser.add_argument("--repeats", type=int, default=3, help="the median counts")
    parser.add_argument("--real", type=Path, help="folder of the measured iron stack")
    arguments = parser.parse_args()
    if arguments.real is None:
        stack = two_phases(arguments.side, arguments.energies)
    else:
        stack = read_stack(arguments.real / "71214078.hdr")
    report("exploration", exploration_figures(stack, arguments.repeats), arguments.figures)


def two_phases(side: int, n_energies: int) -> Stack:
    """Two phases, each from thin to thick, in an empty field; 1000 photons."""
    rng = np.random.default_rng(4)
    energies = np.linspace(700.0, 730.0, n_energies)
    pure = [0.2 + np.exp(-0.5 * ((energies - center) / 1.5) ** 2) for center in (708.0, 711.0)]
    y, x = np.indices((side, side)) / side
    inside = np.hypot(y - 0.5, x - 0.5) < 0.4
    od = np.where(x < 0.5, *(spectrum[:, None, None] for spectrum in pure)) * (inside * (0.3 + y))
    return Stack.from_arrays(rng.poisson(1000 * np.exp(-od)), energies)


def exploration_figures(stack: Stack, repeats: int) -> list[Figure]:
    """Time the whole, scikit-learn's part of it, and the pictures."""
    ours, theirs = [], []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        found = explore_stack(stack)
        middle = time.perf_counter()
        scikit_learn_alone(found)
        ours.append(middle - start)
        theirs.append(time.perf_counter() - middle)
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_plates(exploration_plates(found), folder)
        pictures = time.perf_counter() - start
    n_pixels, n_energies = found.spectra.od.shape
    first = Figure(
        "A first look without references",
        median(ours[1:]),
        "s",
        Beside("PCA, k-means and NMF by scikit-learn alone", median(theirs[1:])),
        Target(10, of="value"),
        note=f"{n_pixels} spectra of {n_energies} energies, {len(found.clusters.spectra)} clusters",
    )
    return [first, Figure("Its pictures", pictures, "s")]


def scikit_learn_alone(found: Exploration) -> None:
    """The same on the same spectra, as in a notebook."""
    od, n = found.spectra.od, len(found.clusters.spectra)
    PCA().fit_transform(od)
    compared, weights = by_shape(found.pca)
    KMeans(n, n_init=10, random_state=0).fit(compared, sample_weight=weights)
    NMF(n, init="nndsvda", random_state=0, max_iter=300).fit(np.clip(od, 0, None))


if __name__ == "__main__":
    main()
