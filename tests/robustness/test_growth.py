"""One process for a night of scans; 10 000 images go through in benchmarks/robustness/harm.py."""

import sys

import pytest
from growth import fed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]


def test_images_go_through_one_mapper_and_nothing_of_them_stays(nvpf):
    # the results of eight stacks stay
    readings = {memory.n_images: memory for memory in fed(nvpf, 22 * 13, every=13)}
    # the least of some, for what is under way on other threads comes and goes
    before = min(readings[13 * k].n_blocks for k in range(10, 14))
    after = min(readings[13 * k].n_blocks for k in range(19, 23))
    assert after - before < 9 * 13  # of any kept frame of 9 stacks at least one block
    settled, last = readings[130], readings[286]
    assert last.n_threads == settled.n_threads
    assert last.n_files == settled.n_files
