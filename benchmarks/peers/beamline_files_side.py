"""Runs inside the environment of MANTiS: open files, and print what was found as JSON lines.

python beamline_files_side.py FILE...
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

import numpy as np
from mantis_xray import file_plugins
from mantis_xray.analysis import data_stack, data_struct


def main() -> None:
    """Print the shape of the stack in each file, or why there is none."""
    for path in sys.argv[1:]:
        with contextlib.redirect_stdout(io.StringIO()):
            answer = opened(path)
        print(json.dumps({"file": path} | answer))


def opened(path: str) -> dict[str, object]:
    """Energies, rows, columns and the mean counts, or the error."""
    try:
        plugin = file_plugins.identify(path)
        if plugin is None:
            return {"error": "no plug-in takes it"}
        stack = data_stack.data(data_struct.h5())
        stack.new_data()
        plugin.read(path, stack, (0, 0, 0))
        counts = np.asarray(stack.absdata)
        n_x, n_y, n_energies = counts.shape
        return {
            "shape": [n_energies, n_y, n_x],
            "energies": [float(e) for e in stack.ev],
            "means": [float(m) for m in counts.mean(axis=(0, 1))],
        }
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it raises is its answer
        return {"error": f"{type(error).__name__}: {error}"[:120]}


if __name__ == "__main__":
    main()
