"""The runs or the file of a stack that is to be mapped, in words that any process understands."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stxm_live.core.recipe_options import FieldOptions
from stxm_live.core.stack import Stack, chosen

if TYPE_CHECKING:
    from stxm_live.io.catalog import Broker

_PLAIN_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Source:
    """Runs of a catalogue, or files.

    Parameters
    ----------
    places : tuple of str
        Uids of the runs, several if each energy is a run of its own; or the path of a file.
    catalog : str or None
        Folder, address or profile of the catalogue; None for a file.
    state : str
        Changes when the content does: the end of a run, size and time of a file.
    region, polarization, detector, quantity : str or None
        Choice among several stacks; None stands for all stacks of a run.
    roots : tuple of str
        Folders from which image files of runs may be read.
    facts : mapping
        Sample, time, scan_id and imported file of the run, for the table.
    """

    places: tuple[str, ...]
    catalog: str | None = None
    state: str = ""
    region: str | None = None
    polarization: str | None = None
    detector: str | None = None
    quantity: str | None = None
    roots: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Source:
        """Return a source from what `dataclasses.asdict` and JSON made of it."""
        tuples = {name: tuple(values[name]) for name in ("places", "roots")}
        return cls(**{**values, **tuples})

    @property
    def name(self) -> str:
        """Return the name of the folder of the results, the same each time."""
        if self.catalog is not None and _PLAIN_UID.fullmatch(self.places[0]):
            return self.places[0]
        digest = hashlib.sha256("\n".join(self.places).encode("utf-8", "surrogateescape"))
        stem = _NOT_IN_NAMES.sub("-", Path(self.places[0]).name).strip("-.")[:60] or "stack"
        return f"{stem}-{digest.hexdigest()[:8]}"

    def stacks(self, fields: FieldOptions) -> list[Stack]:
        """Read the stacks; errors are those of `stacks_of_runs` and `read_stack`."""
        if self.catalog is None:
            return chosen(_stacks_of_file(self, fields), self.region, self.polarization)
        from stxm_live.io.catalog.anywhere import bluesky_catalog
        from stxm_live.live.replay import stacks_of_runs

        runs = bluesky_catalog(opened(self.catalog, self.roots).v2)
        found = [runs[uid] for uid in self.places]
        stacks = stacks_of_runs(found, fields=fields, roots=self.roots)
        return chosen(stacks, self.region, self.polarization)


def _stacks_of_file(source: Source, fields: FieldOptions) -> list[Stack]:
    from stxm_live.io.catalog.document_files import is_document_file, runs_in_file
    from stxm_live.io.files import read_stack
    from stxm_live.live.replay import stacks_of_runs

    path = source.places[0]
    if is_document_file(path):
        return stacks_of_runs(list(runs_in_file(path)), fields=fields, roots=source.roots)
    return [
        read_stack(path, region=source.region, detector=source.detector, quantity=source.quantity)
    ]


@lru_cache(maxsize=1)
def opened(catalog: str, roots: tuple[str, ...]) -> Broker:
    """Return the catalogue, opened once in a process: that takes some seconds."""
    from stxm_live.io.catalog.anywhere import open_anywhere

    return open_anywhere(catalog, image_roots=roots)


def close_opened(catalog: str | None, roots: tuple[str, ...]) -> None:
    """Close the catalogue that this process has opened, if it has."""
    from stxm_live.io.catalog import close_catalog

    if catalog is not None and opened.cache_info().currsize:
        close_catalog(opened(catalog, roots))
        opened.cache_clear()
