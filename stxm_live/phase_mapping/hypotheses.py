"""What a spectrum may be, one phase or two in proportions, and how probable that makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TINY = np.float32(1e-37)
"""The least that a likelihood counts for."""


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """How well a spectrum agrees with one phase and with two in proportions.

    Parameters
    ----------
    log_likelihood : ndarray of shape (n_phases, n_phases, n_spectra), float32
        Of a mixture of mostly the first and less of the second index, the smaller share
        integrated out; of the pure phases where both are the same. Up to a constant for each
        spectrum.
    """

    log_likelihood: NDArray[np.float32]

    @property
    def n_phases(self) -> int:
        """How many pure phases there are."""
        return len(self.log_likelihood)

    def weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Likelihoods relative to the best: pure (n_phases, n_spectra), mixed (as the field).

        Zero on the diagonal of the mixed ones. All alike where nothing is possible.
        """
        peak = self.log_likelihood.max(axis=(0, 1), initial=-np.inf)
        possible = np.isfinite(peak)
        mixed = self.log_likelihood - np.where(possible, peak, np.float32(0))
        np.exp(mixed, out=mixed)
        if not possible.all():
            mixed[:, :, ~possible] = 1
        diagonal = np.arange(self.n_phases)
        pure = mixed[diagonal, diagonal].copy()
        mixed[diagonal, diagonal] = 0
        return pure, mixed


class Assignment(NamedTuple):
    """Probability that each phase is the commonest of its pixel, and that the pixel is mixed.

    Shapes (n_phases, n_spectra) and (n_spectra,).
    """

    probability: NDArray[np.float32]
    mixed: NDArray[np.float32]


def assignment(pure: NDArray[np.float32], mixed: NDArray[np.float32]) -> Assignment:
    """From weights of pure and of mixed spectra, by commonest phase (n_phases, n_spectra)."""
    probability = pure + mixed
    total = np.maximum(probability.sum(axis=0), TINY)
    return Assignment(np.divide(probability, total, out=probability), mixed.sum(axis=0) / total)
