import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sdf_files import write_sdf

from stxm_live.io.files.xarray_engine import StackEngine

CUBE = np.random.default_rng(5).poisson(700, (3, 4, 5)).astype(float)


def test_a_stack_opens_as_a_dataset_with_its_axes(tmp_path):
    path = write_sdf(tmp_path / "s.hdr", CUBE, (700.0, 704.5, 707.2), y_um=9 - 0.1 * np.arange(4))

    with xr.open_dataset(path, engine=StackEngine) as data:
        np.testing.assert_array_equal(data.intensity, CUBE)
        assert data.energy_ev.values.tolist() == [700.0, 704.5, 707.2]
        assert data.y.values == pytest.approx([9.0, 8.9, 8.8, 8.7])
        assert data.x.attrs["units"] == "um"
        assert (data.intensity.attrs["quantity"], data.attrs["notes"]) == ("counts", [])
    assert StackEngine().guess_can_open(path)
    assert not StackEngine().guess_can_open("a.nc")


def test_the_engine_is_an_entry_point_of_xarray():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    points = project["project"]["entry-points"]["xarray.backends"]
    module, name = points["stxm-live"].split(":")
    assert getattr(import_module(module), name) is StackEngine
