"""The recipe: what a user sets for a material, in one TOML file."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from stxm_live.masks import read_mask
from stxm_live.references import ReferenceSpectra, read_spectrum
from stxm_live.shift_files import read_shifts

Method = Literal[
    "pearson", "mahalanobis", "euclidean", "knn", "centroid", "likelihood", "posterior"
]
"""How the resolved map is made; see `ResolverOptions`."""

_IMPLIED = {
    "i0.region": ("i0.source", "region"),
    "i0.spectrum": ("i0.source", "spectrum"),
    "alignment.reference_ev": ("alignment.reference", "constant"),
}
"""What a value, when it is changed, says of the choice that it belongs to."""

_COLOR = re.compile(r"#[0-9a-f]{3}(?:[0-9a-f]{3})?|(?:tab:)?[a-z]+", re.IGNORECASE)


def _beside_the_recipe(path: Path | None, info: ValidationInfo) -> Path | None:
    """A path in a recipe is relative to the recipe's own folder."""
    folder = (info.context or {}).get("folder", Path())
    return None if path is None else (Path(folder) / path).absolute()


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class I0Options(_Options):
    """Where the incident intensity comes from.

    ``empty-region`` finds the pixels beside the specimen; ``region`` is a box
    [x0, x1, y0, y1] in um; ``spectrum`` is a file of energy and I0, whose scale is free;
    ``monitor`` is what a monitor read with each image (the scan's ``i0_field``, such as the ring
    current), whose scale is free too.
    """

    source: Literal["empty-region", "region", "spectrum", "monitor"] = "empty-region"
    region: tuple[float, float, float, float] | None = None
    spectrum: Path | None = None

    _relative = field_validator("spectrum")(_beside_the_recipe)

    @model_validator(mode="after")
    def _source_is_given(self) -> I0Options:
        if self.source == "region" and self.region is None:
            raise ValueError('source = "region" needs region = [x0, x1, y0, y1] in um')
        if self.source == "spectrum" and self.spectrum is None:
            raise ValueError('source = "spectrum" needs spectrum = "file.csv"')
        return self


class AlignmentOptions(_Options):
    """Registration of the images.

    ``reference``: every image is laid on the one with the most contrast (``best-contrast``), on
    the one nearest to ``reference_ev`` (``constant``), or on the one before it (``preceding``).
    ``edges`` compares edge strength; without it the smoothed images themselves. ``region_um`` is
    a box [x0, x1, y0, y1] that alone is compared. ``shifts`` is a CSV file
    ``energy_ev,shift_y_px,shift_x_px`` of shifts to apply instead. A shift above
    ``max_shift_px`` is an error. ``refine`` registers every image once more against what the
    other energies predict for it, after the first maps; ``smooth_drift`` then takes a drift that
    goes on as before to be more likely.
    """

    enabled: bool = True
    reference: Literal["best-contrast", "constant", "preceding"] = "best-contrast"
    reference_ev: PositiveFloat | None = None
    edges: bool = True
    region_um: tuple[float, float, float, float] | None = None
    shifts: Path | None = None
    max_shift_px: PositiveFloat | None = None
    refine: bool = True
    smooth_drift: bool = False

    _relative = field_validator("shifts")(_beside_the_recipe)

    @model_validator(mode="after")
    def _reference_is_given(self) -> AlignmentOptions:
        if self.reference == "constant" and self.reference_ev is None:
            raise ValueError('reference = "constant" needs reference_ev = 517.5 or another energy')
        return self


class SpecimenOptions(_Options):
    """Which pixels are specimen: a mask file (.msk, .npy or .png), or found from the OD."""

    mask: Path | None = None

    _relative = field_validator("mask")(_beside_the_recipe)


class ResolverOptions(_Options):
    """How every pixel gets its final phase.

    ``pearson``: the largest coefficient, also where it is ambiguous. ``mahalanobis``: the paper;
    ambiguous pixels go to the nearest cluster in latent space, among the two phases in question
    (``candidates = "pair"``) or among all. ``euclidean``, ``centroid``, ``knn``: the same with
    the nearest projected reference, the nearest cluster mean, or the votes of the 15 nearest
    labelled points. Clusters and labelled points are those of the training set, or with
    ``statistics = "scan"`` of the scan's own unambiguous pixels. With ``audit = "resolve"``
    pixels that are clear by correlation and contradicted in latent space count as ambiguous
    too; with "list" they are only listed.

    ``likelihood``: counting statistics with free thickness, for pure phases and mixtures of two.
    ``posterior``: the same question answered by a network that was trained on simulated spectra
    and is part of the model. With ``spatial = "potts"`` neighbouring pixels are likely to be of
    one phase; with "none" each pixel is on its own, and the scan's phase frequencies are found
    and used. The probabilities beside the maps of all other methods are those of the likelihood.

    ``baseline`` lets each spectrum have a constant of its own in the likelihood: needed when I0
    does not come from the same image, or when references have their pre-edge subtracted.
    ``auto`` does so when I0 is a spectrum or a monitor.
    """

    method: Method = "likelihood"
    candidates: Literal["pair", "all"] = "pair"
    statistics: Literal["training", "scan"] = "training"
    spatial: Literal["none", "potts"] = "potts"
    audit: Literal["list", "resolve"] = "list"
    baseline: Literal["auto", "none", "constant"] = "auto"


class DetectorOptions(_Options):
    """The counter.

    ``photons_per_count``; ``saturation_counts``, from which on it is not to be trusted;
    ``dark_counts`` per pixel without beam, taken away; ``dead_time_ns`` after each count, in
    which it sees no other one (corrected with the scan's dwell).
    """

    photons_per_count: PositiveFloat = 1.0
    saturation_counts: PositiveFloat | None = None
    dark_counts: Annotated[float, Field(ge=0)] = 0.0
    dead_time_ns: PositiveFloat | None = None


class FieldOptions(_Options):
    """Data keys of a beamline whose start documents do not name them, or name other ones.

    ``image`` holds the counts, ``channel`` (0 is the first) tells which of several counters whose
    readings take turns in it; ``i0`` is a monitor; ``energy``, ``x`` and ``y`` are motors or data
    keys. What is given here counts more than what the start document says.
    """

    image: str | None = None
    channel: Annotated[int, Field(ge=0)] | None = None
    energy: str | None = None
    x: str | None = None
    y: str | None = None
    i0: str | None = None


class Recipe(_Options):
    """Everything that decides a map apart from the images.

    ``energies_ev`` selects energies of a scan (none: all of them), ``exclude_energies_ev``
    leaves some out. ``ambiguity_threshold`` is the paper's 0.005 on Q1 - Q2;
    ``min_correlation`` (0: off, as in the paper) marks pixels as unidentified whose best
    coefficient is below it. The true photon energy is the nominal one plus ``energy_offset_ev``,
    and the beam is wider than that of the references by a Gaussian of standard deviation
    ``energy_width_ev``, as far as the user knows. With ``energy_fit`` both are also looked for
    in the scan, and an offset above ``energy_warning_ev`` is in the verdict. ``model`` is a
    bundle directory; without one that fits, maps are made without the encoder. ``colors`` names
    a colour per phase, ``#rrggbb`` or a word.

    Examples
    --------
    >>> recipe = Recipe.load("nvpf")
    >>> recipe.reference_spectra.phase_names
    ('Na3VPF', 'Na2.4VPF', 'Na2VPF', 'Na1VPF', 'Na1-yVPF')
    """

    name: str = Field(min_length=1)
    references: Path
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
    resolver: ResolverOptions = ResolverOptions()
    detector: DetectorOptions = DetectorOptions()
    fields: FieldOptions = FieldOptions()

    _relative = field_validator("references", "model")(_beside_the_recipe)

    @field_validator("energies_ev")
    @classmethod
    def _energies_are_sorted(cls, energies: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if energies is not None and len(set(energies)) != len(energies):
            raise ValueError("an energy stands in the list twice")
        return tuple(sorted(energies)) if energies else None

    @field_validator("colors")
    @classmethod
    def _colors_are_colors(cls, colors: dict[str, str]) -> dict[str, str]:
        for phase, color in colors.items():
            if not _COLOR.fullmatch(color):
                raise ValueError(
                    f'colour {color!r} of phase {phase!r}: expected "#rrggbb" or a name as "teal"'
                )
        return colors

    @classmethod
    def load(cls, path_or_name: str | Path) -> Recipe:
        """Read a recipe from a TOML file, or one that ships with the package by its name.

        Raises
        ------
        FileNotFoundError
            If there is neither; the message lists the names that ship.
        ValueError
            If the file is no valid recipe; one line per wrong value.
        """
        path = recipe_path(path_or_name)
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path}: {error}") from None
        return cls.from_values(values, folder=path.parent)

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, folder: str | Path = ".") -> Recipe:
        """Build a recipe from the tables of a TOML file; paths are relative to ``folder``."""
        try:
            return cls.model_validate(values, context={"folder": Path(folder)})
        except ValidationError as error:
            lines = [
                f"  {'.'.join(map(str, e['loc'])) or 'recipe'}: "
                f"{str(e['msg']).removeprefix('Value error, ')}"
                for e in error.errors()
            ]
            title = values.get("name", "recipe")
            raise ValueError(f"recipe {title!r} in {folder}:\n" + "\n".join(lines)) from None

    def with_changes(self, changes: Mapping[str, Any]) -> Recipe:
        """A copy with dotted names set, such as ``{"resolver.method": "mahalanobis"}``.

        A value that only counts with a certain choice makes that choice, unless it is made here
        too: ``i0.region`` sets ``i0.source`` to "region".
        """
        values = self.model_dump()
        implied = dict(_IMPLIED[name] for name in changes if name in _IMPLIED)
        for dotted, value in {**implied, **changes}.items():
            *tables, last = dotted.split(".")
            target = values
            for table in tables:
                if not isinstance(target.get(table), dict):
                    raise ValueError(f"recipe has no table {table!r} (in {dotted!r})")
                target = target[table]
            target[last] = value
        return Recipe.from_values(values)

    @cached_property
    def reference_spectra(self) -> ReferenceSpectra:
        """The reference spectra as in the file, read once."""
        return ReferenceSpectra.from_csv(self.references)

    @cached_property
    def corrected_references(self) -> ReferenceSpectra:
        """The reference spectra with the recipe's energy offset and width, at nominal energies."""
        return self.reference_spectra.corrected(self.energy_offset_ev, self.energy_width_ev)

    @cached_property
    def i0_spectrum(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Energies in eV and I0 from the spectrum file, where the recipe names one."""
        return read_spectrum(self.i0.spectrum) if self.i0.spectrum is not None else None

    @cached_property
    def specimen_mask(self) -> NDArray[np.bool_] | None:
        """The mask file as an array of shape (ny, nx), where the recipe names one."""
        return read_mask(self.specimen.mask) if self.specimen.mask is not None else None

    @cached_property
    def shift_table(self) -> NDArray[np.float64] | None:
        """Energy in eV and shift in y and x in px, (n, 3), where the recipe names a file."""
        return read_shifts(self.alignment.shifts) if self.alignment.shifts is not None else None

    def selected(self, energies_ev: Iterable[float]) -> list[float]:
        """Which energies of a scan take part in the maps, ascending.

        For each energy of the recipe it is the nearest of the scan, if that lies within half the
        smallest distance between two of the recipe's, 0.5 eV at most.

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
        """Energies of the recipe for which a scan has none."""
        chosen = self.selected(energies_ev)
        wanted = [e for e in self.energies_ev or () if not self._excludes(e)]
        return [e for e in wanted if not any(abs(e - c) <= self._reach_ev for c in chosen)]

    def read_files(self) -> None:
        """Read what the recipe names, so that nothing is missing later; errors as for reading."""
        files = ("reference_spectra", "i0_spectrum", "specimen_mask", "shift_table")
        for content in (*files, "fingerprint"):
            getattr(self, content)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every value and every file the recipe names, model excepted.

        Taken once, like the contents of the files.
        """
        digest = hashlib.sha256()
        paths = {"references", "model", "spectrum", "mask", "shifts"}
        digest.update(repr(_without(self.model_dump(mode="json"), paths)).encode())
        files = (self.references, self.i0.spectrum, self.specimen.mask, self.alignment.shifts)
        for path in files:
            if path is not None:
                digest.update(path.read_bytes())
        return digest.hexdigest()


def _without(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The table and its sub-tables without some names, sorted."""
    return {
        key: _without(value, names) if isinstance(value, dict) else value
        for key, value in sorted(values.items())
        if key not in names
    }


def shipped_recipes() -> dict[str, Path]:
    """Names and files of the recipes inside the package."""
    folder = Path(str(resources.files("stxm_live"))) / "recipes"
    return {path.parent.name: path for path in sorted(folder.glob("*/recipe.toml"))}


def recipe_path(path_or_name: str | Path) -> Path:
    """The TOML file of a recipe given by path, by folder or by the name of a shipped one."""
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
