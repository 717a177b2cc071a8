"""The README's three lines with ophyd-async's simulated area detector, which writes HDF5 files."""

import tempfile
from pathlib import Path

import numpy as np
from bluesky import RunEngine
from bluesky.plans import list_scan
from ophyd_async.core import StaticPathProvider, UUIDFilenameProvider, init_devices
from ophyd_async.sim import PatternGenerator, SimBlobDetector, SimMotor

from stxm_live import LivePhaseMapper, Recipe, map_run

NY, NX = 240, 320  # of ophyd-async


class Particle(PatternGenerator):
    """Counts of a disc of one phase on an empty support, at the energy that the motor has."""

    def __init__(self, recipe: Recipe, energy: SimMotor) -> None:
        super().__init__()
        self._energy = energy
        y, x = np.mgrid[:NY, :NX]
        self.disc = np.hypot(y - NY / 2, x - NX / 2) < NY * 0.3
        self._recipe = recipe
        self._rng = np.random.default_rng(1)

    async def write_images_to_file(self) -> None:
        """Write one image of the particle."""
        file = self._get_file()
        energy_ev = await self._energy.user_readback.get_value()
        od = self._recipe.reference_spectra.at([energy_ev])[0, 0] * self.disc
        file.blob = np.clip(self._rng.poisson(150 * np.exp(-od)), 0, 255).astype(float)
        file.write_image_to_file(1.0)
        self._update_images_written(file.image_counter)


recipe = Recipe.load("nvpf")
folder = Path(tempfile.mkdtemp())
RE = RunEngine({})
with init_devices():
    energy = SimMotor()
    particle = Particle(recipe, energy)
    camera = SimBlobDetector(StaticPathProvider(UUIDFilenameProvider(), folder), particle)
documents = []
RE.subscribe(lambda name, doc: documents.append((name, doc)))

live = LivePhaseMapper(recipe, roots=[folder])
RE.subscribe(live)
(uid,) = RE(list_scan([camera], energy, live.recipe.energies_ev))

maps = live.wait(uid, timeout_s=60)
assert maps.status == "complete"
assert maps.energies_ev == recipe.energies_ev
found = maps.specimen
assert (found == particle.disc).mean() > 0.97, found.sum()
assert maps.identical(map_run(documents, recipe, roots=[folder]))
live.close()
print(f"ophyd-async: {maps.status}, {found.sum()} pixels of specimen; {maps.quality.verdict}")
