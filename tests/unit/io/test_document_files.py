"""Files of documents in the forms of Bluesky's writers, suitcases and facilities."""

import gzip
import json

import msgpack
import msgpack_numpy
import numpy as np
import pytest
from bluesky.callbacks.json_writer import JSONLinesWriter, JSONWriter
from event_model import sanitize_doc
from shapes import image_run, small_counts

from stxm_live.io.catalog import document_files
from stxm_live.io.catalog.document_files import runs_in_file
from stxm_live.live.replay import stack_of_run

RUN = list(image_run())
PLAIN = [(name, json.loads(json.dumps(sanitize_doc(doc)))) for name, doc in RUN]


def by_writer(writer):
    def write(path):
        made = writer(str(path.parent), path.name)
        for name, doc in PLAIN:
            made(name, doc)

    return write


def suitcase(path):
    with path.open("wb") as file:
        for pair in RUN:
            file.write(msgpack.packb(pair, default=msgpack_numpy.encode))


def lines(path):
    path.write_text("\n".join(json.dumps(pair) for pair in PLAIN))


FORMS = {
    "JSONWriter.json": by_writer(JSONWriter),
    "JSONLinesWriter.jsonl": by_writer(JSONLinesWriter),
    "nslsii.json": lambda path: path.write_text(json.dumps([{n: d} for n, d in PLAIN])),
    "pairs.json": lambda path: path.write_text(json.dumps(PLAIN)),
    "by_uid.json": lambda path: path.write_text(json.dumps({"a": PLAIN})),
    "suitcase.jsonl": lines,
    "suitcase.msgpack": suitcase,
}


@pytest.mark.parametrize("zipped", [False, True], ids=["", "gzip"])
@pytest.mark.parametrize("form", FORMS)
def test_a_run_is_read_in_every_form(tmp_path, form, zipped):
    path = tmp_path / form
    FORMS[form](path)
    if zipped:
        packed = tmp_path / f"{form}.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    (run,) = runs_in_file(path)
    np.testing.assert_array_equal(stack_of_run(run).intensity(), small_counts()[0])


@pytest.mark.parametrize("form", ["JSONWriter.json", "JSONLinesWriter.jsonl", "suitcase.msgpack"])
def test_of_a_file_that_is_cut_off_the_whole_documents_are_read(tmp_path, form):
    path = tmp_path / form
    FORMS[form](path)
    whole = path.read_bytes()
    cut = whole.rindex(b'"stop"') + 3 if form != "suitcase.msgpack" else len(whole) - 40
    path.write_bytes(whole[:cut].rstrip())
    (run,) = runs_in_file(path)
    assert [name for name, _ in run] == [name for name, _ in RUN[:-1]]


def spoilt(change):
    """JSON with one document changed, by its name and field."""
    name, field, value = change
    docs = [(n, {**doc, field: value} if n == name else doc) for n, doc in PLAIN]
    return json.dumps(docs).encode()


DAMAGED = {
    "uid.json": spoilt(("start", "uid", [1])),
    "time.json": spoilt(("start", "time", "x")),
    "tail.json.gz": gzip.compress(json.dumps(PLAIN).encode()) + b"junk",
    "stream.json.gz": gzip.compress(b"[]" * 500)[:12] + b"\xff" * 40,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_an_error_with_its_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(DAMAGED[name])
    with pytest.raises(ValueError, match=f"{name}: not a file of documents"):
        runs_in_file(path)


def test_a_stream_whose_uid_is_no_text_is_no_traceback(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(spoilt(("descriptor", "uid", [1])))
    (run,) = runs_in_file(path)
    assert not stack_of_run(run).frames


def test_what_a_small_file_unpacks_to_is_bounded_by_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(document_files, "available_bytes", lambda: 4 * 2**20)
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b" " * (2**20 + 1)))
    with pytest.raises(ValueError, match="more than 1 MiB, unpacked"):
        runs_in_file(path)


def test_objects_in_msgpack_are_not_made(tmp_path):
    value = {b"nd": True, b"type": "|O", b"kind": b"O", b"shape": (1,), b"data": b"\x80\x04."}
    path = tmp_path / "a.msgpack"
    path.write_bytes(msgpack.packb(["start", {"uid": "a", "image": value}]))
    with pytest.raises(ValueError, match=r"not a file of documents \(an array of type object"):
        runs_in_file(path)
