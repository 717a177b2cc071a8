"""Records the golden runs beside it: documents of real plans, with counts that can be told.

The counts of energy k, row y and column x are ``1000 + 100 k + 10 y + x``. Run it only to record
anew: the tests hold that documents recorded once stay readable.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky import RunEngine
from bluesky.plans import grid_scan
from bluesky.utils import RunEngineInterrupted
from event_model import compose_run, pack_event_page
from ophyd.sim import SynAxis, SynSignal, SynSignalWithRegistry

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

SHAPE = (3, 4, 5)
ENERGIES_EV = (515.0, 516.5, 518.0)


def counts():
    k, y, x = np.indices(SHAPE)
    return (1000 + 100 * k + 10 * y + x).astype(float)


def stack_scan(**changes):
    from stxm_live.core.scan import StackScan

    values = {
        "shape": SHAPE,
        "energies_ev": ENERGIES_EV,
        "x_extent_um": (0.0, 4.0),
        "y_extent_um": (0.0, 3.0),
        "data_field": "counts",
    }
    return StackScan(**(values | changes))


def recorded(make_plan):
    """Documents of a plan that may pause."""
    engine, docs = RunEngine(context_managers=[]), []
    engine.subscribe(lambda name, doc: docs.append((name, doc)))
    try:
        engine(make_plan())
    except RunEngineInterrupted:
        engine.resume()
    return docs


def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def write(name, docs):
    lines = (json.dumps([kind, plain(doc)], default=str) for kind, doc in docs)
    (HERE / f"{name}.jsonl").write_text(
        "".join(line.replace("/tmp/", "/") + "\n" for line in lines)
    )


def pausing(per_number, at):
    """Reads twice after a pause: what came before it is wrong."""
    state = {"n": 0}

    def take(detectors, step, pos_cache):
        yield from bps.checkpoint()
        for motor, position in step.items():
            yield from bps.mv(motor, position)
        state["n"] += 1
        per_number["wrong"] = state["n"] == at
        yield from bps.trigger_and_read([*detectors, *step])
        per_number["wrong"] = False  # what is read again
        if state["n"] == at:
            yield from bps.pause()

    return take


def grid_run():
    energy, sy, sx = (SynAxis(name=name) for name in ("energy", "sample_y", "sample_x"))
    state = {"wrong": False}

    def count():
        value = counts()[index_of(energy), round(sy.position), round(sx.position)]
        return -1.0 if state["wrong"] else value

    apd = SynSignal(func=count, name="apd")
    steps = (energy, 515.0, 518.0, 3, sy, 0, 3, 4, sx, 0, 4, 5)
    return recorded(
        lambda: grid_scan([apd], *steps, snake_axes=True, per_step=pausing(state, at=31))
    )


def index_of(energy):
    return max(0, round((energy.position - 515.0) / 1.5))


def image_run(make_detector, field):
    """An image for every energy; the second is read twice, and first wrong."""
    energy = SynAxis(name="energy")
    state = {"n": 0, "wrong": False}

    def image():
        return counts()[index_of(energy)] * (0.0 if state["wrong"] else 1.0)

    detector = make_detector(image)
    md = stack_scan(data_field=field).metadata()

    @bpp.stage_decorator([detector])
    @bpp.run_decorator(md={"plan_name": "stack", **md})
    def plan():
        for energy_ev in ENERGIES_EV:
            yield from bps.checkpoint()
            yield from bps.mv(energy, energy_ev)
            state["n"] += 1
            state["wrong"] = state["n"] == 2
            yield from bps.trigger_and_read([detector, energy])
            if state["n"] == 2:
                state["wrong"] = False
                yield from bps.pause()

    return recorded(plan)


def array_key(shape):
    return {"source": "detector", "dtype": "array", "shape": shape}


def composed(md, streams, *, pages=False):
    """A run written down by hand; streams by name are (data keys, [(seq_num, data)])."""
    run = compose_run(metadata=md)
    yield "start", run.start_doc
    for name, (keys, rows) in streams.items():
        stream = run.compose_descriptor(name=name, data_keys=keys)
        yield "descriptor", stream.descriptor_doc
        for number, data in rows:
            times = dict.fromkeys(data, 0.0)
            event = stream.compose_event(
                data=data, timestamps=times, seq_num=number, validate=False
            )
            yield ("event_page", pack_event_page(event)) if pages else ("event", event)
    yield "stop", run.compose_stop()


def rewound(rows, at, by):
    """Some rows come twice; what came first is wrong."""
    wrong = [
        (n, data | {"counts": (np.asarray(data["counts"]) * 0).tolist()})
        for n, data in rows[at - by : at]
    ]
    return [*rows[: at - by], *wrong, *rows[at - by :]]


def line_rows(images):
    lines = images.reshape(-1, images.shape[-1]).tolist()
    return [(n + 1, {"counts": line}) for n, line in enumerate(lines)]


def line_pages():
    """The ALS way: an event page for every line, no energy in the events."""
    rows = rewound(line_rows(counts()), at=7, by=2)
    return composed(
        {"plan_name": "stxm_energy_stack", "stxm": stack_scan().metadata()["stxm"]},
        {"primary": ({"counts": array_key([5])}, rows)},
        pages=True,
    )


def region_run():
    """Two regions, each with a stream of its own; the second has twice the counts."""
    from stxm_live.core.scan import metadata_of_stacks

    scans = [stack_scan(region=name, stream=name) for name in ("left", "right")]
    keys = {"counts": array_key([5])}
    streams = {
        "left": (keys, rewound(line_rows(counts()), at=6, by=3)),
        "right": (keys, rewound(line_rows(2 * counts()), at=3, by=1)),
    }
    return composed(metadata_of_stacks(scans), streams)


def cls_file():
    """A run for every energy, as pyStxm keeps them: JSON in JSON, not in the order of time."""
    axes = {"X": {"START": 0.0, "STOP": 4.0, "NPOINTS": 5}}
    axes |= {"Y": {"START": 0.0, "STOP": 3.0, "NPOINTS": 4}, "EV_ROIS": []}
    runs = {}
    for k in (1, 2, 0):
        where = {"e_idx": k, "entry": "entry0", "pol_idx": 0, "sp_id": 0, "sp_idx": 0}
        metadata = {
            "dwell": 1.0,
            "img_idx_map": json.dumps(where),
            "primary_det": "counter0",
            "rois": {"0": axes},
            "wdg_com": json.dumps({"SINGLE_LST": {"EV_ROIS": list(ENERGIES_EV)}}),
        }
        rows = rewound(line_rows(counts()[k : k + 1]), at=3, by=1)
        rows = [(n, {"counter0_waveform_rbv": data["counts"]}) for n, data in rows]
        keys = {"counter0_waveform_rbv": array_key([9])}
        md = {"plan_name": "make_stack_image_plan", "metadata": json.dumps(metadata)}
        docs = list(composed(md, {"primary": (keys, rows)}))
        docs[0] = ("start", docs[0][1] | {"time": 1.5e9 + 60 * k})
        runs[docs[0][1]["uid"]] = plain(docs)
    (HERE / "cls_runs_paused.json").write_text(json.dumps(json.dumps(runs)))


def main():
    write("grid_scan_snaking_paused", grid_run())
    write("images_paused", image_run(lambda f: SynSignal(func=f, name="counts"), "counts"))
    write(
        "npy_seq_paused",
        image_run(
            lambda f: SynSignalWithRegistry(func=f, name="img", save_path="/tmp/FOLDER"), "img"
        ),
    )
    write("line_pages_paused", line_pages())
    write("two_regions_paused", region_run())
    cls_file()


if __name__ == "__main__":
    main()
