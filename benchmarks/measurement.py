"""What every map stands on, in one run: registration, I0 and specimen, the energy axis.

    python benchmarks/measurement.py [--quick] [--real FOLDER]

Runs `alignment.py`, `incident.py` and `energy_axis.py` of this folder one after the other; each
has options of its own. All data are synthetic but for the stack in FOLDER (71214078.hdr).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

PARTS = {
    "alignment.py": ["--seeds", "1"],
    "incident.py": ["--seeds", "1"],
    "energy_axis.py": ["--seeds", "1"],
}
"""Each part, and what makes it quick."""

OF_REAL_DATA = ("alignment.py", "energy_axis.py")


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
        subprocess.run([sys.executable, str(Path(__file__).with_name(part)), *options], check=True)


if __name__ == "__main__":
    main()
