"""The small particle with its images in files, the way detectors write them."""

from __future__ import annotations

import numpy as np
from event_model import compose_run
from shapes import array_key, number_key, small_counts, small_scan


def h5_file(path, images, *, dataset="/entry/data/data", swmr=True):
    import h5py

    with h5py.File(path, "w", libver="latest" if swmr else None) as file:
        file.create_dataset(
            dataset,
            data=images,
            maxshape=(None, *images.shape[1:]),
            chunks=(1, *images.shape[1:]),
        )
    return path


def written_images(again=False):
    """What a detector writes: with a pause, an image that is no good, and all later ones."""
    counts, _ = small_counts()
    if not again:
        return np.array(counts)
    return np.concatenate([counts[:6], counts[6:7] * 0 + 7, counts[6:]])


def event_numbers(again=False):
    """Sequence numbers, one for each image written."""
    numbers = list(range(1, 14))
    return [*numbers[:6], 7, *numbers[6:]] if again else numbers


def datum_run(spec, folder, again=False, md=None, **resource_kwargs):
    """Resource and Datum: every event names its image by a datum id."""
    _, energies_ev = small_counts()
    keys = {
        "energy": number_key(),
        "counts": array_key(small_scan().image_shape, external="FILESTORE:"),
    }
    run = compose_run(metadata=md or small_scan().metadata())
    yield "start", run.start_doc
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    yield "descriptor", stream.descriptor_doc
    name = {"NPY_SEQ": "image", "AD_TIFF": ""}.get(spec, "stack.h5")
    resource = run.compose_resource(
        spec=spec, root=str(folder), resource_path=name, resource_kwargs=resource_kwargs
    )
    yield "resource", resource.resource_doc
    key = "index" if spec == "NPY_SEQ" else "point_number"
    for written, number in enumerate(event_numbers(again)):
        datum = resource.compose_datum(datum_kwargs={key: written})
        yield "datum", datum
        data = {"energy": energies_ev[number - 1], "counts": datum["datum_id"]}
        yield (
            "event",
            stream.compose_event(
                data=data,
                timestamps=dict.fromkeys(data, 1.0),
                filled={"counts": False},
                seq_num=number,
            ),
        )
    yield "stop", run.compose_stop()


def write_for(spec, folder, again=False):
    """The files that `datum_run` speaks of; the keywords of its resource."""
    images = written_images(again)
    if spec == "NPY_SEQ":
        for k, image in enumerate(images):
            np.save(folder / f"image_{k}.npy", image)
        return {}
    if spec == "AD_TIFF":
        import tifffile

        for k, image in enumerate(images):
            tifffile.imwrite(folder / f"xas_{k:06d}.tiff", image)
        return {"template": "%s%s_%6.6d.tiff", "filename": "xas", "frame_per_point": 1}
    h5_file(folder / "stack.h5", images, swmr=spec == "AD_HDF5_SWMR")
    return {"frame_per_point": 1}


def stream_run(path, again=False, *, at_the_end=False, events=True, **more):
    """StreamResource and StreamDatum: before its event, or all at the end as on replay."""
    _, energies_ev = small_counts()
    ny, nx = small_scan().image_shape
    keys = {"counts": array_key([1, ny, nx], external="STREAM:")}
    keys |= {"energy": number_key()} if events else {}
    run = compose_run(metadata=more.pop("md", None) or small_scan().metadata())
    yield "start", run.start_doc
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    yield "descriptor", stream.descriptor_doc
    resource = run.compose_stream_resource(
        **{
            "mimetype": "application/x-hdf5",
            "uri": f"file://localhost{path}",
            "data_key": "counts",
            "parameters": {"dataset": "/entry/data/data", "chunk_shape": (1, ny, nx)},
            **more,
        }
    )
    if not at_the_end:
        yield "stream_resource", resource.stream_resource_doc
    late = []
    for written, number in enumerate(event_numbers(again)):
        datum = resource.compose_stream_datum(
            indices={"start": written, "stop": written + 1},
            seq_nums={"start": number, "stop": number + 1},
            descriptor=stream.descriptor_doc,
        )
        if at_the_end:
            late.append(("stream_datum", datum))
        else:
            yield "stream_datum", datum
        if events:
            data = {"energy": energies_ev[number - 1]}
            event = stream.compose_event(
                data=data, timestamps={"energy": 1.0}, seq_num=number, validate=False
            )
            yield "event", event
    if at_the_end:
        yield "stream_resource", resource.stream_resource_doc
        yield from late
    yield "stop", run.compose_stop()
