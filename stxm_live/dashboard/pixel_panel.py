"""Panels beside the maps: the pixel under the mouse, and small plots over the energies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from bokeh.models import Column, LayoutDOM, Row
from bokeh.plotting import figure
from numpy.typing import NDArray

from stxm_live.core.twins import label_of
from stxm_live.core.unidentified_spectrum import UnidentifiedSpectrum
from stxm_live.dashboard.area_facts import AreaFacts
from stxm_live.dashboard.energy_plot import Curve, EnergyPlot, Points
from stxm_live.dashboard.fit import Fit, fit_of
from stxm_live.dashboard.pins import Pin
from stxm_live.dashboard.pixel_facts import INVITATION, pixel_facts
from stxm_live.dashboard.scene import Scene
from stxm_live.dashboard.style import html, select
from stxm_live.dashboard.text import swatches
from stxm_live.plotting.panels.spectra import is_common, scaled_to
from stxm_live.plotting.style.palette import FAINT, UNIDENTIFIED, hex_of

_X, _Y, _I0 = "#66aaee", "#ee8899", "#66cc88"

SPECIMEN = "the specimen"

_INK_SWATCH = '<i class="ink"></i>'
"""Color of the spectrum that is shown: white on a dark page, black on a light one."""

_TOO_FEW = "Residuals are shown once more energies are measured than there are references."


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """A spectrum to draw in white: its values, its references and its name in the caption."""

    scene: Scene
    od: NDArray[np.floating]
    scaled: list[NDArray[np.float64]]
    name: str
    n_pixels: int
    place: tuple[int, int] | None = None
    strange: UnidentifiedSpectrum | None = None
    band: tuple[NDArray[np.float64], ...] = ()


class PixelPanel:
    """Text, spectrum, residuals and table of one pixel or a mean; kept pixels beside it."""

    def __init__(self) -> None:
        wide = {"sizing_mode": "stretch_width"}
        self.text = html(INVITATION, "pixel-text", min_height=140, **wide)
        self.table = html("", "pixel-table", **wide)
        self.below = html("", "small", **wide)
        self.kept = html("", "pins", visible=False, **wide)
        self.rest = html("", "small", **wide)
        self.spectrum = EnergyPlot("spectrum", "optical density", 215)
        self.residual = EnergyPlot("residual", "residual (OD)", 130)
        for each in self.plots:
            each.min_border_left = 58  # one above the other
        self.mean_of = select([("", SPECIMEN)], lambda _: self._call(), "mean-of", width=150)
        self._call: Callable[[], None] = lambda: None
        self._white: _Spectrum | None = None
        self._kept: tuple[Scene | None, list[Pin]] = None, []

    def layout(self) -> LayoutDOM:
        """Return the panel."""
        return Column(
            html("<h2>Pixel or drawn area</h2>"),
            Row(html("otherwise the mean of", "small", margin=(9, 6)), self.mean_of),
            self.spectrum.plot,
            self.below,
            self.kept,
            self.text,
            self.residual.plot,
            self.rest,
            self.table,
            sizing_mode="stretch_width",
        )

    @property
    def plots(self) -> list[figure]:
        """Return the figures of spectrum and residuals."""
        return [self.spectrum.plot, self.residual.plot]

    def on_choice(self, call: Callable[[], None]) -> None:
        """Call a function when the mean of another phase, or of the specimen, is chosen."""
        self._call = call

    def offer(self, scene: Scene) -> None:
        """Offer the phases of a scene's map."""
        names = () if scene.index is None else scene.phase_names
        options = [("", SPECIMEN), *((str(k), name) for k, name in enumerate(names))]
        if options != self.mean_of.options:
            self.mean_of.options, self.mean_of.value = options, ""

    def show(self, scene: Scene, row: int, column: int) -> None:
        """Show a pixel."""
        facts = pixel_facts(scene, row, column)
        self.text.text, self.table.text = facts.text, facts.table
        self._white = _Spectrum(scene, facts.od, facts.scaled, "the pixel", 1, (row, column))
        self._draw(scene)

    def show_area(self, scene: Scene, facts: AreaFacts) -> None:
        """Show the mean of an area."""
        self.text.text, self.table.text = facts.text, facts.table
        name = "mean of the area ± scatter of its pixels"
        mean = scene, facts.od, facts.scaled, name, facts.n_pixels
        self._white = _Spectrum(*mean, band=facts.band)
        self._draw(scene)

    def clear(self) -> None:
        """Show no pixel."""
        self.text.text, self.table.text, self._white = INVITATION, "", None

    def show_mean(self, scene: Scene) -> None:
        """Show the mean spectrum of the specimen, until a pixel is chosen."""
        known = np.isfinite(scene.mean_od)
        scaled = [scaled_to(reference, scene.mean_od, known) for reference in scene.reference_od]
        strange = None if scene.maps is None else scene.maps.unidentified_spectrum
        n = int(scene.specimen.sum())
        mean = scene, scene.mean_od, scaled, "mean of the specimen", n
        if is_common(strange):
            self._white = _Spectrum(*mean, strange=strange, band=strange.band)
        else:
            self._white = _Spectrum(*mean)
        self._draw(scene)

    def keep(self, scene: Scene | None, pins: Sequence[Pin]) -> None:
        """Show the spectra of kept pixels, in the colors of their marks."""
        self._kept = scene, list(pins)
        entries = [] if scene is None else [(pin.color, _pin_text(scene, pin)) for pin in pins]
        self.kept.update(text=swatches(entries), visible=bool(entries))
        if self._white is not None and self._white.scene is not scene:
            self._white = None
        if scene is not None:
            self._draw(scene)

    def _draw(self, scene: Scene) -> None:
        white, (kept_of, pins) = self._white, self._kept
        if kept_of is None or kept_of.energies_ev != scene.energies_ev:
            pins = []
        if scene is kept_of and white is not None and any(white.place == p[1:] for p in pins):
            white = None  # shown in its own color
        points: list[Points] = [] if white is None else [(white.od, "white", "circle")]
        fits = [] if white is None else [fit_of(scene, white.od, white.n_pixels)]
        if kept_of is not None:
            kept = [kept_of.od[:, pin.row, pin.column] for pin in pins]
            points += [(od, p.color, p.marker) for od, p in zip(kept, pins, strict=True)]
            fits += [fit_of(kept_of, od, 1) for od in kept]
        curves = _references(white) if white is not None and not pins else []
        curves += [
            (od if fit is None or not pins else fit.fitted, color, 1.0)
            for fit, (od, color, _) in zip(fits, points, strict=True)
        ]
        if white is not None and white.strange is not None:
            curves.append((white.strange.od, UNIDENTIFIED, 2.0))
        band = () if white is None else white.band
        self.spectrum.show(scene.energies_ev, curves, points, band)
        self.below.text = _caption(white, n_pins=len(pins))
        whose = f"pin {pins[0].number}" if pins else ""
        if white is not None:
            whose = "the mean" if white.place is None else "the pixel"
        self._draw_residuals(scene, fits, points, whose)

    def _draw_residuals(
        self, scene: Scene, fits: list[Fit | None], points: list[Points], whose: str
    ) -> None:
        """Draw measured minus fit, with the noise of the first spectrum as a band."""
        residuals: list[Points] = [
            (fit.residual, color, marker)
            for fit, (_, color, marker) in zip(fits, points, strict=True)
            if fit is not None
        ]
        zero = [(np.zeros(len(scene.energies_ev)), FAINT, 1.0)] if residuals else []
        first = fits[0] if fits else None
        std = None if first is None else first.std
        band = () if std is None else (-std, std)
        self.residual.show(scene.energies_ev, zero, residuals, band)
        noise = "" if std is None else f"; band: ± noise of {whose}"
        self.rest.text = (
            f"measured minus the best mixture of the {scene.lines} and a constant{noise}"
            if residuals
            else _TOO_FEW
            if scene.lines
            else ""
        )


def _references(white: _Spectrum) -> list[Curve]:
    """Return the references scaled to a spectrum."""
    colors = hex_of(white.scene.colors)
    return [(y, color, 1.5) for y, color in zip(white.scaled, colors, strict=True)]


def _caption(white: _Spectrum | None, *, n_pins: int) -> str:
    shown = "" if white is None else f"{_INK_SWATCH}{white.name}; "
    if n_pins:
        return f"{shown}points: measured; lines: the best mixtures of the references"
    strange = None if white is None else white.strange
    common = (
        f"; pink: the {100 * strange.share:.0f} % not identified, ± scatter of the pixels"
        if is_common(strange)
        else ""
    )
    lines = "references" if white is None else white.scene.lines
    return f"{shown}lines: {lines}, scaled to it{common}" if lines else shown.removesuffix("; ")


def _pin_text(scene: Scene, pin: Pin) -> str:
    """Return number, place and phase of a kept pixel."""
    text = f"{pin.number}: row {pin.row}, column {pin.column}"
    k = -1 if scene.index is None else int(scene.index[pin.row, pin.column])
    return text if k < 0 else f"{text}, {label_of(scene.phase_names, scene.twins, k)}"


class Curves:
    """Drift and incident intensity over the energies."""

    def __init__(self) -> None:
        self.drift = EnergyPlot("drift", "shift (pixel)", 170)
        self.i0 = EnergyPlot("i0", "counts", 170)

    def layout(self) -> LayoutDOM:
        """Return the plots, one below the other."""
        titles = (
            'Drift in <span class="drift-x">x</span> and <span class="drift-y">y</span>',
            '<span title="counts without specimen, at each energy">Incident intensity I0</span>',
        )
        headed = (
            (html(f"<h2>{title}</h2>"), each.plot)
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
        shifts: list[Points] = []
        if drift is not None:
            shifts = [(drift[:, 1], _X, "circle"), (drift[:, 0], _Y, "circle")]
        intensity: list[Points] = [] if i0 is None else [(i0, _I0, "circle")]
        for each, curves in ((self.drift, shifts), (self.i0, intensity)):
            each.show(scene.energies_ev, [(y, c, 1.5) for y, c, _ in curves], curves)
