"""The maps that can be chosen: picture, legend and meaning of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.amount_words import look_alikes, number_in_words, share_in_words
from stxm_live.core.amounts import thickness_unit
from stxm_live.core.mixed_reference import alternatives
from stxm_live.core.twins import labels, merged_index
from stxm_live.dashboard.channels import channel_of
from stxm_live.dashboard.images import (
    Limits,
    Rgba,
    ambiguity_image,
    channel_image,
    difference_image,
    grey_image,
    heat_image,
    hex_colors,
    phase_image,
    rgb_image,
    specimen_image,
)
from stxm_live.dashboard.text import method, ramp, swatches
from stxm_live.plotting.style.palette import (
    AMBIGUOUS,
    INVALID,
    NO_DATA,
    SPECIMEN,
    UNIDENTIFIED,
    crameri,
    heat,
    hex_of,
)
from stxm_live.plotting.style.value_range import value_range

if TYPE_CHECKING:
    from stxm_live.core.phase_maps import PhaseMaps
    from stxm_live.dashboard.scene import Scene

PHASE_LAYERS = (
    ("final", "Phase map"),
    ("phase_index", "By correlation only"),
    ("corrected_index", "Energy axis corrected"),
)
DOUBT_LAYERS = (
    ("ambiguous", "Ambiguous pixels"),
    ("wrong_probability", "Probability of a wrong phase"),
    ("reliability", "Reliability R"),
    ("thickness", "Thickness"),
    ("value", "Value of the composition"),
    ("composition", "Share of"),
    ("counts", "Counts per energy"),
    ("difference", "Difference of two energies"),
    ("mean", "Mean over energies"),
    ("rgb", "Three energies as colors"),
    ("rgb-maps", "Three maps as colors"),
)
"""Name and label of each map that can be chosen."""

OF_ENERGIES = ("difference", "mean", "rgb")
"""Maps made from images at energies that are chosen."""

_RGB = ("#ff0000", "#00b000", "#0040ff")

_NOTHING = "no specimen with a valid spectrum"


@dataclass(frozen=True, eq=False)
class Layer:
    """A picture of shape (ny, nx, 4), its legend as HTML and its meaning as plain text.

    ``values`` of shape (ny, nx) are those that the picture shows from the first to the second of
    ``limits``, in ``unit``; None if it shows no numbers.
    """

    image: Rgba
    legend: str
    meaning: str
    values: NDArray[np.floating] | None = None
    limits: Limits = (0.0, 1.0)
    unit: str = ""


def od_layer(scene: Scene, energy: int, limits: Limits | None = None) -> Layer:
    """Return the optical density at one energy."""
    meaning = f"at {scene.energies_ev[energy]:.2f} eV, ln(I0/I)"
    return _grey(scene.od[energy], meaning, limits)


def _grey(od: NDArray[np.floating], meaning: str, limits: Limits | None) -> Layer:
    """Return an optical density in grey, with its share of pixels without a value."""
    image, low, high = grey_image(od, limits)
    legend = ramp(["#000000", "#ffffff"], f"{low:.2f}", f"{high:.2f} OD")
    missing = 1.0 - float(np.isfinite(od).mean())
    if missing:
        legend += swatches([(NO_DATA, f"no value: {100 * missing:.1f} %")])
    return Layer(image, legend, meaning, od, (low, high), "OD")


def phase_layer(scene: Scene, name: str) -> Layer:
    """Return a map of phases, or the specimen's outline as long as there is none."""
    index = _index(scene, name)
    if index is None:
        legend = swatches([(SPECIMEN, "specimen")])
        wanted = "no corrected map: the energy axis agrees with the recipe"
        if scene.has_no_references:
            wanted = "no references yet: clusters are shown when the images are complete"
        elif scene.maps is None:
            wanted = "shown once the energies distinguish phases"
        return Layer(specimen_image(scene.specimen), legend, wanted)
    index = merged_index(index, scene.phase_names, scene.twins)
    counts = np.bincount(index[index >= 0].ravel(), minlength=len(scene.phase_names))
    shares = 100 * counts / max(1, counts.sum())
    colors = hex_of(scene.colors)
    shown = labels(scene.phase_names, scene.twins)
    entries = [
        # all of the specimen is of one of them: a share would say nothing
        (colors[k], f"{label} {shares[k]:.1f} %" if len(shown) > 1 else label)
        for k, label in shown.items()
    ]
    meanings = {
        "final": method(scene),
        "phase_index": "largest correlation, ambiguous pixels included",
        "corrected_index": "references shifted and broadened to fit the scan",
    }
    if scene.exploration is not None:
        meanings[name] = "clusters of similar spectra (k-means), whatever the thickness"
    legend = swatches(entries)
    if counts.sum() and len(shown) > 1:
        legend += '<span class="entry">of the pixels</span>'
    elif not counts.sum():
        legend += " no specimen in the field of view"
    return Layer(phase_image(index, scene.colors), legend, meanings[name])


def doubt_layer(
    scene: Scene,
    name: str,
    energies: tuple[int, ...],
    phase: int = 0,
    limits: Limits | None = None,
    channels: tuple[str, ...] = ("",) * 3,
) -> Layer:
    """Return a map to judge the phase map by.

    ``energies`` are the two of a difference, the first and last of a mean, or the three of red,
    green and blue; ``phase`` is that of a share, and ``channels`` are the names of three maps.
    """
    if name in OF_ENERGIES:
        return _of_energies(scene, name, energies, limits)
    maps = scene.maps
    if maps is None:
        return Layer(
            specimen_image(scene.specimen),
            swatches([(SPECIMEN, "specimen")]),
            "needs references; differences and means of energies can be shown now"
            if scene.has_no_references
            else "shown with the final maps; differences and means of energies can be shown now",
        )
    if name == "ambiguous":
        return _ambiguity(maps)
    if name == "rgb-maps":
        return _channels(maps, channels)
    if name in ("thickness", "value", "composition"):
        return _amount(maps, name, phase, limits)
    values, top, meaning = _values(maps, name)
    if values is None:
        return _specimen(maps, "not resolved")
    low, high = limits or (0.0, top)
    legend = ramp(hex_colors(heat()), f"{low:.2g}", f"{high:.2g} and more")
    return Layer(heat_image(values, low, high), legend, meaning, values, (low, high))


def _index(scene: Scene, name: str) -> NDArray[np.int8] | None:
    if name == "final" or scene.maps is None:
        return scene.index
    index: NDArray[np.int8] | None = getattr(scene.maps, name)
    return index


def _of_energies(
    scene: Scene, name: str, energies: tuple[int, ...], limits: Limits | None
) -> Layer:
    """Return a map made from images at chosen energies; the choice itself says which."""
    if name == "rgb":
        return _colors_of(scene, energies[:3])
    first, second = energies[:2]
    if name == "mean":
        low, high = sorted((first, second))
        images = scene.od[low : high + 1]
        known = np.isfinite(images)
        with np.errstate(invalid="ignore"):
            mean = np.where(known, images, 0).sum(axis=0) / known.sum(axis=0)
        return _grey(mean, f"mean OD of {high - low + 1} energies", limits)
    difference = scene.od[second] - scene.od[first]
    image, bottom, top = difference_image(difference, limits)
    legend = ramp(hex_colors(crameri("vik")), f"{bottom:+.2f}", f"{top:+.2f} OD")
    a, b = scene.energies_ev[first], scene.energies_ev[second]
    meaning = f"OD at {b:.2f} eV minus OD at {a:.2f} eV"
    return Layer(image, legend, meaning, difference, (bottom, top), "OD")


def _colors_of(scene: Scene, energies: tuple[int, ...]) -> Layer:
    """Return images at three energies as red, green and blue."""
    image, limits = rgb_image([scene.od[energy] for energy in energies])
    entries = [
        (color, f"{scene.energies_ev[k]:.2f} eV: {low:.2f} to {high:.2f} OD")
        for color, k, (low, high) in zip(_RGB, energies, limits, strict=True)
    ]
    return Layer(image, swatches(entries), "OD at three energies")


def _channels(maps: PhaseMaps, names: tuple[str, ...]) -> Layer:
    """Return three maps as red, green and blue."""
    found = [channel_of(maps, name) for name in names]
    entries = [(color, each.text) for color, each in zip(_RGB, found, strict=True)]
    image = channel_image([(each.values, each.limits) for each in found], maps.specimen)
    return Layer(image, swatches(entries), "three maps as red, green and blue")


def _ambiguity(maps: PhaseMaps) -> Layer:
    counted = int((maps.specimen & maps.valid).sum())
    share = f" {100 * maps.ambiguous_share:.1f} %" if counted else ""
    entries = [(SPECIMEN, "clear"), (AMBIGUOUS, f"ambiguous{share}")]
    alone = maps.specimen & maps.valid & maps.unidentified & ~maps.ambiguous
    if alone.any():
        unfit = 100 * alone.sum() / max(1, counted)
        shown = f"{unfit:.1f}" if unfit >= 0.05 else "<0.1"
        entries.append((UNIDENTIFIED, f"no reference fits {shown} %"))
    n_invalid = int((maps.specimen & ~maps.valid).sum())
    if n_invalid:
        entries.append((INVALID, f"no valid spectrum: {n_invalid} pixels"))
    meaning = "the two best phases correlate almost equally well"
    return Layer(ambiguity_image(maps), swatches(entries), meaning if counted else _NOTHING)


def _values(maps: PhaseMaps, name: str) -> tuple[NDArray[np.float32] | None, float, str]:
    """Return the numbers of a layer, the number shown brightest, and their meaning."""
    if name == "wrong_probability":
        wrong = maps.wrong_probability
        if wrong is None or not np.isfinite(wrong).any():
            return wrong, 0.5, _NOTHING
        return wrong, 0.5, f"expected share of wrong pixels: {100 * float(np.nanmean(wrong)):.1f} %"
    if name == "counts":
        return maps.counts, value_range(name, maps.counts)[1], "mean counts per pixel and energy"
    return (
        maps.reliability,
        value_range(name, maps.reliability)[1],
        "R = 100 (Q1 − Q2), best minus second-best correlation",
    )


def _specimen(maps: PhaseMaps, why: str) -> Layer:
    """Return the outline of the specimen, where there are no numbers."""
    return Layer(specimen_image(maps.specimen), swatches([(SPECIMEN, "specimen")]), why)


def _amount(maps: PhaseMaps, name: str, phase: int, limits: Limits | None) -> Layer:
    """Return thickness, value or the share of a phase, with the mean of the specimen."""
    amounts = maps.amounts
    if amounts is None:
        return _specimen(maps, "not resolved")
    if name == "value" and amounts.value is None:
        return _specimen(maps, "the recipe gives the phases no values ([phases] value)")
    if not np.isfinite(amounts.thickness).any():
        return _specimen(maps, _NOTHING)
    values, found, std = (
        getattr(amounts, each) for each in (name, f"area_{name}", f"area_{name}_std")
    )
    if name == "composition":
        mean = share_in_words(found[0, phase], std[0, phase], distinguished=not _alike(maps, phase))
        low, high = limits or (0.0, 1.0)
        legend = ramp(hex_colors(heat()), f"{100 * low:.3g}", f"{100 * high:.3g} %")
        meaning = f"specimen {mean} by volume{_alike(maps, phase)}"
        image = heat_image(values[phase], low, high)
        return Layer(image, legend, meaning, values[phase], (low, high))
    low, high = limits or value_range(name, values)
    legend = ramp(hex_colors(heat()), f"{'≤ ' if low else ''}{low:.3g}", f"≥ {high:.3g}")
    what = f"in {thickness_unit(amounts.unit)}" if name == "thickness" else amounts.quantity
    mean = number_in_words(found[0], std[0])
    meaning = f"{what or 'by volume'}; mean of the specimen {mean}"
    unit = thickness_unit(amounts.unit) if name == "thickness" else ""
    return Layer(heat_image(values, low, high), legend, meaning, values, (low, high), unit)


def _alike(maps: PhaseMaps, phase: int) -> str:
    """Return what a phase cannot be distinguished from, in words; empty if it can be."""
    mixtures = alternatives(maps.mixed_references, most=1)
    found = look_alikes(maps.phase_names, maps.twins, mixtures).get(maps.phase_names[phase])
    return f", {found}" if found else ""
