"""I0 beside the images: in a monitor stream, in the baseline, in a column of a flyer's file."""

import h5py
import numpy as np
import pytest
from event_model import compose_run
from shapes import array_key, number_key

from stxm_live.core.recipe_options import FieldOptions
from stxm_live.core.scan import StackScan
from stxm_live.live.replay import stack_of_run

NY, NX, ENERGIES = 3, 4, (515.0, 517.0, 519.0)
IMAGES = np.random.default_rng(0).poisson(100, (3, NY, NX)).astype(np.float32)


def monitors_of(docs, **options):
    stack = stack_of_run(list(docs), fields=FieldOptions(i0="ring"), **options)
    np.testing.assert_array_equal(stack.intensity(), IMAGES)
    return [frame.monitor for frame in stack.frames]


def plan_run(name, readings, **more):
    """A list_scan with an event per image at 10, 20, 30 s, and readings of another stream."""
    md = {"plan_name": "list_scan", "motors": ["energy"], "num_points": 3}
    md["plan_pattern_args"] = {"args": ["energy", list(ENERGIES)]}
    run = compose_run(metadata=md | more)
    docs = []
    keys = {"energy": {**number_key(), "units": "eV"}, "cam": array_key((NY, NX))}
    images = run.compose_descriptor(name="primary", data_keys=keys)
    ring = run.compose_descriptor(name=name, data_keys={"ring": number_key()})
    for k, energy_ev in enumerate(ENERGIES):
        data = {"energy": energy_ev, "cam": IMAGES[k]}
        docs.append(images.compose_event(data=data, timestamps=dict.fromkeys(data, 1.0)))
        docs[-1]["time"] = 10.0 * (k + 1)
    for time_s, value in readings:
        docs.append(ring.compose_event(data={"ring": value}, timestamps={"ring": 1.0}))
        docs[-1]["time"] = time_s
    yield "start", run.start_doc
    yield "descriptor", ring.descriptor_doc
    early = [d for d in docs if d["time"] < 1]
    yield from (("event", d) for d in early)
    yield "descriptor", images.descriptor_doc
    yield from (("event", d) for d in sorted(docs, key=lambda d: d["time"]) if d not in early)
    yield "stop", run.compose_stop()


def test_readings_of_a_monitor_count_for_the_image_that_they_came_with():
    readings = [(3.0, 5.0), (9.0, 7.0), (12.0, 8.0), (14.0, 10.0), (31.0, 4.0)]
    assert monitors_of(plan_run("ring_monitor", readings)) == [
        6.0,
        9.0,
        pytest.approx(10 - 6 * 16 / 17),
    ]


def test_the_baseline_is_interpolated_between_begin_and_end():
    assert monitors_of(plan_run("baseline", [(0.0, 100.0), (40.0, 60.0)])) == [90.0, 80.0, 70.0]


def test_a_run_without_readings_has_none():
    assert monitors_of(plan_run("baseline", [])) == [None] * 3


def test_a_column_of_a_flyer_s_file_is_read(tmp_path):
    ring = np.arange(IMAGES.size, dtype=float)
    with h5py.File(tmp_path / "fly.h5", "w") as file:
        file["counts"], file["ring"] = IMAGES.reshape(-1), ring
    scan = StackScan(
        shape=IMAGES.shape,
        energies_ev=ENERGIES,
        x_extent_um=(0, 3),
        y_extent_um=(0, 2),
        data_field="counts",
    )
    run = compose_run(metadata=scan.metadata())
    key = {"source": "panda", "dtype": "number", "shape": [1], "external": "STREAM:"}
    stream = run.compose_descriptor(name="primary", data_keys={"counts": key, "ring": key})
    docs = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
    for name in ("ring", "counts"):
        resource = run.compose_stream_resource(
            mimetype="application/x-hdf5",
            uri=f"file://localhost{tmp_path / 'fly.h5'}",
            data_key=name,
            parameters={"dataset": f"/{name}", "chunk_shape": (1024,)},
        )
        docs.append(("stream_resource", resource.stream_resource_doc))
        for a in range(0, IMAGES.size, 18):
            rows = {"start": a, "stop": a + 18}
            numbers = {"start": a + 1, "stop": a + 19}
            datum = resource.compose_stream_datum(
                indices=rows, seq_nums=numbers, descriptor=stream.descriptor_doc
            )
            docs.append(("stream_datum", datum))
    docs.append(("stop", run.compose_stop()))
    found = monitors_of(docs, roots=[tmp_path])
    assert found == pytest.approx(list(ring.reshape(3, -1).mean(axis=1)))
