"""Hashes of the same maps, made again and again beside other work: one line each.

A process of its own, for how many threads OpenBLAS has and which processor it takes itself to be
on are read when it is loaded.
"""

import argparse
import hashlib
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scipy.linalg  # noqa: F401  has an OpenBLAS of its own
from particles import image_documents, line_documents, particle_stack
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from stxm_live import LivePhaseMapper, Recipe, map_phases, map_run
from stxm_live.core.map_products import PRODUCTS

RECIPE = Recipe.load("nvpf").with_changes({"model": None})


def fingerprint(maps):
    found = hashlib.sha256()
    for name in PRODUCTS:
        values = getattr(maps, name)
        found.update(b"" if values is None else np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def mapped():
    maps = map_phases(particle_stack(), RECIPE)
    return [maps, maps.redo({})]


def replayed():
    return [map_run(line_documents(), RECIPE)]


def live():
    docs = list(image_documents())
    with LivePhaseMapper(RECIPE) as mapper:
        for name, doc in docs:
            mapper(name, doc)
        return [mapper.wait(docs[0][1]["uid"], timeout_s=120)]


def clusters(rng):
    KMeans(4, n_init=1, max_iter=5).fit(rng.normal(size=(600, 3)))


def other_limits(rng):
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads):
            time.sleep(0.003)


def large_products(rng):
    square = rng.normal(size=(300, 300))
    square @ square


@contextmanager
def others():
    """Three threads of somebody else, who knows nothing of maps."""
    over = threading.Event()

    def again_and_again(work):
        rng = np.random.default_rng(0)
        while not over.is_set():
            work(rng)
            time.sleep(0.005)

    work = (clusters, other_limits, large_products)
    threads = [threading.Thread(target=again_and_again, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def at_once():
    """Maps of all three ways, each way on a thread of its own."""
    found = []

    def make(way):
        found.extend(way())

    threads = [threading.Thread(target=make, args=(way,)) for way in (mapped, replayed, live)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def threads():
    """Those of this process but the one that asks."""
    found = {int(path.name) for path in Path("/proc/self/task").iterdir()}
    return sorted(found - {threading.get_native_id()})


def time_ns(ids):
    """On a processor, all of them together."""
    path = Path("/proc/self/task")
    return sum(int((path / str(n) / "schedstat").read_text().split()[0]) for n in ids)


def idle():
    """How many threads of linear algebra there are, their time before and after maps, and these."""
    own = threads()  # nobody else has started one yet
    large_products(np.random.default_rng(0))
    time.sleep(0.5)  # they wait a little for more by turning on the spot
    before = time_ns(own)
    maps = mapped()
    return (len(own), before, time_ns(own)), maps


def made(beside):
    """Maps that are made alone, or at once beside others."""
    if beside:
        with others():
            return at_once()
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(mapped).result()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pool", type=int, required=True, help="threads of the analysis")
    parser.add_argument("--beside", action="store_true", help="maps at once, beside others")
    parser.add_argument("--idle", action="store_true", help="times of threads as well")
    options = parser.parse_args()
    os.cpu_count = lambda: options.pool
    if options.idle:
        times, maps = idle()
        sys.stdout.write("{} {} {}\n".format(*times))
    else:
        # threadpoolctl lets only the thread that first set a number set it again
        threadpool_limits(int(os.environ["OPENBLAS_NUM_THREADS"]))
        maps = made(options.beside)
    for one in maps:
        sys.stdout.write(f"{fingerprint(one)}\n")


if __name__ == "__main__":
    main()
