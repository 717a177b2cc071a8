"""Stacks in a folder that Tiled serves: an adapter for ``tiled serve directory``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiled.adapters.xarray import DatasetAdapter

MIMETYPE = "application/x-stxm"
"""Type to which the suffixes of stacks are assigned."""


class StackAdapter:
    """Serve a stack as a dataset with the images in ``intensity`` (energy_ev, y, x).

    Tiled calls it for files of the type that its command line or configuration assigns to it::

        tiled serve directory FOLDER --ext .hdr=application/x-stxm
            --adapter application/x-stxm=stxm_live.io.catalog.tiled_adapter:StackAdapter
    """

    @classmethod
    def from_uris(cls, data_uri: str, **_: Any) -> DatasetAdapter:
        """Return the stack of a file that is being registered; errors are those of `read_stack`."""
        return _served(data_uri)

    @classmethod
    def from_catalog(cls, data_source: Any, node: Any, /, **_: Any) -> DatasetAdapter:
        """Return the stack of a file that is registered."""
        return _served(data_source.assets[0].data_uri)


def _served(data_uri: str) -> DatasetAdapter:
    from tiled.utils import path_from_uri

    path = Path(path_from_uri(data_uri))
    state = path.stat()
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, _mtime_ns: int, _size: int) -> DatasetAdapter:
    """Read a stack once for the many requests that a client makes for its parts."""
    from tiled.adapters.xarray import DatasetAdapter

    from stxm_live.io.files.xarray_engine import StackEngine

    return DatasetAdapter.from_dataset(StackEngine().open_dataset(path))
