"""A round particle of two phases, left and right, for tests of files: stacks, spectra, truth."""

import numpy as np

from stxm_live.core.recipe import Recipe
from stxm_live.phase_mapping.workflow import map_phases

ENERGIES = np.array([706.0, 708.0, 709.2, 710.0, 711.0, 712.4, 714.0, 718.0])
NY, NX = 26, 34
X_UM = 2.0 + 0.04 * np.arange(NX)
Y_UM = -1.0 + 0.05 * np.arange(NY)
_ROWS, _COLUMNS = np.indices((NY, NX))
SPECIMEN = (_ROWS - 13) ** 2 / 64 + (_COLUMNS - 17) ** 2 / 121 < 1
LEFT = _COLUMNS < 17


def _peak(energy_ev, width_ev, height):
    return height * np.exp(-0.5 * ((ENERGIES - energy_ev) / width_ev) ** 2)


PHASES = {
    "left": 0.3 + _peak(709.2, 0.8, 0.8) + 0.1 * (ENERGIES > 709),
    "right": 0.3 + _peak(711.2, 0.9, 0.8) + 0.1 * (ENERGIES > 709),
}
I0 = 4000 * (1 + 0.03 * np.cos(ENERGIES))


def optical_density():
    """Without noise, shape (8, NY, NX)."""
    thickness = SPECIMEN * (0.7 + 0.1 * np.cos(_ROWS / 3))
    spectra = np.where(LEFT, PHASES["left"][:, None, None], PHASES["right"][:, None, None])
    return spectra * thickness


def counts(seed=4, photons=1.0):
    mean = photons * I0[:, None, None] * np.exp(-optical_density())
    return np.random.default_rng(seed).poisson(mean).astype(float)


def measured_od(seed=4):
    return np.log(I0[:, None, None] / counts(seed))


def measured_yield(seed=4):
    """Electrons on a background, in counts."""
    return np.random.default_rng(seed).poisson(300 + 3000 * optical_density()).astype(float)


def write_references(path):
    rows = [f"{e:g},{a:.5f},{b:.5f}" for e, a, b in zip(ENERGIES, *PHASES.values(), strict=True)]
    path.write_text("\n".join([f"energy_ev,{','.join(PHASES)}", *rows]) + "\n")
    return path


def recipe(tmp_path, **changes):
    path = write_references(tmp_path / "two_phases.csv")
    values = {"name": "two phases", "references": path, "energy_fit": False}
    found = Recipe.from_values(values | {"alignment": {"enabled": False}})
    return found.with_changes(changes)


def right_share(maps):
    """Share of the particle's pixels that are there with their true phase."""
    found = np.where(maps.resolved_index == 0, LEFT, ~LEFT & (maps.resolved_index == 1))
    return float(found[SPECIMEN].mean())


def right_after(stack, tmp_path, **changes):
    """Share of right pixels of a stack, and its maps."""
    maps = map_phases(stack, recipe(tmp_path, **changes))
    return right_share(maps), maps
