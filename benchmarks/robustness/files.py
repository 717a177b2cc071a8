"""Damaged files, each read in a process that may die of it.

    python -m benchmarks.robustness.files [--files 20000] [--seed 0]

Small files of every reader, one of their bytes, blocks or numbers spoilt (synthetic). Right is a
stack, or an error that the commands show as one line; a traceback, the end of the process, and
more than ten seconds are faults.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from spoilt_files import gone_through

from benchmarks.common.figures import Figure, Target, benchmark_parser, report


def main() -> None:
    """Print how many files were read, refused, or did harm."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--files", type=int, default=20_000, help="so many spoilt files")
    parser.add_argument("--seed", type=int, default=0, help="of what is spoilt")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, faults, most_mib = gone_through(Path(folder), arguments.seed, arguments.files)
    for fault in faults:
        print(fault)
    note = f"{counts['read']} read, {counts['refused']} refused, {arguments.files} in all"
    figures = [
        Figure("faults of spoilt files", len(faults), target=Target(0), note=note),
        Figure("most memory while reading them", most_mib, "MiB", target=Target(1024 + 200)),
    ]
    report("damaged files", figures, arguments.figures)


if __name__ == "__main__":
    main()
