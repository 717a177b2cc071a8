"""Labels from the images so far, and the dose and value of each further image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.even_selection import at_most
from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.likelihood import best_model_photons, fit_references
from stxm_live.phase_mapping.mixtures import Assignment, fit_mixtures
from stxm_live.phase_mapping.phase_frequencies import by_frequencies, mixing_of
from stxm_live.phase_mapping.spatial_prior import DIAGONAL, STRENGTH, potts_mixed
from stxm_live.phase_mapping.spectrum_noise import SpectrumNoise, spectrum_noise
from stxm_live.phase_mapping.weighted_products import Baseline, each_alone

TILE_PX = 32
"""Side of the tiles for sampling a large specimen, so that neighbors stay together."""

MAX_LABELLED = 20_000
"""Most pixels that are labeled after each image."""

SAMPLE = 400
"""Number of these, evenly spread, that are used to estimate the value of further energies."""


_MOST_FEEDBACK = 0.75
"""Limit on the feedback between neighbors where all labels are uncertain."""

_MOST_OD = 8.0
"""Highest optical density; beyond it no light is detected."""

_TELLING = 4
"""Fewest images from which the noise of the spectra can be estimated."""


@dataclass(frozen=True)
class Counting:
    """Conditions of the measurement.

    Parameters
    ----------
    i0 : ndarray of shape (n_energies,)
        Incident photons of a pixel; NaN where not measured yet.
    energies_ev : ndarray of shape (n_energies,)
    recipe : Recipe
        Its resolver options set the baseline of each spectrum, and whether neighboring pixels are
        likely to have the same phase.
    gain : float or None
        Variance over mean of the photons, if the empty support shows it.
    """

    i0: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    recipe: Recipe
    gain: float | None = None

    @property
    def neighbors(self) -> bool:
        """Return True if neighboring pixels are likely to have the same phase."""
        return self.recipe.resolver.spatial == "potts"


@dataclass(frozen=True, eq=False)
class Knowledge:
    """Present knowledge of a sample of specimen pixels.

    Parameters
    ----------
    wrong : float
        Mean probability, over all labeled pixels, that a label is wrong.
    probability : ndarray of shape (n_phases, n_sample)
        Probability that a phase has the largest share of its pixel.
    mixed : ndarray of shape (n_sample,)
        Probability that the pixel has two phases, as far as boundaries are known.
    precision : ndarray of shape (n_energies, n_phases, n_sample)
        One over the variance of the OD at each energy, for a pixel of that phase.
    thickness : ndarray of shape (n_phases, n_sample)
        Factor on the reference if the pixel is of that phase.
    references : ndarray of shape (n_phases, n_energies)
    dose : ndarray of shape (n_energies,)
        Photons absorbed in a pixel per image, on average.
    response : ndarray of shape (n_sample,)
        Change of the log-odds if those of every spectrum change by one; more than one among
        uncertain neighbors.
    baseline : Baseline
        Part of each spectrum besides its phase, at all energies.
    """

    wrong: float
    probability: NDArray[np.float64]
    mixed: NDArray[np.float64]
    precision: NDArray[np.float64]
    thickness: NDArray[np.float64]
    references: NDArray[np.float64]
    dose: NDArray[np.float64]
    response: NDArray[np.float64]
    baseline: Baseline


def learn(
    od: NDArray[np.float32],
    specimen: NDArray[np.bool_],
    measured: Sequence[int],
    references: NDArray[np.float64],
    counting: Counting,
) -> Knowledge:
    """Label the specimen from the measured energies, as the final maps would.

    Parameters
    ----------
    od : ndarray of shape (n_energies, ny, nx)
        NaN where not measured.
    specimen : ndarray of bool, shape (ny, nx)
    measured : sequence of int
        Indices of the measured energies.
    references : ndarray of shape (n_phases, n_energies)
    counting : Counting

    Raises
    ------
    ValueError
        If no pixel of the specimen has an optical density at every measured energy.
    """
    rows = list(measured)
    y, x, laid = sampled(specimen & np.isfinite(od[rows]).all(axis=0))
    if not len(y):
        raise ValueError("no pixel of the specimen has an optical density in every image")
    seen, ours = np.stack([od[row][y, x] for row in rows]), references[:, rows]
    photons = (counting.i0[rows, None] * np.exp(-seen)).astype(np.float32)
    noise = spectrum_noise(
        seen, photons, ours, counting.energies_ev[rows], counting.recipe, gain=counting.gain
    )
    dispersion = _dispersion(seen, photons, ours, noise)
    fitted = fit_mixtures(
        seen, photons, ours, dispersion=dispersion, gain=noise.gain, baseline=noise.baseline
    ).hypotheses
    scan = mixing_of(fitted)
    if counting.neighbors:
        assigned = potts_mixed(fitted, laid, scan=scan)
    else:
        assigned = by_frequencies(fitted)
    every = at_most(SAMPLE, len(y))
    thickness = _thickness(seen[:, every], photons[:, every], ours, noise)
    typical = np.where(np.isfinite(counting.i0), counting.i0, np.nanmean(counting.i0))
    transmission = np.exp(-references.T[:, :, None] * thickness)
    probability = assigned.probability[:, every].astype(np.float64)
    absorbed = np.einsum("ekn,kn->en", 1 - transmission, probability)
    return Knowledge(
        wrong=float(1 - assigned.probability.max(axis=0).mean(dtype=np.float64)),
        probability=probability,
        mixed=_mixed(assigned, scan.share)[every],
        precision=typical[:, None, None] * transmission / dispersion,
        thickness=thickness,
        references=references,
        dose=typical * absorbed.mean(axis=1),
        response=_response(assigned.probability, laid, counting.neighbors)[every],
        baseline=noise.baseline.stretched(counting.energies_ev),
    )


def sampled(
    mask: NDArray[np.bool_],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Return rows and columns of the pixels to label, and a mask that keeps neighbors.

    These are all pixels of a mask of up to `MAX_LABELLED`. Of a larger mask, they are the pixels in
    regularly spaced tiles, which are placed below each other with a gap.

    Returns
    -------
    rows, columns : ndarray of shape (n_pixels,)
    laid : ndarray of bool
        True for n_pixels, in their order.
    """
    every = -(-int(mask.sum()) // MAX_LABELLED)
    if every <= 1:
        rows, columns = np.nonzero(mask)
        return rows, columns, mask
    ny, nx = mask.shape
    corners = [(y, x) for y in range(0, ny, TILE_PX) for x in range(0, nx, TILE_PX)]
    tiles = [(y, x) for y, x in corners if mask[y : y + TILE_PX, x : x + TILE_PX].any()][::every]
    laid = np.zeros((len(tiles), TILE_PX + 1, TILE_PX), dtype=bool)
    places = []
    for place, (y, x) in zip(laid, tiles, strict=True):
        part = mask[y : y + TILE_PX, x : x + TILE_PX]
        place[: part.shape[0], : part.shape[1]] = part
        places.append(np.add(np.argwhere(part), (y, x)))
    rows, columns = np.concatenate(places).T
    return rows, columns, laid.reshape(-1, TILE_PX)


def _mixed(assigned: Assignment, share: float) -> NDArray[np.float64]:
    """Return the probability that a pixel has two phases, shape (n_pixels,).

    Where labels are uncertain every pixel seems to lie on a boundary: the share of the scan is
    nearer to the truth.
    """
    by_chance = 1 / len(assigned.probability)
    certainty = assigned.probability.max(axis=0).mean(dtype=np.float64) - by_chance
    certainty /= max(1 - by_chance, by_chance)
    return np.asarray(share + certainty * (assigned.mixed.astype(np.float64) - share))


def _response(
    probability: NDArray[np.float32], laid: NDArray[np.bool_], neighbors: bool
) -> NDArray[np.float64]:
    """Return `Knowledge.response`, shape (n_pixels,).

    It follows from the linearized mean-field equations of `stxm_live.phase_mapping.spatial_prior`:
    a shift of a neighbor's log-odds moves its probability q by q (1 - q), weighted with the
    strength of the prior.
    """
    from scipy.ndimage import convolve

    if not neighbors:
        return np.ones(probability.shape[1])
    doubt = np.zeros(laid.shape)
    doubt[laid] = (1 - np.square(probability).sum(axis=0)) / 2
    weights = [[DIAGONAL, 1, DIAGONAL], [1, 0, 1], [DIAGONAL, 1, DIAGONAL]]
    feedback = STRENGTH * convolve(doubt, np.array(weights), mode="constant")[laid]
    return np.asarray(1 / (1 - np.minimum(feedback, _MOST_FEEDBACK)))


def _dispersion(
    od: NDArray[np.float32],
    photons: NDArray[np.float32],
    references: NDArray[np.float64],
    noise: SpectrumNoise,
) -> float:
    """Return the variance of the photons over Poisson statistics, as in the final maps.

    A few images are not enough, because some reference fits their spectra by chance.
    """
    if len(od) < _TELLING + noise.baseline.n_free:
        return noise.gain
    fit = fit_references(od, photons, references, baseline=noise.baseline, gain=noise.gain)
    return max(fit.dispersion, noise.gain)


def _thickness(
    od: NDArray[np.float32],
    photons: NDArray[np.float32],
    references: NDArray[np.float64],
    noise: SpectrumNoise,
) -> NDArray[np.float64]:
    """Return factors on each reference, (n_phases, n_spectra), from 0 to below `_MOST_OD`.

    A free constant leaves the thickness of a spectrum undetermined with one energy, and nearly so
    with two; so it is left out here.
    """
    few = len(od) <= 1 + noise.baseline.n_free
    baseline = Baseline.none(len(od)) if few else noise.baseline.in_units_of(noise.gain)
    y, n = od.astype(np.float64), photons.astype(np.float64)
    expected = best_model_photons(y - 0.5 * noise.gain / n, n, references, baseline)
    found = each_alone(y - 0.5 * noise.gain / expected, expected, references, baseline)
    largest = np.maximum(references.max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return np.clip(found.along / found.square, 0.0, _MOST_OD / largest)
