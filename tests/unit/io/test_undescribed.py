"""Documents that are kept until a run turns out to be a stack: bounded in bytes."""

import numpy as np
import pytest

from stxm_live.core.recipe_options import FieldOptions
from stxm_live.io.documents import undescribed
from stxm_live.io.documents.undescribed import Undescribed

START = {"uid": "5f2a91c0-0000", "plan_name": "list_scan", "motors": ["energy"], "time": 0.0}
KEYS = {
    "energy": {"source": "t", "dtype": "number", "shape": [], "units": "eV"},
    "counts": {"source": "t", "dtype": "array", "shape": [5, 5]},
}


def events(n, descriptor="d"):
    for k in range(n):
        data = {"energy": 510.0, "counts": np.ones((5, 5))}
        yield "event", {"descriptor": descriptor, "seq_num": k + 1, "time": 0.0, "data": data}


@pytest.mark.parametrize("stream", ["primary", "baseline"])
def test_images_of_one_energy_are_kept_up_to_a_limit_in_bytes(monkeypatch, stream):
    monkeypatch.setattr(undescribed, "MOST_BYTES", 4000)
    run = Undescribed(START, None, FieldOptions(), "not yet")
    run.take("descriptor", {"uid": "d", "name": stream, "time": 0.0, "data_keys": KEYS})
    for document in events(64):
        assert run.take(*document) is None
    kept = [doc["data"]["counts"].nbytes for name, doc in run.documents if name == "event"]
    assert 1000 <= sum(kept) <= 4000
    assert "no second energy within" in run.reason


def test_nothing_is_kept_of_a_run_that_has_ended():
    run = Undescribed(START, None, FieldOptions(), "not yet")
    run.take("descriptor", {"uid": "d", "name": "primary", "time": 0.0, "data_keys": KEYS})
    for document in events(3):
        run.take(*document)
    run.take("stop", {"exit_status": "success"})
    assert run.documents == []
