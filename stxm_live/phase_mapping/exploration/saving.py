"""A recipe from a first look: spectra that were named become its references."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stxm_live.core.recipe import Recipe
from stxm_live.core.recipe_saving import save_recipe
from stxm_live.io.results import write_nexus
from stxm_live.phase_mapping.exploration.dataset import exploration_dataset
from stxm_live.phase_mapping.exploration.naming import named_references
from stxm_live.phase_mapping.exploration.workflow import Exploration
from stxm_live.preprocessing.reference_extraction import write_references

EXPLORATION_FILE = "exploration.nxs"
"""NeXus file of `exploration_dataset`."""


def save_as_recipe(
    exploration: Exploration, names: Mapping[str, str], folder: str | Path
) -> Recipe:
    """Write named spectra as references into a new folder, with a recipe, and return the recipe.

    Parameters
    ----------
    exploration : Exploration
        Its settings are those of the recipe.
    names : mapping of str to str
        Name of the phase by the name of the spectrum, such as ``{"0": "Na1VPF"}``. Spectra
        without a name are left out.
    folder : path
        Folder for ``recipe.toml``, ``references.csv`` and their standard errors, and
        ``exploration.nxs`` with all maps and spectra; ``Recipe.load`` and ``--recipe`` take it.

    Raises
    ------
    ValueError
        If there is no such spectrum, a phase is named twice, fewer than two are named, or a name
        cannot stand in the first line of a CSV file.
    FileExistsError
        If the folder exists.
    OSError
        If the folder cannot be written.
    """
    given = {spectrum: " ".join(phase.split()) for spectrum, phase in names.items()}
    given = {spectrum: phase for spectrum, phase in given.items() if phase}
    if len(given) < 2:
        raise ValueError("references need two phases or more; give at least two spectra a name")
    made = named_references(exploration.measured_spectra, given)
    for phase in made.references.phase_names:
        _check_name(phase, made.references.phase_names)
    folder = Path(folder)
    folder.mkdir(parents=True)
    write_references(made, folder / "references.csv")
    write_nexus(exploration_dataset(exploration, given), folder / EXPLORATION_FILE)
    values = {"name": f"first look at {exploration.key}", "references": folder / "references.csv"}
    save_recipe(exploration.recipe.with_changes(values), folder)
    return Recipe.load(folder)


def _check_name(phase: str, others: tuple[str, ...]) -> None:
    """Raise an error if a column of a CSV file cannot have this name."""
    if ";" in phase or not phase.isprintable():
        raise ValueError(f"the name {phase!r} has a sign that a column of a CSV file cannot have")
    if phase.endswith("_std") and phase.removesuffix("_std") in others:
        raise ValueError(f"the name {phase!r} stands for the standard errors of another one")
