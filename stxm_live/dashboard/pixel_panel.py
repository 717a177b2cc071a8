"""Panels beside the maps: the pixel under the mouse, and small plots over the energies."""

from __future__ import annotations

from itertools import chain

import numpy as np
from bokeh.models import Column, LayoutDOM
from bokeh.plotting import figure
from numpy.typing import NDArray

from stxm_live.core.unidentified_spectrum import UnidentifiedSpectrum
from stxm_live.dashboard.area_facts import AreaFacts
from stxm_live.dashboard.figures import EnergyPlot
from stxm_live.dashboard.pixel_facts import INVITATION, pixel_facts
from stxm_live.dashboard.scene import Scene
from stxm_live.dashboard.style import html
from stxm_live.plotting.panels.spectra import is_common, scaled_to
from stxm_live.plotting.style.palette import UNIDENTIFIED

_X, _Y, _I0 = "#66aaee", "#ee8899", "#66cc88"


class PixelPanel:
    """Text, spectrum and table of one pixel, or of the area that is drawn."""

    def __init__(self) -> None:
        wide = {"sizing_mode": "stretch_width"}
        self.text = html(INVITATION, "pixel-text", min_height=112, **wide)
        self.table = html("", "pixel-table", **wide)
        self.below = html("", "small", **wide)
        self.spectrum = EnergyPlot("spectrum", "optical density", 215)

    def layout(self) -> LayoutDOM:
        """Return the panel."""
        return Column(
            html("<h3>Pixel or drawn area</h3>"),
            self.text,
            self.spectrum.plot,
            self.below,
            self.table,
            sizing_mode="stretch_width",
        )

    @property
    def plot(self) -> figure:
        """Return the figure of the spectrum."""
        return self.spectrum.plot

    def show(self, scene: Scene, row: int, column: int) -> None:
        """Show a pixel."""
        facts = pixel_facts(scene, row, column)
        self.text.text, self.table.text = facts.text, facts.table
        self.below.text = "white: the pixel; lines: references, scaled to it"
        self._draw(scene, facts.od, facts.scaled)

    def show_area(self, scene: Scene, facts: AreaFacts) -> None:
        """Show the mean of a drawn area."""
        self.text.text, self.table.text = facts.text, facts.table
        self.below.text = "white: mean of the area ± scatter of its pixels; lines: references"
        self._draw(scene, facts.od, facts.scaled, band=facts.band)

    def clear(self) -> None:
        """Show no pixel."""
        self.text.text, self.table.text = INVITATION, ""

    def show_mean(self, scene: Scene) -> None:
        """Show the mean spectrum of the specimen, until a pixel is chosen."""
        known = np.isfinite(scene.mean_od)
        scaled = [scaled_to(reference, scene.mean_od, known) for reference in scene.reference_od]
        strange = None if scene.maps is None else scene.maps.unidentified_spectrum
        self.below.text = "white: mean of the specimen; lines: references"
        if is_common(strange):
            self.below.text += (
                f"; pink: the {100 * strange.share:.0f} % not identified, ± scatter of the pixels"
            )
        if is_common(strange):
            self._draw(scene, scene.mean_od, scaled, strange, strange.band)
        else:
            self._draw(scene, scene.mean_od, scaled)

    def _draw(
        self,
        scene: Scene,
        od: NDArray[np.floating],
        scaled: list[NDArray[np.float64]],
        strange: UnidentifiedSpectrum | None = None,
        band: tuple[NDArray[np.float64], ...] = (),
    ) -> None:
        colors = [f"rgb({r},{g},{b})" for r, g, b in np.rint(255 * scene.colors).astype(int)]
        curves: list[tuple[NDArray[np.floating], str, float]] = [
            *((y, color, 1.5) for y, color in zip(scaled, colors, strict=True)),
            (od, "white", 1.0),
        ]
        if strange is not None:
            curves.append((strange.od, UNIDENTIFIED, 2.0))
        self.spectrum.show(scene.energies_ev, curves, [(od, "white")], band)


class Curves:
    """Drift and incident intensity over the energies."""

    def __init__(self) -> None:
        self.drift = EnergyPlot("drift", "shift (pixel)", 170)
        self.i0 = EnergyPlot("i0", "counts", 170)

    def layout(self) -> LayoutDOM:
        """Return the plots, one below the other."""
        titles = (
            f'Drift in <span style="color:{_X}">x</span> and <span style="color:{_Y}">y</span>',
            '<span title="counts without specimen, at each energy">Incident intensity I0</span>',
        )
        headed = (
            (html(f"<h3>{title}</h3>"), each.plot)
            for title, each in zip(titles, (self.drift, self.i0), strict=True)
        )
        return Column(*chain.from_iterable(headed), sizing_mode="stretch_width")

    @property
    def plots(self) -> list[figure]:
        """Return the two figures."""
        return [self.drift.plot, self.i0.plot]

    def show(self, scene: Scene) -> None:
        """Draw drift and I0 of the energies measured so far."""
        drift, i0 = scene.shifts_px, scene.i0
        shifts = [] if drift is None else [(drift[:, 1], _X), (drift[:, 0], _Y)]
        intensity = [] if i0 is None else [(i0, _I0)]
        for each, curves in ((self.drift, shifts), (self.i0, intensity)):
            each.show(scene.energies_ev, [(y, c, 1.5) for y, c in curves], curves)
