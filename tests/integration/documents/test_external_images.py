"""Images in files: read on the worker, late ones too, and from nowhere else than allowed."""

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
from external_runs import datum_run, h5_file, stream_run, write_for, written_images
from shapes import image_run, small_counts

from stxm_live import LivePhaseMapper, map_run
from stxm_live.core.scan import StackScan
from stxm_live.io.documents import Roots, RunFrames, file_reader
from stxm_live.live.replay import stack_of_run

GOLDEN = Path(__file__).parents[2] / "golden"

SPECS = ["NPY_SEQ", "AD_TIFF", "AD_HDF5", "AD_HDF5_SWMR"]


@pytest.fixture(scope="module")
def plain(nvpf):
    """The maps of the same images in the documents."""
    return map_run(image_run(), nvpf)


def feed(live, docs):
    for name, doc in docs:
        live(name, doc)
    return docs[0][1]["uid"]


def same_products(one, other):
    a, b = one.to_xarray(), other.to_xarray()
    return all(a[name].equals(b[name]) for name in {*a.data_vars, *b.data_vars})


def notes_of(docs, roots=()):
    return " ".join(stack_of_run(docs, roots=roots).notes)


@pytest.mark.parametrize("again", [False, True], ids=["straight", "paused and rewound"])
@pytest.mark.parametrize("spec", SPECS)
def test_images_named_by_datum_are_read_from_their_files(nvpf, plain, tmp_path, spec, again):
    docs = list(datum_run(spec, tmp_path, again, **write_for(spec, tmp_path, again)))
    with LivePhaseMapper(nvpf, roots=[tmp_path]) as live:
        maps = live.wait(feed(live, docs), timeout_s=60)
    assert maps.status == "complete"
    assert maps.identical(map_run(docs, nvpf, roots=[tmp_path]))
    assert same_products(maps, plain)


@pytest.mark.parametrize("again", [False, True], ids=["straight", "paused and rewound"])
@pytest.mark.parametrize("at_the_end", [False, True], ids=["datum first", "all at the end"])
def test_streamed_images_are_paired_with_their_events(nvpf, plain, tmp_path, again, at_the_end):
    path = h5_file(tmp_path / "stack.h5", written_images(again))
    docs = list(stream_run(path, again, at_the_end=at_the_end))
    with LivePhaseMapper(nvpf, roots=[tmp_path]) as live:
        maps = live.wait(feed(live, docs), timeout_s=60)
    assert maps.status == "complete"
    assert maps.identical(map_run(docs, nvpf, roots=[tmp_path]))
    assert same_products(maps, plain)


def test_images_of_a_flyer_come_without_events_and_count_by_their_number(tmp_path):
    path = h5_file(tmp_path / "stack.h5", written_images())
    docs = list(stream_run(path, events=False))
    stack = stack_of_run(docs, roots=[tmp_path])
    np.testing.assert_array_equal(stack.intensity(), small_counts()[0])


def test_several_frames_of_an_event_are_added(tmp_path):
    counts, _ = small_counts()
    path = h5_file(tmp_path / "stack.h5", np.repeat(counts, 3, axis=0))
    docs = list(stream_run(path))
    docs[1][1]["data_keys"]["counts"]["shape"] = [3, *counts.shape[1:]]
    stack = stack_of_run(docs, roots=[tmp_path])
    np.testing.assert_array_equal(stack.intensity(), counts * 3)


@pytest.mark.parametrize("mimetype", ["image/tiff", "npy"])
def test_streamed_images_may_be_a_file_each(tmp_path, mimetype):
    write_for("NPY_SEQ" if mimetype == "npy" else "AD_TIFF", tmp_path)
    template = "image_{:d}.npy" if mimetype == "npy" else "xas_{:06d}.tiff"
    docs = list(
        stream_run(
            tmp_path,
            mimetype=f"multipart/related;type={mimetype}",
            parameters={"template": template, "chunk_shape": (1,)},
        )
    )
    stack = stack_of_run(docs, roots=[tmp_path])
    np.testing.assert_array_equal(stack.intensity(), small_counts()[0])


WRITER = """
import sys, h5py, numpy as np
path, images = sys.argv[1], np.load(sys.argv[2])
with h5py.File(path, "w", libver="latest") as file:
    shape = images.shape[1:]
    data = file.create_dataset("/entry/data/data", (0, *shape), images.dtype,
                               maxshape=(None, *shape), chunks=(1, *shape))
    file.swmr_mode = True
    print("open", flush=True)
    for k, image in enumerate(images):
        sys.stdin.readline()
        data.resize(k + 1, axis=0)
        data[k] = image
        data.flush()
        print(k, flush=True)
    sys.stdin.readline()
"""


def test_a_file_that_another_process_is_writing_is_read_image_by_image(nvpf, plain, tmp_path):
    np.save(tmp_path / "images.npy", written_images())
    path = tmp_path / "stack.h5"
    docs = list(stream_run(path))
    command = [sys.executable, "-c", WRITER, str(path), str(tmp_path / "images.npy")]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    seen = []
    try:
        assert writer.stdout.readline() == "open\n"
        with LivePhaseMapper(nvpf, roots=[tmp_path]) as live:
            uid = docs[0][1]["uid"]
            for name, doc in docs:
                if name == "stream_datum":
                    writer.stdin.write("next\n")
                    writer.stdin.flush()
                    writer.stdout.readline()
                live(name, doc)
                if name == "event":
                    deadline = time.monotonic() + 120
                    while (
                        live.status(uid).n_images < doc["seq_num"] and time.monotonic() < deadline
                    ):
                        time.sleep(0.01)
                    seen.append(live.status(uid).n_images)
            maps = live.wait(uid, timeout_s=60)
    finally:
        writer.communicate("end\n", timeout=120)
    assert seen == list(range(1, 14))
    assert same_products(maps, plain)
    assert maps.identical(map_run(docs, nvpf, roots=[tmp_path]))


def test_a_file_that_is_written_only_after_the_run_is_waited_for(nvpf, plain, tmp_path):
    docs = list(datum_run("AD_HDF5", tmp_path, frame_per_point=1))
    with LivePhaseMapper(nvpf, roots=[tmp_path]) as live:
        uid = feed(live, docs)
        time.sleep(0.6)
        assert not live.status(uid).is_done
        write_for("AD_HDF5", tmp_path)
        maps = live.wait(uid, timeout_s=120)
    assert same_products(maps, plain)


def test_a_file_that_never_comes_is_named_after_a_bounded_time(nvpf, tmp_path):
    docs = list(datum_run("AD_HDF5", tmp_path, frame_per_point=1))
    with LivePhaseMapper(nvpf, roots=[tmp_path], file_timeout_s=0.5) as live:
        uid = feed(live, docs)
        with pytest.raises(
            ValueError, match=r"13 images are missing from their files \(stack\.h5 cannot"
        ):
            live.wait(uid, timeout_s=120)
    synchronous = LivePhaseMapper(nvpf, roots=[tmp_path], file_timeout_s=0.3, background=False)
    with pytest.raises(ValueError, match="13 images are missing from their files"):
        synchronous.wait(feed(synchronous, docs), timeout_s=0)


@pytest.mark.parametrize("cut", [0, 100, 900])
def test_a_file_that_is_cut_off_is_not_there_yet(tmp_path, cut):
    for spec in SPECS[:3]:
        options = write_for(spec, tmp_path)
        for path in tmp_path.iterdir():
            path.write_bytes(path.read_bytes()[:cut])
        notes = notes_of(datum_run(spec, tmp_path, **options), [tmp_path])
        assert "13 images are missing from their files" in notes


# where images may be read from


def test_without_a_folder_to_read_from_no_file_is_opened(nvpf, tmp_path):
    docs = list(datum_run("NPY_SEQ", tmp_path, **write_for("NPY_SEQ", tmp_path)))
    with pytest.raises(ValueError, match=r"name the folder they may be read from: roots=\[...\]"):
        map_run(docs, nvpf)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("file://localhost/etc/passwd", "lies outside"),
        ("file://localhost{root}/../secret.h5", "has parts '..'"),
        ("file://localhost{root}/%2e%2e/secret.h5", "has parts '..'"),
        ("file://elsewhere{root}/stack.h5", "file://localhost/... only"),
        ("http://example.org/stack.h5", "file://localhost/... only"),
        ("file://localhost{root}/link.h5", "lies outside"),
        ("file://localhost{root}/a%00b.h5", "is not valid"),
        ("stack.h5", "file://localhost/... only"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(tmp_path, uri, words):
    root = tmp_path / "root"
    root.mkdir()
    h5_file(tmp_path / "secret.h5", written_images())
    (root / "link.h5").symlink_to(tmp_path / "secret.h5")
    docs = list(stream_run("/nowhere", uri=uri.format(root=root)))
    assert words in notes_of(docs, [root])


@pytest.mark.parametrize("kind", ["external link", "virtual dataset", "external storage"])
def test_an_hdf5_file_that_leads_elsewhere_is_refused(tmp_path, kind):
    import h5py

    root = tmp_path / "root"
    root.mkdir()
    secret = h5_file(tmp_path / "secret.h5", written_images())
    shape = written_images().shape
    with h5py.File(root / "stack.h5", "w", libver="latest") as file:
        group = file.create_group("entry/data")
        if kind == "external link":
            group["data"] = h5py.ExternalLink(str(secret), "/entry/data/data")
        elif kind == "virtual dataset":
            layout = h5py.VirtualLayout(shape, dtype="f4")
            layout[:] = h5py.VirtualSource(str(secret), "/entry/data/data", shape)
            group.create_virtual_dataset("data", layout)
        else:
            size = int(np.prod(shape)) * 4
            group.create_dataset("data", shape, "f4", external=[(str(secret), 0, size)])
    assert "lies outside" in notes_of(stream_run(root / "stack.h5"), [root])


def test_a_document_cannot_widen_the_roots(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    write_for("NPY_SEQ", tmp_path)
    docs = list(datum_run("NPY_SEQ", tmp_path, roots=Roots([tmp_path])))
    assert "lies outside" in notes_of(docs, [root])


@pytest.mark.parametrize(
    "options",
    [{"template": "%s%s_%999999999d.tiff"}, {"template": "%s"}, {"frame_per_point": 10**9}],
)
def test_a_template_or_count_that_would_fill_the_memory_is_refused(tmp_path, options):
    notes = notes_of(datum_run("AD_TIFF", tmp_path, **options), [tmp_path])
    assert "template" in notes or "frames per point" in notes


def test_a_pickled_array_is_not_loaded(tmp_path):
    np.save(tmp_path / "image_0.npy", np.array([{"a": 1}], dtype=object))
    assert "missing from their files" in notes_of(datum_run("NPY_SEQ", tmp_path), [tmp_path])


def test_a_folder_that_is_none_is_refused_at_once(nvpf, tmp_path):
    with pytest.raises(ValueError, match=r"roots: .*missing is not a folder"):
        LivePhaseMapper(nvpf, roots=[tmp_path / "missing"])


def test_files_of_another_kind_are_named_with_what_reads_them(tmp_path):
    docs = list(stream_run(tmp_path / "a.zarr", mimetype="application/x-zarr"))
    assert (
        "'application/x-zarr', which is not read; known kinds are application/x-hdf5"
        in notes_of(docs, [tmp_path])
    )
    notes = notes_of(datum_run("AD_SPE", tmp_path), [tmp_path])
    assert "no handler for 'AD_SPE' is installed; pip install area-detector-handlers" in notes


def test_a_file_can_be_written_again_once_its_run_has_ended(tmp_path):
    path = h5_file(tmp_path / "stack.h5", written_images())
    (_, start), *others = stream_run(path)
    reader = RunFrames(start, roots=Roots([tmp_path]))
    for name, doc in others:
        reader(name, doc)
    assert name == "stop"
    h5py.File(path, "r+").close()


def test_an_image_that_waits_for_its_event_is_not_read_before(tmp_path):
    path = h5_file(tmp_path / "stack.h5", written_images())
    docs = list(stream_run(path))
    reader = RunFrames(docs[0][1], roots=Roots([tmp_path]))
    whole = [[len(reader(name, doc)) for name, doc in docs[1:5]]]
    assert whole == [[0, 0, 0, 1]]
    reader.give_up()


# files that do not answer, and announcements that are too large


class Stalled:
    """Stands for the process that reads files, while the storage does not answer."""

    is_stalled = True
    stalled_file = ""

    def __init__(self, process):
        self._process = process
        self.is_resting = False

    def ask(self, request, path):
        if self.is_stalled and (self.is_resting or self.stalled_file in path):
            self.is_resting = True
            raise file_reader.StalledError("stack.h5 did not answer within 5 s")
        return self._process.ask(request, path)

    def start(self):
        self._process.start()

    def wake(self):
        self.is_resting = False

    def close_files(self, owner):
        self._process.close_files(owner)


@pytest.fixture
def storage(monkeypatch):
    stalled = Stalled(file_reader._process)
    monkeypatch.setattr(file_reader, "_process", stalled)
    return stalled


@pytest.mark.parametrize("spec", ["AD_HDF5", "stream"])
def test_files_that_do_not_answer_are_told_and_the_next_run_is_mapped(
    nvpf, plain, tmp_path, storage, spec
):
    options = write_for("AD_HDF5", tmp_path)
    streamed = partial(stream_run, tmp_path / "stack.h5")
    runs = [
        list(streamed() if spec == "stream" else datum_run(spec, tmp_path, **options))
        for _ in range(2)
    ]
    told = []
    with LivePhaseMapper(nvpf, roots=[tmp_path], file_timeout_s=5.5) as live:
        live.add_sink(on_error=lambda uid, error: told.append((uid, str(error))))
        uid = feed(live, runs[0])
        with pytest.raises(ValueError, match=r"13 images are missing .*did not answer within 5 s"):
            live.wait(uid, timeout_s=60)
        ((named, text),) = told
        assert named == uid
        assert "did not answer within 5 s" in text
        storage.is_stalled = False
        assert same_products(live.wait(feed(live, runs[1]), timeout_s=60), plain)


def test_of_a_sequence_with_a_file_that_never_answers_the_others_are_read(tmp_path, storage):
    docs = list(datum_run("AD_TIFF", tmp_path, **write_for("AD_TIFF", tmp_path)))
    storage.stalled_file = "xas_000003"
    stack = stack_of_run(docs, roots=[tmp_path])
    assert len(stack.frames) == 12
    assert "1 images are missing from their files" in " ".join(stack.notes)


def test_a_file_that_answers_after_a_while_loses_no_image(nvpf, plain, tmp_path, storage):
    write_for("AD_HDF5", tmp_path)
    docs = list(stream_run(tmp_path / "stack.h5"))
    with LivePhaseMapper(nvpf, roots=[tmp_path], file_timeout_s=60.0) as live:
        uid = feed(live, docs[:-1])
        storage.is_stalled = False
        live(*docs[-1])
        assert same_products(live.wait(uid, timeout_s=60), plain)


def test_a_pipe_among_the_files_is_told_and_the_next_run_is_mapped(nvpf, plain, tmp_path):
    options = write_for("AD_TIFF", tmp_path)
    docs = [list(datum_run("AD_TIFF", tmp_path, **options)) for _ in range(2)]
    third = tmp_path / "xas_000003.tiff"
    sound = third.read_bytes()
    third.unlink()
    os.mkfifo(third)
    with LivePhaseMapper(nvpf, roots=[tmp_path]) as live:
        maps = live.wait(feed(live, docs[0]), timeout_s=60)
        assert maps.status == "incomplete"
        assert "xas_000003.tiff is not a regular file" in " ".join(maps.warnings)
        third.unlink()
        third.write_bytes(sound)
        assert same_products(live.wait(feed(live, docs[1]), timeout_s=60), plain)


def test_an_event_of_millions_of_frames_is_refused_at_its_descriptor(tmp_path):
    docs = list(stream_run(h5_file(tmp_path / "stack.h5", written_images())))
    ny, nx = written_images().shape[1:]
    docs[1][1]["data_keys"]["counts"]["shape"] = [3_000_000, ny, nx]
    assert "3000000 frames per point; expected 1 to 4096" in notes_of(docs, [tmp_path])


@pytest.mark.parametrize("n_rows", [13, 3_000_000])
def test_millions_of_images_of_one_document_are_not_read(tmp_path, n_rows):
    path = h5_file(tmp_path / "stack.h5", written_images())
    with h5py.File(path, "a", libver="latest") as file:
        file["/entry/data/data"].resize(n_rows, axis=0)
    docs = [d for d in stream_run(path, events=False) if d[0] != "stream_datum"]
    (_, datum) = next(d for d in stream_run(path, events=False) if d[0] == "stream_datum")
    span = {"indices": {"start": 0, "stop": 3_000_000}, "seq_nums": {"start": 1, "stop": 3_000_001}}
    resource, descriptor = docs[2][1]["uid"], docs[1][1]["uid"]
    datum |= span | {"stream_resource": resource, "descriptor": descriptor}
    docs.insert(3, ("stream_datum", datum))
    stack = stack_of_run(docs, roots=[tmp_path])
    assert len(stack.frames) == 13
    assert "image 78 and later ones are far beyond the end of the scan" in " ".join(stack.notes)


# golden: recorded with ophyd-async 0.21.3's simulated detector and bluesky 1.15.1


def test_documents_of_ophyd_async_are_read(tmp_path):
    rng = np.random.default_rng(2)
    images = rng.integers(0, 255, (3, 240, 320)).astype(np.uint8)
    h5_file(tmp_path / "stack.h5", images)
    text = (GOLDEN / "ophyd_async_0.21.3_list_scan.jsonl").read_text()
    docs = [json.loads(line) for line in text.replace("/FOLDER", str(tmp_path)).splitlines()]
    scan = StackScan(
        shape=(3, 240, 320),
        energies_ev=(515.0, 516.0, 518.0),
        x_extent_um=(0, 1),
        y_extent_um=(0, 1),
        data_field="det",
    )
    stack = stack_of_run([tuple(pair) for pair in docs], scan=scan, roots=[tmp_path])
    np.testing.assert_array_equal(stack.intensity(), images)
    assert stack.notes == ()
