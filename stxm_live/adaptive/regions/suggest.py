"""`suggest_regions`: the next regions to scan, best first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from stxm_live.adaptive.regions import reasons
from stxm_live.adaptive.regions.box_placement import (
    BoxPlace,
    Interest,
    Places,
    best_boxes,
    boxes_around,
)
from stxm_live.adaptive.regions.criteria import OD_2018, interest_in, mixture
from stxm_live.adaptive.regions.dose import DoseMap
from stxm_live.adaptive.regions.expected_gain import doubt_removed
from stxm_live.adaptive.regions.od_rule import od_centres
from stxm_live.adaptive.regions.request import MotorLimits, Overhead, Request, Scanned
from stxm_live.core.measured_mean import measured_mean
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.region import Region


def suggest_regions(
    maps: PhaseMaps,
    n: int,
    *,
    size_um: float | tuple[float, float],
    criterion: str | Mapping[str, float] | None = None,
    step_um: float | None = None,
    dwell_ms: float | None = None,
    map_dwell_ms: float | None = None,
    limits: MotorLimits | None = None,
    scanned: Iterable[Scanned] = (),
    max_overlap: float = 0.1,
    dose: DoseMap | None = None,
    overhead: Overhead = Overhead(),  # noqa: B008  a tuple of numbers
) -> list[Region]:
    """Return the regions of a map that are most worth another scan, best first.

    Parameters
    ----------
    maps : PhaseMaps
        Maps of an overview, or of any scan.
    n : int
        Largest number. There are fewer if no more fit, or nothing is left to gain.
    size_um : float or (float, float)
        Size of each region from edge to edge, in x and y; rounded to whole steps.
    criterion : str or mapping of str to float, optional
        By default the recipe's ``[regions] criterion``, which is "doubt" if not given.
        "doubt": the wrong labels that more photons and a finer step are expected to remove.
        "boundaries" between phases, "rare" phases, "unidentified" spectra, "particles" that were
        not scanned yet. "od-2018": the published rule of STXM_live, optical densities of 0.5 to
        1.5 on more than 1 um2 in the image that absorbs most. Or the name of a plug-in's. Or
        words for what to look for, such as "phase:Na3VPF", "x between 2.0 and 2.4", "boundary of
        Na3VPF and Na2VPF" or "area between 0.2 and 2" (um2), joined by "and" or "or".
        Or weights of several of them ("od-2018" excepted), such as ``{"doubt": 2, "rare": 1}``;
        each counts as a share of the field.
    step_um : float, optional
        Step of the regions' pixels; half of the map's if not given.
    dwell_ms, map_dwell_ms : float, optional
        Exposure of a pixel in the regions, and in the scan of the maps: by default what the maps
        say, for both. Where the latter is unknown, a pixel is expected to get as many photons as
        one of the map.
    limits : optional
        Limits of the motors, ((x_low, x_high), (y_low, y_high)) in um; no pixel center of a
        region is outside. Without them regions stay within the range of the map's scan.
    scanned : iterable of StackScan, Region, PhaseMaps or (x0, x1, y0, y1)
        Areas that need not be scanned again. Overviews, which show the whole field and are no
        finer than the map, do not count.
    max_overlap : float
        Share of a region that may overlap with another one, or with a scanned area.
    dose : DoseMap, optional
        Dose of the sample; without one the regions' dose is unknown.
    overhead : Overhead
        Time of a scan besides the exposure.

    Returns
    -------
    list of Region
        Regions in motor coordinates, scanned in the directions of the map's scan. They are in order
        of the sum of the criterion over each (for "od-2018": the area), largest first. Areas that
        are scanned, or in a better region, do not count. ``expected_gain`` is counted in the same
        way, but is that of "doubt" for any criterion, in pixels of the map: it descends with
        "doubt" alone.

    Raises
    ------
    ValueError
        If there is no specimen in the field, a region is larger than the field, ``n`` is below 1,
        limits are unknown, or the maps are incomplete and have no probabilities for "doubt".
    """
    if n < 1:
        raise ValueError(f"n is {n}; ask for one region at least")
    if not 0 <= max_overlap < 1:
        raise ValueError(f"max_overlap is {max_overlap:g}; expected a share from 0 to below 1")
    request = Request.of(
        maps,
        size_um=size_um,
        step_um=step_um,
        dwell_ms=dwell_ms,
        map_dwell_ms=map_dwell_ms,
        limits=limits,
        scanned=scanned,
    )
    places = Places(
        request.raster,
        request.x,
        request.y,
        limits_um=request.limits_um,
        taken=request.taken,
        max_overlap=max_overlap,
    )
    if not places.reachable.any():
        raise ValueError(
            f"no region of this size fits within the limits {request.limits_um} um and the field "
            f"{request.raster.footprint_um} um"
        )
    answer = _Answer(maps, request, places, dose, overhead)
    return list(answer.regions(criterion_of(maps) if criterion is None else criterion, n))


def criterion_of(maps: PhaseMaps) -> str:
    """Return the criterion of the recipe that the maps were made with."""
    values = maps.provenance.get("recipe_values") or {}
    return str((values.get("regions") or {}).get("criterion") or "doubt")


class _Answer:
    """Boxes as regions, with the reasons for them."""

    def __init__(
        self,
        maps: PhaseMaps,
        request: Request,
        places: Places,
        dose: DoseMap | None,
        overhead: Overhead,
    ) -> None:
        self._maps, self._request, self._places = maps, request, places
        self._dose, self._overhead = dose, overhead

    def regions(self, criterion: str | Mapping[str, float], n: int) -> Iterator[Region]:
        """Yield at most ``n`` regions, best first."""
        maps, request, places = self._maps, self._request, self._places
        name = criterion if isinstance(criterion, str) else "mixture"
        interests: dict[str, Interest] = {}
        boxes: Iterator[BoxPlace]
        if criterion == OD_2018:
            image = maps.od[strongest_image(maps)]
            centres = od_centres(image, request.raster.pixel_um2)
            boxes = boxes_around(((row, column) for row, column, _ in centres), places, n)
        else:
            if isinstance(criterion, str):
                interests = {criterion: interest_in(maps, criterion, request.improvement)}
            else:
                interests = mixture(maps, criterion, request.improvement)
            left = [self._unscanned(interest) for interest in interests.values()]
            boxes = best_boxes(left, places, n) if left else iter(())
        doubt = self._unscanned_doubt(interests.get("doubt"))
        for k, box in enumerate(boxes, start=1):
            said = name if name != "mixture" else self._foremost(interests, box)
            gain = None if doubt is None else places.sum_over(doubt.field, box)
            yield self._described(box, f"{maps.key.region}-{k}", name, said, gain)
            doubt = None if doubt is None else doubt.without(places.window(box))

    def _unscanned_doubt(self, known: Interest | None) -> Interest | None:
        """Return the map that gains are counted in; None without probabilities."""
        if known is None and self._maps.probability is not None:
            known = Interest(doubt_removed(self._maps, self._request.improvement))
        return None if known is None else self._unscanned(known)

    def _unscanned(self, interest: Interest) -> Interest:
        for rectangle in self._request.taken:
            interest = interest.without(self._request.raster.window(rectangle))
        return interest

    def _foremost(self, interests: Mapping[str, Interest], box: BoxPlace) -> str:
        """Return the criterion with the largest share in a box."""
        return max(interests, key=lambda name: self._places.sum_over(interests[name].field, box))

    def _described(
        self, box: BoxPlace, name: str, criterion: str, said: str, gain: float | None
    ) -> Region:
        maps, request = self._maps, self._request
        region = self._places.region(box)
        window = self._places.window(box)
        dose = None
        if self._dose is not None:
            dose = self._dose.expected_mgy(maps, region, request.improvement.photons)
        minutes = self._minutes(region)
        mapped_um2 = int((maps.final_index[window] >= 0).sum()) * request.raster.pixel_um2
        parts = (
            reasons.of_criterion(said, maps, window),
            reasons.share_of(maps.ambiguous, maps, window, "ambiguous"),
            reasons.area(mapped_um2),
            *reasons.cost(minutes, dose),
        )
        return replace(
            region,
            dwell_ms=request.dwell_ms or region.dwell_ms,
            name=name,
            criterion=criterion,
            reason=", ".join(part for part in parts if part),
            expected_gain=gain,
            dose_mgy=dose,
            minutes=minutes,
        )

    def _minutes(self, region: Region) -> float | None:
        """Return the time of the whole stack; None if the dwell is unknown."""
        if self._request.dwell_ms is None:
            return None
        exposure_s = region.nx * region.ny * self._request.dwell_ms / 1000
        image_s = exposure_s + region.ny * self._overhead.line_s + self._overhead.energy_s
        return len(self._maps.energies_ev) * image_s / 60


def strongest_image(maps: PhaseMaps) -> int:
    """Return the index of the energy at which the specimen absorbs most."""
    mapped = maps.final_index >= 0
    return int(measured_mean(maps.od[:, mapped]).argmax())
