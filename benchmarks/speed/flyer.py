"""Points of a flyer in an HDF5 file: processor time to read them as their documents come.

    python -m benchmarks.speed.flyer [--side 128] [--hertz 2000] [--documents-hertz 10]

A run of 13 images with a row for every point and no events, as a PandA writes it. A document comes
for every tenth of a second of points. The time is that of this process, which places them; the
process that reads the file is listed beside it. Synthetic counts.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import h5py

from benchmarks.common.documents import Document, simulated_counts
from benchmarks.common.figures import Figure, Target, benchmark_parser, report
from stxm_live import Recipe, StackScan
from stxm_live.io.documents import Roots, RunFrames, file_reader


def main() -> None:
    """Print the share of a core."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=128, help="pixels along each side")
    parser.add_argument("--hertz", type=float, default=2000.0, help="points per second")
    parser.add_argument("--documents-hertz", type=float, default=10.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = flyer_figures(
            Path(folder), arguments.side, arguments.hertz, arguments.documents_hertz
        )
    report("flyer", figures, arguments.figures)


def flyer_figures(folder: Path, side: int, hertz: float, documents_hertz: float) -> list[Figure]:
    """Read a run and return the shares of a core that its points take, in percent."""
    recipe = Recipe.load("nvpf")
    counts = simulated_counts(recipe, side)
    with h5py.File(folder / "points.h5", "w") as file:
        file["/counts"] = counts.reshape(-1)
    scan = StackScan(
        shape=counts.shape,
        energies_ev=recipe.energies_ev or (),
        x_extent_um=(0, 3),
        y_extent_um=(0, 3),
        data_field="counts",
    )
    docs = _documents(folder / "points.h5", scan, round(hertz / documents_hertz))
    reader = RunFrames(docs[0][1], roots=Roots([folder]))
    for name, doc in docs[1:4]:
        reader(name, doc)  # the process that reads files starts with the first one
    begin = time.process_time()
    n_whole = sum(len(reader(name, doc)) for name, doc in docs[4:])
    spent_s = time.process_time() - begin
    assert n_whole == len(counts)
    reader.close_files()
    file_reader._process.end()
    in_reader = resource.getrusage(resource.RUSAGE_CHILDREN)
    per_cent = 100 * hertz / counts.size
    return [
        Figure(
            f"points at {hertz:g} Hz",
            per_cent * spent_s,
            "% of a core",
            target=Target(2.0),
            note=f"{counts.size} points in {len(docs) - 4} documents",
        ),
        Figure(
            "the process that reads the file, with its start",
            in_reader.ru_utime + in_reader.ru_stime,
            "s",
        ),
    ]


def _documents(path: Path, scan: StackScan, n_rows: int) -> list[Document]:
    from event_model import compose_run

    run = compose_run(metadata=scan.metadata())
    key = {"source": "panda", "dtype": "number", "shape": [1], "external": "STREAM:"}
    stream = run.compose_descriptor(name="primary", data_keys={"counts": key})
    uid = stream.descriptor_doc["uid"]
    resource_doc = {
        "uid": "points",
        "run_start": run.start_doc["uid"],
        "data_key": "counts",
        "mimetype": "application/x-hdf5",
        "uri": f"file://localhost{path}",
        "parameters": {"dataset": "/counts", "chunk_shape": [1024]},
    }
    docs: list[Document] = [
        ("start", dict(run.start_doc)),
        ("descriptor", dict(stream.descriptor_doc)),
        ("stream_resource", resource_doc),
    ]
    n = scan.shape[0] * scan.shape[1] * scan.shape[2]
    for begin in range(0, n, n_rows):
        end = min(begin + n_rows, n)
        datum = {
            "uid": f"points/{begin}",
            "stream_resource": "points",
            "descriptor": uid,
            "indices": {"start": begin, "stop": end},
            "seq_nums": {"start": begin + 1, "stop": end + 1},
        }
        docs.append(("stream_datum", datum))
    return [*docs, ("stop", dict(run.compose_stop()))]


if __name__ == "__main__":
    main()
