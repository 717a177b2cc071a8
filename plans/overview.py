"""The plan of an overview: where the particles are, in a minute and at a small dose."""

from collections.abc import Sequence
from typing import Any

import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from stxm_live.plans.stack import stxm_stack


def stxm_overview(
    detector: Readable,
    energy: Movable,
    *,
    energies_ev: Sequence[float],
    x_extent_um: tuple[float, float],
    y_extent_um: tuple[float, float],
    nx: int = 50,
    ny: int = 50,
    dwell_ms: float = 0.5,
    shutter: Movable | None = None,
    monitors: Sequence[Readable] = (),
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Record a large field coarsely at one energy or two; returns the run's uid.

    The live mapper shows its optical density as it does for a stack; one energy above the edge
    shows all that absorbs, one below and one above show the element. The energy goes back at the
    end to where it was.

    Parameters
    ----------
    detector, energy, x_extent_um, y_extent_um, shutter, monitors
        As for `stxm_stack`.
    energies_ev : sequence of float
        One or two.

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
        energies_ev=energies_ev,
        x_extent_um=x_extent_um,
        y_extent_um=y_extent_um,
        nx=nx,
        ny=ny,
        dwell_ms=dwell_ms,
        shutter=shutter,
        monitors=monitors,
        md={"plan_name": "stxm_overview", **(md or {})},
    )
    return (yield from bpp.reset_positions_wrapper(scan, [energy]))
