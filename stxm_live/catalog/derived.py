"""Results as derived runs: beside the raw run, never in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from stxm_live.catalog.run_store import store_documents
from stxm_live.phase_maps import PhaseMaps

if TYPE_CHECKING:
    import databroker
    import xarray

_PURPOSE = "analysis"
_STREAM = "maps"


def store_maps(broker: databroker.Broker, maps: PhaseMaps) -> str:
    """Store a result as a run of its own and return that run's uid.

    The derived run has no scan_id. Its start document names the raw runs (``parent_uids``,
    ``original_run_uid``), ``purpose`` is "analysis", and ``analysis`` holds package, version,
    parameters and the model's hash. Names, dimensions and units are those of
    `PhaseMaps.to_xarray`, all products in one event of the stream ``maps``.
    """
    return store_documents(broker, map_documents(maps))


def map_documents(maps: PhaseMaps) -> Iterator[tuple[str, dict[str, Any]]]:
    """The documents of a derived run."""
    from event_model import compose_run

    dataset = maps.to_xarray()
    variables = {**dataset.data_vars, **dataset.coords}
    numbers = {name: v for name, v in variables.items() if v.dtype.kind in "biuf"}
    labels = {name: v.values.tolist() for name, v in variables.items() if name not in numbers}
    parents = list(maps.key.run_uids)
    run = compose_run(
        metadata={
            "purpose": _PURPOSE,
            "parent_uids": parents,
            **({"original_run_uid": parents[0]} if parents else {}),
            "analysis": {
                **_analysis(maps.provenance),
                "labels": labels,
                "attributes": _json_clean(dataset.attrs),
            },
        }
    )
    yield "start", run.start_doc
    stream = run.compose_descriptor(
        name=_STREAM,
        data_keys={str(name): _data_key(variable) for name, variable in numbers.items()},
        validate=True,
    )
    yield "descriptor", stream.descriptor_doc
    time = run.start_doc["time"]
    yield (
        "event",
        stream.compose_event(
            data={str(name): variable.values for name, variable in numbers.items()},
            timestamps=dict.fromkeys(map(str, numbers), time),
        ),
    )
    yield "stop", run.compose_stop()


def derived_uids(broker: databroker.Broker, original_uid: str) -> list[str]:
    """The uids of the derived runs made from a raw run, oldest first."""
    from tiled.queries import Contains

    return list(broker.v2.search(Contains("parent_uids", original_uid)))


def load_maps(broker: databroker.Broker, original_uid: str) -> xarray.Dataset:
    """The last result stored for a raw run, as `PhaseMaps.to_xarray` gave it.

    Raises
    ------
    KeyError
        If no result of it is stored.
    """
    import xarray

    uids = derived_uids(broker, original_uid)
    if not uids:
        raise KeyError(f"no result is stored for run {original_uid[:8]}; make one by replaying it")
    run = broker.v2[uids[-1]]
    stream = run[_STREAM].base
    analysis = run.start["analysis"]
    labels = {name: (name, list(values)) for name, values in analysis["labels"].items()}
    arrays = {
        name: (
            tuple(key["dims"]),
            stream[name][0],
            {k: key[k] for k in ("units", "long_name") if k in key},
        )
        for name, key in stream.metadata["data_keys"].items()
    }
    is_coordinate = {name: value[0] == (name,) for name, value in arrays.items()}
    return xarray.Dataset(
        {name: value for name, value in arrays.items() if not is_coordinate[name]},
        {**labels, **{name: value for name, value in arrays.items() if is_coordinate[name]}},
        {k: list(v) if isinstance(v, tuple) else v for k, v in analysis["attributes"].items()},
    )


def _data_key(variable: Any) -> dict[str, Any]:
    return {
        "source": "stxm_live",
        "dtype": "array",
        "dtype_numpy": variable.dtype.str,
        "shape": list(variable.shape),
        "dims": list(map(str, variable.dims)),
        **variable.attrs,
    }


def _analysis(provenance: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        "package": "stxm_live",
        "version": version("stxm-live"),
        "model_sha256": None,
        **_json_clean(provenance),
    }
    named = {key: values.pop(key) for key in ("package", "version", "model_sha256")}
    return {**named, "parameters": values}


def _json_clean(value: Any) -> Any:
    """Without numpy's types, tuples and NaN, none of which JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _json_clean(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _json_clean(value.tolist())
    if isinstance(value, list | tuple):
        return [_json_clean(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
