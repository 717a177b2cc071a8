"""The plan of a stack that measures some of the rows at each energy."""

from collections.abc import Sequence
from typing import Any

from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from stxm_live.adaptive.energies.rows import checked_share, interleaved_rows, row_shares
from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.region import Region
from stxm_live.plans.recording import Recording


def stxm_sparse_stack(
    detector: Readable,
    energy: Movable,
    energies_ev: Sequence[float],
    region: Region,
    *,
    y_axis: Movable,
    share: float = 0.5,
    references: ReferenceSpectra | None = None,
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
    """Record a share of the rows of all energies, and return the run's uid.

    With ``references`` the rows are those of the most telling energies, and other energies are
    left out. Without, the same share is recorded at each energy. Rows of one energy are evenly
    spread, and interleaved so that every row is measured at about as many energies. The start
    document lists them. A pause repeats the line that it interrupts. Maps use what each row has.

    Parameters
    ----------
    detector : Readable
        It returns the line at the y axis; see `stxm_stack` in line mode.
    energy, region
        As for `stxm_stack`; the same holds for ``shutter`` to ``md``.
    energies_ev : sequence of float
        Energies of the whole stack, in the order of the scan.
    y_axis : Movable
    share : float
        Share of the rows of all energies, above 0 and up to 1.
    references : ReferenceSpectra, optional
        Spectra of the expected phases.
    i0_counts : sequence of float, optional
        I0 at each of ``energies_ev``.

    Raises
    ------
    ValueError
        Before anything moves, as for `stxm_stack`, or if the share is not above 0 and up to 1.

    Examples
    --------
    >>> field = Region((-2, 2), (-2, 2), nx=100, ny=100, dwell_ms=2)
    >>> plan = stxm_sparse_stack(line, energy, recipe.energies_ev, field, y_axis=y, share=0.3,
    ...                          references=recipe.reference_spectra)  # doctest: +SKIP
    """
    if references is None:
        shares = dict.fromkeys(map(float, energies_ev), checked_share(share))
    else:
        shares = row_shares(references, energies_ev, share)
    kept = [k for k, energy_ev in enumerate(energies_ev) if float(energy_ev) in shares]
    energies = [float(energies_ev[k]) for k in kept]
    rows = interleaved_rows(region.ny, [shares[energy_ev] for energy_ev in energies])
    if i0_counts is not None and len(i0_counts) == len(energies_ev):
        i0_counts = [i0_counts[k] for k in kept]
    recording = Recording.of(
        detector,
        energy,
        energies,
        region,
        y_axis=y_axis,
        mode="line",
        monitors=monitors,
        data_field=data_field,
        i0_field=i0_field,
        i0_counts=i0_counts,
        polarization=polarization,
        group_uid=group_uid,
        parent=parent,
        rows=rows,
    )
    yield from recording.check()
    images = _some_rows(recording)
    return (
        yield from recording.run(
            lambda _: images, plan_name="stxm_sparse_stack", shutter=shutter, md=md
        )
    )


def _some_rows(recording: Recording) -> MsgGenerator[None]:
    yield from recording.prepare()
    for energy_ev, rows in zip(recording.scan.energies_ev, recording.scan.rows or (), strict=True):
        yield from recording.image(energy_ev, rows)
