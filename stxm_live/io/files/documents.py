"""A stack from a file, written as a Bluesky run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stxm_live.core.scan import StackScan
from stxm_live.core.stack import Frame, Stack
from stxm_live.io.catalog import start_documents, store_documents
from stxm_live.io.files.reading import read_stack

if TYPE_CHECKING:
    from stxm_live.io.catalog import Broker


def stack_documents(
    stack: Stack, *, md: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the documents of a run that recorded this stack, one event per image.

    Sequence numbers are places in the announced list of energies, so that a missing image
    leaves a gap. Lines that are missing are NaN. The run of an unfinished stack ends with
    ``exit_status`` "abort" and the stack's notes as the reason.

    Parameters
    ----------
    stack : Stack
    md : mapping, optional
        Further entries of the start document.
    """
    from event_model import compose_run

    scan = stack.scan
    known = {k: v for k in ("sample", "measured") if (v := getattr(stack.origin, k))}
    metadata = {"plan_name": "import", **known, **(md or {}), **scan.metadata()}
    run = compose_run(metadata=metadata)
    yield "start", run.start_doc
    stream = run.compose_descriptor(name="primary", data_keys=data_keys(scan), validate=True)
    yield "descriptor", stream.descriptor_doc
    time = run.start_doc["time"]
    for number, frame in sorted(numbered(stack), key=lambda pair: pair[0]):
        data = event_data(scan, frame)
        yield (
            "event",
            stream.compose_event(data=data, timestamps=dict.fromkeys(data, time), seq_num=number),
        )
    yield (
        "stop",
        run.compose_stop(
            exit_status="success" if stack.finished else "abort", reason="; ".join(stack.notes)
        ),
    )


def import_stack(
    broker: Broker,
    path: str | Path | Sequence[Path],
    *,
    region: str | None = None,
    detector: str | None = None,
    quantity: str | None = None,
    md: Mapping[str, Any] | None = None,
) -> str:
    """Store a stack from a file in the catalogue and return the run's uid.

    The start document names the file, the SHA-256 of all files read, sample and time of the
    measurement if the file has them, and the detector if one was chosen. If anything fails,
    nothing of the run is kept. ``region`` and ``detector`` are needed where the file has several,
    ``quantity`` where nothing says it; see `read_stack`.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read (see `read_stack`) or the catalogue's disk is full.
    """
    return import_new(
        broker, path, region=region, detector=detector, quantity=quantity, md=md, again=True
    ).uid


class Imported(NamedTuple):
    """Run of a file, and False if it was there before."""

    uid: str
    is_new: bool


def import_new(
    broker: Broker,
    path: str | Path | Sequence[Path],
    *,
    region: str | None = None,
    detector: str | None = None,
    quantity: str | None = None,
    md: Mapping[str, Any] | None = None,
    again: bool = False,
) -> Imported:
    """Store a stack from a file, or from the files of its images, unless it is there already.

    The same content counts as the same stack, whatever its name, if the same region, detector and
    quantity were taken. With ``again`` it is stored in any case. Errors are those of
    `import_stack`.
    """
    stack = read_stack(path, region=region, detector=detector, quantity=quantity)
    names = [Path(p).name for p in ([path] if isinstance(path, str | Path) else path)]
    source = {"source_file": ", ".join(names), "source_sha256": stack.origin.sha256}
    if detector is not None:
        source["source_detector"] = detector
    if not again:
        for start in start_documents(broker, "source_sha256", source["source_sha256"]):
            same = start.get("source_detector") == detector
            if same and _own(start) == _own(stack.scan.metadata()):
                return Imported(str(start["uid"]), is_new=False)
    documents = stack_documents(stack, md={**source, **(md or {})})
    try:
        return Imported(store_documents(broker, documents), is_new=True)
    except OSError as error:
        raise OSError(
            f"{source['source_file']} was read, but the catalogue cannot store it and kept nothing "
            f"of it: {error}"
        ) from error


def _own(start: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return region and quantity of a start document."""
    block = start.get("stxm_live") or {}
    return block.get("region"), block.get("quantity")


def event_data(scan: StackScan, frame: Frame) -> dict[str, Any]:
    """Return the data of an image's event."""
    data = {scan.energy_motor: frame.energy_ev, scan.data_field: frame.intensity}
    if scan.i0_field is not None:
        data[scan.i0_field] = float("nan") if frame.monitor is None else frame.monitor
    return data


def data_keys(scan: StackScan) -> dict[str, Any]:
    """Return the data keys of the events: energy, image, and ring current if there is one."""
    number = {"source": "file", "dtype": "number", "dtype_numpy": "<f8", "shape": []}
    keys: dict[str, Any] = {
        scan.energy_motor: {**number, "units": "eV"},
        scan.data_field: {
            "source": "file",
            "dtype": "array",
            "dtype_numpy": "<f4",
            "shape": list(scan.image_shape),
            "units": scan.quantity or "counts",
        },
    }
    if scan.i0_field is not None:
        keys[scan.i0_field] = {**number, "units": "mA"}
    return keys


def numbered(stack: Stack) -> Iterator[tuple[int, Frame]]:
    """Yield frames with their place in the announced list, then unannounced ones."""
    places: dict[float | None, list[int]] = {}
    for number, energy_ev in enumerate(stack.scan.energies_ev, start=1):
        places.setdefault(energy_ev, []).append(number)
    beyond = len(stack.scan.energies_ev)
    for frame in (*stack.frames, *stack.checks):
        left = places.get(frame.announced_ev)
        if not left:
            beyond += 1
        yield left.pop(0) if left else beyond, frame
