"""One process for a night of scans; 10 000 images go through in benchmarks/robustness/harm.py."""

import sys

import pytest
from growth import fed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]


def test_images_go_through_one_mapper_and_nothing_of_them_stays(nvpf):
    quick = nvpf.with_changes({"energy_fit": False})
    # the results of eight stacks stay
    readings = {memory.n_images // 13: memory for memory in fed(quick, 18 * 13, every=3 * 13)}
    # the least of some, for what is under way on other threads comes and goes
    before = min(readings[stacks].n_blocks for stacks in (9, 12))
    after = min(readings[stacks].n_blocks for stacks in (15, 18))
    assert after - before < 6 * 13  # of any kept frame of 6 stacks at least one block
    assert readings[18].n_threads == readings[9].n_threads
    assert readings[18].n_files == readings[9].n_files
