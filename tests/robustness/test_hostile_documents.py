"""Whatever a RunEngine calls takes the same hostile documents: nothing raises, nothing waits."""

import datetime
import enum
import logging
import pathlib
import sys
import threading
from collections import OrderedDict, namedtuple
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxm_live import LivePhaseMapper, StackScan
from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.adaptive.energies import EnergyAdvisor
from stxm_live.core.worker import Limits
from stxm_live.io.catalog import RawWriter
from stxm_live.io.documents import copied, copies
from stxm_live.live.remote import publisher
from stxm_live.plotting import LiveFigure

NEVER = threading.Event()
Pair = namedtuple("Pair", "x y")


class Color(enum.IntEnum):
    RED = 3


class Raising:
    """Every question to it is an error."""

    def __array__(self, dtype=None, copy=None):
        raise SystemExit(1)

    def __len__(self):
        raise MemoryError

    def __iter__(self):
        raise KeyboardInterrupt

    def __deepcopy__(self, memo):
        raise SystemExit(2)


class Sly(dict):
    """A dict whose own methods never end."""

    def items(self):
        while True:
            yield "a", 1

    __iter__ = keys = items


class Sleeping:
    """An object of which every question takes a second, and which lies about its class."""

    @property
    def __class__(self):
        return self.nbytes

    @property
    def nbytes(self):
        NEVER.wait(1)
        raise SystemExit(3)

    def __array__(self, dtype=None, copy=None):
        return self.nbytes

    __dask_graph__ = nbytes


class SleepingDict(dict):
    """A document of which every question takes a second."""

    def items(self, *_):
        NEVER.wait(1)
        raise SystemExit(3)

    __len__ = __iter__ = __getitem__ = __contains__ = get = keys = items


class SleepingText(str):
    """A text of which every question takes a second."""

    def __hash__(self):
        NEVER.wait(1)
        raise SystemExit(3)

    __len__ = __str__ = __eq__ = __repr__ = __format__ = __hash__


class SleepingMask(np.ma.MaskedArray):
    """A masked array of which every question takes a second."""

    @property
    def nbytes(self):
        NEVER.wait(1)
        raise SystemExit(3)

    mask = data = nbytes


class SleepingMapping(Mapping):
    """A document that is no dict, of which every question takes a second."""

    def __len__(self):
        NEVER.wait(1)
        raise SystemExit(3)

    __iter__ = __getitem__ = __len__


class SleepingName(str):
    """A name that takes a second to be compared, once it is in a dict."""

    is_slow = False

    def __hash__(self):
        if SleepingName.is_slow:
            NEVER.wait(1)
        return str.__hash__(self)

    def __eq__(self, other):
        if SleepingName.is_slow:
            NEVER.wait(1)
        return str.__eq__(self, other)


class SleepingUid:
    """A uid that is no text, and takes a second to become one."""

    def __str__(self):
        NEVER.wait(1)
        raise SystemExit(3)

    __hash__ = __repr__ = __str__


def asked(*_):
    """Take a second, and answer."""
    NEVER.wait(1)
    return 1


class SleepingMeta(type):
    """The class of classes of which every question takes a second."""

    __hash__ = __eq__ = __instancecheck__ = __subclasscheck__ = __len__ = __iter__ = asked
    __name__ = property(asked)

    def __getattribute__(cls, name):
        return type.__getattribute__(cls, name) if name == "__dict__" else asked()


class OfASleepingClass(metaclass=SleepingMeta):
    __array__ = asked


class TextOfASleepingClass(str, metaclass=SleepingMeta):
    pass


class SleepingNumber(np.float32):
    __hash__ = __eq__ = __sizeof__ = asked


class SaysItIsOfNumpy:
    __module__ = "numpy"
    __array__ = asked


class ClassWithASleepingName:
    __array__ = property(asked)


ClassWithASleepingName.__name__ = SleepingText("odd")


class Huge:
    nbytes = 10**15

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("its size is known before it is converted")


def itself():
    value = []
    value.append(value)
    return value


HOSTILE = {
    "lock": threading.Lock,
    "open file": lambda: sys.stderr,
    "module": lambda: sys,
    "generator": lambda: (x for x in "ab"),
    "raises": Raising,
    "list of objects that raise": lambda: [1, Raising()],
    "dict that never ends": lambda: Sly(a=1),
    "list in itself": itself,
    "deep": lambda: __import__("functools").reduce(lambda d, _: [d], range(5000), 0),
    "says it is huge": Huge,
    "huge and empty": lambda: np.broadcast_to(np.float32(0), (10**5, 10**5)),
    "one long text among many": lambda: ["x" * 20_000] + ["x"] * 20_000,
    "many dicts": lambda: [{"a": [1], "b": [[], {}]} for _ in range(5000)],
    "many numbers": lambda: list(range(10**5)),
    "large integers": lambda: [2**70, -(2**90)],
    "ragged": lambda: [[1], [2, 3], ["a"]],
    "masked": lambda: np.ma.masked_array([1.0, 2.0], mask=[0, 1]),
    "records": lambda: np.zeros(2, [("a", "<f4"), ("b", "O")]),
    "objects": lambda: np.array([None, threading.Lock()], dtype=object),
    "memoryview": lambda: memoryview(np.zeros((3, 4))),
    "named": lambda: Pair(1, [2]),
    "enumeration": lambda: Color.RED,
    "surrogate": lambda: "a\ud800b",
    "integer keys": lambda: {1: 2, None: 3, (1, 2): 4},
    "key of our own": lambda: {"__array__": "AAAA", "dtype": "<f4", "shape": [9]},
    "set": lambda: {1, 2},
    "date": lambda: datetime.datetime(2026, 1, 1),
    "path": lambda: pathlib.Path("/data"),
    "ordered": lambda: OrderedDict(a=[1]),
}

PLACES = {
    "start": lambda value: ("start", {"uid": "r", "time": 0.0, "sample": value}),
    "configuration": lambda value: (
        "descriptor",
        {
            "uid": "d",
            "run_start": "r",
            "name": "primary",
            "time": 0.0,
            "data_keys": {"counts": {"source": "t", "dtype": "array", "shape": [2]}},
            "configuration": {"det": {"data": {"odd": value}}},
        },
    ),
    "event": lambda value: (
        "event",
        {
            "uid": "e",
            "descriptor": "d",
            "seq_num": 1,
            "time": 0.0,
            "timestamps": {"counts": 0.0},
            "data": {"counts": value, "energy": 1.0},
        },
    ),
    "no document": lambda value: ("event", {"data": value, "descriptor": value}),
    "stop": lambda value: ("stop", {"run_start": "r", "time": 1.0, "reason": value}),
}
LIMITS = Limits(waiting_bytes=8 * 2**20)


@pytest.fixture(autouse=True, scope="module")
def small_documents_only():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies, "MOST_PARTS", 4000)
        yield


@pytest.fixture(scope="module")
def called_by_a_run_engine(tmp_path_factory, nvpf):
    """Everything that is subscribed to a RunEngine, and a catalogue that is not there."""
    folder = tmp_path_factory.mktemp("backup")
    writer = RawWriter(object(), backup_folder=folder, limits=LIMITS)
    publish = publisher("127.0.0.1:9")
    live, seen = LivePhaseMapper(nvpf, limits=LIMITS), LivePhaseMapper(nvpf, limits=LIMITS)
    with RegionChooser(seen) as chooser:
        EnergyAdvisor(seen)
        seen.add_sink(LiveFigure(folder / "pictures"), own_thread=True)
        yield {"writer": writer, "mapper": live, "publisher": publish, "figure and chooser": seen}
        assert chooser.claim() is None
    live.close()
    seen.close()
    publish.close()
    writer.close(30)


@pytest.mark.parametrize("who", ["writer", "mapper", "publisher", "figure and chooser"])
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_values_raise_nothing_anywhere(called_by_a_run_engine, who, what, caplog):
    with caplog.at_level(logging.CRITICAL):
        for document in PLACES.values():
            called_by_a_run_engine[who](*document(HOSTILE[what]()))


def a_hostile_stack(energies_ev, value):
    """A small stack with this value wherever a document has room for more."""
    scan = StackScan(
        shape=(3, 8, 9),
        energies_ev=energies_ev[:3],
        x_extent_um=(0, 1),
        y_extent_um=(0, 1),
        energy_motor="energy",
        data_field="counts",
    )
    start = {"uid": "s", "time": 0.0, **scan.metadata(), "sample": value, "scan_id": value}
    key = {"source": "t", "dtype": "number", "shape": []}
    keys = {"energy": key, "counts": {**key, "dtype": "array", "shape": [8, 9]}, "odd": key}
    yield "start", start
    yield (
        "descriptor",
        {
            **PLACES["configuration"](value)[1],
            **{"uid": "t", "run_start": "s", "data_keys": keys, "hints": value},
        },
    )
    for number, energy_ev in enumerate(scan.energies_ev, start=1):
        image = 1000 + 100 * np.random.default_rng(number).random((8, 9))
        data = {"energy": energy_ev, "counts": image, "odd": value}
        event = {"uid": str(number), "descriptor": "t", "seq_num": number, "time": 0.0}
        yield "event", {**event, "data": data, "timestamps": {"odd": value}, "filled": value}
    yield "stop", {"run_start": "s", "time": 1.0, "exit_status": "success", "reason": value}


def test_stacks_with_hostile_values_are_mapped_drawn_and_chosen_on(nvpf, caplog):
    live, figure = LivePhaseMapper(nvpf, background=False), LiveFigure()
    live.add_sink(figure)
    with RegionChooser(live, limits_um=((0, 1), (0, 1))) as chooser:
        for what, make in HOSTILE.items():
            with caplog.at_level(logging.CRITICAL):
                for name, doc in a_hostile_stack(nvpf.energies_ev, make()):
                    live(name, doc)
                assert live.wait("s", timeout_s=0).status == "complete", what
                assert chooser.stack is not None
                assert chooser.stack.run_uids == ("s",), what
                chooser.choose_box((0, 0.5), (0, 0.5), step_um=0.1)
                assert chooser.claim() is not None
                live._sinks.error("s", RuntimeError(make(), Raising()))
        assert figure.image().shape[2] == 4
        over = threading.Event()
        over.set()
        figure.block(over)
    live.close()


def seconds_waited(monkeypatch):
    """A list that grows with every wait of the thread that asks, which does not wait then."""
    asked, here = [], threading.get_ident()
    wait = lambda seconds: threading.get_ident() == here and asked.append(seconds)  # noqa: E731
    monkeypatch.setattr(NEVER, "wait", wait)
    return asked


@pytest.mark.parametrize("who", ["writer", "mapper", "publisher"])
@pytest.mark.parametrize("place", PLACES)
def test_no_value_is_asked_on_the_thread_of_the_scan(
    called_by_a_run_engine, who, place, monkeypatch, caplog
):
    waited = seconds_waited(monkeypatch)
    subscriber = called_by_a_run_engine[who]
    with caplog.at_level(logging.CRITICAL):
        masked = np.ma.masked_array([1.0, 2.0]).view(SleepingMask)
        odd = (OfASleepingClass(), OfASleepingClass, SaysItIsOfNumpy(), ClassWithASleepingName())
        texts = [TextOfASleepingClass("a"), 1]
        sets = {frozenset([1.0]), np.float32(3)}, {pathlib.Path("/a"), None}
        for value in (Sleeping(), SleepingDict(a=1), masked, *odd, texts, *sets, SleepingNumber(2)):
            for one in (value, [value], {"a": value}, [1, value]):
                subscriber(*PLACES[place](one))
        subscriber(*PLACES[place]({TextOfASleepingClass("a"): 1}))
        name, doc = PLACES[place](SleepingText("a"))
        subscriber(name, SleepingMapping())
        named = {SleepingName(key): value for key, value in doc.items()}
        named_data = {**doc, "data": {SleepingName("counts"): 1}}
        monkeypatch.setattr(SleepingName, "is_slow", True)
        subscriber(name, named)
        subscriber(name, named_data)
        for key in ("uid", "run_start", "descriptor", "resource"):
            subscriber(name, {**doc, key: SleepingUid()})
        subscriber(name, SleepingDict(doc))
        subscriber(name, {**doc, "descriptor": SleepingText("d"), "uid": SleepingText("u")})
    assert waited == []


VALUES = st.recursive(
    st.sampled_from([*HOSTILE.values()]).map(lambda make: make()) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=25)
@given(value=VALUES, place=st.sampled_from([*PLACES]))
def test_a_copy_never_raises_and_keeps_what_is_beside_a_hostile_value(value, place):
    name, doc = PLACES[place](value)
    copy = copied(name, {**doc, "beside": [1.5, "a"]}, room_bytes=8 * 2**20)
    assert copy.doc["beside"] == [1.5, "a"]
    assert copy.n_bytes <= 8 * 2**20


def test_a_uid_that_is_no_text_is_not_made_one(called_by_a_run_engine, caplog):
    """To write a million numbers as a text would hold the scan."""
    live = called_by_a_run_engine["mapper"]
    numbers = list(range(10**6))
    with caplog.at_level(logging.ERROR):
        live("start", {"uid": numbers, "time": 0.0})
    assert str(numbers) not in live._runs
    assert "a start document could not be taken" in caplog.text


def test_a_log_that_raises_is_no_harm_either(called_by_a_run_engine, monkeypatch):
    class Handler(logging.Handler):
        def handle(self, record):
            raise SystemExit(3)

    handler = Handler()
    logging.getLogger("stxm_live").addHandler(handler)
    try:
        for subscriber in called_by_a_run_engine.values():
            subscriber("event", None)
    finally:
        logging.getLogger("stxm_live").removeHandler(handler)


def test_ctrl_c_on_the_thread_of_the_users_program_goes_on_to_it(nvpf, monkeypatch, caplog):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    live = LivePhaseMapper(nvpf)
    monkeypatch.setattr("stxm_live.live.mapper.copied", interrupted)
    with pytest.raises(KeyboardInterrupt), caplog.at_level(logging.CRITICAL):
        live("start", {"uid": "r"})
    elsewhere = threading.Thread(target=live, args=("start", {"uid": "s"}))
    elsewhere.start()
    elsewhere.join()
    live.close()
    assert "could not be taken" in caplog.text


def test_a_stop_for_which_there_is_no_room_ends_its_run(nvpf, caplog):
    go_on = threading.Event()
    live = LivePhaseMapper(nvpf, limits=Limits(waiting_bytes=10**6))
    handle = live._worker._handle
    live._worker._handle = lambda item: (go_on.wait(60), handle(item))
    *documents, (_, stop) = a_hostile_stack(nvpf.energies_ev, None)
    for name, doc in documents:
        live(name, doc)
    live("event", {**documents[2][1], "data": {"counts": np.zeros(10**6 - 10_000, np.uint8)}})
    live("stop", {**stop, "reason": "x" * 10**6})
    go_on.set()
    with pytest.raises(RuntimeError, match="was given up while it was measured"):
        live.wait("s", timeout_s=60)
    live.close()
