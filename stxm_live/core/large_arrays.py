"""Arrays as large as a stack that are made again when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

_HELD: WeakKeyDictionary[Any, dict[str, ref[NDArray[np.float32]]]] = WeakKeyDictionary()
"""Arrays that somebody holds, by their owner."""


def while_used(
    owner: Any, name: str, make: Callable[[], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return an array, which is made once for as long as anybody holds it.

    Parameters
    ----------
    owner : object
        Is compared by its identity.
    name : str
        Name of the array.
    make : callable
        Returns the array, always the same values. It becomes read-only.
    """
    held = _HELD.setdefault(owner, {})
    array = held[name]() if name in held else None
    if array is None:
        array = make()
        array.flags.writeable = False
        held[name] = ref(array)
    return array


class LargeArray:
    """Attribute of a dataclass: an array, or a function that makes it where it is needed.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, eq=False, kw_only=True)
    ... class Result:
    ...     od: LargeArray = LargeArray()
    >>> Result(od=np.ones(2)).od, Result(od=lambda: np.zeros(2)).od
    (array([1., 1.]), array([0., 0.]))
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> NDArray[np.float32]:
        """Return the array; raise AttributeError for the class, which has none."""
        if instance is None:
            raise AttributeError(self._name)
        value: Any = vars(instance)[self._name]
        return while_used(instance, self._name, value) if callable(value) else value

    def __set__(
        self, instance: Any, value: NDArray[np.float32] | Callable[[], NDArray[np.float32]]
    ) -> None:
        """Keep the array, or the function."""
        vars(instance)[self._name] = value
