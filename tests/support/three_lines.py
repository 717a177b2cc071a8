"""Three made-up references of an edge and two lines, and energies that distinguish them."""

import numpy as np

from stxm_live.core.references import ReferenceSpectra

GRID = np.arange(690.0, 730.0, 0.1)
ENERGIES = [700.0, 703.6, 704.4, 705.2, 706.0, 706.9, 707.7, 708.6, 709.5, 711.0, 713.0, 716.0]
PHOTONS = 3000


def spectrum(first, second, weight):
    edge = 0.2 + 0.3 * np.arctan((GRID - first) / 0.4) / np.pi
    peaks = [a * np.exp(-(((GRID - c) / 0.8) ** 2)) for c, a in ((first, 0.9), (second, weight))]
    return edge + sum(peaks)


REFERENCES = ReferenceSpectra(
    ("A", "B", "C"),
    GRID,
    np.array([spectrum(704.6, 708.2, 0.4), spectrum(705.3, 707.6, 0.7), spectrum(706, 709.2, 0.5)]),
)
