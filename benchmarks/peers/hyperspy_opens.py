"""A result in HyperSpy: the file of `write_nexus`, and the keywords of `PhaseMaps.to_hyperspy`.

python -m benchmarks.peers.hyperspy_opens

HyperSpy is installed into an environment of its own (GPL: never imported by the package). The
stack is simulated. It exits with 1 if HyperSpy finds other numbers than ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.peers.alignment_peers import hyperspy_python
from stxm_live.core.recipe import Recipe
from stxm_live.core.stack import Stack
from stxm_live.io.results.nexus import write_nexus
from stxm_live.phase_mapping.workflow import map_phases
from stxm_live.sim.phantom import make_particle, od_cube

RECIPE = Recipe.load("nvpf")
SIDE = Path(__file__).with_name("hyperspy_opens_side.py")


def main() -> None:
    """Print what HyperSpy opens, and whether it is ours."""
    maps = map_phases(simulated_stack(), RECIPE)
    with tempfile.TemporaryDirectory() as folder:
        path, keywords = write_nexus(maps, Path(folder) / "maps.nxs"), maps.to_hyperspy()
        np.savez(Path(folder) / "keywords.npz", od=keywords.pop("data"), ev=maps.energies_ev)
        keywords["axes"][-1].pop("axis")
        (Path(folder) / "keywords.json").write_text(json.dumps(keywords))
        done = subprocess.run(
            [str(hyperspy_python()), str(SIDE), folder],
            check=True,
            capture_output=True,
            text=True,
            timeout=600,
        )
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{path.name}: {found['n_signals']} signals; keywords: {found['title']}")
    expected = np.nansum(maps.od, dtype=np.float64)
    right = np.allclose([found["sum_of_file"], found["sum_of_keywords"]], expected, rtol=1e-6)
    print("numbers as ours" if right else f"OTHER NUMBERS: {found}, ours {expected}")
    sys.exit(not right)


def simulated_stack() -> Stack:
    """A particle of all phases at 1000 photons."""
    rng = np.random.default_rng(1)
    references = RECIPE.reference_spectra
    energies_ev = RECIPE.energies_ev or tuple(references.energies_ev)
    particle = make_particle((60, 80), phase_weights=[1] * len(references.phase_names), rng=rng)
    counts = rng.poisson(1000 * np.exp(-od_cube(particle, references, energies_ev)))
    return Stack.from_arrays(counts, energies_ev)


if __name__ == "__main__":
    main()
