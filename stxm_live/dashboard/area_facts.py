"""Text, mean spectrum and table for the area that a user drew."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.amount_words import number_in_words
from stxm_live.core.amounts import thickness_unit
from stxm_live.core.twins import labels, merged_index
from stxm_live.plotting.panels.spectra import scaled_to

if TYPE_CHECKING:
    from stxm_live.dashboard.scene import Scene


@dataclass(frozen=True, eq=False)
class AreaFacts:
    """Mean spectrum of an area, its scatter, and the phases in it.

    Parameters
    ----------
    text, table : str
        HTML, names escaped.
    n_pixels : int
        Number of the specimen's pixels in it.
    od, scatter : ndarray of shape (n_energies,)
        Mean of the specimen's pixels and their standard deviation; NaN where nothing is measured.
    scaled : list of ndarray of shape (n_energies,)
        The references, scaled to the mean.
    """

    text: str
    table: str
    n_pixels: int
    od: NDArray[np.float64]
    scatter: NDArray[np.float64]
    scaled: list[NDArray[np.float64]]

    @property
    def band(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean less and plus the scatter of the pixels."""
        return self.od - self.scatter, self.od + self.scatter


def area_facts(
    scene: Scene, inside: NDArray[np.bool_], name: str = "drawn area"
) -> AreaFacts | None:
    """Return everything known about the specimen in an area (ny, nx); None if there is none."""
    chosen = inside & scene.specimen
    n = int(chosen.sum())
    if n == 0:
        return None
    spectra = scene.od[:, chosen].astype(np.float64)
    known = np.isfinite(spectra)
    counted = known.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, spectra, 0.0).sum(axis=1) / counted
        squares = np.where(known, (spectra - mean[:, None]) ** 2, 0.0).sum(axis=1)
        scatter = np.sqrt(squares / counted)
        largest_error = np.nanmax(scatter / np.sqrt(counted), initial=0.0)
    measured = np.isfinite(mean) & scene.measured
    lines = [
        f"<b>{escape(name)}</b>: {n} pixel{'s' if n > 1 else ''} of specimen",
        f"largest standard error of the mean {largest_error:.2g} OD",
    ]
    lines += _amounts(scene, chosen)
    scaled = [scaled_to(reference, mean, measured) for reference in scene.reference_od]
    return AreaFacts("<br>".join(lines), _table(scene, chosen), n, mean, scatter, scaled)


def _amounts(scene: Scene, chosen: NDArray[np.bool_]) -> list[str]:
    """Return value and thickness of an area by volume; nothing for maps from a file."""
    amounts = None if scene.maps is None else scene.maps.final_amounts
    if amounts is None or amounts.find_total is None:
        return []
    if not (chosen & np.isfinite(amounts.thickness)).any():
        return []
    total = amounts.within(chosen)
    thickness = number_in_words(total.thickness, total.thickness_std)
    lines = [f"mean thickness {thickness} {thickness_unit(amounts.unit)}"]
    if total.value is not None and total.value_std is not None:
        value = number_in_words(total.value, total.value_std)
        lines.append(f"{escape(amounts.quantity or 'value')} {value} by volume")
    return lines


def _table(scene: Scene, chosen: NDArray[np.bool_]) -> str:
    """Return a table of the phases in an area: share of its pixels, mean probability."""
    if scene.index is None:
        return ""
    index = merged_index(scene.index, scene.phase_names, scene.twins)[chosen]
    probability = None if scene.maps is None or scene.twins else scene.maps.probability
    rows = []
    for k, name in labels(scene.phase_names, scene.twins).items():
        r, g, b = np.rint(255 * scene.colors[k]).astype(int)
        cells = f"<td>{100 * (index == k).mean():.1f} %</td>"
        if probability is not None:
            mean = np.nanmean(np.append(probability[k][chosen], np.nan))
            cells += f"<td>{mean:.3f}</td>" if np.isfinite(mean) else "<td>–</td>"
        swatch = f'<i style="background:rgb({r},{g},{b})"></i>'
        rows.append(f"<tr><td>{swatch}{escape(name)}</td>{cells}</tr>")
    head = "<th>phase</th><th>share</th>"
    if probability is not None:
        head += '<th title="mean of the pixels in the area">probability</th>'
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"
