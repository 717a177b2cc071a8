"""A session of its own: what others stored is there, and what it stores itself is stored."""

import os
import subprocess
import sys

from catalog_fixtures import stack_images

from stxm_live.core.stack import Stack
from stxm_live.io.catalog import close_catalog, open_catalog, store_documents
from stxm_live.io.catalog.reading import documents
from stxm_live.io.files import stack_documents

SESSION = """
import sys, threading
from particles import image_documents
from stxm_live.io.catalog import open_catalog
from stxm_live.io.catalog.reading import documents
from stxm_live.io.catalog.run_store import RunStore, store_documents

broker = open_catalog(sys.argv[1])
for name, doc in documents(broker[-1]):
    if name == "event":
        print(doc["data"]["counts"].tobytes().hex())
store, begun = RunStore.__call__, threading.Event()

def slowly(self, name, doc):
    begun.set()
    threading.Event().wait(0.05)
    store(self, name, doc)

RunStore.__call__ = slowly
runs = [list(image_documents(skip=range(2, 13))) for _ in range(2)]

def both():
    for run in runs:
        store_documents(broker, run)

threading.Thread(target=both, daemon=True).start()
begun.wait(60)
print(*(run[0][1]["uid"] for run in runs))
"""


def test_runs_are_found_bit_for_bit_and_what_is_being_stored_when_python_ends_is_stored(tmp_path):
    images = stack_images(3)
    broker = open_catalog(tmp_path / "runs")
    store_documents(broker, stack_documents(Stack.from_arrays(images, [515.0, 516.0, 517.0])))
    close_catalog(broker)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SESSION, str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]
    *stored, two_uids = done.stdout.splitlines()
    assert stored == [image.tobytes().hex() for image in images]
    broker = open_catalog(tmp_path / "runs")
    for uid in two_uids.split():
        assert [name for name, _ in documents(broker.v2[uid])][-1] == "stop"
    close_catalog(broker)
