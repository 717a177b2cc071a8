"""A program of ours in a process that can be ended, whatever it waits for."""

from __future__ import annotations

import atexit
import json
import logging
import os
import subprocess
import sys
import threading
import weakref
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

logger = logging.getLogger("stxm_live")

START_S = 30.0
"""Longest wait until the process has imported what it needs, from a slow disk."""

CONNECTION = "STXM_LIVE_READER"
"""Variable with the number of the process's end of the connection."""

_HEADER_BYTES = 64 * 2**20
"""Longest first part of an answer."""

_KEPT = ("HDF5_PLUGIN_PATH", "HDF5_USE_FILE_LOCKING", "PYTHONHOME")
"""Variables of HDF5 and Python that the process heeds as well."""

_all: weakref.WeakSet[OtherProcess] = weakref.WeakSet()


class OtherProcess:
    """A module that is run as a program; it starts when it is needed, and ends with this one.

    It sends b"ready" once, and then answers requests in JSON.

    Parameters
    ----------
    module : str
        Full name of the module.

    Attributes
    ----------
    lock : threading.Lock
        To be held from a request to the end of its answer.
    is_ready : bool
        True if the process has started.
    """

    lock: threading.Lock
    is_ready: bool
    _process: subprocess.Popen[bytes] | None
    _connection: Connection | None

    def __init__(self, module: str) -> None:
        self._module = module
        self._forget()
        _all.add(self)

    @property
    def pid(self) -> int | None:
        """Return the number of the process; None if there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> Connection:
        """Start the process, if it does not run, and return the connection to it."""
        if self._connection is not None and self._process is not None:
            if self._process.poll() is None:
                return self._connection
            self.end()
        ours, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # of a library, with texts of the file in it
                pass_fds=[theirs.fileno()],
                env={**_environment(), CONNECTION: str(theirs.fileno())},
                cwd="/",
                start_new_session=True,  # Ctrl-C in a terminal is not for it
            )
        self._connection, self.is_ready = ours, False
        return ours

    def asked(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a request and return the first part of its answer."""
        connection = self.start()
        if not self.is_ready:
            if not connection.poll(START_S):
                raise TimeoutError
            connection.recv_bytes()
            self.is_ready = True
        connection.send_bytes(json.dumps(request).encode())
        return self.header(timeout_s)

    def header(self, timeout_s: float) -> dict[str, Any]:
        """Return the next part of an answer, which is in JSON."""
        header: dict[str, Any] = json.loads(self.answering(timeout_s).recv_bytes(_HEADER_BYTES))
        return header

    def answering(self, timeout_s: float) -> Connection:
        """Return the connection when the next part of an answer has come.

        Raises
        ------
        TimeoutError
            If it does not come in time.
        """
        if self._connection is None:
            raise EOFError
        if not self._connection.poll(max(0.0, timeout_s)):
            raise TimeoutError
        return self._connection

    def end(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            try:
                self._process.wait(0.5)
            except subprocess.TimeoutExpired:  # waits for a disk, and ends when that answers
                logger.warning("the process that reads files cannot be ended yet")
        self._process = self._connection = None
        self.is_ready = False

    def _forget(self) -> None:
        """Begin without a process, as a copy of this process does."""
        self.lock = threading.Lock()
        self.is_ready = False
        self._process = self._connection = None


def connection_of_this_process() -> Connection:
    """Return the connection to the process that started this one."""
    return Connection(int(os.environ[CONNECTION]))


def limit_memory(more_bytes: int) -> None:
    """Let this process take so many bytes more than it has now, where the system can limit it."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    n_pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = n_pages * resource.getpagesize() + more_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _environment() -> dict[str, str]:
    """Return the environment of the process: our modules, one thread, none of HDF5's detours."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("HDF5_", "PYTHON")) or key in _KEPT
    }
    modules = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **one, "PYTHONPATH": modules, "PYTHONSAFEPATH": "1"}


def _end_all() -> None:
    for process in list(_all):
        process.end()


def _forget_all() -> None:
    for process in list(_all):
        process._forget()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
