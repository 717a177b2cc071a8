"""What every map stands on, in one run: registration, I0 and specimen, the energy axis.

    python -m benchmarks.accuracy.measurement [--quick] [--real FOLDER]

Runs `alignment`, `i0` and `energy_axis` of this folder one after the other; each
has options of its own. All data are synthetic but for the stack in FOLDER (71214078.hdr).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

PARTS = {
    "benchmarks.accuracy.alignment": ["--seeds", "1"],
    "benchmarks.accuracy.i0": ["--seeds", "1"],
    "benchmarks.accuracy.energy_axis": ["--seeds", "1"],
}
"""Each part, and what makes it quick."""

OF_REAL_DATA = ("benchmarks.accuracy.alignment", "benchmarks.accuracy.energy_axis")


def main() -> None:
    """Run the parts; the first that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one particle per case")
    parser.add_argument("--real", type=Path, help="folder with 71214078.hdr")
    arguments = parser.parse_args()
    for part, quick in PARTS.items():
        options = quick if arguments.quick else []
        if arguments.real and part in OF_REAL_DATA:
            options = [*options, "--real", str(arguments.real)]
        subprocess.run([sys.executable, "-m", part, *options], check=True)


if __name__ == "__main__":
    main()
