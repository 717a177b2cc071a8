"""`EnergyAdvisor`: evaluates the growing cube and says which energies a plan may skip."""

from __future__ import annotations

from collections.abc import Sequence

from stxm_live.adaptive.energies.advice import Advice, advise, minimum_set
from stxm_live.live.cube import ODCube
from stxm_live.live.mapper import LivePhaseMapper


class EnergyAdvisor:
    """Estimate how certain the labels of a scan are, and what further energies would add.

    It is a sink of the mapper. It works on a thread of its own after each image of a scan that
    announces that it may skip energies. It never moves anything: a plan asks it.

    Parameters
    ----------
    live : LivePhaseMapper
        Mapper subscribed to the RunEngine that runs the scan. The goal is in its recipe's
        [adaptive] table.

    Examples
    --------
    >>> advisor = EnergyAdvisor(live)                          # doctest: +SKIP
    >>> RE(stxm_stack_adaptive(..., advisor=advisor))          # doctest: +SKIP
    """

    def __init__(self, live: LivePhaseMapper) -> None:
        self._recipe = live.recipe
        self._latest: Advice | None = None
        self._minimum: tuple[tuple[float, ...], tuple[float, ...]] | None = None
        live.add_sink(self, own_thread=True)

    def latest(self) -> Advice | None:
        """Return the newest advice at once; None before the first."""
        return self._latest

    def minimum(self, energies_ev: Sequence[float]) -> tuple[float, ...]:
        """Return the announced energies that are always measured; errors as for `minimum_set`."""
        announced, known = tuple(energies_ev), self._minimum
        if known is None or known[0] != announced:
            known = self._minimum = (announced, minimum_set(announced, self._recipe))
        return known[1]

    def takes_part(self, energy_ev: float, energies_ev: Sequence[float]) -> bool:
        """Return True if an announced energy is used in the maps, so that advice follows it."""
        return energy_ev in self._recipe.selected(energies_ev)

    def on_cube(self, view: ODCube) -> None:
        """Start to evaluate a new image."""
        if view.scan.skipping == "no":
            return
        uid = view.key.run_uids[-1]
        try:
            self._latest = advise(view, self._recipe, self.minimum(view.scan.energies_ev))
        except ValueError as error:
            self._latest = Advice(uid, error=str(error))
