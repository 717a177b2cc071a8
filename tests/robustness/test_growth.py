"""One process for a night of scans; 10 000 images go through in benchmarks/robustness/harm.py."""

import json
import subprocess
import sys
from pathlib import Path

import growth
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]


FED = """
import json
from growth import fed
from stxm_live import Recipe

quick = Recipe.load("nvpf").with_changes({"model": None, "energy_fit": False})
print(json.dumps([memory._asdict() for memory in fed(quick, 30 * 13, every=3 * 13)]))
"""


def test_images_go_through_one_mapper_and_nothing_of_them_stays():
    # a process of its own: what other tests leave comes and goes
    support = Path(growth.__file__).parent
    code = f"import sys; sys.path.insert(0, {str(support)!r})\n{FED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    memories = [growth.Memory(**values) for values in json.loads(done.stdout)]
    readings = {memory.n_images // 13: memory for memory in memories}
    # the results of eight stacks stay, and Python goes on warming up for some more; the least of
    # some, for what is under way on other threads
    before = [readings[stacks] for stacks in (18, 21)]
    after = [readings[stacks] for stacks in (27, 30)]

    def grown(what):
        return min(getattr(m, what) for m in after) - min(getattr(m, what) for m in before)

    assert grown("n_blocks") < 9 * 13  # of any kept frame of 9 stacks at least one block
    assert grown("n_threads") <= 0
    assert grown("n_files") <= 0
