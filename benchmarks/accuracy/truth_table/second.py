"""A second material: four phases at eleven energies, made of lines and an edge."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stxm_live import ReferenceSpectra

ENERGIES_EV = (700, 704, 706, 707.2, 708, 709, 709.8, 711, 713, 720.5, 723)

RECIPE = """# A made-up material, for benchmarks only: SYNTHETIC references.
name = "second"
references = "references.csv"
energies_ev = {energies}
model = "bundle"

[i0]
source = "empty-region"
"""


def second_references() -> ReferenceSpectra:
    """Two lines that trade places from phase to phase, a satellite and an edge; OD per 50 nm."""
    energy = np.linspace(695, 735, 401)
    edge = 0.25 * (1 + np.tanh((energy - 712) / 3))
    oxidised = np.array([0.0, 0.35, 0.7, 1.0])
    low, high = (np.exp(-(((energy - at) / 1.1) ** 2)) for at in (707.6, 709.6))
    satellite = np.exp(-(((energy - 721.5) / 2.0) ** 2))
    od = [
        0.3 + edge + 1.0 * (1 - x) * low + 1.1 * x * high + (0.25 + 0.2 * x**2) * satellite
        for x in oxidised
    ]
    names = ("reduced", "third", "two thirds", "oxidised")
    return ReferenceSpectra(names, energy, np.array(od), synthetic=True)


def write_second(folder: Path) -> None:
    """Recipe and references of the second material; its bundle belongs beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    second_references().to_csv(folder / "references.csv")
    (folder / "recipe.toml").write_text(RECIPE.format(energies=list(ENERGIES_EV)))
