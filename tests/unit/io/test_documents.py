import copy
import threading
import tracemalloc

import event_model
import numpy as np
import pytest
from particles import (
    NX,
    NY,
    documents,
    image_documents,
    image_events,
    line_documents,
    line_events,
    particle_counts,
    particle_scan,
)

from stxm_live.core.scan import StackScan
from stxm_live.io.documents import RunFrames, snapshot
from stxm_live.io.documents.slot import Piece, Slot


def read(stream, scan=None, **options):
    """The one stack of a run and every frame that was announced as whole on the way."""
    reader, whole = None, []
    for name, doc in stream:
        if name == "start":
            reader = RunFrames(doc, scan, **options)
        else:
            whole += [frame for _, frame in reader(name, doc)]
    (stack,) = reader.stacks
    return stack, whole


def assert_holds_the_particle(reader):
    counts, energies_ev, _ = particle_counts()
    stack = reader.stack()
    np.testing.assert_array_equal(stack.intensity(), counts)
    assert stack.energies_ev == energies_ev
    assert stack.finished
    assert stack.missing_ev == ()


def test_one_event_per_image_gives_one_frame_each():
    reader, whole = read(image_documents())
    assert_holds_the_particle(reader)
    assert len(whole) == 13
    assert reader.is_closed


@pytest.mark.parametrize(
    "as_sent",
    [
        lambda image: image.ravel(),
        lambda image: image.tolist(),
        lambda image: image[None],
        lambda image: image.astype(np.uint16),
        lambda image: np.asfortranarray(image),
    ],
    ids=["flat waveform", "nested lists", "leading axis of one", "uint16", "column order"],
)
def test_an_image_may_come_in_any_form_of_the_right_size(as_sent):
    reader, _ = read(image_documents(change=lambda k, image: as_sent(image)))
    assert_holds_the_particle(reader)


CUTS = {
    "a row": lambda image: image[0],
    "an image of one row": lambda image: image[:1],
    "a flat waveform cut to two rows": lambda image: image.ravel()[: 2 * NX],
}


@pytest.mark.parametrize("declared", [(NY, NX), (7,)], ids=["declared", "wrongly declared"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("spoilt", [1, 7, 12])
def test_an_image_cut_to_one_row_is_left_out_and_harms_no_other(spoilt, cut, declared):
    counts, energies_ev, _ = particle_counts()
    events = image_events(change=lambda k, image: cut(image) if k == spoilt else image)
    stack, whole = read(documents(events, particle_scan(), shape=declared))
    assert len(whole) == 12
    assert stack.stack().missing_ev == (energies_ev[spoilt],)
    np.testing.assert_array_equal(stack.stack().intensity(), np.delete(counts, spoilt, axis=0))
    assert f"event {spoilt + 1} at {energies_ev[spoilt]:g} eV" in " ".join(stack.notes)
    assert "one line, the stream one image per event; left out" in " ".join(stack.notes)


def test_a_first_image_cut_to_one_row_does_not_make_a_stream_of_lines_of_declared_images():
    counts, energies_ev, _ = particle_counts()
    events = image_events(change=lambda k, image: image[0] if k == 0 else image)
    stack, _ = read(documents(events, particle_scan()))
    assert stack.stack().missing_ev == energies_ev[:1]
    np.testing.assert_array_equal(stack.stack().intensity(), counts[1:])


def test_an_event_that_a_catalogue_kept_in_a_stream_of_its_own_is_no_line_either():
    docs = list(image_documents())
    event = docs[4][1]
    second = dict(docs[1][1], uid="second", name="primary_2")
    second["data_keys"] = second["data_keys"] | {
        "counts": {"source": "test", "dtype": "array", "shape": [NX]}
    }
    row = dict(
        event, descriptor="second", data=event["data"] | {"counts": event["data"]["counts"][0]}
    )
    stack, whole = read([*docs[:4], ("descriptor", second), ("event", row), *docs[5:]])
    assert len(whole) == 12
    assert stack.stack().missing_ev == (event["data"]["energy"],)


def test_one_event_per_line_gives_a_frame_with_its_last_line():
    reader, whole = read(line_documents())
    assert_holds_the_particle(reader)
    assert [frame.announced_ev for frame in whole] == list(particle_counts()[1])


def test_event_pages_are_read_like_events():
    stream = list(line_documents())
    start, descriptor = stream[:2]
    events = [doc for name, doc in stream if name == "event"]
    pages = [
        ("event_page", event_model.pack_event_page(*events[first : first + 7]))
        for first in range(0, len(events), 7)
    ]
    reader, _ = read([start, descriptor, *pages, stream[-1]])
    assert_holds_the_particle(reader)


def test_energies_may_come_in_any_order():
    reader, _ = read(image_documents(order=[7, 0, 12, 3, 1, 2, 4, 6, 5, 11, 8, 10, 9]))
    assert_holds_the_particle(reader)


def test_a_readback_beside_the_announced_energy_is_the_frame_s_energy():
    events = [(n, data | {"energy": data["energy"] + 0.04}) for n, data in image_events()]
    reader, _ = read(documents(events, particle_scan()))
    stack = reader.stack()
    assert stack.missing_ev == ()
    np.testing.assert_allclose(stack.energies_ev, np.add(particle_counts()[1], 0.04))


def test_a_repeated_image_is_replaced_by_the_later_one():
    events = [*image_events(), *image_events(skip=range(1, 13), change=lambda k, im: im + 1)]
    reader, whole = read(documents(events, particle_scan()))
    counts = particle_counts()[0]
    np.testing.assert_array_equal(reader.stack().intensity()[0], counts[0] + 1)
    assert len(whole) == 14
    assert "came again" in reader.stack().notes[0]


def test_an_image_already_handed_out_does_not_change_when_it_comes_again():
    stream = documents(
        [*image_events(), *image_events(change=lambda k, im: im * 0)], particle_scan()
    )
    _, whole = read(stream)
    np.testing.assert_array_equal(whole[0].intensity, particle_counts()[0][0])


def test_a_line_sent_again_after_a_rewind_replaces_the_line():
    ny = NY
    lines = [*range(3 * ny + 5), *range(3 * ny + 2, 13 * ny)]
    reader, whole = read(line_documents(lines=lines))
    assert_holds_the_particle(reader)
    assert len(whole) == 13


def test_a_whole_image_scanned_again_line_by_line_is_told_once():
    lines = [*range(13 * NY), *range(2 * NY, 3 * NY)]
    _, whole = read(line_documents(lines=lines))
    assert [frame.announced_ev for frame in whole].count(particle_counts()[1][2]) == 2


def test_an_extra_energy_is_kept_apart_and_noted():
    extra = (None, {"energy": 540.0, "counts": particle_counts()[0][0]})
    reader, _ = read(documents([*image_events(), extra], particle_scan()))
    stack = reader.stack()
    assert stack.frames[-1].energy_ev == 540.0
    assert stack.frames[-1].announced_ev is None
    assert "540 eV was not announced" in " ".join(stack.notes)


def test_an_image_of_another_shape_is_left_out_with_both_shapes_named():
    def change(k, image):
        return image.T if k == 2 else image

    reader, _ = read(image_documents(change=change))
    stack = reader.stack()
    assert stack.missing_ev == (particle_counts()[1][2],)
    assert not stack.finished
    assert f"shape ({NX}, {NY}), the start document announced ({NY}, {NX})" in stack.notes[0]
    assert "515.6 eV" in stack.notes[0]


@pytest.mark.parametrize("value", ["beam dump", {"a": 1}, [[1, 2], [3]], None, 7.0])
def test_a_value_that_is_no_image_is_left_out_with_a_note(value):
    events = list(image_events())
    events[4] = (None, {"energy": events[4][1]["energy"], "counts": value})
    reader, _ = read(documents(events, particle_scan()))
    assert reader.stack().missing_ev == (517.5,)
    assert any("left out" in note for note in reader.notes)


def test_more_images_than_announced_without_energies_are_left_out():
    counts = particle_counts()[0]
    events = [(None, {"counts": image}) for image in [*counts, counts[0]]]
    reader, _ = read(documents(events, particle_scan(), fields=("counts",)))
    assert_holds_the_particle(reader)
    assert "image 14 came without an energy, 13 were announced" in reader.notes[1]


def test_an_aborted_line_scan_keeps_what_came_and_names_what_is_missing():
    reader, _ = read(line_documents(lines=range(5 * NY + 7), exit_status="abort"))
    stack = reader.stack()
    assert len(stack.frames) == 6
    assert np.isnan(stack.frames[5].intensity[7:]).all()
    assert not np.isnan(stack.frames[5].intensity[:7]).any()
    assert stack.missing_ev == particle_counts()[1][5:]
    assert any("ended by abort" in note for note in stack.notes)


def test_a_run_without_a_stop_document_is_valid_and_open():
    reader, _ = read(documents(image_events(), particle_scan(), exit_status=None))
    assert_holds_the_particle(reader)
    assert not reader.is_closed


def test_a_field_that_no_stream_has_is_named_with_those_there_are():
    scan = particle_scan(data_field="pmt")
    reader, _ = read(documents(image_events(), scan))
    assert "no stream has the field 'pmt'; the streams have: counts, energy" in reader.notes[0]


def test_snaking_lines_are_turned_round():
    counts = particle_counts()[0]
    events = [
        (n, {"counts": data["counts"][::-1] if (n - 1) % NY % 2 else data["counts"]})
        for n, data in ((n + 1, {"counts": counts[n // NY, n % NY]}) for n in range(13 * NY))
    ]
    scan = particle_scan(snake=True)
    reader, _ = read(documents(events, scan, fields=("counts",), shape=(NX,)))
    np.testing.assert_array_equal(reader.stack().intensity(), counts)


def test_a_start_document_without_the_block_says_what_is_missing():
    stream = list(documents(image_events(), particle_scan(), md={"plan_name": "count"}))
    words = str(RunFrames(stream[0][1]).why_no_stack)
    assert "no stxm block" in words
    assert "scan=StackScan(shape=" in words
    reader, _ = read(stream, scan=particle_scan())
    assert_holds_the_particle(reader)


def test_documents_are_never_changed():
    stream = list(line_documents())
    before = copy.deepcopy(stream)
    read((name, snapshot(name, doc)) for name, doc in stream)
    for (_, doc), (_, copied) in zip(stream, before, strict=True):
        np.testing.assert_equal(doc, copied)


def test_a_snapshot_survives_a_device_that_reuses_its_buffer():
    buffer = np.arange(6.0).reshape(2, 3)
    copied = snapshot("event", {"uid": "a", "data": {"counts": buffer, "energy": 1.0}})
    buffer[:] = -1
    np.testing.assert_array_equal(copied["data"]["counts"], np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("is_stacked", [False, True], ids=["while scanned", "at its end"])
def test_memory_is_taken_for_what_came_and_not_for_what_was_announced(is_stacked):
    n_energies, side = 13, 8192  # 3.25 GiB
    scan = particle_scan(shape=(n_energies, side, side))
    frames = RunFrames({"uid": "a", **scan.metadata()}).stacks[0]
    tracemalloc.start()
    try:
        for k in range(n_energies):
            where = (slice(k, k + 1), slice(7, 8))
            counts = np.ones((1, 1), dtype=np.float32)
            frames.put(Piece(("a", k), k, where, counts, part=k, is_last=False))
        stack = frames.stack() if is_stacked else None
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * 2**20
    assert stack is None or [frame.is_whole for frame in stack.frames] == [False] * n_energies


def test_an_image_of_pixels_that_come_in_any_order_is_whole_with_the_last_one(rng):
    slot, image = Slot((5, 7), 0), rng.poisson(100, (5, 7)).astype(np.float32)
    reports = []
    for number in rng.permutation(35):
        y, x = divmod(int(number), 7)
        piece = Piece(("a", 0), 0, (slice(y, y + 1), slice(x, x + 1)), image[y : y + 1, x : x + 1])
        reports.append(slot.put(piece, 1).is_reported)
    assert reports == [False] * 34 + [True]
    np.testing.assert_array_equal(slot.frame(510.0).intensity, image)


class OfADevice:
    """An image that is converted only when asked for, as of xarray or a detector's library."""

    def __init__(self, buffer):
        self.buffer = buffer

    def __array__(self, dtype=None, copy=None):
        return np.array(self.buffer, dtype=dtype)


@pytest.mark.parametrize(
    "as_sent",
    [
        memoryview,
        OfADevice,
        lambda buffer: memoryview(buffer).cast("B").cast("d", (2, 3)),
        lambda buffer: list(buffer),
        lambda buffer: tuple(OfADevice(row) for row in buffer),
        lambda buffer: np.ma.masked_array(buffer, copy=False),
        lambda buffer: np.array([*buffer, None], dtype=object)[:2],
    ],
    ids=["memoryview", "object", "cast view", "rows", "tuple of objects", "masked", "object array"],
)
def test_an_image_that_is_no_array_is_copied_at_once(as_sent):
    buffer = np.arange(6.0).reshape(2, 3)
    copied = snapshot("event", {"uid": "a", "data": {"counts": as_sent(buffer), "energy": 1.0}})
    buffer[:] = -1
    values = np.array([np.asarray(row, dtype=float) for row in copied["data"]["counts"]])
    np.testing.assert_array_equal(values, np.arange(6.0).reshape(2, 3))


def test_a_snapshot_has_nothing_of_an_object_that_cannot_be_copied():
    data = {"counts": threading.Lock(), "energy": 1.0}
    assert snapshot("event", {"data": data})["data"] == {"counts": None, "energy": 1.0}


def test_a_block_that_contradicts_itself_is_refused_with_its_own_field_names():
    md = particle_scan().metadata()
    md["stxm"]["energies"] = md["stxm"]["energies"][:-1]
    with pytest.raises(ValueError, match="13 energies, the list has 12"):
        StackScan.from_start({"uid": "3f2a91bb", **md})


def test_the_monitor_of_an_image_is_its_mean_reading():
    scan = particle_scan(i0_field="ring_current")
    events = [
        (n, data | {"ring_current": 500.0 if (n - 1) % NY < NY // 2 else 498.0})
        for n, data in ((n + 1, line) for n, (_, line) in enumerate(line_events()))
    ]
    fields = ("counts", "ring_current")
    reader, _ = read(documents(events, scan, fields=fields, shape=(NX,)))
    assert {frame.monitor for frame in reader.stack().frames} == {499.0}


def test_without_a_monitor_there_is_no_reading():
    reader, _ = read(image_documents())
    assert {frame.monitor for frame in reader.stack().frames} == {None}


def test_a_second_stream_with_the_same_field_is_left_out_and_named():
    counts = particle_counts()[0]
    stream = list(image_documents())
    descriptor = dict(stream[1][1], uid="other-descriptor", name="snapshot")
    other = dict(stream[2][1], descriptor="other-descriptor", uid="other-event")
    other["data"] = {"counts": counts[0] * 0}
    reader, _ = read([*stream[:-1], ("descriptor", descriptor), ("event", other), stream[-1]])
    assert_holds_the_particle(reader)
    assert "stream 'snapshot' also has 'counts' and is left out" in reader.notes[0]


def test_an_image_of_an_energy_announced_twice_is_kept_beside_the_first():
    counts, energies_ev, _ = particle_counts()
    scan = particle_scan(shape=(14, NY, NX), energies_ev=(*energies_ev, energies_ev[0]))
    events = [*image_events(), (None, {"energy": energies_ev[0], "counts": counts[0] + 1})]
    reader, _ = read(documents(events, scan))
    stack = reader.stack()
    assert stack.finished
    assert stack.energies_ev == energies_ev
    np.testing.assert_array_equal(stack.intensity()[0], counts[0])
    (check,) = stack.checks
    assert check.announced_ev == energies_ev[0]
    np.testing.assert_array_equal(check.intensity, counts[0] + 1)
    assert not stack.notes


def test_an_image_sent_again_after_a_rewind_replaces_the_repeated_one_and_not_the_first():
    counts, energies_ev, _ = particle_counts()
    scan = particle_scan(shape=(14, NY, NX), energies_ev=(*energies_ev, energies_ev[0]))
    again = [
        (n, {"energy": energies_ev[0], "counts": counts[0] + k}) for n, k in ((14, 1), (14, 2))
    ]
    reader, _ = read(documents([*image_events(), *again], scan))
    stack = reader.stack()
    np.testing.assert_array_equal(stack.intensity()[0], counts[0])
    np.testing.assert_array_equal(stack.checks[0].intensity, counts[0] + 2)
    assert "came again" in stack.notes[0]


def test_a_repeated_energy_is_recognized_line_by_line_and_without_a_readback():
    counts, energies_ev, _ = particle_counts()
    scan = particle_scan(shape=(14, NY, NX), energies_ev=(*energies_ev, energies_ev[0]))
    lines = (
        (k * NY + iy + 1, {"counts": image[iy]})
        for k, image in enumerate((*counts, counts[0] + 1))
        for iy in range(NY)
    )
    reader, _ = read(documents(lines, scan, fields=("counts",), shape=(NX,)))
    stack = reader.stack()
    assert stack.finished
    np.testing.assert_array_equal(stack.intensity(), counts)
    np.testing.assert_array_equal(stack.checks[0].intensity, counts[0] + 1)


def test_a_scan_that_lacks_the_repeated_image_has_all_its_energies_but_is_not_finished():
    _, energies_ev, _ = particle_counts()
    scan = particle_scan(shape=(14, NY, NX), energies_ev=(*energies_ev, energies_ev[0]))
    reader, _ = read(documents(image_events(), scan))
    stack = reader.stack()
    assert not stack.finished
    assert stack.missing_ev == stack.checks == ()


def test_notes_without_end_are_cut():
    lines = ((n + 1, {"counts": np.zeros(NX + 1)}) for n in range(300))
    reader, _ = read(documents(lines, particle_scan(), fields=("counts",), shape=(NX,)))
    assert len(reader.notes) == 3
    assert reader.notes[-1].endswith("; and 297 more like it")
    for k in range(30):
        reader.note("run", f"of the kind {chr(97 + k)}")
    assert len(reader.notes) == 21
    assert "further notes are left out" in reader.notes[-1]


def test_a_monitor_counted_pixel_by_pixel_is_averaged():
    scan = particle_scan(i0_field="i0")
    events = [(n, data | {"i0": np.array([1.0, 3.0, np.nan])}) for n, data in image_events()]
    reader, _ = read(documents(events, scan, fields=("energy", "counts", "i0")))
    assert {frame.monitor for frame in reader.stack().frames} == {2.0}
