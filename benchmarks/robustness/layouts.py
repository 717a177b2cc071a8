"""Sound files with something else in them than their programs write.

    python -m benchmarks.robustness.layouts [--structures 1000] [--headers 1500] [--seed 0]

NXstxm, Data Exchange and pystxmcontrol files with data sets missing, of another shape, kind or
unit; SDF headers with other words and numbers (synthetic). Right is a stack in which each image has
its own energy and orientation, or one line with the file's name; any other error is a fault.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from mutated_files import headers_gone_through, structures_gone_through

from benchmarks.common.figures import Figure, Target, benchmark_parser, report


def main() -> None:
    """Print how many files were read, refused, or did harm."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--structures", type=int, default=1000, help="so many HDF5 files")
    parser.add_argument("--headers", type=int, default=1500, help="so many SDF headers")
    parser.add_argument("--seed", type=int, default=0, help="of what is changed")
    arguments = parser.parse_args()
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for what, n, go_through in (
            ("structures", arguments.structures, structures_gone_through),
            ("headers", arguments.headers, headers_gone_through),
        ):
            counts, faults = go_through(Path(folder), arguments.seed, n)
            for fault in faults:
                print(fault)
            note = f"{counts['read']} read, {counts['refused']} refused, {n} in all"
            figures.append(Figure(f"faults of {what}", len(faults), target=Target(0), note=note))
    report("mutated files", figures, arguments.figures)


if __name__ == "__main__":
    main()
