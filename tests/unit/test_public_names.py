import importlib
import pkgutil
import subprocess
import sys

import pytest

import stxm_live

HEAVY = (
    "ai_edge_litert",
    "bluesky",
    "dask",
    "databroker",
    "event_model",
    "matplotlib",
    "numpy",
    "ophyd",
    "pydantic",
    "scipy",
    "skimage",
    "sklearn",
    "tensorflow",
    "tiled",
    "xarray",
)


def test_the_public_names_are_those_listed():
    assert dir(stxm_live) == [
        "Frame",
        "LivePhaseMapper",
        "ODCube",
        "PhaseMaps",
        "Recipe",
        "ReferenceSpectra",
        "Region",
        "Stack",
        "StackKey",
        "StackScan",
        "map_phases",
        "map_run",
        "suggest_regions",
    ]


def test_every_public_name_loads_and_is_documented():
    for name in stxm_live.__all__:
        assert len(getattr(stxm_live, name).__doc__.strip()) > 20, name


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'map_phase'"):
        stxm_live.map_phase  # noqa: B018


def imported_by(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_the_package_imports_nothing_heavy():
    assert not imported_by("import stxm_live").intersection(HEAVY)


def test_the_live_mapper_loads_without_plotting_catalogue_and_training():
    light = {"numpy", "pydantic"}
    loaded = imported_by("from stxm_live import LivePhaseMapper, Recipe, map_run, PhaseMaps")
    assert not loaded.intersection(set(HEAVY) - light)


def test_every_module_imports_by_itself():
    for module in pkgutil.walk_packages(stxm_live.__path__, "stxm_live."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            # only the extras "train" and "epics" bring these
            if str(error.name).partition(".")[0] not in ("keras", "caproto", "epics"):
                raise
