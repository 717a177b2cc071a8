"""The plan of a stack that skips energies of little use."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from stxm_live.adaptive.energies import Advice, EnergyAdvisor, next_energy, still_left
from stxm_live.core.region import Region
from stxm_live.plans.beam import with_closed_shutter
from stxm_live.plans.recording import Recording

logger = logging.getLogger("stxm_live")

_POLL_S = 0.02


def stxm_stack_adaptive(
    detector: Readable,
    energy: Movable,
    energies_ev: Sequence[float],
    region: Region,
    *,
    advisor: EnergyAdvisor,
    any_order: bool = False,
    advice_timeout_s: float = 5.0,
    y_axis: Movable | None = None,
    mode: Literal["image", "line"] = "image",
    shutter: Movable | None = None,
    monitors: Sequence[Readable] = (),
    data_field: str | None = None,
    i0_field: str | None = None,
    i0_counts: Sequence[float] | None = None,
    polarization: str = "",
    group_uid: str | None = None,
    parent: str | None = None,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Record images at the useful ones of the energies, and return the run's uid.

    After each image the plan asks the advisor how certain the labels are and which remaining
    energies would improve them; the shutter is closed meanwhile. It skips the others. It ends when
    none is left, or when the target certainty of the recipe's [adaptive] table is reached. The
    minimum set of `EnergyAdvisor.minimum` is always measured. If no advice comes in time, or if
    there can be none, all remaining energies are measured, with a warning.

    Parameters
    ----------
    detector, energy, region
        As for `stxm_stack`; the same holds for ``y_axis`` to ``md``.
    energies_ev : sequence of float
        All energies that may be measured, in the order of the scan; the first is always measured.
    advisor : EnergyAdvisor
        Advisor of a mapper that is subscribed to the RunEngine.
    any_order : bool
        True if the monochromator may go back: then the minimum set comes first, and the most
        useful energies follow. Otherwise the order is kept, and energies are skipped for good.
    advice_timeout_s : float
        Longest wait for the advice on an image.

    Raises
    ------
    ValueError
        Before anything moves, as for `stxm_stack` with all energies, or if there is no minimum
        set.
    """
    recording = Recording.of(
        detector,
        energy,
        energies_ev,
        region,
        y_axis=y_axis,
        mode=mode,
        monitors=monitors,
        data_field=data_field,
        i0_field=i0_field,
        i0_counts=i0_counts,
        polarization=polarization,
        group_uid=group_uid,
        parent=parent,
        skipping="any-order" if any_order else "in-order",
    )
    yield from recording.check()
    advisor.minimum(recording.scan.energies_ev)
    choosing = _Choosing(recording, advisor, shutter, advice_timeout_s, any_order)
    return (
        yield from recording.run(
            choosing.images, plan_name="stxm_stack_adaptive", shutter=shutter, md=md
        )
    )


@dataclass(frozen=True, eq=False)
class _Choosing:
    """Record one energy after the other and ask for advice in between."""

    recording: Recording
    advisor: EnergyAdvisor
    shutter: Movable | None
    timeout_s: float
    any_order: bool

    def images(self, uid: str) -> MsgGenerator[None]:
        """Record the images of the run; advice on images of other runs is ignored."""
        announced = self.recording.scan.energies_ev
        required = self.advisor.minimum(announced)
        yield from self.recording.prepare()
        energy_ev: float | None = announced[0]
        left, wanted, asks = list(announced), announced, True
        while energy_ev is not None:
            yield from self.recording.image(energy_ev)
            left = still_left(left, energy_ev, any_order=self.any_order)
            if left and asks and self.advisor.takes_part(energy_ev, announced):
                advice = yield from self._advice(uid, energy_ev)
                asks = advice is not None and not advice.error
                wanted = advice.wanted_ev if advice is not None and asks else announced
            energy_ev = next_energy(left, wanted, required, any_order=self.any_order)

    def _advice(self, uid: str, energy_ev: float) -> MsgGenerator[Advice | None]:
        """Return the advice on the image just taken; None if it does not come in time."""
        yield from bps.checkpoint()  # a pause while waiting repeats no image
        advice = self._known(uid, energy_ev)
        if advice is None:
            waiting = self._waited(uid, energy_ev)
            advice = yield from with_closed_shutter(waiting, self.shutter)
        if advice is None:
            logger.warning(
                "run %s: no advice on the image at %g eV after %g s; all energies left are "
                "measured (is the mapper subscribed, and fast enough?)",
                uid[:8],
                energy_ev,
                self.timeout_s,
            )
        elif advice.error:
            logger.warning("run %s: %s; all energies left are measured", uid[:8], advice)
        else:
            logger.info("run %s at %g eV: %s", uid[:8], energy_ev, advice)
        return advice

    def _waited(self, uid: str, energy_ev: float) -> MsgGenerator[Advice | None]:
        for _ in range(math.ceil(self.timeout_s / _POLL_S)):
            yield from bps.sleep(_POLL_S)
            if (advice := self._known(uid, energy_ev)) is not None:
                return advice
        return None

    def _known(self, uid: str, energy_ev: float) -> Advice | None:
        advice = self.advisor.latest()
        if advice is None or advice.run_uid != uid:
            return None
        return advice if advice.error or advice.latest_ev == energy_ev else None
