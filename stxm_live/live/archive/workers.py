"""Map many sources here, or on workers of Dask; the results are the same."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any

from stxm_live.io.results.run_row import failed_row
from stxm_live.live.archive.kept import Row
from stxm_live.live.archive.source import close_opened
from stxm_live.live.archive.task import Finish, Task, run_task

if TYPE_CHECKING:
    from distributed import Client, Future

_AT_A_TIME = 4
"""Tasks given to each worker: a worker is never idle, and Ctrl-C leaves few of them."""

_CONNECT_S = 15.0
_CLOSE_S = 5.0
_LOOK_S = 1.0

_WITHOUT_WORKERS_S = 60.0
"""Seconds without any worker after which the rest is given up."""

_LEFT_OUT: dict[str, Any] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
}
"""Dask serves web pages on its workers, and for these keeps what they did in the last 1000 s: 100
MiB and more."""

Done = tuple[Task, list[Row]]


class SchedulerGoneError(OSError):
    """The scheduler does not answer, or it has no workers anymore."""


def each_task(
    tasks: Sequence[Task], finish: Finish, *, n_workers: int = 1, scheduler: str | None = None
) -> Iterator[Done]:
    """Do the tasks, and yield each with its rows as it is done.

    With one worker and no scheduler everything happens in this process, and Dask is not needed.

    Parameters
    ----------
    tasks : sequence of Task
    finish : callable
        See `run_task`; with Dask, a function that workers can import.
    n_workers : int
        Processes on this machine, each with one thread for linear algebra.
    scheduler : str, optional
        Address of a scheduler of Dask instead, as ``tcp://10.0.0.7:8786``. Its workers need the
        same packages, and the same folders.

    Raises
    ------
    ImportError
        If Dask is asked for and not installed.
    SchedulerGoneError
        If the scheduler does not answer anymore. What was done is kept.
    """
    if scheduler is None and n_workers <= 1:
        return _here(tasks, finish)
    if find_spec("distributed") is None:
        raise ImportError(
            "several workers need Dask, which is not installed; pip install 'stxm-live[archive]', "
            "or leave out --workers and --scheduler"
        )
    return on_dask(tasks, finish, n_workers, scheduler)


def _here(tasks: Sequence[Task], finish: Finish) -> Iterator[Done]:
    try:
        for task in tasks:
            yield task, run_task(task.values(), finish)
    finally:
        for catalog, roots in {(t.source.catalog, t.source.roots) for t in tasks}:
            close_opened(catalog, roots)


def on_dask(
    tasks: Sequence[Task], finish: Finish, n_workers: int, scheduler: str | None
) -> Iterator[Done]:
    """Do the tasks on workers of Dask, even if it is one; see `each_task`."""
    waiting = iter(tasks)
    with _client(n_workers, scheduler) as client:
        n_at_a_time = _AT_A_TIME * max(1, len(client.ncores()))
        of_future: dict[Future, Task] = {}
        while True:
            for task in islice(waiting, n_at_a_time - len(of_future)):
                future = client.submit(_run_there, task.values(), finish, pure=False)
                of_future[future] = task
            if not of_future:
                return
            for future in _done(client, list(of_future)):
                yield (task := of_future.pop(future)), _rows(task, future)


def _run_there(values: dict[str, Any], finish: Finish) -> list[Row]:
    """Do a task on a worker of Dask."""
    import dask

    # Tiled reads its tables with Dask, and within a worker would give them to the scheduler
    with dask.config.set(scheduler="synchronous"):
        return run_task(values, finish)


def _done(client: Client, futures: list[Future]) -> list[Future]:
    """Wait for the first of some futures.

    Raises
    ------
    SchedulerGoneError
        If the scheduler is gone, or has no workers for a minute.
    """
    from distributed import CancelledError, wait

    address = client.scheduler.address
    without_workers_s = 0.0
    while True:
        with suppress(TimeoutError):
            try:
                return list(wait(futures, timeout=_LOOK_S, return_when="FIRST_COMPLETED").done)
            except CancelledError as error:
                raise SchedulerGoneError(f"the scheduler {address} is gone") from error
        try:
            without_workers_s = 0.0 if client.ncores() else without_workers_s + _LOOK_S
        except (OSError, TimeoutError) as error:
            raise SchedulerGoneError(f"the scheduler {address} is gone") from error
        if without_workers_s > _WITHOUT_WORKERS_S:
            raise SchedulerGoneError(f"the scheduler {address} has no workers")


def _rows(task: Task, future: Future) -> list[Row]:
    from distributed import KilledWorker

    try:
        rows: list[Row] = future.result()
    except KilledWorker:
        reason = OSError("its worker ended several times while it mapped this: out of memory?")
        return [failed_row(reason, task.source.facts, places=task.source.places)]
    except Exception as error:  # noqa: BLE001  of a worker that lacks a package, for instance
        return [failed_row(error, task.source.facts, places=task.source.places)]
    return rows


@contextmanager
def _client(n_workers: int, scheduler: str | None) -> Iterator[Client]:
    """Connect to a scheduler, or start workers on this machine that nobody else can use."""
    import dask
    from distributed import Client, LocalCluster

    # a worker that is lost is a line of the table, not many of a log; each logger has its level
    for name in [
        name for name in logging.root.manager.loggerDict if name.startswith("distributed")
    ]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=_CONNECT_S)
        except (OSError, TimeoutError, ValueError) as error:
            raise SchedulerGoneError(
                f"no scheduler of Dask answers at {scheduler} ({error}); is it running there?"
            ) from None
        try:
            yield client
        finally:
            client.close(timeout=_CLOSE_S)
        return
    # others on this machine must not give tasks to these workers: certificates of its own
    with (
        dask.config.set(_LEFT_OUT),
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            security=True,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        # Ctrl-C is for the process that gave the tasks
        client.run(_ignore_interrupts)
        yield client


def _ignore_interrupts() -> None:
    with suppress(ValueError):  # not on the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
