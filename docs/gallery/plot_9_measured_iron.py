"""
A measured stack: iron
======================

This one is **measured**: a particle with oxidized and reduced iron at the Fe L2,3 edges, 123
energies of 125 x 125 pixels, from beamline 11.0.2 of the Advanced Light Source (B. Toner,
M. Marcus). The authors' two end members, I0 and mask came with it.
"""

import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt

from stxm_live import Recipe, ReferenceSpectra, map_phases
from stxm_live.core.recipe_files import read_mask, read_two_columns
from stxm_live.io.files import read_stack
from stxm_live.plotting.panels.maps import draw_wrong_probability
from stxm_live.plotting.panels.result import draw_final_map, mean_spectrum
from stxm_live.plotting.panels.spectra import draw_spectra
from stxm_live.plotting.style.palette import phase_colors

temporary = TemporaryDirectory()
folder = Path(temporary.name)
with tarfile.open("../../../shared/data/als_fe_l23_71214078_sdf.tgz") as archive:
    archive.extractall(folder, filter="data")

# %%
# The same as ``stxm-live map 71214078.hdr -r oxidized.t -r reduced.t``: I0 is taken from the empty
# part of the images, and the end members have no absorption before the edge, which is noticed.
spectra = {name: read_two_columns(folder / f"{name}.t") for name in ("oxidized", "reduced")}
ReferenceSpectra.from_spectra(spectra).to_csv(folder / "references.csv")
recipe = Recipe.from_values({"name": "iron", "references": "references.csv"}, folder=folder)
maps = map_phases(read_stack(folder / "71214078.hdr"), recipe)
print(maps.quality)

# %%
# The verdict is right to be careful: a part of the specimen agrees with neither end member, and
# many pixels hold both.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
draw_final_map(left, maps)
draw_wrong_probability(right, maps.wrong_probability, maps.extent_um)

# %%
# In the authors' mask a linear combination of the end members finds 73.6 % of the pixels oxidized.
inside = read_mask(folder / "mask_file.msk") & maps.valid
for name, index in {"correlation": maps.phase_index, "resolved": maps.resolved_index}.items():
    print(f"{name:12s} {(index[inside] == 0).sum() / (index[inside] >= 0).sum():.3f} oxidized")

# %%
# The mean spectrum of the specimen over the end members.
figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
draw_spectra(
    axes,
    maps.energies_ev,
    mean_spectrum(maps),
    maps.reference_od,
    maps.phase_names,
    phase_colors(maps.phase_names, maps.colors),
)
