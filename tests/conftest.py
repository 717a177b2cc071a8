import gc
import os
import signal
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from catalog_fixtures import broker, dependencies_once  # noqa: F401
from hypothesis import HealthCheck, settings
from pictures import (  # noqa: F401
    coarse_pictures,
    no_pages,
    no_pictures,
    one_plate,
    quick_pictures,
)
from run_engines import a_run_engine
from small_bundle import train_small_bundle

from stxm_live.core.recipe import Recipe

# the same examples each time, however long each takes; STXM_LIVE_FUZZ=1 draws new ones
AT_ANY_SPEED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, database=None, **AT_ANY_SPEED)
settings.register_profile("new", print_blob=True, **AT_ANY_SPEED)
settings.load_profile("new" if os.environ.get("STXM_LIVE_FUZZ") else "same")

REAL = Path(__file__).parents[2] / "shared" / "data"

# the simulated microscope behind Channel Access needs the extra stxm-live[epics]
EPICS = ["integration/epics/test_ioc.py", "support/epics_client.py", "support/epics_ioc.py"]
collect_ignore = [] if find_spec("caproto") else EPICS


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect the tests without searches for garbage, a quarter of the time that it takes."""
    thresholds = gc.get_threshold()
    gc.set_threshold(0)  # it counts as enabled, for packages that ask when they are imported
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*thresholds)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard():
    """A program that a shell starts in the background ignores Ctrl-C; the tests raise it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def same_priority():
    """`watch` and `serve` stand back behind a scan; of the tests that call them all would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.nice", lambda _: 0, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory):
    """A state directory of the tests' own: the token of the account is not theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def patient_readers():
    """Wait for files as long as a busy machine needs; tests of the time-outs set their own."""
    from stxm_live.io import other_process
    from stxm_live.io.documents import file_reader
    from stxm_live.io.files import reading_apart

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(other_process, "START_S", 300.0)
        patch.setattr(file_reader, "START_S", 300.0)
        patch.setattr(file_reader, "ANSWER_S", 60.0)
        patch.setattr(reading_apart, "PATIENCE_S", 60.0)
        yield


@pytest.fixture(scope="module", autouse=True)
def nothing_old_to_search():
    """Leave what is loaded out of later searches for garbage: with TensorFlow one takes seconds.

    Hypothesis makes one for each of its tests, and so do tests that count objects or bytes.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def RE():  # noqa: N802  the name it has everywhere
    with a_run_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def nvpf():
    """The shipped recipe without its model and the fit of the energy axis, for quick maps.

    The fit takes four fifths of the time of a small map.
    """
    return Recipe.load("nvpf").with_changes({"model": None, "energy_fit": False})


@pytest.fixture(scope="session")
def nvpf_with_axis():
    """The shipped recipe without its model, for what concerns the energy axis."""
    return Recipe.load("nvpf").with_changes({"model": None})


@pytest.fixture(scope="session")
def shipped_bundle():
    return Recipe.load("nvpf").model


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory):
    pytest.importorskip("keras", reason="training needs the extra stxm-live[train]")
    return train_small_bundle(tmp_path_factory.mktemp("models") / "bundle")


@pytest.fixture(scope="session")
def real_folder(tmp_path_factory):
    """The ALS iron stack as the beamline wrote it."""
    import tarfile

    archive = REAL / "als_fe_l23_71214078_sdf.tgz"
    if not archive.exists():
        pytest.skip("the measured stack is not in ../shared/data")
    folder = tmp_path_factory.mktemp("als")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(12)
