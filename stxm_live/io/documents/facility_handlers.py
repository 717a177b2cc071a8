"""Handlers of files that the packages of a facility bring, found by their entry points."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.io.documents.hdf5_images import MAX_EVENT_BYTES
from stxm_live.io.documents.paths import Roots

if TYPE_CHECKING:
    from stxm_live.io.documents.file_reader import FileReader

GROUPS = ("databroker.handlers", "area_detector_handlers")
"""Groups of entry points; the name of each is the ``spec`` of a resource."""

MAX_HANDLERS = 64
"""Most handlers that are kept open."""

_OF_AREA_DETECTORS = ("AD_", "XSP3", "XPS3", "MERLIN", "DEXELA", "TPX_", "IMM")
"""Beginnings of the specs that the package area-detector-handlers reads."""


class FacilityHandler:
    """A handler of another package, which is called in the process that reads files.

    Parameters
    ----------
    path : str
        Path of the resource.
    spec : str
    reader : FileReader
    keywords
        Those of the resource, for the handler.
    """

    def __init__(self, path: str, *, spec: str, reader: FileReader, **keywords: Any) -> None:
        self._request = {"spec": spec, "resource": keywords}
        self._path, self._reader = str(path), reader

    def __call__(self, **keywords: Any) -> NDArray[Any]:
        """Return the frames of a point."""
        return self._reader.by_handler(self._path, {**self._request, "datum": keywords})


@cache
def facility_handlers() -> Mapping[str, EntryPoint]:
    """Return the entry points of all installed handlers by their ``spec``; nothing is imported."""
    found = [point for group in GROUPS for point in entry_points(group=group)]
    return {point.name: point for point in reversed(found)}


def missing_handler(specs: list[str]) -> str:
    """Return what to install for files of these kinds."""
    named = ", ".join(map(repr, specs))
    if all(spec.startswith(_OF_AREA_DETECTORS) for spec in specs):
        return f"no handler for {named} is installed; pip install area-detector-handlers"
    return (
        f"no handler for {named} is installed; install the package of the facility that has one "
        f"(an entry point of that name in {GROUPS[0]})"
    )


def read_by_handler(
    request: Mapping[str, Any], roots: Roots, kept: dict[str, Callable[..., Any]]
) -> NDArray[Any]:
    """Return what a handler reads; ``kept`` has those that were made before.

    Raises
    ------
    OSError
        If the file is not there yet.
    ValueError
        If a path leads out of the roots, or there is too much in the file.
    """
    path = str(roots.confined(request["path"]))
    for keywords in (request["resource"], request["datum"]):
        _check_texts(keywords, roots)
    key = json.dumps([request["owner"], request["spec"], path, request["resource"]])
    if key not in kept:
        while len(kept) >= MAX_HANDLERS:
            kept.pop(next(iter(kept)))
        make = facility_handlers()[request["spec"]].load()
        kept[key] = make(path, **request["resource"])
    images = np.asarray(kept[key](**request["datum"]))
    if images.nbytes > MAX_EVENT_BYTES:
        raise ValueError(f"an event has images of more than {MAX_EVENT_BYTES} bytes")
    return images


def _check_texts(value: Any, roots: Roots) -> None:
    """Refuse texts from which a handler may make a path out of the roots."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            _check_texts(item, roots)
    elif isinstance(value, str):
        path = PurePosixPath(value)
        is_template = path.is_absolute() and any(sign in value for sign in "%{*?")
        if ".." in path.parts or value.startswith("~") or is_template:
            raise ValueError(f"{value[:100]!r} may lead out of the folder of the images")
        if path.is_absolute() and Path(value).exists():  # names of data sets begin like this, too
            roots.confined(value)
