"""Streams of every shape, spoilt at every position in every way, and what must be true then.

A shape is one entry of `SHAPES`, a way to spoil one of `MUTATIONS`. What the mapper hands to
`map_phases` is caught: all maps are a function of it.
"""

from __future__ import annotations

import copy
import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import patch

import external_runs
import numpy as np
import shapes
from particles import particle_scan

from stxm_live import LivePhaseMapper, Recipe

IMAGES = (np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5) + 100) * 7
ENERGIES = (510.0, 516.6, 525.0)

POSITIONS = ("start", "descriptor", "first", "middle", "last", "stop")
"""And "file", the document that names a file, where there is one."""

HOSTILE = (
    "../../../../etc/passwd",
    "/dev/zero",
    "file://localhost/../../etc/shadow",
    "file:///proc/self/mem",
    "\\\\server\\share",
    "<script>alert(1)</script>",
    "%s%n%x{0.__class__}",
    "__import__('os').system('true')",
    "\x00\x1b[2J\ud800",
    "x" * 100_000,
)
WRONG = (None, "x", "", True, -1, 0, 1.5, b"\xff", [], {}, [[]], {"a": {"b": []}}, object, 1j)
HUGE = (10**18, -(10**18), 2**70, 1e308, float("inf"), [0] * 100_000, np.zeros(200_000))


def tiny_counts():
    return IMAGES, ENERGIES


def tiny_scan(**changes):
    return particle_scan(shape=IMAGES.shape, energies_ev=ENERGIES, **changes)


def one(docs):
    return [list(docs)]


def with_npy(folder):
    return one(external_runs.datum_run("NPY_SEQ", folder))


def with_hdf5(folder):
    path = external_runs.h5_file(folder / "stack.h5", IMAGES)
    return one(external_runs.stream_run(path))


def by_page(_):
    """Lines, one event_page an image."""
    from event_model import pack_event_page

    (docs,) = one(shapes.line_run())
    events = [doc for name, doc in docs if name == "event"]
    pages = [("event_page", pack_event_page(*events[k : k + 4])) for k in range(0, 12, 4)]
    return [[*docs[:2], *pages, docs[-1]]]


SHAPES: dict[str, Callable[[Path], list[list[tuple[str, dict]]]]] = {
    "image": lambda folder: one(shapes.image_run()),
    "line": lambda folder: one(shapes.line_run()),
    "page": by_page,
    "pixel": lambda folder: one(shapes.pixel_run()),
    "streams": lambda folder: one(shapes.streams_run()),
    "fields": lambda folder: one(shapes.fields_run()),
    "cls": lambda folder: shapes.cls_runs(),
    "runs": lambda folder: shapes.id_runs(),
    "datum": with_npy,
    "hdf5": with_hdf5,
}
"""The runs of a stack in each shape; images in files lie in the folder."""

IN_FILES = ("datum", "hdf5")


@contextmanager
def tiny_stacks() -> Iterator[dict[str, list[list[tuple[str, dict]]]]]:
    """The runs of all shapes, with images small enough for thousands of streams."""
    with tempfile.TemporaryDirectory() as folder:
        for k, image in enumerate(IMAGES):
            np.save(Path(folder) / f"image_{k}.npy", image)
        with (
            patch.object(shapes, "small_counts", tiny_counts),
            patch.object(shapes, "small_scan", tiny_scan),
            patch.object(external_runs, "small_counts", tiny_counts),
            patch.object(external_runs, "small_scan", tiny_scan),
            patch.object(external_runs, "event_numbers", lambda again: [1, 2, 3]),
        ):
            runs = {name: make(Path(folder)) for name, make in SHAPES.items()}
        yield runs | {"folder": folder}


# mutations: (random, documents, index) -> documents


def dropped(rand, docs, k):
    return docs[:k] + docs[k + 1 :]


def doubled(rand, docs, k):
    return [*docs[: k + 1], *docs[k:]]


def reordered(rand, docs, k):
    rest = docs[:k] + docs[k + 1 :]
    j = rand.randrange(len(rest) + 1)
    return [*rest[:j], docs[k], *rest[j:]]


def truncated(rand, docs, k):
    return docs[:k]


def shortened(rand, docs, k):
    return changed(rand, docs, k, lambda value: cut(rand, value), wanted=(list, str, np.ndarray))


def wrongly_typed(rand, docs, k):
    return changed(rand, docs, k, lambda value: rand.choice(WRONG))


def nan(rand, docs, k):
    return changed(rand, docs, k, not_a_number, wanted=(float, int, np.ndarray, list))


def huge(rand, docs, k):
    return changed(rand, docs, k, lambda value: rand.choice(HUGE))


def hostile(rand, docs, k):
    return changed(rand, docs, k, lambda value: rand.choice(HOSTILE))


def hostile_path(rand, docs, k):
    return changed(rand, docs, k, lambda value: rand.choice(HOSTILE[:5]), wanted=(str,))


def lacking(rand, docs, k):
    name, doc = copy.deepcopy(docs[k])
    del doc[rand.choice(sorted(doc))]
    return [*docs[:k], (name, doc), *docs[k + 1 :]]


MUTATIONS = {
    f.__name__: f
    for f in (
        *(dropped, doubled, reordered, truncated, shortened, wrongly_typed),
        *(nan, huge, hostile, hostile_path, lacking),
    )
}

STRUCTURAL = ("dropped", "doubled", "reordered", "truncated")
"""Ways that leave the documents themselves as they were."""


def changed(rand, docs, k, change, wanted=(object,)):
    """The stream with one leaf of a document replaced."""
    name, doc = copy.deepcopy(docs[k])
    leaves = list(leaves_of(doc))
    fitting = [leaf for leaf in leaves if isinstance(leaf[0][leaf[1]], wanted)] or leaves
    holder, key = rand.choice(fitting)
    holder[key] = change(holder[key])
    return [*docs[:k], (name, doc), *docs[k + 1 :]]


def leaves_of(value):
    """(container, key) of everything in a document, containers too."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, dict) or (isinstance(item, list) and len(item) < 50):
            yield from leaves_of(item)


def cut(rand, value):
    return value[: rand.randrange(len(value))] if len(value) else value


def not_a_number(value):
    if isinstance(value, np.ndarray) and value.ndim:
        value = value.copy()
        value.flat[::2] = np.nan
        return value
    return [float("nan")] * len(value) if isinstance(value, list) else float("nan")


# positions


def positions_of(docs) -> dict[str, int]:
    """Where the positions are in a run."""
    names = [name for name, _ in docs]
    events = [k for k, name in enumerate(names) if name in ("event", "event_page")]
    found = {"start": 0, "descriptor": names.index("descriptor"), "stop": len(docs) - 1}
    found |= {"first": events[0], "middle": events[len(events) // 2], "last": events[-1]}
    files = [k for k, name in enumerate(names) if name in ("resource", "stream_resource")]
    return found | ({"file": files[0]} if files else {})


def cells() -> list[tuple[str, str, str]]:
    """Every shape, mutation and position there is."""
    return [
        (shape, mutation, position)
        for shape in SHAPES
        for mutation in MUTATIONS
        for position in (*POSITIONS, *(("file",) if shape in IN_FILES else ()))
    ]


IN_EVENTS = ("event", "event_page")


def place_of(doc, run, region, energy):
    """The pixels of an image that an event carries: no two pixels have the same counts."""
    name = next(d["name"] for n, d in run if n == "descriptor" and d["uid"] == doc["descriptor"])
    said = doc["data"].get("roi", name)
    if said != region and said in ("left", "right"):
        return np.zeros(IMAGES.shape[1:], bool)
    image = IMAGES[ENERGIES.index(energy)]
    image = image[::-1] if region == "right" else image
    values = [v for key, v in doc["data"].items() if key in IMAGE_KEYS]
    if not values or isinstance(values[0], str):  # in a file
        return np.full(image.shape, doc["seq_num"] == ENERGIES.index(energy) + 1)
    return np.isin(image, np.asarray(values[0], np.float32))


IMAGE_KEYS = ("counts", "apd", "counter0_waveform_rbv")


def _in_time(stream):
    """Documents (their ids) that come after their descriptor and before the stop."""
    known, in_time = set(), set()
    for name, doc in stream:
        if name == "stop":
            break
        if name == "descriptor":
            known.add(doc.get("uid") if isinstance(doc.get("uid"), str) else None)
        elif isinstance(doc.get("descriptor"), str) and doc["descriptor"] in known:
            in_time.add(id(doc))
    return in_time


def _is_one_of(doc, run):
    return any(doc is other for _, other in run)


def _claims(numbers, own):
    """Whether a spoilt event may pass for the one with this number."""
    wanted = set(own) if isinstance(own, list) else {own}
    for number in numbers:
        try:  # a ragged list is no array, and no number
            if not np.iscomplexobj(number) and wanted & {int(n) for n in np.ravel(number)}:
                return True
        except (TypeError, ValueError, OverflowError):
            continue
    return False


# what must be true


class FaultError(AssertionError):
    """The mapper did what it must not."""


class NoImages:
    """In place of what is known of the images, to have thousands of streams a minute."""

    def __init__(self, recipe):
        pass

    def usable(self, stack):
        pass


class OnlyTaking(LivePhaseMapper):
    """A mapper that takes documents as in a scan, and leaves them."""

    def _handle(self, item):
        pass


class Tester:
    """Feeds spoilt streams to a mapper and looks at what it would have mapped.

    ``longest_ms`` is the time of the processor that one document took on the thread of a scan.
    """

    def __init__(self, runs) -> None:
        self._runs = runs
        self._taking, self.longest_ms = OnlyTaking(Recipe.load("nvpf")), 0.0
        self._recipe = Recipe.load("nvpf").with_changes({"model": None, "energy_fit": False})
        self._mapped: dict = {}

    def check(self, shape: str, mutation: str, position: str, rand: random.Random) -> None:
        """Raise `FaultError` if something is not as it must be."""
        runs = self._runs[shape]
        spoilt = rand.randrange(len(runs))
        k = positions_of(runs[spoilt])[position]
        stream = MUTATIONS[mutation](rand, runs[spoilt], k)
        mutated = [*runs[:spoilt], stream, *runs[spoilt + 1 :]]
        self._mapped.clear()
        with self._live() as live:
            for name, doc in (pair for run in mutated for pair in run):
                begun_s = time.thread_time()
                self._taking(name, doc)
                self.longest_ms = max(self.longest_ms, 1e3 * (time.thread_time() - begun_s))
                live(name, doc)  # must not raise, whatever comes
            self._check_valid_frames(shape, mutated, k, spoilt, mutation, position)
            self._check_status(live, shape, stream, mutation, position)
            self._check_next_run(live)

    def close(self) -> None:
        """End the thread of the mapper that only takes."""
        self._taking.close()

    def mapped_of(self, shape: str, spoil: Callable[[list], object]) -> None:
        """Catch in ``mapped`` what a spoilt run would have mapped."""
        (docs,) = copy.deepcopy(self._runs[shape])
        spoil(docs)
        self._mapped.clear()
        with self._live() as live:
            for name, doc in docs:
                live(name, doc)

    @property
    def mapped(self) -> dict:
        """Stacks that would have been mapped."""
        return self._mapped

    @contextmanager
    def _live(self):
        with (
            patch("stxm_live.live.analysis.map_phases", self._catch),
            patch("stxm_live.live.analysis.ImageCache", NoImages),
            patch("stxm_live.live.analysis.align_images", lambda *_: None),
        ):
            options = {"file_timeout_s": 0.0, "roots": [self._runs["folder"]]}
            yield LivePhaseMapper(self._recipe, background=False, **options)

    def _catch(self, stack, *args, **options):
        self._mapped[stack.key.run_uids, stack.key.region] = stack
        raise ValueError("caught by the test")

    def _check_valid_frames(self, shape, runs, k, spoilt, mutation, position):
        """What no mutation touched is in the stack, at its place, as it was sent."""
        if position in ("start", "descriptor", "file") and mutation not in ("doubled",):
            return
        if position == "stop" and shape in ("cls", "runs") and mutation != "doubled":
            return  # a run that failed ends the stack
        if mutation in ("truncated", "dropped", "reordered") and not self._mapped:
            return  # nothing told the mapper to map what it has
        touched = self._touched(shape, runs, spoilt, k, mutation)
        for (_, region), stack in self._mapped.items():
            for energy, image in zip(ENERGIES, IMAGES, strict=True):
                expected = image[::-1] if region == "right" else image
                frame = next((f for f in stack.frames if f.announced_ev == energy), None)
                intact = ~touched[region, energy]
                if intact.any() and frame is None:
                    raise FaultError(f"the image at {energy:g} eV is lost")
                if frame is not None and (frame.intensity[intact] != expected[intact]).any():
                    raise FaultError(f"the image at {energy:g} eV lost what was valid")

    def _touched(self, shape, runs, spoilt, k, mutation):
        """Pixels that the mutation may have changed, by region and energy."""
        regions = ("left", "right") if shape in ("streams", "fields") else ("1", "0")
        touched = {(r, e): np.zeros(IMAGES.shape[1:], bool) for r in regions for e in ENERGIES}
        original, stream = self._runs[shape][spoilt], runs[spoilt]
        in_time = _in_time(stream)
        lost = [d for name, d in original if name in IN_EVENTS and id(d) not in in_time]
        claimed = [d for name, d in stream if name in IN_EVENTS and d is not original[k][1]]
        numbers = [d.get("seq_num") for d in claimed if not _is_one_of(d, original)]
        lost += [d for n, d in original if n in IN_EVENTS and _claims(numbers, d["seq_num"])]
        for doc in lost:
            for (region, energy), mask in touched.items():
                mask |= place_of(doc, original, region, energy)
        return touched

    def _check_status(self, live, shape, stream, mutation, position):
        """A run that lost something says so."""
        start = next((doc for name, doc in stream if name == "start"), None)
        if start is None or not isinstance(start.get("uid"), str):
            return
        try:
            status = live.status(start["uid"])
        except KeyError:
            return
        ended = any(
            name == "stop" and str(doc.get("run_start")) == start["uid"] for name, doc in stream
        )
        alone = shape not in ("cls", "runs")
        if ended and alone and mutation != "reordered" and not status.is_done:
            raise FaultError(f"the run has ended and its status is {status}")
        for stack in self._mapped.values():
            whole = {f.announced_ev for f in stack.frames if f.is_whole}
            if stack.finished != (whole >= set(stack.scan.energies_ev)):
                raise FaultError(f"{len(whole)} whole images, and finished is {stack.finished}")
            for frame in stack.frames:
                if frame.is_whole and np.isnan(frame.intensity).any() and mutation in STRUCTURAL:
                    raise FaultError("an image with holes calls itself whole")
        lost = mutation in ("dropped", "shortened", "lacking", "wrongly_typed")
        # a number in the place of a pixel's count is a count
        is_count = shape == "pixel" and mutation == "wrongly_typed"
        in_event = position in ("first", "middle", "last") and not is_count
        if ended and lost and in_event and alone and self._differs() and not self._is_told(status):
            raise FaultError(f"something was lost and nothing tells: {status}")

    def _differs(self):
        for (_, region), stack in self._mapped.items():
            expected = IMAGES[:, ::-1] if region == "right" else IMAGES
            found = {f.announced_ev: f.intensity for f in stack.frames}
            for energy, image in zip(ENERGIES, expected, strict=True):
                if not np.array_equal(found.get(energy), image):
                    return True
        return not self._mapped

    def _is_told(self, status):
        stacks = self._mapped.values()
        return (
            any(stack.notes or not stack.finished for stack in stacks)
            or bool([p for p in status.problems if "caught" not in p])
            or (status.error is not None and "caught by the test" not in str(status.error))
        )

    def _check_next_run(self, live):
        """Whatever came, the next run is mapped whole."""
        self._mapped.clear()
        (docs,) = self._runs["next"]
        for name, doc in docs:
            live(name, doc)
        (stack,) = self._mapped.values()
        if not stack.finished or not np.array_equal(stack.intensity(), IMAGES):
            raise FaultError("the run after the spoilt one is not whole")


@contextmanager
def a_tester() -> Iterator[Tester]:
    """Set up once; the log is silent meanwhile, for it tells of every fault."""
    logger = logging.getLogger("stxm_live")
    with tiny_stacks() as runs:
        with (
            patch.object(shapes, "small_counts", tiny_counts),
            patch.object(shapes, "small_scan", tiny_scan),
        ):
            runs["next"] = one(shapes.image_run())
        was = logger.disabled
        logger.disabled = True
        try:
            with closing(Tester(runs)) as tester:
                yield tester
        finally:
            logger.disabled = was


def gone_through(
    n_streams: int, seed: int, cells_in: Sequence[tuple[str, str, str]] | None = None
) -> tuple[Counter, list[str], float]:
    """Go through all cells again and again: streams by cell, faults, and `Tester.longest_ms`."""
    wanted = list(cells_in or cells())
    counts: Counter = Counter()
    faults: list[str] = []
    with a_tester() as tester:
        for n in range(n_streams):
            cell = wanted[n % len(wanted)]
            try:
                tester.check(*cell, random.Random(f"{seed} {n}"))
            except Exception as error:  # noqa: BLE001  all of them are reported
                faults.append(f"{' x '.join(cell)}, stream {n}: {error!r}")
            counts[cell] += 1
    return counts, faults, tester.longest_ms
