"""A session that ends while a result is being stored."""

import os
import subprocess
import sys

from stxm_live.io.catalog import close_catalog, open_catalog
from stxm_live.io.catalog.reading import documents

SESSION = """
import sys, threading
from particles import image_documents
from stxm_live.io.catalog import open_catalog
from stxm_live.io.catalog.run_store import RunStore, store_documents

broker = open_catalog(sys.argv[1])
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


def test_what_is_being_stored_when_python_ends_is_stored_and_the_process_ends(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SESSION, str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert len(done.stdout.split()) == 2
    broker = open_catalog(tmp_path / "runs")
    for uid in done.stdout.split():
        assert [name for name, _ in documents(broker.v2[uid])][-1] == "stop"
    close_catalog(broker)
