"""A stack of images that are in files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Frame, Stack, StackKey, first_and_repeated

_SAME_SIZE = 0.01
"""Relative difference of pixel sizes up to which they are the same."""

_SAME_PLACE = 0.5
"""Distance of the fields, in fields, from which they are not of the same place."""


def joined(paths: Sequence[Path], stacks: Sequence[Stack]) -> Stack:
    """Return one stack of the images of several.

    Parameters
    ----------
    paths : sequence of Path
        The files, for messages.
    stacks : sequence of Stack
        Their images, in the same order; each has one energy or more.

    Raises
    ------
    ValueError
        If the images do not belong together, or there are fewer than two energies; the message
        names the files.
    """
    first = stacks[0].scan
    for path, stack in zip(paths[1:], stacks[1:], strict=True):
        check_alike(paths[0], first, path, stack.scan)
    frames: list[Frame] = []
    for path, stack in zip(paths, stacks, strict=True):
        for frame in (*stack.frames, *stack.checks):
            frames.append(frame)
        if not stack.frames:
            raise ValueError(f"{path}: has no image")
    announced = [e for stack in stacks for e in stack.scan.energies_ev]
    notes = [note for stack in stacks for note in stack.notes]
    notes += _differences(paths, stacks)
    scan = first.model_copy(
        update={
            "shape": (len(announced), *first.image_shape),
            "energies_ev": tuple(announced),
            "region": "1",
            "n_regions": 1,
            "dwell_ms": float(np.median([stack.scan.dwell_ms for stack in stacks])),
            "i0_field": next((s.scan.i0_field for s in stacks if s.scan.i0_field), None),
        }
    )
    unique, repeated = first_and_repeated(frames)
    notes += [f"a second image at {frame.nominal_ev:g} eV is not mapped" for frame in repeated]
    unique.sort(key=lambda frame: frame.energy_ev)
    return Stack(
        StackKey((), "1", scan.polarization),
        scan,
        tuple(unique),
        finished=all(stack.finished for stack in stacks),
        notes=tuple(dict.fromkeys(notes)),
        checks=tuple(repeated),
        origin=stacks[0].origin,
    )


def check_alike(first_path: Path, first: StackScan, path: Path, scan: StackScan) -> None:
    """Raise a ValueError if two images are not of the same field, quantity and polarization."""
    names = f"{first_path.name} and {path.name} do not make one stack"
    if scan.image_shape != first.image_shape:
        raise ValueError(
            f"{names}: images of {first.image_shape} and {scan.image_shape} pixels (y, x)"
        )
    if (scan.quantity or "counts") != (first.quantity or "counts"):
        raise ValueError(
            f"{names}: {first.quantity or 'counts'} and {scan.quantity or 'counts'}; say with "
            "--quantity what they are"
        )
    if scan.polarization != first.polarization:
        raise ValueError(f"{names}: polarizations {first.polarization!r}, {scan.polarization!r}")
    ends = zip(
        "xy",
        (first.x_extent_um, first.y_extent_um),
        (scan.x_extent_um, scan.y_extent_um),
        strict=True,
    )
    for axis, of_first, of_this in ends:
        size, other = of_first[1] - of_first[0], of_this[1] - of_this[0]
        if abs(other - size) > _SAME_SIZE * abs(size):
            raise ValueError(f"{names}: fields of {abs(size):g} and {abs(other):g} um in {axis}")
        apart = abs(sum(of_first) - sum(of_this)) / 2
        if size and apart > _SAME_PLACE * abs(size):
            raise ValueError(f"{names}: their fields are {apart:g} um apart in {axis}")


def _differences(paths: Sequence[Path], stacks: Sequence[Stack]) -> list[str]:
    """Return notes on settings that differ between the files."""
    dwells = sorted({stack.scan.dwell_ms for stack in stacks})
    if len(dwells) == 1:
        return []
    listed = ", ".join(f"{dwell:g}" for dwell in dwells)
    return [f"{paths[0].name} and others: dwells of {listed} ms; I0 is that of each image"]
