"""Derived runs, which hold results beside the raw run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stxm_live.core.json_values import json_clean
from stxm_live.core.phase_maps import PhaseMaps
from stxm_live.core.plain_text import for_files
from stxm_live.core.recipe import Recipe
from stxm_live.core.recipe_saving import moved_recipe_files
from stxm_live.io.catalog.anywhere import bluesky_catalog
from stxm_live.io.catalog.folder import catalog_folder
from stxm_live.io.catalog.packed_results import STREAM, attributes_of, packed, unpacked
from stxm_live.io.catalog.run_store import store_documents

if TYPE_CHECKING:
    import databroker
    import xarray

_PURPOSE = "analysis"
_STREAMS = ("od", "maps", "summary")


def store_maps(broker: databroker.Broker, maps: PhaseMaps) -> str:
    """Store a result as a run of its own and return that run's uid.

    The derived run has no scan_id. Its start document names the raw runs (``parent_uids``,
    ``original_run_uid``), ``purpose`` is "analysis", and ``analysis`` holds package, version,
    parameters and the model's hash. Names, dimensions and units are those of
    `PhaseMaps.to_xarray`, in one stream of few arrays (`packed`), because each takes Tiled a tenth
    of a second. `map_documents` has them one by one.
    """
    return store_documents(broker, packed(map_documents(maps)))


def map_documents(maps: PhaseMaps) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the documents of a derived run, with all products by their names.

    There are three streams of one event each: ``od`` the cube, ``maps`` all other images,
    ``summary`` the rest (fractions, references, shifts, I0). Each has the coordinates of its
    dimensions.

    The documents are not validated by event-model: this would delay a result by 60 ms or more.
    """
    from event_model import compose_run

    dataset = maps.to_xarray()
    labels = {n: v.values.tolist() for n, v in dataset.coords.items() if not _is_number(v)}
    parents = list(maps.key.run_uids)
    run = compose_run(
        metadata={
            "purpose": _PURPOSE,
            "parent_uids": parents,
            **({"original_run_uid": parents[0]} if parents else {}),
            "analysis": {
                **_analysis(maps.provenance),
                "verdict": maps.quality.verdict,
                "fractions": json_clean(_fractions(maps)),
                "labels": labels,
                "attributes": json_clean(dataset.attrs),
            },
        },
        validate=False,
    )
    yield "start", run.start_doc
    for stream in _STREAMS:
        yield from _stream_documents(run, stream, _variables_of(dataset, stream))
    yield "stop", run.compose_stop(validate=False)


def _fractions(maps: PhaseMaps) -> list[list[Any]]:
    """Return name and share of each phase in the final map, for a list of runs.

    They are pairs, since a key of a document may have no dot, as Na2.4VPF has.
    """
    return [
        [for_files(name), share if resolved is None else resolved]
        for name, share, resolved in maps.summary()
    ]


def failure_documents(uid: str, error: Exception) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the documents of a derived run without data; its stop says why there are no maps."""
    from event_model import compose_run

    metadata = {"purpose": _PURPOSE, "parent_uids": [uid], "original_run_uid": uid}
    run = compose_run(metadata=metadata)
    yield "start", run.start_doc
    yield "stop", run.compose_stop(exit_status="fail", reason=str(error) or repr(error))


def _stream_documents(
    run: Any, name: str, variables: Mapping[str, xarray.DataArray]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a descriptor and one event."""
    stream = run.compose_descriptor(
        name=name,
        data_keys={key: _data_key(variable) for key, variable in variables.items()},
        validate=False,
    )
    yield "descriptor", stream.descriptor_doc
    event = stream.compose_event(
        data={key: variable.values for key, variable in variables.items()},
        timestamps=dict.fromkeys(variables, run.start_doc["time"]),
        validate=False,
    )
    yield "event", event


def _variables_of(dataset: xarray.Dataset, stream: str) -> dict[str, xarray.DataArray]:
    """Return the products of a stream and the coordinates of their dimensions as numbers."""
    products = {str(n): v for n, v in dataset.data_vars.items() if _stream_of(v) == stream}
    dims = {dim for variable in products.values() for dim in variable.dims}
    axes = {str(n): v for n, v in dataset.coords.items() if n in dims and _is_number(v)}
    return {**products, **axes}


def _stream_of(variable: xarray.DataArray) -> str:
    if variable.name == "od":
        return "od"
    return "maps" if {"y", "x"} <= set(variable.dims) else "summary"


def _is_number(variable: xarray.DataArray) -> bool:
    return variable.dtype.kind in "biuf"


def derived_uids(broker: databroker.Broker, original_uid: str) -> list[str]:
    """Return the uids of the derived runs made from a raw run, oldest first."""
    from tiled.queries import Contains

    return list(bluesky_catalog(broker.v2).search(Contains("parent_uids", original_uid)))


def load_maps(
    broker: databroker.Broker,
    original_uid: str,
    *,
    region: str | None = None,
    polarization: str | None = None,
) -> xarray.Dataset:
    """Return the last result stored for a raw run, in the form of `PhaseMaps.to_xarray`.

    ``region`` and ``polarization`` select the stack if a run holds several. The files of its
    recipe are named where they are now, if the catalogue was moved.

    Raises
    ------
    KeyError
        If no result is stored for the run.
    """
    import xarray

    wanted = {"region": region, "polarization": polarization}
    # of one kind, whether or not databroker's v1 interface was used before
    catalog = bluesky_catalog(broker.v2)
    runs = (catalog[uid].v2.v3 for uid in reversed(derived_uids(broker, original_uid)))
    run = next((run for run in runs if _is_of(run, wanted)), None)
    if run is None:
        which = "".join(f", {name} {value}" for name, value in wanted.items() if value is not None)
        raise KeyError(
            f"no result is stored for run {original_uid[:8]}{which}; make one by replaying it"
        )
    analysis = run.start["analysis"]
    labels = {name: (name, list(values)) for name, values in analysis["labels"].items()}
    arrays: dict[str, Any] = {}
    # results of earlier versions have an array for each product, in one or three streams
    for stream in (run[name].base for name in (STREAM, *_STREAMS) if name in run):
        for name, key in stream.metadata["data_keys"].items():
            if "products" in key:
                arrays |= unpacked(stream[name][0], key)
            elif name not in arrays:
                arrays[name] = _array(stream[name], key)
    is_coordinate = {name: value[0] == (name,) for name, value in arrays.items()}
    return xarray.Dataset(
        {name: value for name, value in arrays.items() if not is_coordinate[name]},
        {**labels, **{name: value for name, value in arrays.items() if is_coordinate[name]}},
        _attributes(analysis["attributes"], catalog_folder(broker)),
    )


def _attributes(stored: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """Return the attributes of a stored result, with the files of its recipe where they are now."""
    found = {k: list(v) if isinstance(v, tuple) else v for k, v in stored.items()}
    provenance = json.loads(stored.get("provenance", "{}"))
    values = provenance.get("recipe_values")
    if values and (moved := moved_recipe_files(values, folder)) != values:
        with suppress(OSError, ValueError):  # another file is gone, or is none of the recipe's
            if Recipe.from_values(moved).fingerprint == provenance.get("recipe_sha256"):
                text = json.dumps({**provenance, "recipe_values": moved}, sort_keys=True)
                found["provenance"] = text
    return found


def _is_of(run: Any, wanted: Mapping[str, str | None]) -> bool:
    """Return True if a derived run belongs to the wanted stack; None accepts any."""
    attributes = run.start["analysis"]["attributes"]
    return all(value is None or attributes.get(name) == value for name, value in wanted.items())


def _array(node: Any, key: Mapping[str, Any]) -> tuple[tuple[str, ...], Any, dict[str, Any]]:
    """Return dimensions, values and attributes of a stored array."""
    return tuple(key["dims"]), node[0], attributes_of(key)


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
        **json_clean(provenance),
    }
    named = {key: values.pop(key) for key in ("package", "version", "model_sha256")}
    return {**named, "parameters": values}
