"""Copies on the thread of a RunEngine; the time they take is in benchmarks.robustness."""

import gc
import os
import threading
from collections import UserDict
from pathlib import Path

import numpy as np
import pytest

from stxm_live.core.harmless import Harmless
from stxm_live.io.documents import copied, copies, snapshot, with_arrays


class Text(str):
    """A text of a type of its own, as of an enumeration."""


def event(value):
    return {"uid": "e", "data": {"counts": value, "energy": 1.5}}


MANY = {
    "dicts": [{"a": k} for k in range(20_000)],
    "dicts by name": {str(k): {"a": k} for k in range(20_000)},
    "a dict": dict.fromkeys(range(400_000)),
    "lists": [[k] for k in range(40_000)],
    "texts": ["x"] * 600_000,
    "nothing": [None] * 600_000,
    "numbers": [0.5] * 2_000_000,
    "objects": np.full(2_000_000, None),
    "a set": set(range(400_000)),
    "texts of another type": [Text("x")] * 20_000,
    "paths": [Path("a")] * 20_000,
    "numbers beside a dict": [0.5] * 70_000 + [{}],
    "times of numpy": [np.datetime64("2026-01-01")] * 600_000,
}


@pytest.mark.parametrize("kind", MANY)
def test_a_value_that_would_take_too_long_is_left_out_by_name_and_the_others_stay(kind):
    copy = copied("event", event(MANY[kind]))
    assert copy.doc["data"] == {"counts": None, "energy": 1.5}
    assert copy.left_out == ("'counts' (more than 12500 parts)",)
    assert not copy.has_no_room


@pytest.mark.parametrize("where", ["start", "configuration"])
def test_of_very_many_fields_the_first_are_kept(where):
    fields = {str(k): k for k in range(10**5)}
    doc = {"uid": "u", **fields} if where == "start" else {"uid": "u", "configuration": fields}
    copy = copied("start", doc)
    kept = copy.doc if where == "start" else copy.doc["configuration"]
    assert len(kept) == copies.MOST_FIELDS
    assert copy.doc["uid"] == "u"
    assert "fields)" in copy.left_out[0]


def test_of_very_many_values_left_out_the_first_are_named():
    copy = copied("start", {str(k): object() for k in range(3000)})
    assert len(copy.left_out) == 21
    assert copy.left_out[-1] == "further values"


def test_numbers_of_numpy_in_a_list_are_copied_as_quickly_as_others():
    doc = event([np.float64(k) for k in range(100_000)])
    copy = copied("event", doc)
    doc["data"]["counts"][0] = -1
    assert copy.left_out == ()
    np.testing.assert_array_equal(
        with_arrays("event", copy.doc)["data"]["counts"], np.arange(100_000)
    )


def test_an_array_in_another_order_is_copied_as_it_is_and_put_into_rows_later():
    image = np.arange(12.0).reshape(3, 4).T
    copy = copied("event", event(image))
    kept = copy.doc["data"]["counts"]
    image[:] = 0
    assert kept.flags.f_contiguous
    rows = with_arrays("event", copy.doc)["data"]["counts"]
    assert rows.flags.c_contiguous
    np.testing.assert_array_equal(rows, np.arange(12.0).reshape(3, 4).T)


def test_an_array_that_is_computed_or_read_when_it_is_converted_is_left_out():
    class Lazy:
        def __dask_graph__(self):
            return {}

        def __array__(self, dtype=None, copy=None):
            raise AssertionError("computed on the thread of the RunEngine")

    copy = copied("event", event(Lazy()))
    assert copy.doc["data"]["counts"] is None
    assert "computed only now" in copy.left_out[0]


def test_an_array_in_a_file_is_left_out(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        copy = copied("event", event(file.create_dataset("counts", data=[1, 2])))
    assert copy.doc["data"] == {"counts": None, "energy": 1.5}


def test_records_in_a_list_are_copies():
    records = np.array([(1, 2.0)], dtype=[("a", int), ("b", float)])
    copy = copied("event", event([records[0]]))
    records["a"] = 7
    assert copy.doc["data"]["counts"][0]["a"] == 1


def test_arrays_that_would_take_too_long_are_left_out_by_name(monkeypatch):
    monkeypatch.setattr(copies, "MOST_ARRAY_BYTES", 1000)
    doc = {"uid": "e", "data": {"a": np.ones(100), "b": np.ones(100), "c": np.ones(20)}}
    copy = copied("event", doc)
    assert copy.doc["data"]["b"] is None
    assert copy.left_out == ("'b' (no time for 0.000763 MiB more of arrays)",)
    np.testing.assert_array_equal(copy.doc["data"]["c"], np.ones(20))
    assert not copy.has_no_room


@pytest.mark.parametrize(
    "value",
    [np.ones(2**21), bytearray(2**24), np.ma.ones(2**20), memoryview(np.ones(2**21))],
    ids=["array", "bytes", "masked", "memory"],
)
def test_a_start_document_has_no_large_arrays(value):
    copy = copied("start", {"uid": "r", "calibration": value, "sample": "a"})
    assert copy.doc == {"uid": "r", "calibration": None, "sample": "a"}
    assert "no time for " in copy.left_out[0]


def test_a_stored_document_of_any_size_is_copied_whole():
    rows = [[0.5] * 800] * 800
    assert copied("event", event(rows)).doc["data"]["counts"] is None
    assert snapshot("event", event(rows))["data"]["counts"].shape == (800, 800)


def test_more_bytes_than_a_reading_may_have_are_left_out():
    copy = copied("event", event(bytearray(2**24)))
    assert copy.doc["data"] == {"counts": None, "energy": 1.5}
    assert "no time for 16 MiB of bytes" in copy.left_out[0]


@pytest.mark.parametrize("mask", [np.ma.nomask, [[True, False, True]]])
def test_a_masked_array_is_a_copy_with_its_mask(mask):
    image = np.ma.MaskedArray([[1.0, 2.0, 3.0]], mask, fill_value=-7)
    kept = copied("event", event(image)).doc["data"]["counts"]
    expected = image.copy()
    image[0, 1] = 9
    image.mask = True
    np.testing.assert_array_equal(kept.mask, expected.mask)
    np.testing.assert_array_equal(kept.filled(), expected.filled())


def test_an_object_that_has_no_values_in_time_is_left_out_and_its_type_not_asked_again():
    asked, end = [], threading.Event()

    class Slow:
        def __array__(self, dtype=None, copy=None):
            asked.append(1)
            end.wait(120)
            return np.zeros(3)

    first = copied("event", event(Slow()))
    second = copied("event", event([Slow(), Slow()]))
    end.set()
    assert first.doc["data"] == second.doc["data"] == {"counts": None, "energy": 1.5}
    assert "has no values after 0.04 s" in first.left_out[0]
    assert asked == [1]


def test_all_objects_of_a_document_are_waited_for_once():
    asked, end = [], threading.Event()

    def slow(number):
        wait = lambda *_, **__: (asked.append(number), end.wait(120))  # noqa: E731
        return type(f"Slow{number}", (), {"__array__": wait})()

    copy = copied("event", event([slow(n) for n in range(20)]) | {"other": slow(20)})
    end.set()
    assert copy.doc["data"] == {"counts": None, "energy": 1.5}
    assert len(asked) == 1
    assert "there is no time left for a Slow" in " ".join(copy.left_out)


def test_an_error_of_one_value_costs_nothing_beside_it(monkeypatch):
    def failing(_):
        raise ValueError("odd")

    monkeypatch.setattr(copies, "is_cut_off", failing)
    copy = copied("event", event(np.zeros(3)))
    assert copy.doc["data"] == {"counts": None, "energy": 1.5}
    assert copy.left_out == ("'counts' (odd)",)


def test_readings_that_are_no_dict_are_named():
    copy = copied("event", {**event(1), "data": UserDict(counts=1)})
    assert copy.left_out == ("'data' (a UserDict cannot be copied)",)


def test_a_log_may_fail_at_the_name_of_a_document_as_well():
    class Name(str):
        def __str__(self):
            raise SystemExit

        __format__ = __eq__ = __hash__ = __str__

    with Harmless("a %s document could not be taken", Name("event")):
        raise ValueError


@pytest.mark.parametrize("rows", [np.zeros(9, np.uint8), bytes(9), [0] * 9, "textlines"])
@pytest.mark.parametrize("name", ["event_page", "datum_page"])
def test_a_page_of_too_many_events_is_left_out_by_name(name, rows, monkeypatch):
    monkeypatch.setattr(copies, "MOST_EVENTS", 8)
    page = {"uid": rows, "time": rows[:8], "data": {"counts": rows}, "timestamps": {"counts": rows}}
    copy = copied(name, page)
    assert copy.doc["uid"] is copy.doc["data"]["counts"] is copy.doc["timestamps"]["counts"] is None
    assert len(copy.doc["time"]) == 8
    assert "more than 8 events in one page" in copy.left_out[0]
    assert copied("event", page).doc["data"]["counts"] is not None


@pytest.mark.parametrize("offset", [0, 8192])
def test_an_array_in_a_file_that_became_shorter_is_left_out_and_not_read(tmp_path, offset):
    file = tmp_path / "image"
    file.write_bytes(bytes(offset + 4 * 8192))
    mapped = np.memmap(file, np.float32, "r", offset=offset, shape=(64, 128))
    view = np.asarray(mapped[60:])
    assert copied("event", event(mapped)).left_out == ()
    file.unlink()
    assert copied("event", event(view)).left_out == ()  # a removed file stays whole
    file.write_bytes(bytes(offset + 4 * 8192))
    mapped = np.memmap(file, np.float32, "r", offset=offset, shape=(64, 128))
    view = np.asarray(mapped[60:])
    os.truncate(file, offset + 100)
    for cut_off in (mapped, view, [view, view]):
        copy = copied("event", event(cut_off))
        assert copy.doc["data"] == {"counts": None, "energy": 1.5}
        assert "its file is shorter than the array" in copy.left_out[0]


def test_the_search_for_garbage_is_not_left_off_by_two_copies_at_once(monkeypatch):
    get_threshold, before = gc.get_threshold, gc.get_threshold()

    def another_thread_ends_its_copy():
        found = get_threshold()
        gc.set_threshold(*before)
        return found

    gc.set_threshold(0)  # the other thread has begun
    try:
        monkeypatch.setattr(gc, "get_threshold", another_thread_ends_its_copy)
        copied("event", {"data": {"a": [1, 2]}})
        assert get_threshold() == before
    finally:
        gc.set_threshold(*before)
