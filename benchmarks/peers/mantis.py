"""Optical density of a stack, beside MANTiS, in one run and on the same counts.

    python -m benchmarks.peers.mantis [--energies 13] [--side 256] [--repeats 15]

MANTiS is installed into an environment of its own, once. Both sides guard against counts that
are not positive; Poisson counts of a made-up stack.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.figures import Beside, Figure, Target, benchmark_parser, report, skip
from benchmarks.peers.mantis_environment import mantis_python, run_mantis
from stxm_live.core.stack import Stack
from stxm_live.io.files import write_nexus_stxm
from stxm_live.preprocessing.detector import usable_intensity
from stxm_live.preprocessing.normalization import optical_density

TIMES_FASTER = 8.0


def main() -> None:
    """Print the times of both, their ratio and how far the results are apart."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--energies", type=int, default=13)
    parser.add_argument("--side", type=int, default=256, help="pixels along each side")
    parser.add_argument("--repeats", type=int, default=15, help="the median counts")
    options = parser.parse_args()
    try:
        mantis_python()
    except (OSError, subprocess.SubprocessError) as e:
        skip(f"MANTiS cannot be installed: {e}")
    rng = np.random.default_rng(3)
    energies_ev = np.linspace(505.0, 532.0, options.energies)
    i0 = np.linspace(2000.0, 3000.0, options.energies)
    od = rng.uniform(0, 1.5, (options.energies, options.side, options.side))
    counts = rng.poisson(i0[:, None, None] * np.exp(-od)).astype(np.float32)
    theirs = mantis(Stack.from_arrays(counts, list(energies_ev)), i0, options.repeats)
    begin = [time.perf_counter()]
    for _ in range(options.repeats):
        ours = own(counts, i0)
        begin.append(time.perf_counter())
    apart = np.abs(theirs["od"] - ours).max()
    figure = Figure(
        f"optical density of {options.energies} images of {options.side} x {options.side}",
        options.energies / median(np.diff(begin)),
        "images/s",
        Beside("MANTiS 3.3.0", options.energies / float(theirs["seconds"])),
        Target(TIMES_FASTER, of="ratio"),
        larger_is_better=True,
        note=f"largest difference {apart:.1e}",
    )
    report("optical density", [figure], options.figures)


def own(counts: NDArray[np.float32], i0: NDArray[np.float64]) -> NDArray[np.float32]:
    """OD of shape (n_energies, ny, nx), unusable counts guarded against as in a scan."""
    usable = np.stack([usable_intensity(image)[0] for image in counts])
    return optical_density(usable, i0[:, None, None])


def mantis(stack: Stack, i0: NDArray[np.float64], repeats: int) -> dict[str, NDArray[np.float64]]:
    """MANTiS' OD of a stack, and the median of its times."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_nexus_stxm(folder / "stack.hdf5", stack)
        np.savetxt(folder / "i0.csv", np.c_[stack.energies_ev, i0], delimiter=",", fmt="%.17g")
        out = folder / "out.npz"
        run_mantis(folder / "stack.hdf5", out, folder / "i0.csv", str(repeats))
        with np.load(out) as found:
            return dict(found)


if __name__ == "__main__":
    main()
