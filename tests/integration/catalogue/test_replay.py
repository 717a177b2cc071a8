import gc

import numpy as np
import pytest
from catalog_fixtures import (
    EnergyImageDevice,
    image_scan,
    line_documents,
    stack_images,
    stack_plan,
)

from stxm_live.core.stack import Stack
from stxm_live.io.catalog import RawWriter, close_catalog, open_catalog, reading, store_documents
from stxm_live.io.catalog.reading import documents, find_run
from stxm_live.io.catalog.run_store import RunStore
from stxm_live.io.files import stack_documents

SCAN = image_scan()


def events_of(run):
    return [doc for name, doc in documents(run) if name == "event"]


def pairs_of(run):
    return [(event["data"]["energy"], event["data"]["counts"].tolist()) for event in events_of(run)]


def store_stack(broker, seed=0, **md):
    images = stack_images(seed=seed)
    stack = Stack.from_arrays(images, SCAN.energies_ev)
    return store_documents(broker, stack_documents(stack, md=md)), images


@pytest.fixture
def recorded(RE, broker, tmp_path):
    """A RunEngine whose runs are stored, the live documents, and a function that waits."""
    writer = RawWriter(broker, backup_folder=tmp_path)
    live = []
    RE.subscribe(lambda name, doc: live.append((name, doc)))
    RE.subscribe(writer)
    yield RE, live, lambda uid: writer.wait(uid, 120)
    writer.close(120)


def test_an_iterable_of_documents_is_passed_on_as_it_is():
    pairs = [("start", {"uid": "a"}), ("event_page", {"data": {"counts": [[1, 2]]}})]

    assert list(documents(iter(pairs))) == pairs


def test_a_run_in_mongodb_gives_its_documents_as_the_server_sends_them():
    class MongoRun:
        @property
        def v2(self):
            return self

        @property
        def v3(self):
            raise NotImplementedError("v3 is not available for MongoDB-based BlueskyRun")

        def documents(self):
            yield "start", {"uid": "old"}

    assert list(documents(MongoRun())) == [("start", {"uid": "old"})]


@pytest.mark.slow
def test_a_rewound_scan_gives_the_later_image_with_its_own_energy(recorded, broker):
    import bluesky.plan_stubs as bps
    from bluesky.utils import RunEngineInterrupted

    engine, live, wait = recorded
    images = stack_images()
    device = EnergyImageDevice(images, SCAN.energies_ev)
    later = {energy_ev: -image for energy_ev, image in device.images.items()}

    def pause_after_third_image(k):
        if k == 2 and device.reads == 2:
            yield from bps.trigger_and_read([device])
            device.images = later
            yield from bps.pause()

    with pytest.raises(RunEngineInterrupted):
        engine(stack_plan(device, SCAN, before_image=pause_after_third_image))
    (uid,) = engine.resume()
    wait(uid)

    assert [doc["seq_num"] for name, doc in live if name == "event"] == [1, 2, 3, 3, 4, 5]
    expected = {}
    for name, doc in live:
        if name == "event":
            expected[doc["seq_num"]] = doc["data"]["energy"]
    got = events_of(broker.v2[uid])
    assert {event["seq_num"]: event["data"]["energy"] for event in got} == expected
    for event in got:
        k = SCAN.energies_ev.index(event["data"]["energy"])
        sign = 1 if event["seq_num"] < 3 else -1
        np.testing.assert_array_equal(event["data"]["counts"], sign * images[k])


@pytest.fixture(scope="module")
def stored(broker):
    """A stored stack: its uid and its images."""
    return store_stack(broker, sample="valid")


@pytest.mark.slow
def test_header_and_run_of_either_version_give_the_same_documents(broker, stored):
    uid, images = stored

    runs = (broker[uid], broker.v2[uid], broker.v2[uid].v2, broker.v3[uid])
    replayed = [pairs_of(run) for run in runs]

    assert replayed[0] == [
        (energy_ev, image.tolist())
        for energy_ev, image in zip(SCAN.energies_ev, images, strict=True)
    ]
    assert all(pairs == replayed[0] for pairs in replayed[1:])


@pytest.mark.slow
def test_replayed_documents_are_valid_and_complete(broker, stored):
    from event_model import DocumentNames, schema_validators

    replayed = list(documents(broker[stored[0]]))

    for name, doc in replayed:
        schema_validators[DocumentNames[name]].validate(doc)
    assert [name for name, _ in replayed] == ["start", "descriptor", *["event"] * 4, "stop"]
    assert replayed[0][1]["sample"] == "valid"
    assert replayed[0][1]["stxm"] == SCAN.metadata()["stxm"] | {"data_field": "counts"} | {
        key: replayed[0][1]["stxm"][key] for key in ("x_extent", "y_extent")
    }
    assert all(type(doc) is dict for _, doc in replayed)


@pytest.mark.slow
def test_lines_are_replayed_in_order_although_they_came_in_another_and_in_small_blocks(
    broker, monkeypatch
):
    images, scan = stack_images(2, 3, 5), image_scan(2, 3, 5)
    uid = store_documents(broker, line_documents(images, scan, lines=[3, 4, 5, 0, 2, 1, 2]))

    for block_bytes in (reading._BLOCK_BYTES, 45):
        monkeypatch.setattr(reading, "_BLOCK_BYTES", block_bytes)
        replayed = events_of(broker[uid])
        assert [event["seq_num"] for event in replayed] == [1, 2, 3, 4, 5, 6]
        lines = np.stack([event["data"]["counts"] for event in replayed])
        np.testing.assert_array_equal(lines, images.reshape(-1, 5))


@pytest.mark.slow
def test_an_aborted_scan_is_replayed_as_far_as_it_came(recorded, broker):
    import bluesky.plan_stubs as bps
    from bluesky.utils import RunEngineInterrupted

    engine, _, wait = recorded
    images = stack_images()

    def pause_before_third_image(k):
        if k == 2:
            yield from bps.pause()

    with pytest.raises(RunEngineInterrupted):
        engine(
            stack_plan(
                EnergyImageDevice(images, SCAN.energies_ev),
                SCAN,
                before_image=pause_before_third_image,
            )
        )
    (uid,) = engine.abort("enough")
    wait(uid)

    replayed = list(documents(broker[uid]))
    assert [name for name, _ in replayed] == ["start", "descriptor", "event", "event", "stop"]
    assert replayed[-1][1]["exit_status"] == "abort"


@pytest.mark.slow
def test_a_run_without_an_end_comes_without_a_stop_document(broker):
    images, scan = stack_images(2, 3, 5), image_scan(2, 3, 5)
    store, uid = RunStore(broker), ""
    for name, doc in line_documents(images, scan, exit_status=None):
        uid = uid or doc["uid"]
        store(name, doc)

    replayed = list(documents(broker[uid]))

    assert [name for name, _ in replayed] == ["start", "descriptor", *["event"] * 6]


@pytest.mark.slow
def test_the_last_run_is_found_by_minus_one_its_scan_id_and_its_uid(broker):
    first, _ = store_stack(broker, scan_id=90)
    last, _ = store_stack(broker, scan_id=91)

    def uid_of(key):
        return find_run(broker, key).start["uid"]

    assert [uid_of(key) for key in (-1, "-1", 91, "91", last, last[:8])] == [last] * 6
    assert uid_of(-2) == uid_of(90) == first


@pytest.fixture(scope="module")
def latest(broker):
    return store_stack(broker)[0]


@pytest.mark.slow
@pytest.mark.parametrize("key", [123456, "00000000-no", "-100000", "abc"])
def test_a_run_that_is_not_there_is_refused_with_the_latest_ones(broker, latest, key):
    with pytest.raises(KeyError, match=rf"no run {key} in the catalogue.*{latest[:8]}"):
        find_run(broker, key)


def external_documents(file, scan):
    """A run whose images lie in an HDF5 file, the ophyd-async way."""
    from event_model import compose_run

    run = compose_run()
    yield "start", run.start_doc
    counts = {"dtype_numpy": "<f4", "shape": [1, *scan.image_shape], "external": "STREAM:"}
    keys = {
        "energy": {"source": "test", "dtype": "number", "shape": []},
        "counts": {"source": "test", "dtype": "array", **counts},
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    yield "descriptor", stream.descriptor_doc
    resource = run.compose_stream_resource(
        mimetype="application/x-hdf5",
        uri=f"file://localhost{file}",
        data_key="counts",
        parameters={"dataset": "/counts", "chunk_shape": (1, *scan.image_shape)},
    )
    yield "stream_resource", resource.stream_resource_doc
    for k, energy_ev in enumerate(scan.energies_ev):
        yield (
            "stream_datum",
            resource.compose_stream_datum(
                indices={"start": k, "stop": k + 1},
                seq_nums={"start": k + 1, "stop": k + 2},
                descriptor=stream.descriptor_doc,
            ),
        )
        times = {"energy": 1.0}
        yield "event", stream.compose_event(data={"energy": energy_ev}, timestamps=times)
    yield "stop", run.compose_stop()


@pytest.mark.slow
def test_images_in_files_stay_readable_where_the_catalogue_was_told_of_them(tmp_path):
    import h5py

    images, scan = stack_images(2, 3, 5), image_scan(2, 3, 5)
    (tmp_path / "images").mkdir()
    with h5py.File(tmp_path / "images" / "stack.h5", "w") as file:
        file["counts"] = images
    catalog = open_catalog(tmp_path / "catalog", image_roots=[tmp_path / "images"])

    uid = store_documents(catalog, external_documents(tmp_path / "images" / "stack.h5", scan))

    events = [event["data"] for event in events_of(catalog[uid])]
    assert [event["energy"] for event in events] == list(scan.energies_ev)
    np.testing.assert_array_equal(np.squeeze([event["counts"] for event in events]), images)
    assert gc.isenabled()  # which Dask has to have seen when it was imported
    close_catalog(catalog)


@pytest.mark.slow
def test_images_in_files_the_catalogue_was_not_told_of_are_left_out_with_a_word(tmp_path, caplog):
    import h5py

    images, scan = stack_images(2, 3, 5), image_scan(2, 3, 5)
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        file["counts"] = images
    catalog = open_catalog(tmp_path / "catalog")
    uid = store_documents(catalog, external_documents(tmp_path / "stack.h5", scan))

    with caplog.at_level("WARNING", "stxm_live"):
        events = [event["data"] for event in events_of(catalog[uid])]
    assert events == [{"energy": energy_ev} for energy_ev in scan.energies_ev]
    assert "files that the catalogue cannot read" in caplog.text
    close_catalog(catalog)
