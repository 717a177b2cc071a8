"""Less certainty in probabilities of a scan unlike those they were set on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stxm_live.phase_mapping.mixed_references import TypicalPixel
from stxm_live.phase_mapping.spatial_prior import DIAGONAL

USUAL_MIXED = 0.25
"""Share of mixed spectra up to which neighbors are as good witnesses as their number says; scans
of domains many pixels wide, without faults, have 0.16 to 0.23."""

_ANYWHERE, _ALIKE, _BORDERS = 0.5, 4.0, 1.0
"""Weight of a share of mixed spectra beyond that: always, where mixtures look like phases, and
where neighbors have different labels."""

_USUAL_BORDERS, _FINE = 0.15, 1.0
"""Share of neighbors with different labels up to which domains are wide, and weight of more:
labels of fine domains come from neighbors that are often of another phase."""

_UNIDENTIFIED = 2.0
"""Weight of a share of spectra without a reference."""

_FADES_SIGMA = 2.0
"""Distance of a phase from mixtures of others at which it is a third as likely to be one."""

LEAST = 0.15


def trust(
    mixed_share: float, unidentified_share: float, *, alike: float = 0.0, borders: float = 0.0
) -> float:
    """Power to which the probabilities of a scan are raised so that they keep what they promise.

    Parameters
    ----------
    mixed_share : float
        Share of the spectra that hold two phases, as the scan shows it.
    unidentified_share : float
        Share of the spectra that agree with no reference.
    alike : float
        Share of the labels that mixtures of other phases look like (`share_alike`).
    borders : float
        Share of the neighbors that have different labels (`share_of_borders`).

    Returns
    -------
    float
        1 where there is nothing unusual, `LEAST` at the least.

    Notes
    -----
    Labels do not change. Mixtures beyond what the borders of domains make come of grains as fine
    as a pixel, of phases above one another, or of references that do not quite fit: neighbors
    then share an error and do not make it smaller. That matters where a mixture may pass for a
    phase, or where the commonest phase of a pixel is another one in the next. Where part of the
    specimen has no reference, some of what seems to agree with one has none either.

    Examples
    --------
    >>> trust(0.2, 0.0, alike=0.9), round(trust(0.2, 0.3), 2)
    (1.0, 0.55)
    >>> round(trust(0.5, 0.0), 2), round(trust(0.5, 0.0, alike=0.5, borders=0.3), 2)
    (0.88, 0.43)
    """
    weight = _ANYWHERE + _ALIKE * alike + _BORDERS * borders
    unusual = weight * max(0.0, mixed_share - USUAL_MIXED) + _UNIDENTIFIED * unidentified_share
    unusual += _FINE * max(0.0, borders - _USUAL_BORDERS)
    return float(max(np.exp(-unusual), LEAST))


def trust_in(
    index: NDArray[np.int8],
    mapped: NDArray[np.bool_],
    pixel: TypicalPixel | None,
    *,
    mixed_share: float,
    unidentified_share: float,
    shown: NDArray[np.int8] | None = None,
    heard: float = 1.0,
) -> float:
    """Return `trust` for labels of a map.

    Parameters
    ----------
    index : ndarray of shape (n_spectra,)
        Labels.
    mapped : ndarray of bool, shape (ny, nx)
        Where they are from, in row-major order.
    pixel : TypicalPixel or None
        Of the scan; None if it has none that absorbs.
    mixed_share, unidentified_share : float
    shown : ndarray of shape (n_phases,), optional
        Number of the label of each phase. Those that the energies do not distinguish have one, for
        what changes between them from pixel to pixel is noise, and no fine domains.
    heard : float
        Share of their usual strength that neighbors have: borders matter as much as neighbors do.
    """
    alike = 0.0
    borders = heard * share_of_borders(index if shown is None else shown[index], mapped)
    if mixed_share > USUAL_MIXED and pixel is not None:
        alike = share_alike(index, pixel)
    return trust(mixed_share, unidentified_share, alike=alike, borders=borders)


def share_alike(index: NDArray[np.int8], pixel: TypicalPixel) -> float:
    """Share of labels whose phase mixtures of others look like.

    Each phase counts by its distance from the nearest mixture of all others: 1 for one that is a
    mixture, a third at a distance of `_FADES_SIGMA`. Two digits, so that rounding changes no bit.
    """
    n_phases = len(pixel.references)
    phases = range(n_phases)
    away = [pixel.distance(k, [j for j in phases if j != k])[1] for k in phases]
    share = np.bincount(index, minlength=n_phases) / max(1, len(index))
    return round(float((share * np.exp(-np.array(away) / _FADES_SIGMA)).sum()), 2)


def share_of_borders(index: NDArray[np.int8], mapped: NDArray[np.bool_]) -> float:
    """Share of neighboring pixels that have different labels, diagonal ones by `DIAGONAL`."""
    n_rows, n_columns = mapped.shape
    label = np.full((n_rows + 2, n_columns + 2), -1, dtype=np.int8)
    label[1:-1, 1:-1][mapped] = index
    differ = pairs = 0.0
    for down, right, weight in ((0, 1, 1.0), (1, 0, 1.0), (1, 1, DIAGONAL), (1, -1, DIAGONAL)):
        one = label[1:-1, 1:-1]
        other = label[1 + down : n_rows + 1 + down, 1 + right : n_columns + 1 + right]
        both = (one >= 0) & (other >= 0)
        pairs += weight * np.count_nonzero(both)
        differ += weight * np.count_nonzero(both & (one != other))
    return differ / pairs if pairs else 0.0


def tempered(probability: NDArray[np.float32], power: float) -> NDArray[np.float32]:
    """Return probabilities (n_phases, n_spectra) raised to a power, each spectrum's sum 1."""
    if power == 1:
        return probability
    raised = np.maximum(probability, np.float32(1e-12)) ** np.float32(power)
    return np.asarray(raised / raised.sum(axis=0))
