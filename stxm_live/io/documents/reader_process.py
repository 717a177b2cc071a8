"""The process that reads image files; `file_reader` starts and asks it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.documents.facility_handlers import read_by_handler
from stxm_live.io.documents.handlers import read_image
from stxm_live.io.documents.hdf5_images import MAX_EVENT_BYTES, Hdf5Images
from stxm_live.io.documents.hdf5_sources import MAX_CHUNK_BYTES
from stxm_live.io.documents.paths import Roots
from stxm_live.io.other_process import connection_of_this_process, limit_memory

MAX_OPEN_FILES = 64

MEMORY_BYTES = MAX_EVENT_BYTES + 3 * MAX_CHUNK_BYTES
"""Most memory of the process beyond that of its libraries: compressed data may unpack to more
than any announced size."""

_Key = tuple[Any, ...]


def main() -> None:
    """Answer requests until the other process ends."""
    connection = connection_of_this_process()
    with suppress(ImportError):  # filters of compressed files, for as long as they are installed
        import hdf5plugin  # noqa: F401
    import h5py  # noqa: F401
    import tifffile  # noqa: F401

    limit_memory(MEMORY_BYTES)
    connection.send_bytes(b"ready")
    images: dict[_Key, Hdf5Images] = {}
    made: dict[str, Callable[..., Any]] = {}
    with suppress(EOFError, ConnectionError):
        while True:
            request = json.loads(connection.recv_bytes())
            if "close" in request:
                for key in [key for key in images if key[0] == request["close"]]:
                    images.pop(key).close()
                made.clear()
                _send(connection, {"closed": request["close"]})
                continue
            _answer(connection, partial(_read, request, images, made))


def _answer(connection: Connection, read: Callable[[], NDArray[Any]]) -> None:
    try:
        data = np.ascontiguousarray(read())
    except (OSError, MemoryError) as error:
        _send(connection, {"problem": str(error)[:1000] or "out of memory", "is_late": True})
    except Exception as error:  # noqa: BLE001  a file may hold anything
        _send(connection, {"problem": str(error)[:1000], "is_late": False})
    else:
        _send(connection, {"dtype": data.dtype.str, "shape": data.shape})
        connection.send_bytes(data.data.cast("B"))


def _send(connection: Connection, header: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(header).encode("ascii", "replace"))


def _read(
    request: dict[str, Any], images: dict[_Key, Hdf5Images], made: dict[str, Callable[..., Any]]
) -> NDArray[Any]:
    path, max_values = request["path"], request["max_values"]
    roots = Roots()
    roots.folders = tuple(map(Path, request["roots"]))  # as they were when they were named
    if request["kind"] == "handler":
        return read_by_handler(request, roots, made)
    if request["kind"] != "hdf5":
        return read_image(request["kind"], path, roots, max_values)
    dataset, swmr = request["dataset"], request["swmr"]
    key = (request["owner"], path, dataset, swmr)
    if key not in images:
        while len(images) >= MAX_OPEN_FILES:
            images.pop(next(iter(images))).close()
        images[key] = Hdf5Images(path, dataset, roots, swmr=swmr)
    return images[key].event(request["index"], request["n_frames"], max_values, request["n_events"])


if __name__ == "__main__":
    main()
