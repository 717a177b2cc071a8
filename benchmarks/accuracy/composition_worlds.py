"""Specimens that are domains, a solid solution, or cores in shells, with errors of the scan.

Own code, not that of `stxm_live.sim`: 2000 to 3000 pixels whose composition is known, blurred like
a scan, counted at the energies of the recipe. Each pixel has a constant and a slope of its own,
each image an error of I0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from stxm_live import Recipe

KINDS = ("domains", "solid solution", "core and shell")
SIDE = 72


@dataclass(frozen=True, eq=False)
class World:
    """A counted specimen.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx)
    composition : ndarray of shape (n_phases, n_pixels)
        Shares in the thickness, of the pixels in the mask.
    thickness : ndarray of shape (n_pixels,)
    od, photons : ndarray of shape (n_energies, n_pixels)
        As a map has them: with an I0 that is a little wrong.
    expected : ndarray of shape (n_energies, n_pixels)
        Photons without their noise.
    """

    mask: NDArray[np.bool_]
    composition: NDArray[np.float64]
    thickness: NDArray[np.float64]
    od: NDArray[np.float32]
    photons: NDArray[np.float32]
    expected: NDArray[np.float64]


def world(
    kind: str,
    photons: float,
    recipe: Recipe,
    seed: int,
    *,
    nuisance: bool = True,
    blur_px: float = 0.6,
) -> World:
    """Return a specimen of one kind, counted."""
    rng = np.random.default_rng(seed)
    energies = np.array(recipe.energies_ev)
    references = recipe.corrected_references.at(recipe.energies_ev or ())
    values = recipe.phases.in_order(recipe.corrected_references.phase_names)
    assert values is not None
    mask, depth = _particles(rng)
    composition = _COMPOSITIONS[kind](mask, depth, values, rng)
    thickness = mask * rng.uniform(0.8, 1.4) * (1 + _texture(rng, 5, 0.15))
    column = composition * thickness
    od = np.einsum("kyx,ke->eyx", column, references)
    rates = np.stack([gaussian_filter(np.exp(-image), blur_px) for image in od])
    if nuisance:
        line = np.linspace(-0.5, 0.5, len(energies))[:, None, None]
        constant, slope = (_texture(rng, 4, 0.02), _texture(rng, 4, 0.02))
        rates *= np.exp(-(constant + slope * line))
    expected = photons * rates
    counts = np.maximum(rng.poisson(expected), 1)
    i0 = photons * np.exp(rng.normal(0, 0.005 if nuisance else 0, (len(energies), 1, 1)))
    seen = mask & (gaussian_filter(mask.astype(float), blur_px) > 0.9)
    shares = np.stack([gaussian_filter(each, blur_px) for each in column])[:, seen]
    return World(
        seen,
        shares / shares.sum(axis=0),
        shares.sum(axis=0),
        np.log(i0 / counts)[:, seen].astype(np.float32),
        counts[:, seen].astype(np.float32),
        expected[:, seen],
    )


def _particles(rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return two or three particles side by side, and how deep a pixel is in its own, 0 to 1."""
    mask, depth = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE))
    y, x = np.indices((SIDE, SIDE))
    for k in range(n := int(rng.integers(1, 3))):
        width = SIDE / n
        middle = (SIDE / 2 + rng.normal(0, 2), (k + 0.5) * width + rng.normal(0, 1))
        half = (rng.uniform(0.36, 0.45) * SIDE, 0.44 * width)
        radius = np.hypot((y - middle[0]) / half[0], (x - middle[1]) / half[1])
        wavy = radius + _texture(rng, 6, 0.05)
        inside = (wavy < 1) & ~mask
        deep = distance_transform_edt(inside)
        depth[inside] = deep[inside] / deep.max()
        mask |= inside
    return mask, depth


def _texture(rng: np.random.Generator, px: float, std: float) -> NDArray[np.float64]:
    smooth = gaussian_filter(rng.normal(size=(SIDE, SIDE)), px)
    return np.asarray(smooth * std / smooth.std())


def _domains(
    mask: NDArray[np.bool_],
    depth: NDArray[np.float64],
    values: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """One phase each, of two to all of the phases, in domains of 6 to 15 pixels."""
    held = rng.choice(len(values), int(rng.integers(2, len(values) + 1)), replace=False)
    size = rng.uniform(3, 6)
    index = held[np.argmax([_texture(rng, size, 1) for _ in held], axis=0)]
    return np.moveaxis(np.eye(len(values))[index], -1, 0)


def _solid_solution(
    mask: NDArray[np.bool_],
    depth: NDArray[np.float64],
    values: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Mixtures of neighbors, more of one than of the other from the rim to the middle."""
    low, high = values.min(), values.max()
    first, last = np.sort(rng.uniform(low, high, 2))
    while last - first < 0.4 * (high - low):
        first, last = np.sort(rng.uniform(low, high, 2))
    place = depth if rng.random() < 0.5 else 1 - depth
    x = first + (last - first) * place + _texture(rng, 8, 0.1 * (last - first))
    order = np.argsort(values)
    x = np.clip(x, low, high)
    above = np.clip(np.searchsorted(values[order], x), 1, len(values) - 1)
    share = (x - values[order][above - 1]) / (values[order][above] - values[order][above - 1])
    composition = np.zeros((len(values), *x.shape))
    np.put_along_axis(composition, order[above][None], share[None], axis=0)
    np.put_along_axis(composition, order[above - 1][None], 1 - share[None], axis=0)
    return composition


def _core_and_shell(
    mask: NDArray[np.bool_],
    depth: NDArray[np.float64],
    values: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """A core of the phase with the most in a shell of one with little, as columns see it."""
    order = np.argsort(values)
    core, shell = order[-1], order[1]
    if rng.random() < 0.5:
        core, shell = shell, core
    rim = rng.uniform(0.15, 0.3)
    # a ball of radius 1 - rim in one of radius 1: chords at distance 1 - depth from the middle
    away = 1 - depth
    chord = np.sqrt(np.maximum((1 - rim) ** 2 - away**2, 0))
    share = chord / np.sqrt(np.maximum(1 - away**2, 1e-3))
    share = np.clip(share, 0, 1)
    composition = np.zeros((len(values), *depth.shape))
    composition[core], composition[shell] = share, 1 - share
    return composition


_COMPOSITIONS = {
    "domains": _domains,
    "solid solution": _solid_solution,
    "core and shell": _core_and_shell,
}
