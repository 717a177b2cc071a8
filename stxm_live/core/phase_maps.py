"""`PhaseMaps`: every product of one stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.amounts import Amounts
from stxm_live.core.energy_axis import EnergyAxis
from stxm_live.core.file_arrays import empty_like, of_pixels
from stxm_live.core.large_arrays import LargeArray
from stxm_live.core.map_dataset import NUMBERS, dataset_of
from stxm_live.core.map_products import PRODUCTS
from stxm_live.core.map_signal import signal_of
from stxm_live.core.map_table import table_of
from stxm_live.core.mixed_reference import MixedReference
from stxm_live.core.od_uncertainty import od_std, smoothing
from stxm_live.core.origin import Origin, identity
from stxm_live.core.specimen_change import SpecimenChange
from stxm_live.core.stack import StackKey
from stxm_live.core.twins import Twins, labels, merged_shares
from stxm_live.core.unidentified_spectrum import UnidentifiedSpectrum, unidentified_spectrum

if TYPE_CHECKING:
    import pandas
    import xarray

Status = Literal["complete", "incomplete", "stopped-early"]


@dataclass(frozen=True)
class Quality:
    """Verdict on a result: the limiting cause, its consequence, and what to do."""

    verdict: Literal["good", "limited", "poor"]
    cause: str
    consequence: str
    action: str

    def __str__(self) -> str:
        if self.verdict == "good":
            return f"good: {self.cause}"
        return f"{self.verdict}: {self.cause}; {self.consequence}. {self.action}"


@dataclass(frozen=True, eq=False, kw_only=True)
class PhaseMaps:
    """Phase of every pixel, its certainty, and all other products of one stack.

    Images have axes (y, x), spectra (energy); row 0 and column 0 are at the first value of
    ``extent_um`` in y and x. A product that was not made is None. Where a pixel is not specimen
    or has no valid spectrum, indices are -1, floats NaN and booleans False. `PRODUCTS` lists
    dimensions and units.

    Parameters
    ----------
    key : StackKey
    status : {"complete", "incomplete", "stopped-early"}
    revision : int
        1 for the first maps of a stack, one more each time they are made again: after
        refinement, or because a frame was replaced. In a live session the first maps have no
        latent map unless the recipe resolves by it; the refined ones have it.
    phase_names : tuple of str
        Phase ``k`` has index ``k`` in every map.
    energies_ev : tuple of float
        The energies the maps were made from.
    extent_um : tuple of float
        First and last pixel centre in x, then in y; either may descend.
    fractions, resolved_fractions : ndarray of shape (n_phases,)
        Shares of all specimen pixels with a valid spectrum, ambiguous or not (as in the paper).
    dwell_ms : float or None
        Exposure of a pixel; None if the scan did not announce it. The next scan uses the same.
    dispersion : float or None
        Variance of the counts over that of Poisson statistics.
    energy_offset_ev, energy_width_ev : float or None
        Estimates from the scan: true = nominal + offset, and the standard deviation of the
        Gaussian by which the beam is wider than that of the references. None if not
        estimated.
    mixed_references : tuple of MixedReference
        Mapped phases that a mixture of other phases cannot be distinguished from at the photons
        and the OD of this scan.
    change : SpecimenChange or None
        Change of the specimen between the first and the repeated image of an energy; None if no
        energy was measured twice.
    twins : tuple of tuple of str
        Groups of phases that these energies do not distinguish. In pictures and texts each has one
        label and one share; the arrays keep the phases apart.
    synthetic_references : bool
        True if the reference spectra are calculated.
    """

    key: StackKey
    status: Status
    revision: int
    phase_names: tuple[str, ...]
    energies_ev: tuple[float, ...]
    extent_um: tuple[float, float, float, float]
    od: LargeArray = LargeArray()  # noqa: RUF009  a descriptor
    counts: NDArray[np.float32]
    specimen: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    correlation: NDArray[np.float32]
    phase_index: NDArray[np.int8]
    reliability: NDArray[np.float32]
    ambiguous: NDArray[np.bool_]
    ambiguous_pair: NDArray[np.int8]
    unidentified: NDArray[np.bool_]
    fractions: NDArray[np.float64]
    reference_od: NDArray[np.float64]
    shifts_px: NDArray[np.float64]
    i0: NDArray[np.float64]
    quality: Quality
    latent: NDArray[np.float32] | None = None
    latent_index: NDArray[np.int8] | None = None
    probability: NDArray[np.float32] | None = None
    resolved_index: NDArray[np.int8] | None = None
    wrong_probability: NDArray[np.float32] | None = None
    contradicted: NDArray[np.bool_] | None = None
    entropy: NDArray[np.float32] | None = None
    mixed: NDArray[np.bool_] | None = None
    resolved_fractions: NDArray[np.float64] | None = None
    corrected_index: NDArray[np.int8] | None = None
    corrected_probability: NDArray[np.float32] | None = None
    corrected_reference_od: NDArray[np.float64] | None = None
    corrected_wrong_probability: NDArray[np.float32] | None = None
    shifts_before_px: NDArray[np.float64] | None = None
    shift_quality: NDArray[np.float64] | None = None
    i0_std: NDArray[np.float64] | None = None
    dwell_ms: float | None = None
    dispersion: float | None = None
    energy_offset_ev: float | None = None
    energy_offset_std_ev: float | None = None
    energy_width_ev: float | None = None
    energy_width_std_ev: float | None = None
    energy_axis: EnergyAxis | None = field(default=None, repr=False)
    mixed_references: tuple[MixedReference, ...] = ()
    change: SpecimenChange | None = None
    twins: Twins = ()
    synthetic_references: bool = False
    colors: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    remake: Callable[[Mapping[str, Any]], PhaseMaps] | None = field(default=None, repr=False)
    find_amounts: Callable[[], Amounts | None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in PRODUCTS:
            array = vars(self)[name]
            if isinstance(array, np.ndarray):
                array.flags.writeable = False

    @property
    def final_index(self) -> NDArray[np.int8]:
        """Return the resolved map if there is one, else the map of the largest coefficient."""
        return self.phase_index if self.resolved_index is None else self.resolved_index

    @property
    def final_fractions(self) -> NDArray[np.float64]:
        """Return the shares of the phases in `final_index`, shape (n_phases,)."""
        return self.fractions if self.resolved_fractions is None else self.resolved_fractions

    @property
    def origin(self) -> Origin:
        """Return sample, time and file of the stack."""
        return Origin.from_values(self.provenance.get("origin") or {})

    @property
    def identity(self) -> str:
        """Return what the maps were made from, in words, for the foot of pictures."""
        return identity(self.provenance, dwell_ms=self.dwell_ms, source=self.key.source)

    @property
    def no_phases(self) -> str:
        """Return the reason why no share of a phase means anything; else ""."""
        if (self.phase_index >= 0).any():
            distinguished = labels(self.phase_names, self.twins)
            return "" if len(distinguished) > 1 else "the scan distinguishes no phases"
        return "no valid spectrum in the specimen" if self.specimen.any() else "no specimen"

    @property
    def ambiguous_share(self) -> float:
        """Return the share of the specimen whose two best coefficients are too close.

        Too close means that the difference is below the threshold. NaN without specimen.
        """
        counted = self.specimen & self.valid
        return float(self.ambiguous[counted].mean()) if counted.any() else float("nan")

    @property
    def od_std(self) -> NDArray[np.float32] | None:
        """Return the standard uncertainty of the OD, shape of ``od``; None if not estimated.

        It follows from the counts behind each value, their dispersion, and the error of I0, which
        is common to all pixels of an image. Shifted images are smoother.
        """
        if self.dispersion is None or self.i0_std is None:
            return None
        od, of_image = self.od, self.dispersion * smoothing(self.shifts_px)
        std = empty_like(od)
        for k, image in enumerate(od):
            one = slice(k, k + 1)
            counts = self.i0[k] * np.exp(-image[None].astype(np.float64))
            std[one] = od_std(counts, self.i0[one], self.i0_std[one], of_image[one])
        return std

    @cached_property
    def unidentified_spectrum(self) -> UnidentifiedSpectrum | None:
        """Return the mean spectrum of the unidentified pixels; None if there are none."""
        od, noise = self.od, None
        if self.dispersion is not None:
            i0, dispersion = self.i0[:, None], self.dispersion

            def variance(some: NDArray[np.float32]) -> NDArray[np.float64]:
                return np.asarray(dispersion / (i0 * np.exp(-some.astype(np.float64))))

            noise = of_pixels(od, self.unidentified, variance, np.float64)
        return unidentified_spectrum(
            od,
            self.unidentified,
            int((self.specimen & self.valid).sum()),
            noise_variance=noise,
            common_std=0.0 if self.i0_std is None else self.i0_std / self.i0,
        )

    @cached_property
    def amounts(self) -> Amounts | None:
        """Return composition, thickness and values with their uncertainties; None if not known.

        They are computed when they are first asked for, which takes half a second of
        processor time for 512 x 512 pixels.
        """
        return None if self.find_amounts is None else self.find_amounts()

    @property
    def final_amounts(self) -> Amounts | None:
        """Return the amounts, unless refined maps will soon replace these."""
        return None if self.provenance.get("quick") else self.amounts

    @property
    def composition(self) -> NDArray[np.float32] | None:
        """Return the share of each phase in each pixel, (n_phases, ny, nx); see `Amounts`."""
        return None if self.amounts is None else self.amounts.composition

    @property
    def composition_std(self) -> NDArray[np.float32] | None:
        """Return the standard uncertainty of `composition`."""
        return None if self.amounts is None else self.amounts.composition_std

    @property
    def thickness(self) -> NDArray[np.float32] | None:
        """Return the thickness of each pixel, (ny, nx), in ``amounts.unit``."""
        return None if self.amounts is None else self.amounts.thickness

    def redo(self, changes: Mapping[str, Any]) -> PhaseMaps:
        """Return new maps of the same aligned images with another recipe, in a second or two.

        Parameters
        ----------
        changes : mapping
            Dotted names and values, as for `Recipe.with_changes`: another I0 box, mask,
            excluded energy, energy offset or resolver.

        Raises
        ------
        ValueError
            If a change needs the raw images again ([alignment], [detector], an energy that was
            left out before), or if these maps came from a file.
        """
        if self.remake is None:
            raise ValueError(
                "these maps do not include the aligned images; use map_run(run, recipe)"
            )
        return self.remake(changes)

    def differences(self, other: PhaseMaps) -> list[str]:
        """Return the names of the products in which two results differ; NaN equals NaN.

        Revision, warnings, dwell and provenance are not products, because a replay does not have
        the faults of the live scan.
        """
        products = ("status", "phase_names", "energies_ev", "extent_um", "quality", "change")
        plain = (*products, *NUMBERS)
        names = [name for name in plain if getattr(self, name) != getattr(other, name)]
        return names + [
            name for name in PRODUCTS if not same_array(getattr(self, name), getattr(other, name))
        ]

    def identical(self, other: PhaseMaps) -> bool:
        """Return True if all products agree bit for bit, NaN equal to NaN."""
        return not self.differences(other)

    def to_xarray(self) -> xarray.Dataset:
        """Return all products with named dimensions, coordinates and units.

        Dimensions are phase, energy_ev, y and x; the coordinates ``y`` and ``x`` are in um.
        """
        return dataset_of(self)

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a table with a row for each specimen pixel with a valid spectrum."""
        return table_of(self.to_xarray())

    def to_hyperspy(self) -> dict[str, Any]:
        """Return the optical density for HyperSpy: ``hs.signals.Signal1D(**maps.to_hyperspy())``.

        HyperSpy is not imported.
        """
        return signal_of(self.to_xarray())

    def plot(
        self,
        product: str = "",
        *,
        ax: Any = None,
        palette: Literal["roma", "paper", "print"] = "roma",
    ) -> Any:
        """Draw one product on axes, of a new figure if there are none.

        Parameters
        ----------
        product : str
            Name of its picture, such as "reliability", "ambiguity", "wrong-probability", "spectra",
            "thickness", "correlation-Na1VPF" or "share-Na1VPF"; default: the final map.
        ax : matplotlib.axes.Axes, optional
        palette : {"roma", "paper", "print"}
            Colors of the phases; "print" can be read in grey.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If the result has no such product; the message lists those that it has.
        """
        from stxm_live.plotting import plot_product

        return plot_product(self, product, ax=ax, palette=palette)

    def summary(self) -> list[tuple[str, float, float | None]]:
        """Return a row per label: name, share by correlation, share by the resolver or None.

        The phases of `twins` have one row together.
        """
        shares, resolved = (
            None if found is None else merged_shares(found, self.phase_names, self.twins).tolist()
            for found in (self.fractions, self.resolved_fractions)
        )
        assert shares is not None
        return [
            (name, shares[k], None if resolved is None else resolved[k])
            for k, name in labels(self.phase_names, self.twins).items()
        ]

    def __repr__(self) -> str:
        shares = ", ".join(
            f"{name} {100 * (share if resolved is None else resolved):.1f} %"
            for name, share, resolved in self.summary()
        )
        return (
            f"<PhaseMaps {self.key}, {self.status}, revision {self.revision}: "
            f"{self.no_phases or shares}; {self.quality.verdict}: {self.quality.cause}>"
        )

    def _repr_html_(self) -> str:
        """Return picture and verdict as HTML for a notebook."""
        from stxm_live.plotting import summary_png_base64

        notes = "".join(f"<li>{escape(text)}</li>" for text in self.warnings)
        return (
            f"<b>{escape(str(self.key))}</b>, {self.status}<br>"
            f'<img src="data:image/png;base64,{summary_png_base64(self)}" style="max-width:100%">'
            f"<p><b>{escape(str(self.quality))}</b></p><ul>{notes}</ul>"
        )


def same_array(a: Any, b: Any) -> bool:
    """Return True if two arrays agree bit for bit in shape, type and values.

    NaN equals NaN. None, a product that was not made, agrees only with None.
    """
    if a is None or b is None:
        return a is b
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
