"""The plan of an overview: where the particles are, in a minute and at a small dose."""

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
    """Record a large region coarsely at one energy or two; returns the run's uid.

    The live mapper shows its optical density as it does for a stack; one energy above the edge
    shows all that absorbs, one below and one above show the element. The energy goes back at the
    end to where it was.

    Parameters
    ----------
    detector, energy, shutter, monitors
        As for `stxm_stack`.
    energies_ev : sequence of float
        One or two.
    region : Region
        The whole field; 50 x 50 pixels and 0.5 ms are enough.

    Raises
    ------
    ValueError
        Before anything moves, as `stxm_stack` does, or for more energies.
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
