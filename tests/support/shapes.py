"""The same small particle in every shape in which documents come; with a pause in the middle."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
from event_model import compose_run
from particles import particle_counts, particle_scan

from stxm_live.core.scan import metadata_of_stacks

STEP = 4


@cache
def small_counts():
    """Counts (13, 15, 18), energies in eV."""
    counts, energies_ev, _ = particle_counts()
    small = np.ascontiguousarray(counts[:, ::STEP, ::STEP])
    small.flags.writeable = False
    return small, energies_ev


def small_scan(**changes):
    counts, _ = small_counts()
    return particle_scan(shape=counts.shape, **changes)


def compose(md, events, *, keys, name="primary", exit_status="success", hints=None):
    """A run of one stream; ``events`` are (seq_num, data)."""
    run = compose_run(metadata=md)
    yield "start", run.start_doc
    yield from stream_documents(run, events, keys, name, hints)
    if exit_status:
        yield "stop", run.compose_stop(exit_status=exit_status)


def stream_documents(run, events, keys, name, hints=None):
    stream = run.compose_descriptor(name=name, data_keys=keys, hints=hints)
    yield "descriptor", stream.descriptor_doc
    for number, data in events:
        yield (
            "event",
            stream.compose_event(
                data=data, timestamps=dict.fromkeys(data, 1.0), seq_num=number, validate=False
            ),
        )


def number_key():
    return {"source": "test", "dtype": "number", "shape": []}


def array_key(shape, **more):
    return {"source": "test", "dtype": "array", "shape": list(shape), "dtype_numpy": "<f4", **more}


def rewound(events, *, after, back_to):
    """Events as a pause sends them: some come, and come again from the last checkpoint on."""
    events = list(events)
    wrong = [(n, spoilt(data)) for n, data in events[back_to:after]]
    return [*events[:back_to], *wrong, *events[back_to:]]


def spoilt(data):
    """What was measured before the beam came back."""
    return {
        key: value * 0 + 7 if key in ("counts", "apd") else value for key, value in data.items()
    }


# one event per image, per line


def image_run(again=False, scan=None, md=None):
    counts, energies_ev = small_counts()
    events = [
        (k + 1, {"energy": energies_ev[k], "counts": image}) for k, image in enumerate(counts)
    ]
    events = rewound(events, after=7, back_to=6) if again else events
    keys = {"energy": number_key(), "counts": array_key(counts.shape[1:])}
    return list(compose(md or (scan or small_scan()).metadata(), events, keys=keys))


def line_run(again=False):
    counts, _ = small_counts()
    ny, nx = counts.shape[1:]
    events = [(n + 1, {"counts": line}) for n, line in enumerate(counts.reshape(-1, nx))]
    events = rewound(events, after=5 * ny + 9, back_to=5 * ny + 4) if again else events
    return list(compose(small_scan().metadata(), events, keys={"counts": array_key([nx])}))


# one event per pixel


def grid_places(shape, snaking):
    """(energy, row, column) in the order in which Bluesky's grid scans go."""
    from bluesky.utils import snake_cyclers
    from cycler import cycler

    axes = [cycler(str(level), range(n)) for level, n in enumerate(shape)]
    return [(p["0"], p["1"], p["2"]) for p in snake_cyclers(axes, list(snaking))]


def pixel_run(again=False, snaking=(False, True, True)):
    """What list_grid_scan documents of energy, y and x; no block of ours."""
    counts, energies_ev = small_counts()
    scan = small_scan()
    y = np.linspace(*scan.y_extent_um, counts.shape[1])
    x = np.linspace(*scan.x_extent_um, counts.shape[2])
    events = [
        (n + 1, {"energy": energies_ev[k], "sy": y[iy], "sx": x[ix], "apd": counts[k, iy, ix]})
        for n, (k, iy, ix) in enumerate(grid_places(counts.shape, snaking))
    ]
    events = rewound(events, after=3000, back_to=2990) if again else events
    axes = (list(energies_ev), y.tolist(), x.tolist())
    args = [
        v for name, axis in zip(("energy", "sy", "sx"), axes, strict=True) for v in (name, axis)
    ]
    md = {
        "plan_name": "list_grid_scan",
        "detectors": ["apd"],
        "motors": ("energy", "sy", "sx"),
        "shape": counts.shape,
        "snaking": snaking,
        "extents": tuple([min(axis), max(axis)] for axis in axes),
        "plan_pattern_args": {"args": args},
    }
    keys = {name: number_key() for name in ("energy", "sy", "sx", "apd")}
    return list(compose(md, events, keys=keys))


# several stacks in a run


def region_scans(**changes):
    counts, _ = small_counts()
    left = small_scan(region="left", **changes)
    right = small_scan(region="right", **changes)
    return left, right, counts[:, ::-1]


def streams_run(again=False):
    """Two regions, line by line, each in a stream of its own; the second is upside down."""
    left, right, turned = region_scans()
    counts, _ = small_counts()
    ny, nx = counts.shape[1:]
    scans = [
        left.model_copy(update={"stream": "left"}),
        right.model_copy(update={"stream": "right"}),
    ]
    run = compose_run(metadata=metadata_of_stacks(scans))
    yield "start", run.start_doc
    for name, images in (("left", counts), ("right", turned)):
        events = [(n + 1, {"counts": line}) for n, line in enumerate(images.reshape(-1, nx))]
        events = rewound(events, after=3 * ny + 5, back_to=3 * ny) if again else events
        yield from stream_documents(run, events, {"counts": array_key([nx])}, name)
    yield "stop", run.compose_stop()


def fields_run(again=False):
    """Two regions in turn at each energy, in one stream; every event says which."""
    left, right, turned = region_scans(region_field="roi")
    counts, energies_ev = small_counts()
    events = []
    for k, energy_ev in enumerate(energies_ev):
        for roi, images in (("left", counts), ("right", turned)):
            data = {"energy": energy_ev, "roi": roi, "counts": images[k]}
            events.append((len(events) + 1, data))
    events = rewound(events, after=11, back_to=8) if again else events
    keys = {
        "energy": number_key(),
        "roi": {"source": "test", "dtype": "string", "shape": []},
        "counts": array_key(counts.shape[1:]),
    }
    return list(compose(metadata_of_stacks([left, right]), events, keys=keys))


# one run per energy image


def cls_metadata(index, *, region=0, entry="entry0", polarization=0, **changes):
    """The part of pyStxm's metadata that tells an image of a stack, as JSON text."""
    counts, energies_ev = small_counts()
    scan = small_scan()
    rois = {
        "X": axis_roi(scan.x_extent_um, counts.shape[2], "SampleFineX"),
        "Y": axis_roi(scan.y_extent_um, counts.shape[1], "SampleFineY"),
        "EV_ROIS": [{"SETPOINTS": list(energies_ev), "NPOINTS": len(energies_ev)}],
    }
    places = {
        "e_idx": index,
        "entry": entry,
        "pol_idx": polarization,
        "sp_id": region,
        "sp_idx": region,
    }
    settings = [{"POL": 0, "ANGLE": 0.0, "OFF": -0.2}, {"POL": 1, "ANGLE": 45.0, "OFF": -0.2}]
    single = {"EV_ROIS": list(energies_ev), "POL_ROIS": settings[: polarization + 1]}
    metadata = {
        "dwell": 1.0,
        "entry_name": entry,
        "img_idx_map": json.dumps(places),
        "primary_det": "counter0",
        "rois": {str(region): rois},
        "scan_type": 7,
        "sp_id_lst": [region],
        "wdg_com": json.dumps({"CMND": 0, "SINGLE_LST": single}),
    }
    return json.dumps(metadata | changes)


def axis_roi(extent_um, n, positioner):
    start, stop = extent_um
    return {"START": start, "STOP": stop, "NPOINTS": n, "POSITIONER": positioner}


def cls_run(index, *, n_channels=1, exit_status="success", again=False, time_s=0.0, **metadata):
    """One image of a stack the way pyStxm sends it: lines as lists, a wrong declared shape."""
    image = small_counts()[0][index]
    nx = image.shape[1]
    lines = [np.repeat(line[:, None], n_channels, axis=1) for line in image]
    for line in lines:
        line[:, 1:] = 3
    events = [(iy + 1, {"counter0_waveform_rbv": line.ravel()}) for iy, line in enumerate(lines)]
    if again:
        events = [*events[:9], (9, {"counter0_waveform_rbv": lines[8].ravel() * 0}), *events[8:]]
    events = [(n, {key: value.tolist() for key, value in data.items()}) for n, data in events]
    md = {"plan_name": "make_stack_image_plan", "metadata": cls_metadata(index, **metadata)}
    docs = list(
        compose(
            md,
            events,
            keys={"counter0_waveform_rbv": array_key([nx + 4])},
            exit_status=exit_status,
        )
    )
    docs[0] = ("start", dict(docs[0][1], time=1.6e9 + time_s + index))
    return docs


def cls_runs(**options):
    return [cls_run(k, **options) for k in range(len(small_counts()[1]))]


def id_runs(again=False):
    """One run per energy with an id in our own block; the energy is known by its index."""
    counts, _ = small_counts()
    keys = {"counts": array_key(counts.shape[1:])}
    runs = []
    for k, image in enumerate(counts):
        scan = small_scan(stack_id="stack 7", energy_index=k)
        events = [(1, {"counts": image})]
        events = [(1, {"counts": image * 0}), *events] if again else events
        docs = list(compose(scan.metadata(), events, keys=keys))
        docs[0] = ("start", dict(docs[0][1], time=1.6e9 + k))
        runs.append(docs)
    return runs
