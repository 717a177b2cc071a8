"""
Maps that look wrong, and what the verdict says
===============================================

The same **synthetic** particle, measured well once, and then with one fault after the other. Each
picture has the map on the left, and on the right where it may be wrong; the verdict stands above.
"""

import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np

from stxm_live import Recipe, Stack, map_phases
from stxm_live.core.references import ReferenceSpectra
from stxm_live.plotting.panels.maps import draw_wrong_probability
from stxm_live.plotting.panels.result import draw_final_map
from stxm_live.sim.phantom import STATES_OF_CHARGE, make_particle, od_cube

recipe = Recipe.load("nvpf")
energies_ev = np.array(recipe.energies_ev)
spectra = recipe.reference_spectra
weights = STATES_OF_CHARGE["Na2VPF"]
particle = make_particle((120, 120), phase_weights=weights, rng=np.random.default_rng(4))


def measured(photons=2000, offset_ev=0.0, i0_errors=0.0, spoil=None):
    """Measure the particle; ``spoil`` changes the counts afterwards."""
    rng = np.random.default_rng(1)
    od = od_cube(particle, spectra, energies_ev + offset_ev)
    errors = i0_errors * rng.standard_normal(len(energies_ev))
    od = od + errors[:, None, None] * particle.specimen
    counts = rng.poisson(photons * np.exp(-od)).astype(float)
    kept = np.ones(len(energies_ev), dtype=bool) if spoil is None else spoil(counts)
    return Stack.from_arrays(
        counts[kept], energies_ev[kept].tolist(), extent_um=(0.0, 3.6, 3.6, 0.0)
    )


def promised_and_kept(maps):
    """Compare the mean probability of the labels with the share that is right."""
    labelled = (maps.resolved_index >= 0) & particle.specimen
    names = np.array(maps.phase_names)[maps.resolved_index[labelled]]
    true = np.array(spectra.phase_names)[particle.phase_index[labelled]]
    return 1 - maps.wrong_probability[labelled].mean(), (names == true).mean()


def mapped(changes=None, **faults):
    """Measure the particle, map it, and draw both."""
    maps = map_phases(measured(**faults), recipe.with_changes(changes or {}))
    promised, kept = promised_and_kept(maps)
    print(f"{promised:.2f} of the labels are promised to be right, {kept:.2f} are")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    draw_final_map(left, maps)
    draw_wrong_probability(right, maps.wrong_probability, maps.extent_um)
    figure.suptitle("\n".join(textwrap.wrap(str(maps.quality), 110)), fontsize=10)


# %%
# Nothing is wrong
# ----------------
mapped()

# %%
# Too few photons
# ---------------
# The map is grainy and pale. Areas of one color can be trusted, single pixels cannot. Dwell longer,
# or scan with larger pixels.
mapped(photons=60)

# %%
# The energy axis is off
# ----------------------
# The monochromator was 0.2 eV beside its value. Whole phases change their name, and the map is as
# smooth as the right one. Calibrate the axis, or map again with the change that the verdict gives.
mapped(offset_ev=0.2)

# %%
# Labels of a wrong axis are known to be wrong, however far it is off.
for offset_ev in (-0.3, -0.1, 0.1, 0.4, 0.6):
    promised, kept = promised_and_kept(map_phases(measured(offset_ev=offset_ev), recipe))
    print(f"{offset_ev:+.1f} eV: {promised:.2f} promised, {kept:.2f} kept")

# %%
# A phase has no reference
# ------------------------
# The recipe leaves out the most frequent phase. Its pixels look like mixtures of the others, as
# layers do. Where they look like nothing, the verdict says how much agrees with no reference, and
# ``stxm-live explore --recipe`` shows its mean spectrum and can save it as a reference.
kept = [k for k, name in enumerate(spectra.phase_names) if name != "Na2VPF"]
names = tuple(spectra.phase_names[k] for k in kept)
fewer = ReferenceSpectra(names, spectra.energies_ev, spectra.od[kept], synthetic=True)
with TemporaryDirectory() as folder:
    fewer.to_csv(Path(folder) / "four.csv")
    mapped(changes={"references": Path(folder) / "four.csv", "model": None, "colors": {}})

# %%
# I0 beneath the specimen is not that beside it
# ---------------------------------------------
# Each image is off by 4 % where the specimen is, as if the beam had changed between the lines
# beside it and those across it.
mapped(i0_errors=0.04)

# %%
# The box for I0 lies on the specimen
# -----------------------------------
# Every optical density is too low. Move the box, or leave it out: the empty part is found without.
mapped(changes={"i0.source": "region", "i0.region": (1.2, 2.4, 1.2, 2.4)})


# %%
# Two images are exchanged
# ------------------------
# The files of two energies were saved under each other's names.
def exchange(counts):
    """Exchange two images, and keep all."""
    counts[[6, 8]] = counts[[8, 6]]
    return np.ones(len(counts), dtype=bool)


mapped(spoil=exchange)


# %%
# An image repeats another one
# ----------------------------
# The detector gave the image before once more.
def repeat(counts):
    """Put an image in the place of the next one, and keep all."""
    counts[7] = counts[6]
    return np.ones(len(counts), dtype=bool)


mapped(spoil=repeat)

# %%
# Energies are missing
# --------------------
# The images between 516 and 519 eV were lost.
mapped(spoil=lambda counts: (energies_ev < 516) | (energies_ev > 519))

# %%
# One reference does not fit
# --------------------------
# The energy axis of the reference of Na1VPF is 0.3 eV off: where this phase is, lines seem to be
# weaker than in the references. Crystals in another orientation look alike.
shifted = spectra.od.copy()
shifted[3] = np.interp(spectra.energies_ev - 0.3, spectra.energies_ev, shifted[3])
off = ReferenceSpectra(spectra.phase_names, spectra.energies_ev, shifted, synthetic=True)
with TemporaryDirectory() as folder:
    off.to_csv(Path(folder) / "off.csv")
    mapped(changes={"references": Path(folder) / "off.csv", "model": None})


# %%
# The images drift and are not aligned
# ------------------------------------
# Every third image is a pixel further to the right. Phases are smeared along the drift, edges are
# of other phases, and the verdict finds lines that do not fit.
def drift(counts):
    """Move the images to the right, and keep all."""
    for k, image in enumerate(counts):
        image[:] = np.roll(image, k // 3, axis=1)
    return np.ones(len(counts), dtype=bool)


mapped(changes={"alignment.enabled": False}, spoil=drift)
