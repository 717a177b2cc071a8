"""bluesky's own 0MQ proxy and our server, each in a process of its own, on free ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from queue import Empty, SimpleQueue

PROXY = """
import sys
from bluesky.callbacks.zmq import Proxy
Proxy(sys.argv[1], sys.argv[2]).start()
"""


def free_ports(n):
    """Addresses on loopback nobody uses now."""
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return [f"127.0.0.1:{port}" for port in ports]


@contextmanager
def a_proxy():
    """Addresses to publish to and to listen at."""
    into, out = free_ports(2)
    process = subprocess.Popen([sys.executable, "-c", PROXY, into, out])
    try:
        wait_for_port(into)
        yield into, out
    finally:
        process.kill()
        process.wait()


def wait_until_joined(publish, out):
    """Publish until something of it is heard at the proxy's other side."""
    from stxm_live.live.remote.sockets import DocumentReceiver

    with closing(DocumentReceiver(out)) as receiver:
        while receiver.receive(0.02) is None:
            publish("stop", {"run_start": "of nobody"})


def wait_for_port(address, timeout_s=90):
    host, port = address.split(":")
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens at {address}")


class ServerProcess:
    """``stxm-live serve``, to be killed and started anew."""

    def __init__(self, raw, results, catalog, *options):
        self.command = [
            *(sys.executable, "-m", "stxm_live", "serve", "--zmq", raw, "--results", results),
            *("--catalog", str(catalog), *options),
        ]
        self.results = results
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self.command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
        )
        wait_for_port(self.results)

    def kill(self):
        """As the operating system does when memory is short."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class Results:
    """Derived runs as they come, taken by bluesky's own dispatcher on a thread."""

    def __init__(self, address):
        from stxm_live.live.remote import dispatcher

        self.runs = SimpleQueue()
        self._now = {}
        self._dispatcher = dispatcher(address)
        self._dispatcher.subscribe(self._take)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        import asyncio

        with suppress(asyncio.CancelledError):
            self._dispatcher.start()

    def _take(self, name, doc):
        if name == "start":
            self._now = {"start": doc, "data": {}}
        elif name == "event":
            self._now["data"].update(doc["data"])
        elif name == "stop":
            self.runs.put((time.perf_counter(), self._now | {"stop": doc}))

    def next(self, timeout_s=120):
        """Arrival and contents of the next derived run."""
        try:
            return self.runs.get(timeout=timeout_s)
        except Empty:
            raise TimeoutError(f"no results after {timeout_s} s") from None

    def matching(self, is_so, timeout_s=120):
        """The first derived run of which that is so: others are provisional."""
        deadline = time.monotonic() + timeout_s
        while True:
            _, run = self.next(max(deadline - time.monotonic(), 0))
            if is_so(run):
                return run

    def close(self):
        task = self._dispatcher._task
        with suppress(RuntimeError):
            self._dispatcher.loop.call_soon_threadsafe(task.cancel)
        self._thread.join(60)
