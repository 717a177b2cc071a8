import logging
import subprocess
import sys

import numpy as np
import pytest
from particles import image_documents, particle_counts

from stxm_live.io.catalog import RawWriter
from stxm_live.io.catalog.locking import sole_writer

HOLD = """
import sys, time
from pathlib import Path
from stxm_live.io.catalog.locking import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def locked_by_another(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield tmp_path, process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_write_waits_for_another_process_and_then_says_that_it_is_locked(locked_by_another):
    folder, _ = locked_by_another
    with pytest.raises(TimeoutError, match="locked by another process"), sole_writer(folder, 0.2):
        pass


def test_a_process_that_is_killed_does_not_leave_the_catalogue_locked(locked_by_another):
    folder, process = locked_by_another
    process.kill()
    process.wait()
    with sole_writer(folder, 5.0):
        pass


@pytest.mark.slow
def test_a_locked_catalogue_costs_no_document_and_holds_back_the_next_run(
    broker, monkeypatch, caplog
):
    monkeypatch.setattr("stxm_live.io.catalog.locking.TIMEOUT_S", 0.2)
    told = []
    writer = RawWriter(broker, on_error=lambda uid, error: told.append(error))
    docs = list(image_documents())
    with caplog.at_level(logging.CRITICAL), sole_writer(broker.stxm_live_folder):
        for name, doc in docs:
            writer(name, doc)
        with pytest.raises(RuntimeError, match="locked"):
            writer.wait(docs[0][1]["uid"], timeout_s=60)
        writer.flush(120)
    assert len(told) == 1
    with pytest.raises(RuntimeError, match="could not be stored"):
        writer.preflight()
    writer.retry()  # from the backup file, now that nobody holds the catalogue
    writer.preflight()
    writer.close()
    uid = docs[0][1]["uid"]
    stored = broker[uid].v2.v3["primary"]["counts"].read()
    np.testing.assert_array_equal(stored, particle_counts()[0])
