"""A change of the specimen during its scan, as an energy measured twice shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["before", "after", "amount"]


@dataclass(frozen=True)
class SpecimenChange:
    """Comparison of a repeated image with the first one at the same energy.

    Errors of I0, energy and alignment between the two images are taken out.

    Parameters
    ----------
    energy_ev : float
        Energy of the two images.
    od_change, od_change_std : float
        Mean change of the specimen's OD and its standard uncertainty.
    phase_od_change, phase_od_change_std : tuple of float or None
        The same for the pixels of each phase; None for a phase that is not there.
    kind : {"before", "after", "amount"}
        The most significant change: phases became the one before or after them in the recipe's
        list, or the amount of material changed.
    share, share_std : float
        Share of the specimen that became another phase, or relative change of the amount.
    sigma : float
        Significance of the share in standard deviations.
    needed_sigma : float
        Significance that about 1 % of unchanged specimens reach.
    """

    energy_ev: float
    od_change: float
    od_change_std: float
    phase_od_change: tuple[float | None, ...]
    phase_od_change_std: tuple[float | None, ...]
    kind: Kind
    share: float
    share_std: float
    sigma: float
    needed_sigma: float

    @property
    def is_significant(self) -> bool:
        """Return True if noise and errors of I0, energy and alignment do not explain it."""
        return self.sigma >= self.needed_sigma

    @property
    def largest_phase(self) -> int:
        """Return the index of the phase whose OD changed most significantly."""
        pairs = zip(self.phase_od_change, self.phase_od_change_std, strict=True)
        sigmas = [abs(d) / s if d is not None and s else 0.0 for d, s in pairs]
        return sigmas.index(max(sigmas))

    def attributes(self) -> dict[str, float | str]:
        """Return the scalars for a data set's attributes."""
        return {
            "change_energy_ev": self.energy_ev,
            "change_od": self.od_change,
            "change_od_std": self.od_change_std,
            "change_kind": self.kind,
            "change_share": self.share,
            "change_share_std": self.share_std,
            "change_sigma": self.sigma,
        }
