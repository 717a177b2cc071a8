"""Runs that appear on a Tiled server while it is watched: none is missed.

python -m benchmarks.robustness.new_runs [N]

Starts a server of its own on loopback, with a key. One thread stores N runs (1000), as quickly as
it can; another looks for them as ``stxm-live watch --catalog`` does.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from uuid import uuid4

from stxm_live.io.catalog import close_catalog
from stxm_live.io.catalog.anywhere import open_anywhere
from stxm_live.io.catalog.new_runs import NewRuns


def main() -> None:
    """Print how many runs were stored, and how many were found in how many looks."""
    n_runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    os.environ["TILED_API_KEY"] = secrets.token_hex(16)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("tiled"), "serve", "catalog", "--temp"]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [*command, "--port", str(port)],
            env={**os.environ, "TILED_SINGLE_USER_API_KEY": os.environ["TILED_API_KEY"]},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )
        try:
            watch(f"http://127.0.0.1:{port}", n_runs)
        finally:
            server.terminate()
            server.wait(60)


def watch(url: str, n_runs: int) -> None:
    """Store runs on one thread and look for them on this one."""
    broker = opened(url)
    new_runs = NewRuns(broker)
    stored: list[str] = []
    storing = threading.Thread(target=store, args=(url, n_runs, stored))
    begin_s = time.monotonic()
    storing.start()
    found: list[str] = []
    n_looks = 0
    while storing.is_alive() or len(found) < len(stored):
        more = new_runs.look()
        found += more
        n_looks += 1
        if not storing.is_alive() and not more:
            break
        time.sleep(1.0)
    seconds = time.monotonic() - begin_s
    missed, twice = len(set(stored) - set(found)), len(found) - len(set(found))
    print(f"{len(stored)} runs stored, {len(found)} found in {n_looks} looks and {seconds:.0f} s")
    print(f"missed: {missed}; found twice: {twice}")
    close_catalog(broker)
    sys.exit(bool(missed or twice))


def opened(url: str) -> object:
    """The catalogue of a server that has just been started."""
    for _ in range(120):
        try:
            return open_anywhere(url)
        except OSError:
            time.sleep(1.0)
    raise OSError("the server does not start")


def store(url: str, n_runs: int, stored: list[str]) -> None:
    """Store runs without data, one after the other."""
    from tiled.structures.core import Spec

    broker = opened(url)
    run = Spec("BlueskyRun", "3.0")
    for _ in range(n_runs):
        uid = str(uuid4())
        metadata = {"start": {"uid": uid, "time": time.time()}, "stop": {"exit_status": "success"}}
        broker.v2.create_container(key=uid, metadata=metadata, specs=[run])
        stored.append(uid)
    close_catalog(broker)


if __name__ == "__main__":
    main()
