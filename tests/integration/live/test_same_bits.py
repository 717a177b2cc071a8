import os
import subprocess
import sys
from pathlib import Path

import pytest

LINUX = sys.platform == "linux"
SCRIPT = Path(__file__).parents[2] / "support" / "same_bits.py"


def run(n_blas_threads, *arguments):
    """What a process prints, on the processor on which OpenBLAS depends most on threads.

    Where it does not know that processor, it takes the one there is.
    """
    more = {"OPENBLAS_NUM_THREADS": str(n_blas_threads), "OPENBLAS_CORETYPE": "Haswell"}
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        env=os.environ | more,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def alone():
    """The maps of a process that has one thread and nothing else to do."""
    (expected,) = set(run(1, "--pool=1"))
    return expected


@pytest.fixture(scope="module")
def with_threads():
    """Times of three threads of linear algebra, and the maps made beside them by four threads."""
    if not LINUX:
        return [], run(3, "--pool=4")
    told = run(3, "--pool=4", "--idle")
    return told[:3], told[3:]


def test_maps_are_the_same_however_many_threads_there_are(alone, with_threads):
    assert set(with_threads[1]) == {alone}


def test_maps_made_at_once_and_beside_other_work_are_the_same(alone):
    found = run(2, "--pool=2", "--beside")
    assert len(found) == 4
    assert set(found) == {alone}


@pytest.mark.skipif(not LINUX, reason="times of threads are read from /proc")
def test_threads_of_linear_algebra_have_nothing_to_do_while_maps_are_made(with_threads):
    n_threads, before_ns, after_ns = map(int, with_threads[0])
    assert n_threads > 0  # numpy's own OpenBLAS, and scipy's
    assert after_ns == before_ns
