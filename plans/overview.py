"""The plan of an overview, which shows the particles in a minute and at a small dose."""

from collections.abc import Sequence
from typing import Any

import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from stxm_live.core.region import Region
from stxm_live.plans.stack import stxm_stack


def stxm_overview(
    detector: Readable,
    energy: Movable,
    energies_ev: Sequence[float],
    region: Region,
    *,
    shutter: Movable | None = None,
    monitors: Sequence[Readable] = (),
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Record a large region coarsely at one or two energies, and return the run's uid.

    The live mapper shows its optical density as it does for a stack. One energy above the edge
    shows everything that absorbs; one below and one above show the element. At the end the energy
    goes back to its first value.

    Parameters
    ----------
    detector, energy, shutter, monitors
        As for `stxm_stack`.
    energies_ev : sequence of float
        One or two energies.
    region : Region
        The whole field; 50 x 50 pixels and 0.5 ms are enough.

    Raises
    ------
    ValueError
        Before anything moves, as in `stxm_stack`, or for more than two energies.
    """
    if len(energies_ev) not in (1, 2):
        raise ValueError(
            f"an overview has one energy or two, got {len(energies_ev)}; use stxm_stack for more"
        )
    scan = stxm_stack(
        detector,
        energy,
        energies_ev,
        region,
        shutter=shutter,
        monitors=monitors,
        md={"plan_name": "stxm_overview", **(md or {})},
    )
    return (yield from bpp.reset_positions_wrapper(scan, [energy]))
