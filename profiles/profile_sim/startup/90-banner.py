"""The greeting of the session: its names, its folder and a first command."""

# ruff: noqa: F821, T201  names from the files before this one; a profile may print
import gc

from stxm_live.io.catalog.folder import catalog_folder

print("Simulated STXM: RE, live, chooser, explore_here, stxm_stack, camera, energy, recipe")
print(f"Runs and their maps are stored in {catalog_folder(catalog)}; catalog[uid] is a run")
print(
    "RE(explore_here(n_zooms=0)) records an overview; Ctrl-C pauses a plan; quit() ends the session"
)
gc.collect()
gc.freeze()  # half a million objects of packages: to look through them holds a scan for .4 s
