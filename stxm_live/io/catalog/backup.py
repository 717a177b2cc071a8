"""Backup files of runs, with one JSON object per document and bit-exact arrays."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

_ARRAY = "__array__"

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def backup_name(uid: str) -> str:
    """Return the name of a run's backup file: its uid, or a hash if the uid is unsafe.

    Examples
    --------
    >>> backup_name("3f2a91bb-77d0")
    '3f2a91bb-77d0.jsonl'
    >>> backup_name("../../etc/passwd")
    '3754d6cb3a38e118.jsonl'
    """
    if not _PLAIN_NAME.fullmatch(uid):
        uid = hashlib.sha256(uid.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{uid}.jsonl"


class BackupFile:
    """Append documents to a file as they come; each one is on disk before the next.

    Parameters
    ----------
    path : Path
        The file, created when the first document comes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Append one document."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8")
        self._file.write(json.dumps({"name": name, "doc": doc}, default=_encoded) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file and keep it."""
        if self._file is not None:
            self._file.close()

    def delete(self) -> None:
        """Close the file and remove it, because the run is stored elsewhere."""
        self.close()
        self.path.unlink(missing_ok=True)


def read_backup(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the documents in a backup file, with real ndarrays.

    An incomplete last line is left out; it means that the program died while writing.
    """
    with Path(path).open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                pair = json.loads(line, object_hook=_decoded)
                yield pair["name"], pair["doc"]


def _encoded(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype.hasobject:
            return array.tolist()
        data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
        return {_ARRAY: data, "dtype": array.dtype.str, "shape": array.shape}
    raise TypeError(f"a document holds {type(value).__name__}, which JSON cannot hold")


def _decoded(item: dict[str, Any]) -> Any:
    if _ARRAY not in item:
        return item
    flat = np.frombuffer(base64.b64decode(item[_ARRAY]), dtype=item["dtype"])
    array = flat.reshape(item["shape"]).copy()
    return array if array.ndim else array[()]
