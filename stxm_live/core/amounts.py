"""How much of what each pixel, each particle and the whole specimen hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.map_products import Product

if TYPE_CHECKING:
    import xarray

AMOUNT_PRODUCTS: Mapping[str, Product] = {
    "composition": Product(("phase", "y", "x"), "1", "share of each phase in the thickness"),
    "composition_std": Product(("phase", "y", "x"), "1", "standard uncertainty of the share"),
    "thickness": Product(("y", "x"), "references", "thickness in units of the references"),
    "thickness_std": Product(("y", "x"), "references", "standard uncertainty of the thickness"),
    "value": Product(("y", "x"), "1", "value of the composition"),
    "value_std": Product(("y", "x"), "1", "standard uncertainty of the value"),
    "particle_number": Product(("y", "x"), "", "particle of a pixel, from 1 on; -1 none"),
    "pixel_share": Product(("phase",), "1", "share of the specimen's pixels by probability"),
    "pixel_share_std": Product(("phase",), "1", "standard uncertainty of that share"),
    "volume_share": Product(("phase",), "1", "share of the specimen's volume by probability"),
    "volume_share_std": Product(("phase",), "1", "standard uncertainty of that share"),
    "area_pixels": Product(("area",), "", "pixels of the specimen (0) and of its particles"),
    "area_thickness": Product(("area",), "references", "mean thickness of an area"),
    "area_thickness_std": Product(("area",), "references", "its standard uncertainty"),
    "area_composition": Product(("area", "phase"), "1", "share of each phase in the volume"),
    "area_composition_std": Product(("area", "phase"), "1", "standard uncertainty of the share"),
    "area_value": Product(("area",), "1", "mean value of an area by volume"),
    "area_value_std": Product(("area",), "1", "its standard uncertainty"),
}
"""The arrays of `Amounts`. The unit "references" is the thickness that the references belong to."""


def thickness_unit(unit: str) -> str:
    """Return the unit of a thickness in words.

    Examples
    --------
    >>> thickness_unit("references"), thickness_unit("nm")
    ('units of the references', 'nm')
    """
    return "units of the references" if unit == "references" else unit


_WITH_VALUES = ("value", "value_std", "area_value", "area_value_std")


@dataclass(frozen=True, eq=False)
class AreaTotal:
    """Amounts of one area, with standard uncertainties; see `Amounts`.

    ``composition`` and ``composition_std`` have shape (n_phases,); ``value`` and ``value_std`` are
    None if the recipe gives the phases no values.
    """

    n_pixels: int
    thickness: float
    thickness_std: float
    composition: NDArray[np.float64]
    composition_std: NDArray[np.float64]
    value: float | None
    value_std: float | None


@dataclass(frozen=True, eq=False)
class Amounts:
    """Composition and thickness by counting statistics, with standard uncertainties.

    An interval of one standard uncertainty on either side holds the truth in 68 of 100 cases,
    of 1.96 in 95. Images are NaN where nothing is mapped. Areas are the whole specimen (0) and
    its particles, the largest first.

    Parameters
    ----------
    composition, composition_std : ndarray of shape (n_phases, ny, nx), float32
        Shares of the phases in a pixel's thickness, not negative; their sum is 1. Where
        compositions cannot be distinguished the uncertainty is as large as they are different.
    thickness, thickness_std : ndarray of shape (ny, nx), float32
        In multiples of the thickness that the references belong to, or in nm if the recipe gives
        it.
    particle_number : ndarray of shape (ny, nx), int8
    pixel_share, pixel_share_std, volume_share, volume_share_std : ndarray of shape (n_phases,)
        Shares of the specimen's pixels and of its volume, by the probabilities of the labels: as
        if every pixel was of one phase.
    area_pixels : ndarray of shape (n_areas,)
    area_thickness, area_thickness_std : ndarray of shape (n_areas,)
    area_composition, area_composition_std : ndarray of shape (n_areas, n_phases)
        Shares in the volume. An area is not taken to be of pure pixels: phases that others mix to
        have wide intervals.
    value, value_std : ndarray of shape (ny, nx), float32, or None
        The recipe's ``[phases] value``, averaged over the composition; None without it.
    area_value, area_value_std : ndarray of shape (n_areas,) or None
        The same by volume.
    quantity : str
        Meaning of the value, from the recipe.
    unit : str
        Of the thickness.
    find_total : callable, optional
        See `within`.
    """

    composition: NDArray[np.float32]
    composition_std: NDArray[np.float32]
    thickness: NDArray[np.float32]
    thickness_std: NDArray[np.float32]
    particle_number: NDArray[np.int8]
    pixel_share: NDArray[np.float64]
    pixel_share_std: NDArray[np.float64]
    volume_share: NDArray[np.float64]
    volume_share_std: NDArray[np.float64]
    area_pixels: NDArray[np.int64]
    area_thickness: NDArray[np.float64]
    area_thickness_std: NDArray[np.float64]
    area_composition: NDArray[np.float64]
    area_composition_std: NDArray[np.float64]
    value: NDArray[np.float32] | None = None
    value_std: NDArray[np.float32] | None = None
    area_value: NDArray[np.float64] | None = None
    area_value_std: NDArray[np.float64] | None = None
    quantity: str = ""
    unit: str = "references"
    find_total: Callable[[NDArray[np.bool_]], AreaTotal] | None = field(default=None, repr=False)

    def within(self, mask: NDArray[np.bool_]) -> AreaTotal:
        """Return the amounts of an area of your own.

        Parameters
        ----------
        mask : ndarray of bool, shape (ny, nx)
            Pixels without a label do not count.

        Raises
        ------
        ValueError
            If the mask has another shape or holds no pixel with a label, or if the amounts come
            from a file.
        """
        if self.find_total is None:
            raise ValueError(
                "amounts from a file do not include the spectra; use map_run(run, recipe).amounts"
            )
        shape = self.thickness.shape
        if np.shape(mask) != shape:
            raise ValueError(f"the mask has shape {np.shape(mask)}, the maps have {shape}")
        if not (np.asarray(mask, dtype=bool) & np.isfinite(self.thickness)).any():
            raise ValueError("the mask holds no pixel with a label")
        return self.find_total(np.asarray(mask, dtype=bool))

    def __post_init__(self) -> None:
        for name in AMOUNT_PRODUCTS:
            array = getattr(self, name)
            if array is not None:
                array.flags.writeable = False

    def variables(self) -> dict[str, tuple[tuple[str, ...], NDArray[Any], dict[str, str]]]:
        """Return dimensions, values and attributes of each array, for a dataset."""
        found = {}
        for name, product in AMOUNT_PRODUCTS.items():
            array = getattr(self, name)
            if array is not None:
                units = self.unit if product.units == "references" else product.units
                meaning = product.long_name
                if name in _WITH_VALUES and self.quantity:
                    meaning = f"{meaning}: {self.quantity}"
                found[name] = (product.dims, array, {"units": units, "long_name": meaning})
        return found

    @classmethod
    def stored(cls, dataset: xarray.Dataset) -> Amounts | None:
        """Return the amounts of a stored result; older ones have none."""
        if "composition" not in dataset:
            return None
        arrays: dict[str, Any] = {
            name: np.array(dataset[name].values) for name in AMOUNT_PRODUCTS if name in dataset
        }
        quantity = str(dataset.attrs.get("value_quantity", ""))
        return cls(**arrays, quantity=quantity, unit=dataset["thickness"].attrs["units"])
