"""Domains, a solid solution, or layers: what a scan's spectra and their neighbors support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.mixed_reference import MixedReference, by_phase
from stxm_live.core.series import Series
from stxm_live.phase_mapping.composition.models import Gradual, Models, Score
from stxm_live.phase_mapping.composition.neighborhood import cropped
from stxm_live.phase_mapping.counted_spectra import CountedSpectra
from stxm_live.phase_mapping.fitted_products import fitted_products
from stxm_live.phase_mapping.likelihood import dispersion_of, n_measured
from stxm_live.phase_mapping.pair_posterior import pair_posterior
from stxm_live.phase_mapping.weighted_products import Products

SIGNIFICANT = 2.5
"""Difference of two scores over its standard error from which one is supported."""

FEWEST_SPECTRA, _MOST_SPECTRA = 400, 6000
"""Fewer decide nothing; of more, the middle rows."""

MOST_MISFIT = 1.5
"""Scatter over the known noise beyond which the references do not describe the spectra."""

FEWEST_ENERGIES, MOST_SHARE_STD = 6, 2.0
"""With fewer energies, or if a pixel's share between neighbors in the series is less sure, nothing
is decided: pixels hardly show which neighbor it is, and a background they share looks like domains.
"""

_BLOCK_PX = 8
"""Side of the blocks whose scores count as independent."""

_BEYOND_ERRORS = 6.0
"""Distance between layers and a solid solution over the errors that all pixels share, from which
one of them is supported."""

Supported = Literal["domains", "solid solution", "layers", ""]


@dataclass(frozen=True)
class Evidence:
    """Result of the comparison.

    Parameters
    ----------
    supported : str
        "domains", "solid solution", "layers", or "" where the scan does not decide.
    significance : float
        Score of a solid solution less that of domains, over its standard error.
    low, high : float
        Range of the series' number in a solid solution: 5 and 95 of 100 pixels are below.
    layers : tuple of int or None
        Two phases whose layers describe the spectra best or, beside a solid solution, as well.
    gradual : Gradual
        Change of the composition from pixel to pixel, as the scan shows it.
    """

    supported: Supported
    significance: float
    low: float
    high: float
    layers: tuple[int, int] | None
    gradual: Gradual

    def in_words(
        self, phase_names: Sequence[str], quantity: str, mixed: Sequence[MixedReference] = ()
    ) -> str:
        """Return a note, "" where the scan does not decide.

        Parameters
        ----------
        phase_names : sequence of str
        quantity : str
            Meaning of the series' number.
        mixed : sequence of MixedReference
            Phases of the map that layers of others look like.
        """
        pair = "" if self.layers is None else " and ".join(phase_names[k] for k in self.layers)
        sure = f"({abs(self.significance):.0f} sigma)"
        if self.supported == "domains":
            alike = " and ".join(by_phase(mixed))
            layers = f", or layers of others that look like {alike}" if alike else ""
            return (
                f"the scan supports domains {sure}: inside them spectra do not change gradually, "
                f"but are those of single references{layers}"
            )
        if self.supported == "layers":
            return (
                f"the scan supports layers of {pair} through the thickness, such as a core in a "
                "shell: pixels are mixtures of these two, and no phase between them is needed"
            )
        if self.supported == "solid solution":
            alike = f", and of {pair}," if pair else ""
            digits = 1 - int(np.floor(np.log10(max(self.high - self.low, 1e-6))))
            low, high = round(self.low, digits), round(self.high, digits)
            return (
                f"the scan supports a solid solution {sure}: {quantity} varies continuously "
                f"between {low:g} and {high:g} (layers of neighbors in the series"
                f"{alike} have the same spectra)"
            )
        return ""


def evidence(
    spectra: CountedSpectra,
    mask: NDArray[np.bool_],
    series: Series,
    *,
    shared_std: float,
    known: NDArray[np.bool_] | None = None,
) -> Evidence | None:
    """Return what a scan supports; None with too few spectra, or where references do not fit.

    Parameters
    ----------
    spectra : CountedSpectra
    mask : ndarray of bool, shape (ny, nx)
        Where the spectra are from, in row-major order.
    series : Series
    shared_std : float
        Error of the OD that all pixels share, of I0 or of the references.
    known : ndarray of bool, shape (n_spectra,), optional
        Spectra that some reference describes; the others are left out.

    Notes
    -----
    Each spectrum is predicted from its neighbors, without its own numbers, by three models:
    single references, which errors that all pixels share may move along the series; mixtures of
    neighbors in the series; mixtures of two phases that are no neighbors. The logarithm of the
    probability that a model gives to the spectrum is its score, so that no model wins by having
    more parameters. Borders of domains are mixtures too: a solid solution has to be better where
    the composition hardly changes.
    """
    rows = _middle_rows(mask if known is None else _masked(mask, known))
    some = np.flatnonzero(rows[mask])
    if len(some) < FEWEST_SPECTRA:
        return None
    rows, spectra = cropped(rows), spectra.at(some)
    found, noise = fitted_products(spectra), spectra.noise
    scatter = scatter_of(found, spectra)
    if noise.from_support and scatter > MOST_MISFIT * noise.gain:
        return None
    models = Models(found, series, rows, scatter)
    domains, solid = models.domains(), models.solid_solution()
    inside = significance(solid, domains, rows, models.is_calm())
    low, high = models.span(solid.gradual)
    if len(spectra.od) < FEWEST_ENERGIES or models.share_std > MOST_SHARE_STD:
        return Evidence("", inside, low, high, None, solid.gradual)
    supported: Supported = ""
    if inside > SIGNIFICANT:
        supported = "solid solution"
    elif inside < -SIGNIFICANT and significance(solid, domains, rows) < SIGNIFICANT:
        supported = "domains"
    pair, layers = models.layers(solid.gradual)
    error = shared_std * float(np.sqrt(np.median(spectra.photons) / scatter))
    better = 0 if layers is None else _better(solid, layers, rows, error)
    if better < 0 and layers is not None and significance(layers, domains, rows) > SIGNIFICANT:
        supported = "layers"
    may_be = supported == "layers" or (supported == "solid solution" and better == 0)
    return Evidence(supported, inside, low, high, pair if may_be else None, solid.gradual)


def scatter_of(found: Products, spectra: CountedSpectra) -> float:
    """Return the variance of the photons over their mean, as spectra scatter about mixtures.

    ``found`` are the `fitted_products` of the spectra. It is at least the gain of their noise.
    """
    noise = spectra.noise
    left = pair_posterior(found, noise.gain).misfit
    degrees = n_measured(spectra.photons) - 2 - noise.baseline.n_free
    return max(dispersion_of(left, degrees, otherwise=noise.gain), noise.gain)


def significance(
    one: Score,
    other: Score,
    mask: NDArray[np.bool_],
    counted: NDArray[np.bool_] | None = None,
) -> float:
    """Return the difference of two scores over its standard error.

    Parameters
    ----------
    one, other : Score
    mask : ndarray of bool, shape (ny, nx)
        Where the spectra are from. Scores of pixels in one block are not independent.
    counted : ndarray of bool, shape (n_spectra,), optional
        Spectra that count; by default all.
    """
    difference = one.of_spectra - other.of_spectra
    rows, columns = np.nonzero(mask)
    if counted is not None:
        difference, rows, columns = difference[counted], rows[counted], columns[counted]
    if len(difference) < FEWEST_SPECTRA:
        return 0.0
    number = rows // _BLOCK_PX * mask.shape[1] + columns // _BLOCK_PX
    block = np.unique(number, return_inverse=True)[1]
    excess = np.bincount(block, difference - difference.mean())
    return float(difference.sum() / max(np.sqrt((excess**2).sum()), 1e-9))


def _better(solid: Score, layers: Score, mask: NDArray[np.bool_], error: float) -> int:
    """Return 1 if a solid solution is better than layers, -1 if layers are, 0 if neither.

    ``error`` is that of all pixels together, in units of the noise of one.
    """
    sigmas = significance(solid, layers, mask)
    mean = abs(float((solid.of_spectra - layers.of_spectra).mean()))
    if abs(sigmas) < SIGNIFICANT or np.sqrt(2 * mean) < _BEYOND_ERRORS * error:
        return 0
    return 1 if sigmas > 0 else -1


def _masked(mask: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask with some of its pixels only."""
    found = np.zeros_like(mask)
    found[mask] = chosen
    return found


def _middle_rows(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the middle rows of a mask, as many as hold the most spectra that are looked at."""
    before = np.cumsum(mask.sum(axis=1))
    total = int(before[-1]) if len(before) else 0
    first = (total - _MOST_SPECTRA) / 2
    inside = (before > first) & (before <= total - max(first, 0))
    return mask & inside[:, None]
