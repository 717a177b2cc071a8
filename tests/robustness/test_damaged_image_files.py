"""Image files with wrong or missing bytes: read, refused or given up, and the process goes on."""

import random

import h5py
import numpy as np
import pytest

from stxm_live.io.documents import Roots, file_reader
from stxm_live.io.documents.file_reader import FileReader, ReaderProcess

SHAPE = (4, 32, 32)


def write_all(folder):
    import tifffile

    images = np.random.default_rng(0).poisson(100, SHAPE).astype("u2")
    with h5py.File(folder / "packed.h5", "w", libver="latest") as file:
        file.create_dataset("data", data=images, chunks=(1, *SHAPE[1:]), compression="gzip")
    with h5py.File(folder / "old.h5", "w") as file:
        file.create_dataset("data", data=images)
    with h5py.File(folder / "virtual.h5", "w", libver="latest") as file:
        layout = h5py.VirtualLayout(SHAPE, "u2")
        layout[:] = h5py.VirtualSource("packed.h5", "data", SHAPE)
        file.create_virtual_dataset("data", layout)
    tifffile.imwrite(folder / "a.tiff", images[0], compression="zlib")
    np.save(folder / "a.npy", images[0])
    return sorted(folder.iterdir())


def damaged(data, rng):
    data, kind = bytearray(data), rng.randrange(3)
    if kind == 0:
        for _ in range(rng.randrange(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 1:
        del data[rng.randrange(len(data)) :]
    else:
        start = rng.randrange(len(data) - 8)
        data[start : start + 8] = rng.choice([b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7])
    return bytes(data)


@pytest.mark.slow
def test_no_damaged_file_raises_anything_else_or_holds_the_session(tmp_path, monkeypatch):
    process = ReaderProcess()
    monkeypatch.setattr(file_reader, "_process", process)
    monkeypatch.setattr(file_reader, "REST_S", 0.0)
    monkeypatch.setattr(file_reader, "ANSWER_S", 1.0)
    paths = [(path, path.read_bytes()) for path in write_all(tmp_path)]
    reader, rng = FileReader(Roots([tmp_path])), random.Random(1)
    reader.max_values = int(np.prod(SHAPE))
    for n in range(40):
        path, sound = rng.choice(paths)
        spoilt = path.with_name(f"spoilt_{n}{path.suffix}")
        spoilt.write_bytes(damaged(sound, rng))
        try:
            if path.suffix == ".h5":
                reader.hdf5(str(spoilt), "data", index=rng.randrange(4), n_frames=1)
            else:
                reader.files(path.suffix[1:], [str(spoilt)])
        except (OSError, ValueError):
            pass
        reader.close()
    monkeypatch.setattr(file_reader, "ANSWER_S", 60.0)
    assert reader.files("npy", [str(tmp_path / "a.npy")]).shape == (1, *SHAPE[1:])
    process.end()
