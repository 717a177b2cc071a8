"""Runs inside the environment of MANTiS: read a stack, make its optical density, save both.

python mantis_side.py STACK.hdf5|STACK.ncb OUT.npz [I0.csv] [REPEATS]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from mantis_xray.analysis import data_stack, data_struct
from mantis_xray.file_plugins import file_ncb, file_nexus_hdf5


def main() -> None:
    """Save energies, positions, dwell and counts, and with an I0 the OD and its median time."""
    path, out, *more = sys.argv[1:]
    stack = data_stack.data(data_struct.h5())
    stack.new_data()
    plugin = file_ncb if Path(path).suffix == ".ncb" else file_nexus_hdf5
    if not plugin.identify(path):
        raise SystemExit(f"{path}: MANTiS does not take it for {plugin.title}")
    plugin.read(path, stack, (0, 0, 0))
    found = {
        "energy": stack.ev,
        "x": stack.x_dist,
        "y": stack.y_dist,
        "dwell": stack.data_dwell,
        "counts": stack.absdata.transpose(2, 1, 0),
    }
    if more:
        energy, i0 = np.loadtxt(more[0], delimiter=",", unpack=True)
        repeats = int(more[1]) if len(more) > 1 else 1
        found["seconds"] = np.median([optical_density(stack, energy, i0) for _ in range(repeats)])
        found["od"] = stack.od3d.transpose(2, 1, 0)
    np.savez(out, **found)


def optical_density(stack: data_stack.data, energy: np.ndarray, i0: np.ndarray) -> float:
    """Seconds that the optical density takes; it is left in the stack."""
    stack.stack4D = None
    stack.ask_fix_callback = None
    stack.data_dwell = stack.i0_dwell = None
    stack.evi0, stack.i0data = energy.copy(), i0.copy()
    begin = time.perf_counter()
    stack.calculate_optical_density()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
