"""Fly scans whose points come as rows of a file, without an event for each."""

from itertools import pairwise

import h5py
import numpy as np
import pytest
from event_model import compose_run
from particles import particle_counts, particle_scan
from shapes import number_key

from stxm_live.io.documents import Roots, RunFrames
from stxm_live.io.documents.external import MAX_BLOCK_ROWS
from stxm_live.live.replay import stack_of_run

COUNTS, ENERGIES, _ = particle_counts()
SMALL = np.ascontiguousarray(COUNTS[:, ::4, ::4])


def external(shape, dtype="number"):
    return {
        "source": "panda",
        "dtype": dtype,
        "shape": list(shape),
        "dtype_numpy": "<f8",
        "external": "STREAM:",
    }


def fly_run(path, rows, *, steps, shape=(1,), outer=None, dtype="number", keys=None, **scan):
    """Documents of a run whose rows come in ``steps``; ``outer`` are (stream, energies)."""
    with h5py.File(path, "w") as file:
        file["/counts"] = rows
    announced = particle_scan(shape=SMALL.shape, data_field="panda-counts", **scan)
    run = compose_run(metadata=announced.metadata())
    yield "start", run.start_doc
    if outer is not None:
        stream = run.compose_descriptor(name=outer[0], data_keys={"energy": number_key()})
        yield "descriptor", stream.descriptor_doc
        for value in outer[1]:
            data = {"energy": value}
            yield "event", stream.compose_event(data=data, timestamps={"energy": 1.0})
    stream = run.compose_descriptor(
        name="inner" if outer else "primary",
        data_keys={"panda-counts": external(shape, dtype), **(keys or {})},
        validate=False,
    )
    yield "descriptor", stream.descriptor_doc
    resource = {
        "uid": "sr",
        "run_start": run.start_doc["uid"],
        "data_key": "panda-counts",
        "mimetype": "application/x-hdf5",
        "uri": f"file://localhost{path}",
        "parameters": {"dataset": "/counts", "chunk_shape": [1024]},
    }
    yield "stream_resource", resource
    edges = np.linspace(0, len(rows), steps + 1).astype(int)
    for a, b in pairwise(edges):
        yield (
            "stream_datum",
            {
                "uid": f"sr/{a}",
                "stream_resource": "sr",
                "descriptor": stream.descriptor_doc["uid"],
                "indices": {"start": int(a), "stop": int(b)},
                "seq_nums": {"start": int(a) + 1, "stop": int(b) + 1},
            },
        )
    yield "stop", run.compose_stop()


@pytest.mark.parametrize("snake", [False, True])
@pytest.mark.parametrize("steps", [13, 1, 37])
def test_points_of_a_flyer_are_read_in_blocks_of_any_size(tmp_path, steps, snake):
    rows = SMALL.copy()
    if snake:
        rows[:, 1::2] = rows[:, 1::2, ::-1]
    docs = fly_run(tmp_path / "a.h5", rows.reshape(-1), steps=steps, snake=snake)
    stack = stack_of_run(docs, roots=[tmp_path])
    np.testing.assert_array_equal(stack.intensity(), SMALL)
    assert stack.finished
    assert stack.notes == ()


def test_images_are_complete_as_soon_as_their_rows_are_announced(tmp_path):
    docs = list(fly_run(tmp_path / "a.h5", SMALL.reshape(-1), steps=13))
    reader, n_whole = RunFrames(docs[0][1], roots=Roots([tmp_path])), []
    for name, doc in docs[1:]:
        n_whole.append(len(reader(name, doc)))
    assert n_whole == [0, 0, *[1] * 13, 0]
    reader.give_up()


def test_no_number_of_points_is_too_large(tmp_path):
    many = np.tile(SMALL, (1, 25, 25))
    assert many.size > max(100_000, MAX_BLOCK_ROWS)
    docs = list(fly_run(tmp_path / "a.h5", many.reshape(-1), steps=1))
    docs[0][1]["stxm"]["shape"] = list(many.shape)
    stack = stack_of_run(docs, roots=[tmp_path])
    np.testing.assert_array_equal(stack.intensity(), many)


def test_lines_of_a_flyer_are_read_in_blocks(tmp_path):
    rows = SMALL.reshape(-1, SMALL.shape[2])
    docs = fly_run(tmp_path / "a.h5", rows, steps=13, shape=(SMALL.shape[2],), dtype="array")
    np.testing.assert_array_equal(stack_of_run(docs, roots=[tmp_path]).intensity(), SMALL)


def test_images_of_a_shape_that_the_descriptor_does_not_know_are_read(tmp_path):
    docs = fly_run(tmp_path / "a.h5", SMALL, steps=13, shape=(None, None), dtype="array")
    np.testing.assert_array_equal(stack_of_run(docs, roots=[tmp_path]).intensity(), SMALL)


def test_the_energy_of_an_outer_stream_is_that_of_its_image(tmp_path):
    rows = SMALL[::-1].reshape(-1)
    docs = fly_run(tmp_path / "a.h5", rows, steps=13, outer=("outer", ENERGIES[::-1]))
    stack = stack_of_run(docs, roots=[tmp_path])
    np.testing.assert_array_equal(stack.intensity(), SMALL)
    assert stack.energies_ev == ENERGIES


def test_a_monitor_of_the_energy_moves_no_image(tmp_path):
    monitored = ("energy_monitor", ENERGIES[::-1])
    docs = fly_run(tmp_path / "a.h5", SMALL.reshape(-1), steps=13, outer=monitored)
    np.testing.assert_array_equal(stack_of_run(docs, roots=[tmp_path]).intensity(), SMALL)
