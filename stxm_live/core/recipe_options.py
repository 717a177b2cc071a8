"""The tables of a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    ValidationInfo,
    field_validator,
    model_validator,
)

from stxm_live.core.region_criterion import is_worded, parse_criterion

Method = Literal["pearson", "mahalanobis", "euclidean", "knn", "centroid", "likelihood"]
"""Method of the resolved map; see `ResolverOptions`."""


def beside_the_recipe(path: Path | None, info: ValidationInfo) -> Path | None:
    """Return a path of a recipe relative to the recipe's own folder."""
    folder = (info.context or {}).get("folder", Path())
    return None if path is None else (Path(folder) / path).absolute()


class Options(BaseModel):
    """A table of a recipe: values that do not change, without unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class I0Options(Options):
    """Source of I0.

    ``empty-region`` finds the pixels beside the specimen; ``region`` is a box
    [x0, x1, y0, y1] in um; ``spectrum`` is a file of energy and I0 on any scale, or the header of
    a point scan (SDF ``.hdr``), of which the first region is taken; ``monitor`` is
    the monitor reading of each image (the scan's ``i0_field``, such as the ring current), also
    on any scale.
    """

    source: Literal["empty-region", "region", "spectrum", "monitor"] = "empty-region"
    region: tuple[float, float, float, float] | None = None
    spectrum: Path | None = None

    _relative = field_validator("spectrum")(beside_the_recipe)

    @field_validator("spectrum")
    @classmethod
    def _counts_of_a_point_scan(cls, path: Path | None) -> Path | None:
        """Return the text file with the counts, if a header is named."""
        is_header = path is not None and path.suffix.lower() == ".hdr"
        return path.with_name(f"{path.stem}_0.xsp") if path and is_header else path

    @model_validator(mode="after")
    def _source_is_given(self) -> I0Options:
        if self.source == "region" and self.region is None:
            raise ValueError('source = "region" needs region = [x0, x1, y0, y1] in um')
        if self.source == "spectrum" and self.spectrum is None:
            raise ValueError('source = "spectrum" needs spectrum = "file.csv"')
        return self


class AlignmentOptions(Options):
    """Registration of the images.

    ``reference``: every image is aligned to the one with the most contrast (``best-contrast``), to
    the one nearest to ``reference_ev`` (``constant``), or to the one before it (``preceding``).
    ``edges`` compares edge strength; without it the smoothed images themselves. Only the box
    ``region_um`` [x0, x1, y0, y1] is compared, if it is given. ``shifts`` is a CSV file
    ``energy_ev,shift_y_px,shift_x_px`` of shifts to apply instead. A shift above ``max_shift_px``
    is an error. ``refine`` registers every image once more against what the other energies predict
    for it, after the first maps; ``smooth_drift`` then assumes that a steady drift is more likely.
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

    _relative = field_validator("shifts")(beside_the_recipe)

    @model_validator(mode="after")
    def _reference_is_given(self) -> AlignmentOptions:
        if self.reference == "constant" and self.reference_ev is None:
            raise ValueError('reference = "constant" needs reference_ev = 517.5 or another energy')
        return self


class SpecimenOptions(Options):
    """Specimen pixels: from a mask file (.msk, .npy or .png), or found from the OD."""

    mask: Path | None = None

    _relative = field_validator("mask")(beside_the_recipe)


class PhaseOptions(Options):
    """Numbers of the phases, for amounts.

    ``value`` gives each phase a number, such as its sodium content, and ``quantity`` says what it
    is; the value of a pixel is the mean over its composition. ``reference_nm`` is the thickness
    that the references' optical density belongs to; without it thicknesses are in multiples of
    the references'.
    """

    value: dict[str, float] = Field(default_factory=dict)
    quantity: str = ""
    reference_nm: PositiveFloat | None = None

    def in_order(self, phase_names: Sequence[str]) -> NDArray[np.float64] | None:
        """Return the values in the order of the phases, shape (n_phases,); None without any.

        Raises
        ------
        ValueError
            If only some phases have a value, or if one names no phase.
        """
        if not self.value:
            return None
        missing = [name for name in phase_names if name not in self.value]
        unknown = [name for name in self.value if name not in phase_names]
        if missing or unknown:
            wrong = f"lacks {', '.join(missing)}" if missing else f"names {', '.join(unknown)}"
            raise ValueError(
                f"[phases] value {wrong}; it needs one number for each of {', '.join(phase_names)}"
            )
        return np.array([self.value[name] for name in phase_names])


class ResolverOptions(Options):
    """Method that gives every pixel its final phase.

    ``pearson``: the largest coefficient, also where it is ambiguous. ``mahalanobis``: the paper's
    method; ambiguous pixels are assigned to the nearest cluster in latent space, among the two best
    phases (``candidates = "pair"``) or among all. ``euclidean``, ``centroid``, ``knn``: the same
    with the nearest projected reference, the nearest cluster mean, or the votes of the 15 nearest
    labelled points. Clusters and labelled points are those of the training set, or with
    ``statistics = "scan"`` of the scan's own unambiguous pixels. With ``audit = "resolve"`` pixels
    that are clear by correlation and contradicted in latent space count as ambiguous too; with
    "list" they are only listed.

    ``likelihood``: counting statistics with free thickness, for pure phases and mixtures of two.
    With ``spatial = "potts"`` neighboring pixels are likely to have the same phase; with "none"
    each pixel is independent, and the scan's phase frequencies are found and used. The
    probabilities beside the maps of all other methods are those of the likelihood.

    With ``model = "composition"`` a pixel is a mixture of two neighbors in the series of the
    references (by ``[phases] value``, or in their own order if neighbors correlate most) that
    changes gradually from pixel to pixel, by the likelihood. Its value and composition are the
    result, and labels are those of the nearest reference, whatever the method. With "phases" a
    pixel is one phase, or two. A note of each map says which of these the scan supports.

    ``baseline`` is what each spectrum has besides its phase in the likelihood, such as carbon, a
    pre-edge that was subtracted from the references, or an I0 with a slope. ``auto``: a constant
    and a slope, as large as the scan shows them to be; the constant is free if I0 is a spectrum
    or a monitor. ``none``, ``constant``, and ``slope`` (constant and slope) set no limit on size.
    """

    method: Method = "likelihood"
    model: Literal["phases", "composition"] = "phases"
    candidates: Literal["pair", "all"] = "pair"
    statistics: Literal["training", "scan"] = "training"
    spatial: Literal["none", "potts"] = "potts"
    audit: Literal["list", "resolve"] = "list"
    baseline: Literal["auto", "none", "constant", "slope"] = "auto"


class DetectorOptions(Options):
    """Properties of the counter.

    ``photons_per_count``; ``saturation_counts``, from which on counts are not reliable;
    ``dark_counts`` per pixel without beam, which are subtracted; ``dead_time_ns`` after each
    count, in which no other one is counted (corrected with the scan's dwell).
    """

    photons_per_count: PositiveFloat = 1.0
    saturation_counts: PositiveFloat | None = None
    dark_counts: Annotated[float, Field(ge=0)] = 0.0
    dead_time_ns: PositiveFloat | None = None


class FieldOptions(Options):
    """Data keys of a beamline whose start documents do not name them, or name other ones.

    ``image`` holds the counts; ``channel`` (0 is the first) selects one of several counters whose
    readings alternate in it; ``i0`` is a monitor; ``energy``, ``x`` and ``y`` are motors or data
    keys. Values given here take precedence over the start document. ``pixel_size_um`` is used for
    runs that say nothing of the size of their images.
    """

    image: str | None = None
    channel: Annotated[int, Field(ge=0)] | None = None
    energy: str | None = None
    x: str | None = None
    y: str | None = None
    i0: str | None = None
    pixel_size_um: PositiveFloat | None = None


class RegionOptions(Options):
    """What to look for in the next regions to scan; maps ignore it.

    ``criterion`` is one of `suggest_regions`, or words such as "phase:Na3VPF" or
    "x between 2.0 and 2.4".
    """

    criterion: str = "doubt"

    @field_validator("criterion")
    @classmethod
    def _is_understood(cls, criterion: str) -> str:
        if is_worded(criterion):
            parse_criterion(criterion)
        return criterion


class AdaptiveOptions(Options):
    """Limits for `plans.stxm_stack_adaptive` to leave energies out; maps ignore them.

    The scan ends when the labels are right with a mean probability of ``target_certainty``, or
    when all energies that are left would raise it by less than ``min_gain``. ``minimum_ev`` are
    always measured; without them, the ``fewest`` energies that distinguish the phases best.
    """

    target_certainty: Annotated[float, Field(gt=0, le=1)] = 1.0
    min_gain: Annotated[float, Field(ge=0, le=1)] = 0.0075
    minimum_ev: tuple[PositiveFloat, ...] = ()
    fewest: Annotated[int, Field(ge=2)] = 5
