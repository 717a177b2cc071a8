import datetime
from pathlib import Path

import numpy as np
import pytest

from stxm_live.io.catalog import backup_values
from stxm_live.io.catalog.backup import BackupFile, read_backup

VALUES = {
    "a key of ours": {"__kind__": "array", "value": "AAAA"},
    "a key of version 1": {"__array__": "AAAA", "dtype": "<f4", "shape": [9]},
    "keys of other types": {1: "left", None: 1, (1, 2): 3},
    "tuple": (1, (2, [3])),
    "surrogate": "a\ud800b",
    "infinite": [float("inf"), -0.0],
    "bytes": b"\x00abc",
    "set": {1, 2},
    "complex": 1j,
    "date": datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
    "path": Path("/data"),
    "scalar": np.float32(0.1),
    "date of numpy": np.datetime64("2026-01-01"),
    "records": np.array([(1.5, 2)], dtype=[("a", "<f4"), ("b", ">i2")]),
    "masked": np.ma.masked_array([1.0, 2.0], mask=[0, 1], fill_value=7.0),
    "big-endian": np.arange(3, dtype=">f4"),
    "Fortran order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "empty": np.zeros((0, 3)),
    "long": np.arange(3, dtype=np.longdouble),
    "texts": np.array(["ä", "bb"]),
}


def round_trip(folder, value):
    backup = BackupFile(folder / "run.jsonl")
    try:
        backup("start", {"uid": "a", "value": value})
    finally:
        backup.close()
    ((_, doc),) = read_backup(backup.path)
    return doc["value"]


@pytest.mark.parametrize("what", VALUES)
def test_a_value_comes_back_from_the_backup_as_it_was(tmp_path, what):
    value = VALUES[what]
    back = round_trip(tmp_path, value)
    assert type(back) is type(value)
    if isinstance(value, np.ndarray | np.generic):
        assert back.dtype == value.dtype
        np.testing.assert_array_equal(np.asarray(back), np.asarray(value))
        np.testing.assert_array_equal(np.ma.getmask(back), np.ma.getmask(value))
    else:
        assert repr(back) == repr(value)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (np.array([1, None], dtype=object), "array of objects"),
        (np.zeros(1, [("a", "O")]), "array of objects"),
        (object(), "object"),
        (iter(()), "tuple_iterator"),
    ],
)
def test_what_cannot_come_back_is_refused_by_name(tmp_path, value, name):
    with pytest.raises(TypeError, match=name):
        round_trip(tmp_path, value)


def test_files_of_the_first_version_are_read(tmp_path):
    path = tmp_path / "old.jsonl"
    path.write_text(
        '{"name": "event", "doc": {"x": {"__array__": "AADAPw==", "dtype": "<f4", "shape": [1]}}}\n'
    )
    ((_, doc),) = read_backup(path)
    np.testing.assert_array_equal(doc["x"], np.float32([1.5]), strict=True)


def test_a_file_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "new.jsonl"
    path.write_text('{"stxm_live_backup": 3}\n{"name": "start", "doc": {}}\n')
    with pytest.raises(ValueError, match="version 3, written by a later stxm_live"):
        list(read_backup(path))


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "damaged.jsonl"
    path.write_text('{"stxm_live_backup": 2}\n{"na\n')
    with pytest.raises(ValueError, match="line 2 is damaged"):
        list(read_backup(path))


def test_large_images_are_written_in_pieces_with_the_same_bytes(tmp_path, monkeypatch):
    data = {
        "a": np.arange(999, dtype=np.uint16).reshape(3, 333),
        "text": "x",
        "b": np.linspace(0, 1, 500).reshape(5, 100),
        "columns": np.asfortranarray(np.ones((20, 30))),
        "dates": np.zeros(200, "M8[s]"),
    }
    lines = []
    for piece_bytes, large_bytes in ((3 * 2**17, 2**20), (99, 1000), (3 * 2**17, 1000)):
        monkeypatch.setattr(backup_values, "_PIECE_BYTES", piece_bytes)
        monkeypatch.setattr(backup_values, "_LARGE_BYTES", large_bytes)
        backup = BackupFile(tmp_path / f"{len(lines)}.jsonl")
        backup("event", {"seq_num": 1, "data": data, "timestamps": {"a": 0.0}})
        backup.close()
        lines.append(backup.path.read_bytes())
    assert lines[0] == lines[1] == lines[2]
    ((_, doc),) = read_backup(backup.path)
    for key, value in data.items():
        np.testing.assert_array_equal(doc["data"][key], value)
