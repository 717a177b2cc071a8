"""Results in few arrays for the catalogue, where each array takes a tenth of a second to store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxm_live.core.map_products import VARIABLE_TEXTS

Document = tuple[str, dict[str, Any]]
Variable = tuple[tuple[str, ...], Any, dict[str, Any]]
"""Dimensions, values and attributes."""

STREAM = "result"
"""Name of the only stream of a packed result."""

_NUMBERS = "numbers"
_OF_ARRAYS = ("source", "dtype", "shape", "external")
"""Values of a data key that belong to the array and not to the product."""


def packed(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield the documents of a derived run with one stream of one event.

    Images of the same dimensions and type become one array with a further first axis; all other
    numbers become one array of float64, which holds each of them as it is. ``products`` of a data
    key says what an array consists of.
    """
    from uuid import uuid4

    descriptors: dict[str, Mapping[str, Any]] = {}
    keys: dict[str, Mapping[str, Any]] = {}
    data: dict[str, NDArray[Any]] = {}
    for name, doc in documents:
        if name == "descriptor":
            descriptors[doc["uid"]] = doc
        elif name == "event":
            keys = {**descriptors[doc["descriptor"]]["data_keys"], **keys}
            data = {**{k: np.asarray(v) for k, v in doc["data"].items()}, **data}
            last = doc
        else:
            if name == "stop" and data:
                uid = str(uuid4())
                new_keys, arrays = _packed(keys, data)
                times = dict.fromkeys(arrays, last["time"])
                first = next(iter(descriptors.values()))
                own = {"uid": uid, "name": STREAM, "data_keys": new_keys, "object_keys": {}}
                yield "descriptor", {**first, **own, "hints": {}, "configuration": {}}
                event = {"descriptor": uid, "data": arrays, "timestamps": times, "filled": {}}
                yield "event", {**last, **event}
                doc = {**doc, "num_events": {STREAM: 1}}
            yield name, doc


def _packed(
    keys: Mapping[str, Mapping[str, Any]], data: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, dict[str, Any]], dict[str, NDArray[Any]]]:
    """Return data keys and arrays."""
    groups: dict[str, list[str]] = {}
    for name, key in keys.items():
        dims, dtype = key["dims"], data[name].dtype
        is_image = {"y", "x"} <= set(dims)
        group = f"{'_'.join(dims)}_{dtype.name}" if is_image else _NUMBERS
        groups.setdefault(group, []).append(name)
    arrays = {
        group: np.concatenate([data[n].astype(np.float64).reshape(-1) for n in names])
        if group == _NUMBERS
        else np.stack([data[n] for n in names])
        for group, names in groups.items()
    }
    new_keys = {
        group: {
            "source": "stxm_live",
            "dtype": "array",
            "dtype_numpy": arrays[group].dtype.str,
            "shape": list(arrays[group].shape),
            "products": [_product(name, keys[name], data[name]) for name in names],
        }
        for group, names in groups.items()
    }
    return new_keys, arrays


def _product(name: str, key: Mapping[str, Any], values: NDArray[Any]) -> dict[str, Any]:
    others = {k: v for k, v in key.items() if k not in _OF_ARRAYS}
    return {**others, "name": name, "shape": list(values.shape), "dtype_numpy": values.dtype.str}


def unpacked(array: NDArray[Any], key: Mapping[str, Any]) -> dict[str, Variable]:
    """Return the products in an array of a packed result, by their names."""
    found: dict[str, Variable] = {}
    begin = 0
    for number, product in enumerate(key["products"]):
        shape = tuple(product["shape"])
        if array.ndim == 1:
            end = begin + int(np.prod(shape))
            values, begin = array[begin:end].reshape(shape), end
        else:
            values = array[number]
        typed = values.astype(np.dtype(product["dtype_numpy"]), copy=False)
        found[product["name"]] = tuple(product["dims"]), typed, attributes_of(product)
    return found


def attributes_of(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a product that its data key holds."""
    attributes = {k: key[k] for k in VARIABLE_TEXTS if k in key}
    if "flag_values" in key:
        attributes["flag_values"] = list(key["flag_values"])
    return attributes
