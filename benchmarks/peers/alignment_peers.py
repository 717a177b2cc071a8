"""What other programs find of the same drift, each in an environment of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from benchmarks.peers.mantis_environment import mantis_python, peer_python

Shifts = NDArray[np.float64]
Stacks = Sequence[NDArray[np.float32]]
Found = dict[str, list[Shifts]]

HYPERSPY = "hyperspy==2.3.0"
HERE = Path(__file__).parent


def hyperspy_python() -> Path:
    """The interpreter that can import HyperSpy."""
    return peer_python(HYPERSPY, [HYPERSPY])


PROGRAMS: dict[str, Callable[[], Path]] = {
    "mantis_align_side.py": mantis_python,
    "hyperspy_align_side.py": hyperspy_python,
}


def by_programs(stacks: Stacks, anchor: int, console: Console) -> Found:
    """Shifts (n_images, 2) of each stack of counts, by method; a printed line if one is skipped."""
    found: Found = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "stacks.npy", np.stack(stacks))
        for script, python in PROGRAMS.items():
            out = folder / f"{script}.npz"
            try:
                command = [python(), HERE / script, folder / "stacks.npy", out, anchor]
                subprocess.run(
                    list(map(str, command)), check=True, capture_output=True, timeout=1800
                )
            except (OSError, subprocess.SubprocessError) as e:
                console.print(f"{script}: skipped: {e}", markup=False)
                continue
            with np.load(out) as shifts:
                found |= {method: list(shifts[method]) for method in shifts}
    return found


def by_scikit_image(counts: NDArray[np.float32], anchor: int) -> dict[str, Shifts]:
    """Cross-correlation of prepared images, to 1/20 px, both normalisations."""
    prepared = {
        "scikit-image, log images, none": ([smooth_log(image) for image in counts], None),
        "scikit-image, log images, phase": ([smooth_log(image) for image in counts], "phase"),
        "scikit-image, raw counts, none": ([image - image.mean() for image in counts], None),
        "scikit-image, raw counts, phase": (list(counts), "phase"),
    }
    return {
        name: np.array([correlated(images[anchor], image, norm) for image in images])
        for name, (images, norm) in prepared.items()
    }


def correlated(
    anchor: NDArray[np.floating], image: NDArray[np.floating], normalization: str | None
) -> Shifts:
    """The shift (y, x) that lays an image on the anchor."""
    shift, _, _ = phase_cross_correlation(
        anchor, image, normalization=normalization, upsample_factor=20
    )
    return np.asarray(shift)


def smooth_log(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """-ln I, smoothed by one pixel, mean removed."""
    smooth = ndimage.gaussian_filter(-np.log(np.maximum(image, 0.5)), 1.0)
    return np.asarray(smooth - smooth.mean())
