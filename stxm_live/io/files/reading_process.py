"""The process that reads the files that a user names; `reading_apart` starts and asks it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from stxm_live.core.machine_memory import LARGEST_STACK_BYTES
from stxm_live.io.files import hdf5
from stxm_live.io.files.mapped import read_mapped
from stxm_live.io.files.nexus_stxm import read_nexus_stxm
from stxm_live.io.files.reading import read_here
from stxm_live.io.files.reading_apart import Parts, parts_of_stack
from stxm_live.io.files.spectrum import nexus_spectrum
from stxm_live.io.other_process import connection_of_this_process, limit_memory

_READERS = {"stack": read_here, "nexus": read_nexus_stxm, "mapped": read_mapped}

_not_counted = hdf5.with_other_files

LEAST_MEMORY_BYTES = 2**30

UNPACKED = 256
"""Largest memory for a file, in sizes of the file."""


def main() -> None:
    """Answer requests until the other process ends."""
    connection = connection_of_this_process()
    with suppress(ImportError):  # filters of compressed files
        import hdf5plugin  # noqa: F401
    import h5py  # noqa: F401
    import tifffile  # noqa: F401

    connection.send_bytes(b"ready")
    with suppress(EOFError, ConnectionError):
        while True:
            header, arrays = _answer(json.loads(connection.recv_bytes()), connection)
            connection.send_bytes(json.dumps(header).encode())
            while arrays:
                connection.send_bytes(np.ascontiguousarray(arrays.pop(0)).data.cast("B"))


def _answer(request: dict[str, Any], connection: Connection) -> Parts:
    path = request["path"]

    def with_other_files(n_bytes: int) -> None:
        """Let the files that this one is read from count as well, once."""
        hdf5.with_other_files = _not_counted
        connection.send_bytes(json.dumps({"other_files_bytes": n_bytes}).encode())
        _limit_memory(request["n_bytes"] + n_bytes)

    hdf5.with_other_files = with_other_files
    try:
        _limit_memory(request["n_bytes"])
        os.chdir(request["folder"])  # so that messages name a file as the user did
        header, arrays = _read(request["what"], Path(path), request["options"])
    except FileNotFoundError as error:
        return Parts({"problem": str(error), "is_missing": True}, [])
    except MemoryError:
        return _problem(f"{path}: larger than the memory that a file of its size may take")
    except (ValueError, OSError) as error:
        return _problem(str(error))
    except Exception as error:  # noqa: BLE001  a file may hold anything
        return _problem(f"{path}: damaged, or of another layout ({error!r:.300})")
    finally:
        os.chdir("/")
    return Parts({**header, "arrays": [(a.dtype.str, a.shape) for a in arrays]}, arrays)


def _problem(text: str) -> Parts:
    return Parts({"problem": text, "is_missing": False}, [])


def _limit_memory(n_bytes: int) -> None:
    limit_memory(min(LEAST_MEMORY_BYTES + UNPACKED * n_bytes, 3 * LARGEST_STACK_BYTES))


def _read(what: str, path: Path, options: dict[str, str | None]) -> Parts:
    if what == "spectrum":
        return Parts({}, list(nexus_spectrum(path, **options)))
    return parts_of_stack(_READERS[what](path, **options))


if __name__ == "__main__":
    main()
