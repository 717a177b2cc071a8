"""Runs whose start document does not describe a stack, until their descriptors and events do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from stxm_live.core.recipe_options import FieldOptions
from stxm_live.core.scan import StackScan
from stxm_live.io.documents.announced import RunShape, UndescribedError, announced
from stxm_live.io.documents.backgrounds import background_of
from stxm_live.io.documents.plan_energies import NoStackError, NotYetError, plan_stack
from stxm_live.io.documents.run_axes import is_of
from stxm_live.io.documents.streams import data_key

MAX_EVENTS = 64
"""Most events that are kept until a second energy shows that they are a stack."""

MOST_BYTES = 256 * 2**20
"""Most memory of the values that are kept until then."""

MAX_DOCUMENTS = 10_000
"""Most further documents of such a run that are kept."""


def of_start(
    start: Mapping[str, Any], by_hand: StackScan | None, fields: FieldOptions
) -> tuple[RunShape | None, str]:
    """Return the stacks that a start document describes, or the reason why it does not.

    A description by hand needs a stream with its counts, and a grid the units of its motors.
    """
    try:
        shape = announced(start, by_hand, fields)
    except UndescribedError as error:
        return None, str(error)
    except ValueError as error:
        if by_hand is None:
            raise
        return None, str(error)
    needs_descriptor = by_hand is not None or shape.needs_units
    return None if needs_descriptor else shape, "no stream has the counts of a stack"


class Undescribed:
    """Documents of a run that may turn out to be a stack.

    Parameters
    ----------
    start : dict
        The start document.
    scan : StackScan or None
        Description by hand.
    fields : FieldOptions
    reason : str
        Why the start document alone is not enough.

    Attributes
    ----------
    documents : list of (name, document)
        What has come and is to be read again when the stack is known.
    reason : str
        Why the run is no stack so far.
    is_alike : bool
        True if it looks like a stack and something is missing.
    note : str
        What was taken that no document says.
    """

    def __init__(
        self, start: Mapping[str, Any], scan: StackScan | None, fields: FieldOptions, reason: str
    ) -> None:
        self.documents: list[tuple[str, Mapping[str, Any]]] = []
        self.reason = reason
        self.is_alike = False
        self.note = ""
        self._start = start
        self._scan = scan
        self._fields = fields
        self._candidates: dict[str, tuple[Mapping[str, Any], list[Mapping[str, Any]]]] = {}
        self._has_seen = False
        self._n_others = 0
        self._n_bytes = 0

    def take(self, name: str, doc: Mapping[str, Any]) -> RunShape | None:
        """Keep a document; return the stacks of the run as soon as they are known."""
        if name == "descriptor":
            return self._descriptor(doc)
        if name == "event":
            return self._event(doc)
        if name == "stop":  # no stack will be known anymore
            self.documents.clear()
            self._candidates.clear()
        elif self._candidates or not self._has_seen:
            self._keep(name, doc)
        return None

    def _descriptor(self, doc: Mapping[str, Any]) -> RunShape | None:
        base = re.sub(r"_\d+$", "", str(doc.get("name")))
        if not isinstance(doc.get("data_keys"), Mapping):
            return None
        self._keep("descriptor", doc)
        if base == "baseline" or background_of(base) is not None:
            return None
        self._has_seen = True
        return self._looked_at(doc, [])

    def _event(self, doc: Mapping[str, Any]) -> RunShape | None:
        candidate = self._candidates.get(str(doc.get("descriptor")))
        if candidate is None:
            self._n_others += 1
            if self._n_others <= MAX_EVENTS or self._is_background(doc):
                self._keep("event", doc)
            return None
        if len(candidate[1]) >= MAX_EVENTS:
            return None
        if not self._keep("event", doc):
            return None
        candidate[1].append(doc["data"])
        return self._looked_at(*candidate)

    def _looked_at(
        self, descriptor: Mapping[str, Any], events: list[Mapping[str, Any]]
    ) -> RunShape | None:
        try:
            if self._scan is not None:
                return self._by_hand(self._scan, descriptor)
            shape, self.note = plan_stack(self._start, descriptor, events, self._fields)
        except NotYetError:
            self._candidates[str(descriptor["uid"])] = descriptor, events
            return None
        except NoStackError as error:
            self._candidates.pop(str(descriptor["uid"]), None)
            if error.is_alike or self._scan is not None:
                run = str(self._start.get("uid", "?"))[:8]
                text = str(error)
                self.reason = text if text.startswith("run ") else f"run {run}: {text}"
                self.is_alike = error.is_alike
            return None
        return shape

    def _by_hand(self, scan: StackScan, descriptor: Mapping[str, Any]) -> RunShape:
        """Return the stack that is described by hand, if this is its run."""
        wanted = self._fields.image or scan.data_field
        if data_key(wanted, descriptor) is None:
            raise NoStackError(f"no stream has the field {wanted!r}")
        motors = self._start.get("motors") or ()
        energy = self._fields.energy or scan.energy_motor
        steps = [m for m in map(str, motors) if is_of(m, energy)]
        if motors and not steps and scan.stack_id is None and not self._has_energy(descriptor):
            raise NoStackError(f"it steps {', '.join(map(str, motors))}, not {energy!r}")
        n = self._start.get("num_points")
        if self._start.get("plan_name") == "count" and n not in (None, scan.shape[0]):
            raise NoStackError(f"a count of {n} is not a stack of {scan.shape[0]} energies")
        try:
            return announced(self._start, scan, self._fields)
        except ValueError as error:
            raise NoStackError(str(error), is_alike=True) from error

    def _has_energy(self, descriptor: Mapping[str, Any]) -> bool:
        """Return True if a motor that the run steps may be the energy under another name."""
        try:
            plan_stack(self._start, descriptor, [], self._fields)
        except NotYetError:
            return True
        except NoStackError:
            return False
        return True

    def _is_background(self, doc: Mapping[str, Any]) -> bool:
        return any(
            name == "descriptor"
            and kept["uid"] == doc.get("descriptor")
            and background_of(str(kept.get("name"))) is not None
            for name, kept in self.documents
        )

    def _keep(self, name: str, doc: Mapping[str, Any]) -> bool:
        """Keep a document if there is room for it; return True if it is kept."""
        n_alike = sum(kept == name for kept, _ in self.documents)
        if n_alike >= (2 * MAX_EVENTS if name == "event" else MAX_DOCUMENTS):
            return False
        n_bytes = _size_bytes(doc)
        if self._n_bytes + n_bytes > MOST_BYTES:
            run = str(self._start.get("uid", "?"))[:8]
            self.reason = (
                f"run {run}: it shows no second energy within {MOST_BYTES / 2**20:.0f} MiB of "
                "images; describe the stack in the start document"
            )
            return False
        self._n_bytes += n_bytes
        self.documents.append((name, doc))
        return True


def _size_bytes(value: Any) -> int:
    """Return about how much memory a copied value takes."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, Mapping):
        return 64 * len(value) + sum(map(_size_bytes, value.values()))
    if isinstance(value, list | tuple | set):
        return 32 * len(value) + sum(map(_size_bytes, value))
    return len(value) if isinstance(value, str | bytes) else 0
