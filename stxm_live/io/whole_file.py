"""Writing of files so that they are complete or absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a file beside the wanted one to write to; it takes the name at the end.

    Raises
    ------
    OSError
        If the file cannot be written; an existing one stays. The message names the file.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error  # h5py's own fills five lines
        raise OSError(
            error.errno, f"{path} cannot be written ({reason}); choose another folder"
        ) from error
    finally:
        if unfinished.parent.is_dir():
            unfinished.unlink(missing_ok=True)
