"""Less certainty in probabilities of a scan unlike those they were set on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

USUAL_MIXED = 0.25
"""Share of mixed spectra up to which neighbours are as good witnesses as their number says; scans
of domains many pixels wide, without faults, have 0.16 to 0.23."""

_MIXED, _UNIDENTIFIED = 2.0, 2.0
"""Weight of a share of mixed spectra beyond that, or of spectra without a reference."""

LEAST = 0.15


def trust(mixed_share: float, unidentified_share: float) -> float:
    """Power to which the probabilities of a scan are raised so that they keep what they promise.

    Parameters
    ----------
    mixed_share : float
        Share of the spectra that hold two phases, as the scan shows it.
    unidentified_share : float
        Share of the spectra that agree with no reference.

    Returns
    -------
    float
        1 where there is nothing unusual, `LEAST` at the least.

    Notes
    -----
    Labels do not change. Mixtures beyond what the borders of domains make come of grains as fine
    as a pixel, of phases above one another, or of references that do not quite fit: neighbours
    then share an error and do not make it smaller. Where part of the specimen has no reference,
    some of what seems to agree with one has none either.

    Examples
    --------
    >>> trust(0.2, 0.0), round(trust(0.5, 0.0), 2), round(trust(0.2, 0.3), 2)
    (1.0, 0.61, 0.55)
    """
    unusual = _MIXED * max(0.0, mixed_share - USUAL_MIXED) + _UNIDENTIFIED * unidentified_share
    return float(max(np.exp(-unusual), LEAST))


def tempered(probability: NDArray[np.float32], power: float) -> NDArray[np.float32]:
    """Return probabilities (n_phases, n_spectra) raised to a power, each spectrum's sum 1."""
    if power == 1:
        return probability
    raised = np.maximum(probability, np.float32(1e-12)) ** np.float32(power)
    return np.asarray(raised / raised.sum(axis=0))
