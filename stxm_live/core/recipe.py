"""The recipe: the settings of a user for a material, in one TOML file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, ValidationError, field_validator

from stxm_live.core.notebook_tables import flat, table_html
from stxm_live.core.recipe_files import read_mask, read_two_columns
from stxm_live.core.recipe_names import unknown_setting
from stxm_live.core.recipe_options import (
    AdaptiveOptions,
    AlignmentOptions,
    DetectorOptions,
    FieldOptions,
    I0Options,
    Options,
    PhaseOptions,
    RegionOptions,
    ResolverOptions,
    SpecimenOptions,
    beside_the_recipe,
)
from stxm_live.core.references import ReferenceSpectra
from stxm_live.core.series import needed_series
from stxm_live.core.shift_files import read_shifts
from stxm_live.core.text_files import read_bytes, read_toml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_IMPLIED = {
    "i0.region": ("i0.source", "region"),
    "i0.spectrum": ("i0.source", "spectrum"),
    "alignment.reference_ev": ("alignment.reference", "constant"),
}
"""Choice that is made when one of these values is set."""

_COLOR = re.compile(r"#[0-9a-f]{3}(?:[0-9a-f]{3})?|(?:tab:)?[a-z]+", re.IGNORECASE)


class Recipe(Options):
    """All settings that decide a map, apart from the images.

    Without ``references`` there are no maps; a first scan is explored instead. ``energies_ev``
    selects energies of a scan (empty: all of them), ``exclude_energies_ev`` leaves some out.
    ``ambiguity_threshold`` is the paper's 0.005 on Q1 - Q2; ``min_correlation`` (0: off, as in the
    paper) marks pixels as unidentified whose best coefficient is below it. The true photon energy
    is the nominal one plus ``energy_offset_ev``, and the beam is wider than that of the references
    by a Gaussian of standard deviation ``energy_width_ev``, as far as the user knows. With
    ``energy_fit`` both are also estimated from the scan, and an offset above ``energy_warning_ev``
    is in the verdict. ``model`` is a bundle directory; without one that fits, maps are made
    without the encoder. ``colors`` names a color per phase, ``#rrggbb`` or a word.

    Examples
    --------
    >>> recipe = Recipe.load("nvpf")
    >>> recipe.reference_spectra.phase_names
    ('Na3VPF', 'Na2.4VPF', 'Na2VPF', 'Na1VPF', 'Na1-yVPF')
    """

    name: str = Field(min_length=1)
    references: Path | None = None
    energies_ev: tuple[PositiveFloat, ...] | None = None
    exclude_energies_ev: tuple[PositiveFloat, ...] = ()
    energy_tolerance_ev: PositiveFloat = 0.05
    energy_offset_ev: float = 0.0
    energy_width_ev: Annotated[float, Field(ge=0)] = 0.0
    energy_fit: bool = True
    energy_warning_ev: PositiveFloat = 0.05
    ambiguity_threshold: Annotated[float, Field(ge=0, le=2)] = 0.005
    min_correlation: Annotated[float, Field(ge=0, le=1)] = 0.0
    model: Path | None = None
    colors: dict[str, str] = Field(default_factory=dict)
    i0: I0Options = I0Options()
    alignment: AlignmentOptions = AlignmentOptions()
    specimen: SpecimenOptions = SpecimenOptions()
    phases: PhaseOptions = PhaseOptions()
    resolver: ResolverOptions = ResolverOptions()
    detector: DetectorOptions = DetectorOptions()
    fields: FieldOptions = FieldOptions()
    adaptive: AdaptiveOptions = AdaptiveOptions()
    regions: RegionOptions = RegionOptions()

    _relative = field_validator("references", "model")(beside_the_recipe)

    @field_validator("energies_ev")
    @classmethod
    def _energies_are_sorted(cls, energies: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if energies is not None and len(set(energies)) != len(energies):
            raise ValueError("an energy is listed twice")
        return tuple(sorted(energies)) if energies else None

    @field_validator("colors")
    @classmethod
    def _colors_are_colors(cls, colors: dict[str, str]) -> dict[str, str]:
        for phase, color in colors.items():
            if not _COLOR.fullmatch(color):
                raise ValueError(
                    f'color {color!r} of phase {phase!r}: expected "#rrggbb" or a name as "teal"'
                )
        return colors

    @classmethod
    def load(cls, path_or_name: str | Path) -> Recipe:
        """Read a recipe from a TOML file, or one that ships with the package by its name.

        Raises
        ------
        FileNotFoundError
            If there is neither; the message lists the shipped names.
        ValueError
            If the file is not a valid recipe; one line per wrong value.
        """
        path = recipe_path(path_or_name)
        return cls.from_values(read_toml(path), folder=path.parent)

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, folder: str | Path = ".") -> Recipe:
        """Build a recipe from the tables of a TOML file; paths are relative to ``folder``."""
        try:
            return cls.model_validate(values, context={"folder": Path(folder)})
        except ValidationError as error:
            wrong = [_in_words(details) for details in error.errors()]
            title = f"recipe {values.get('name', 'recipe')!r}"
            title += f" in {folder}" if Path(folder) != Path() else ""
            if len(wrong) == 1:
                raise ValueError(f"{title}: {wrong[0]}") from None
            raise ValueError("\n  ".join([f"{title}:", *wrong])) from None

    def with_changes(self, changes: Mapping[str, Any]) -> Recipe:
        """Return a copy with dotted names set, such as ``{"resolver.method": "mahalanobis"}``.

        A value that only has an effect with a certain choice also makes that choice, unless
        ``changes`` makes it: ``i0.region`` sets ``i0.source`` to "region".
        """
        values = self.model_dump()
        implied = dict(_IMPLIED[name] for name in changes if name in _IMPLIED)
        for dotted, value in {**implied, **changes}.items():
            *tables, last = dotted.split(".")
            target = values
            for table in tables:
                if not isinstance(target.get(table), dict):
                    raise ValueError(f"{dotted}: {unknown_setting(dotted, Recipe)}")
                target = target[table]
            target[last] = value
        return Recipe.from_values(values)

    def __repr__(self) -> str:
        n = "all" if self.energies_ev is None else len(self.energies_ev)
        references = "no references" if self.references is None else self.references.name
        return f"<Recipe {self.name}: {references}, {n} energies, {self.resolver.method}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return the values that are not the default as a table for a notebook."""
        values = flat(self.model_dump(mode="json", exclude_defaults=True))
        return table_html(f"Recipe {self.name}", values)

    @cached_property
    def reference_spectra(self) -> ReferenceSpectra:
        """Return the reference spectra as in the file, read once.

        Raises
        ------
        ValueError
            If the recipe has none.
        """
        if self.references is None:
            raise ValueError(
                f'recipe "{self.name}" has no references, so no maps can be made with it; enter '
                "them in the recipe, or find some with stxm-live explore STACK"
            )
        return ReferenceSpectra.from_csv(self.references)

    @cached_property
    def corrected_references(self) -> ReferenceSpectra:
        """Return the references with the recipe's energy offset and width applied."""
        return self.reference_spectra.corrected(self.energy_offset_ev, self.energy_width_ev)

    @cached_property
    def i0_spectrum(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return energies in eV and I0 from the spectrum file, if the recipe names one."""
        return read_two_columns(self.i0.spectrum) if self.i0.spectrum is not None else None

    @cached_property
    def specimen_mask(self) -> NDArray[np.bool_] | None:
        """Return the mask file as an array of shape (ny, nx), if the recipe names one."""
        return read_mask(self.specimen.mask) if self.specimen.mask is not None else None

    @cached_property
    def shift_table(self) -> NDArray[np.float64] | None:
        """Return energy in eV and shift in y and x in px, (n, 3), if the recipe names a file."""
        return read_shifts(self.alignment.shifts) if self.alignment.shifts is not None else None

    def selected(self, energies_ev: Iterable[float]) -> list[float]:
        """Return the energies of a scan that are used in the maps, ascending.

        For each energy of the recipe it is the nearest of the scan, if that is closer than half
        the smallest distance between two of the recipe's, 0.5 eV at most.

        Examples
        --------
        >>> recipe = Recipe(name="two", references="r.csv", energies_ev=(515.0, 517.0))
        >>> recipe.selected([514.8, 515.1, 516.0, 517.4, 530.0])
        [515.1, 517.4]
        """
        offered = np.array([e for e in sorted(set(energies_ev)) if not self._excludes(e)])
        if self.energies_ev is None or offered.size == 0:
            return [float(e) for e in offered]
        nearest = [(e, float(offered[np.abs(offered - e).argmin()])) for e in self.energies_ev]
        reach = self._reach_ev
        return sorted({found for wanted, found in nearest if abs(found - wanted) <= reach})

    def _excludes(self, energy_ev: float) -> bool:
        near = (abs(energy_ev - e) for e in self.exclude_energies_ev)
        return any(distance <= self.energy_tolerance_ev for distance in near)

    @property
    def _reach_ev(self) -> float:
        gaps = np.diff(self.energies_ev or ())
        return float(min(0.5, gaps.min() / 2)) if gaps.size else 0.5

    def not_in(self, energies_ev: Iterable[float]) -> list[float]:
        """Return the energies of the recipe for which a scan has none."""
        chosen = self.selected(energies_ev)
        wanted = [e for e in self.energies_ev or () if not self._excludes(e)]
        return [e for e in wanted if not any(abs(e - c) <= self._reach_ev for c in chosen)]

    def read_files(self) -> None:
        """Read all files that the recipe names, so that none is missing later."""
        for content in ("i0_spectrum", "specimen_mask", "shift_table", "fingerprint"):
            getattr(self, content)
        if self.references is None:
            return
        self.phases.in_order(self.reference_spectra.phase_names)
        if self.resolver.model == "composition":
            needed_series(self.reference_spectra, self.phases)

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 of all values and files that decide the maps, except the model.

        It is calculated once, as the files are read once.
        """
        digest = hashlib.sha256()
        others = {"references", "model", "spectrum", "mask", "shifts", "adaptive", "regions"}
        if self.phases == PhaseOptions():  # recipes of before have no such table
            others.add("phases")
        digest.update(repr(_without(self.model_dump(mode="json"), others)).encode())
        if self.resolver.model != "phases":  # "model" is left out above, for bundles
            digest.update(self.resolver.model.encode())
        files = (self.references, self.i0.spectrum, self.specimen.mask, self.alignment.shifts)
        for path in files:
            if path is not None:
                digest.update(read_bytes(path))
        return digest.hexdigest()


def _in_words(details: ErrorDetails) -> str:
    """Return the name of a wrong value, and what is wrong with it."""
    name = ".".join(map(str, details["loc"]))
    if details["type"] == "extra_forbidden":
        return f"{name}: {unknown_setting(name, Recipe)}"
    if details["type"] == "model_type":
        return f"{name}: expected a table [{name}] with its settings"
    given = f"{details['input']!r:.60}"
    said = details["msg"].removeprefix("Value error, ").replace("Input should", f"{given} should")
    return f"{name or 'recipe'}: {said}"


def _without(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return the table and its sub-tables without some names, sorted."""
    return {
        key: _without(value, names) if isinstance(value, dict) else value
        for key, value in sorted(values.items())
        if key not in names
    }


def shipped_recipes() -> dict[str, Path]:
    """Return names and files of the recipes inside the package."""
    folder = Path(str(resources.files("stxm_live"))) / "recipes"
    return {path.parent.name: path for path in sorted(folder.glob("*/recipe.toml"))}


def recipe_path(path_or_name: str | Path) -> Path:
    """Return the TOML file of a recipe given by path, folder or shipped name."""
    shipped = shipped_recipes()
    path = Path(path_or_name)
    if str(path_or_name) in shipped and not path.is_file():
        return shipped[str(path_or_name)]
    if path.is_dir():
        path = path / "recipe.toml"
    if path.is_file():
        return path
    raise FileNotFoundError(
        f"no recipe {str(path_or_name)!r}: neither a file nor one of the shipped recipes "
        f"({', '.join(shipped)}); stxm-live recipe new FILE writes a commented one"
    )
