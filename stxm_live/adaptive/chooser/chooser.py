"""`RegionChooser`: keeps the chosen region until a plan requests it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from stxm_live.adaptive.chooser.background import Suggest, Suggesting, suggester
from stxm_live.adaptive.chooser.dose_ceiling import ceiling_of
from stxm_live.adaptive.chooser.drawn_boxes import (
    MAX_REGION_PIXELS,
    LimitsUm,
    box_region,
    check_region,
)
from stxm_live.adaptive.regions import DoseMap
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.region import Region
from stxm_live.core.scan import StackScan
from stxm_live.core.stack import StackKey
from stxm_live.live.cube import ODCube
from stxm_live.live.mapper import LivePhaseMapper

logger = logging.getLogger("stxm_live")


class _Choice(NamedTuple):
    region: Region
    stack: StackKey | None


class RegionChooser:
    """Keep the choice of a person or a rule, from any thread, until a plan requests it.

    It never moves anything: a choice waits here until a plan claims it. Suggestions and choices
    belong to the stack whose maps they were made on. They are dropped as soon as another stack has
    its first image or maps, so that a box drawn on one sample is never scanned on the next one. A
    zoom that names that stack's run as its ``parent`` does not count as another stack. While a
    plan explores (`exploring`), overview and zooms belong together: a region chosen during a scan
    is kept for the next question.

    Parameters
    ----------
    live : LivePhaseMapper, optional
        Source of the newest maps; without it, maps are passed to `on_maps`.
    suggest : callable, optional
        Function from maps and the regions scanned since to suggestions, best first; by default
        `suggest_regions` with ``n_suggestions`` and ``size_um``.
    n_suggestions : int
    size_um : (float, float), optional
        Width and height of a suggested region; by default a third of the field.
    limits_um : ((float, float), (float, float)), optional
        Lowest and highest position in x and in y. A choice beyond is refused at once; the plan
        still asks the axes before it moves.
    most_pixels : int
        A choice with more pixels is refused at once, such as one in the wrong unit.
    dose : DoseMap, optional
        Dose of the sample: the chooser adds all maps that it receives, and suggestions give their
        dose.
    max_dose_mgy : float, optional
        Needs ``dose``. Highest dose of any pixel, earlier scans included. A region that would
        exceed it, or whose dose is unknown, is not suggested, and is refused if chosen. It is
        checked again when a plan claims it.
    **options
        Options of `suggest_regions`: ``criterion``, ``step_um``, ``dwell_ms`` and others.

    Attributes
    ----------
    question : str
        Purpose of the choice that a plan waits for; empty if none waits.
    question_left_s : float
        Time in seconds that the plan still waits; a pause of the plan does not count.

    Examples
    --------
    >>> chooser = RegionChooser()
    >>> chooser.latest() is None
    True
    >>> region = chooser.choose_box((0, 2), (0, 1), step_um=0.5)
    >>> chooser.latest() == region
    True
    >>> chooser.withdraw()
    >>> chooser.latest() is None
    True
    >>> chooser.close()
    """

    def __init__(
        self,
        live: LivePhaseMapper | None = None,
        *,
        suggest: Suggest | None = None,
        n_suggestions: int = 5,
        size_um: tuple[float, float] | None = None,
        limits_um: LimitsUm | None = None,
        most_pixels: int = MAX_REGION_PIXELS,
        dose: DoseMap | None = None,
        max_dose_mgy: float | None = None,
        **options: Any,
    ) -> None:
        self._dose = dose
        self._ceiling = ceiling_of(dose, max_dose_mgy)
        self.limits_um = limits_um
        self.most_pixels = most_pixels
        self.question = ""
        self.question_left_s = 0.0
        self._lock = threading.RLock()
        self._choice: _Choice | None = None
        self._refused = ""
        self._stacks: tuple[StackKey, ...] = ()
        self._maps: PhaseMaps | None = None
        self._scan: StackScan | None = None
        self._scanned: tuple[Region, ...] = ()
        self._is_exploring = False
        suggest = suggest or suggester(
            n_suggestions, size_um=size_um, limits_um=limits_um, dose=dose, **options
        )
        self._suggesting = Suggesting(self._ceiling.within(suggest) if self._ceiling else suggest)
        if live is not None:
            live.add_sink(on_cube=self.on_cube, on_maps=self.on_maps)
            made = live.results()
            self._count(made)
            with self._lock:
                if made and self.stack is None:
                    self._follow(made[-1])

    @property
    def suggestions(self) -> list[Region]:
        """Return the suggestions from the newest maps, the best first.

        Empty while they are being made, and while a stack of another field is scanned.
        """
        return list(self._suggesting.newest.regions)

    @property
    def is_ready(self) -> bool:
        """Return True if suggestions from the newest maps are made, or known to be impossible."""
        return self._suggesting.newest.is_ready

    @property
    def no_suggestions(self) -> str:
        """Return the reason why nothing is suggested; empty otherwise."""
        return self._suggesting.newest.problem

    @property
    def refused(self) -> str:
        """Return the reason why the last choice was refused; empty once one is accepted."""
        return self._refused

    @property
    def stack(self) -> StackKey | None:
        """Return the stack that suggestions come from and choices are for; None before any."""
        with self._lock:
            return self._stacks[0] if self._stacks else None

    @property
    def scanned(self) -> tuple[Region, ...]:
        """Return the regions that a plan has scanned since the suggestions' maps were made."""
        return self._scanned

    def latest(self) -> Region | None:
        """Return the newest choice, or None, without waiting."""
        with self._lock:
            return None if self._choice is None else self._choice.region

    def choose(self, region: Region, *, stack: StackKey | None = None) -> Region:
        """Choose a region, which replaces an earlier choice, and return it.

        Parameters
        ----------
        region : Region
        stack : StackKey, optional
            The stack on whose maps it was chosen, if the chooser may have newer ones than the
            person saw; by default the present one. Not checked before the first maps.

        Raises
        ------
        ValueError
            If it has no size, is beyond the limits, has too many pixels, would exceed the dose or
            was chosen on an earlier stack; `refused` says the same.
        """
        with self._lock:
            stack = stack or self.stack
        try:
            self._check_stack(stack)
            check_region(region, self.limits_um, self.most_pixels)
            self._check_dose(region)  # without the lock: a plan and the maps may want it meanwhile
            with self._lock:
                self._check_stack(stack)
                self._choice, self._refused = _Choice(region, stack), ""
        except ValueError as error:
            self.refuse(str(error))
            raise
        return region

    def choose_box(
        self,
        x_um: tuple[float, float],
        y_um: tuple[float, float],
        *,
        step_um: float | tuple[float, float] | None = None,
        dwell_ms: float | None = None,
        stack: StackKey | None = None,
    ) -> Region:
        """Choose a box by its edges, in any order, and return the region.

        Without ``step_um`` and ``dwell_ms`` those of the best suggestion are used. If there is
        none, they are half the step of the maps, or of the scan under way, and its dwell (1 ms
        if unknown).

        Raises
        ------
        ValueError
            As `choose`, or if there is nothing to take the step from.
        """
        stack = stack or self.stack
        try:
            region = box_region(
                x_um,
                y_um,
                step_um=self._default_step_um() if step_um is None else step_um,
                dwell_ms=self._default_dwell_ms() if dwell_ms is None else dwell_ms,
                limits_um=self.limits_um,
                most_pixels=self.most_pixels,
            )
        except ValueError as error:
            self.refuse(str(error))
            raise
        return self.choose(region, stack=stack)

    def take(self, k: int, *, stack: StackKey | None = None) -> Region:
        """Choose suggestion ``k``, where 1 is the best, and return it.

        Raises
        ------
        ValueError
            As `choose`, or if there is no such suggestion.
        """
        with self._lock:
            suggestions, stack = self.suggestions, stack or self.stack
        if not 1 <= k <= len(suggestions):
            why = f" ({self.no_suggestions})" if self.no_suggestions else ""
            problem = f"there is no suggestion {k}; there are {len(suggestions)}{why}"
            self.refuse(problem)
            raise ValueError(problem)
        return self.choose(suggestions[k - 1], stack=stack)

    def withdraw(self) -> None:
        """Delete the choice, unless a plan has claimed it already."""
        with self._lock:
            self._choice = None

    def claim(self) -> Region | None:
        """Return the latest choice and remove it, for the plan that scans it.

        Return None if it would now exceed the dose; `refused` then gives the reason.
        """
        with self._lock:
            choice, self._choice = self._choice, None
        if choice is None:
            return None
        try:
            self._check_dose(choice.region)
        except ValueError as error:
            self.refuse(str(error))
            return None
        return choice.region

    def refuse(self, message: str) -> None:
        """Report in `refused` and in the log that the choice cannot be scanned, and why."""
        self._refused = message
        logger.warning("choice refused: %s", message)

    def on_maps(self, maps: PhaseMaps) -> None:
        """Take new maps: a sink of the mapper; while a plan explores, only its overview's."""
        self._count([maps])
        with self._lock:
            if self._is_exploring and maps.key != self.stack:
                return
            self._follow(maps)

    def on_cube(self, view: ODCube) -> None:
        """Note the stack that is recorded: choices may be made on it, and on no earlier one.

        Earlier ones are also allowed while a plan explores, or if this one is a zoom into them.
        """
        with self._lock:
            if view.key in self._stacks:
                return
            runs = {uid for stack in self._stacks for uid in stack.run_uids}
            if self._is_exploring or view.scan.parent in runs or runs & set(view.key.run_uids):
                self._add_stack(view.key)
            else:
                self._begin(view.key, f"{view.key} is being scanned")
                self._maps, self._scan = None, view.scan
                self._suggesting.forget(f"{view.key}: suggestions come with the maps")

    @contextmanager
    def exploring(self, maps: PhaseMaps) -> Iterator[None]:
        """Keep to the maps of the overview until the plan ends; for plans."""
        if maps is not self._maps:  # those that came to `on_maps` are counted
            self._count([maps])
        with self._lock:
            self._follow(maps)
            self._is_exploring = True
        try:
            yield
        finally:
            self._is_exploring = False

    def add_scanned(self, region: Region, stack: StackKey | None = None) -> None:
        """Record that a region was scanned, so that others are suggested; for plans."""
        with self._lock:
            self._scanned = (*self._scanned, region)
            if stack is not None:
                self._add_stack(stack)
            if self._maps is not None:
                self._suggesting.begin(self._maps, self._scanned)

    def close(self, timeout_s: float = 10.0) -> None:
        """End the thread that makes suggestions."""
        self._suggesting.close(timeout_s)

    def __enter__(self) -> RegionChooser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _follow(self, maps: PhaseMaps) -> None:
        """Suggest from these maps; a choice made on another stack is dropped."""
        if maps is self._maps:
            return
        if maps.key != self.stack:
            self._begin(maps.key, f"there are maps of {maps.key}")
        self._maps = maps
        self._suggesting.begin(maps, self._scanned)

    def _begin(self, stack: StackKey, what: str) -> None:
        """Accept choices for this stack only; one already made on it stays."""
        if self._choice is not None and not _is_same(self._choice.stack, stack):
            self._refused = (
                f"the choice made on {self._choice.stack or 'no maps'} was dropped: {what} now; "
                "choose again"
            )
            logger.warning("%s", self._refused)
            self._choice = None
        self._stacks, self._scanned = (stack,), ()

    def _add_stack(self, stack: StackKey) -> None:
        if stack not in self._stacks:
            self._stacks = (*self._stacks, stack)

    def _check_stack(self, stack: StackKey | None) -> None:
        if stack is not None and self._stacks and stack not in self._stacks:
            raise ValueError(
                f"chosen on the maps of {stack}, but the present ones are of "
                f"{self.stack or 'no stack'}; look at those and choose again"
            )

    def _count(self, results: Iterable[PhaseMaps]) -> None:
        if self._dose is not None:
            for maps in results:
                self._dose.add(maps)

    def _check_dose(self, region: Region) -> None:
        if self._ceiling is not None:
            self._ceiling.check(region, self._maps)

    def _default_step_um(self) -> tuple[float, float]:
        """Return the step of the best suggestion, else half that of the maps or of their scan."""
        suggestions, maps, scan = self.suggestions, self._maps, self._scan
        if suggestions:
            return suggestions[0].step_um
        if maps is not None:
            (ny, nx), (x0, x1, y0, y1) = maps.specimen.shape, maps.extent_um
        elif scan is not None:
            (ny, nx), (x0, x1, y0, y1) = scan.image_shape, scan.extent_um
        else:
            raise ValueError("there are no maps to take the step from; give step_um")
        return abs(x1 - x0) / max(nx - 1, 1) / 2, abs(y1 - y0) / max(ny - 1, 1) / 2

    def _default_dwell_ms(self) -> float:
        suggestions, source = self.suggestions, self._maps or self._scan
        if suggestions:
            return suggestions[0].dwell_ms
        return (source and source.dwell_ms) or 1.0


def _is_same(one: StackKey | None, other: StackKey) -> bool:
    """Return True if two keys are of one stack, which may have further runs by now."""
    if one is None or one[1:] != other[1:]:
        return False
    return one == other or bool(set(one.run_uids) & set(other.run_uids))
