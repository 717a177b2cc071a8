"""Results as few arrays for the catalogue, and back."""

import event_model
import numpy as np
from made_up_maps import maps as made_up

from stxm_live.core.phase_maps import same_array
from stxm_live.io.catalog.derived import map_documents
from stxm_live.io.catalog.packed_results import STREAM, packed, unpacked


def test_a_packed_result_has_few_arrays_and_every_bit():
    maps = made_up()
    dataset = maps.to_xarray()
    documents = list(packed(map_documents(maps)))

    assert [name for name, _ in documents] == ["start", "descriptor", "event", "stop"]
    for name, doc in documents:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
    (_, descriptor), (_, event) = documents[1:3]
    assert descriptor["name"] == STREAM
    assert len(event["data"]) < 10 < len(dataset.data_vars)
    found = {}
    for key, array in event["data"].items():
        assert array.dtype.str == descriptor["data_keys"][key]["dtype_numpy"]
        found |= unpacked(array, descriptor["data_keys"][key])
    numbers = {n: v for n, v in dataset.variables.items() if v.dtype.kind in "biuf"}
    assert set(found) == set(numbers)
    for name, variable in numbers.items():
        dims, values, attributes = found[name]
        assert dims == variable.dims
        assert same_array(values, variable.values)
        assert attributes == dict(variable.attrs)


def test_numbers_that_are_no_numbers_come_back():
    values = np.array([np.nan, np.inf, -0.0, 1e-300])
    keys = {"a": {"dims": ["area"], "shape": [4], "dtype": "array", "source": "s"}}
    documents = [
        ("start", {"uid": "u"}),
        ("descriptor", {"uid": "d", "data_keys": keys}),
        ("event", {"descriptor": "d", "time": 1.0, "data": {"a": values}}),
        ("stop", {}),
    ]

    (_, descriptor), (_, event) = list(packed(documents))[1:3]
    _, found, _ = unpacked(event["data"]["numbers"], descriptor["data_keys"]["numbers"])["a"]

    assert found.tobytes() == values.tobytes()


def test_a_run_without_a_result_is_passed_on():
    documents = [("start", {"uid": "u"}), ("stop", {"exit_status": "fail"})]

    assert list(packed(documents)) == documents
