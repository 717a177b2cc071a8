"""Server of the records over Channel Access, until a signal ends the process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any

from caproto.asyncio.server import Context

from stxm_live.sim.ioc.bench import Bench, Fault
from stxm_live.sim.ioc.records import MicroscopeRecords

LOOPBACK = "127.0.0.1"


def ca_environment(interface: str, port: int) -> dict[str, str]:
    """Return the variables that a client must set before it imports EPICS."""
    return {
        "EPICS_CA_ADDR_LIST": interface,
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(port),
    }


def run_server(
    bench: Bench,
    *,
    prefix: str = "STXM:",
    interface: str = LOOPBACK,
    port: int,
    ready: Callable[[Mapping[str, str]], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Parameters
    ----------
    bench : Bench
        The instrument to serve.
    interface : str
        Address to listen on; anyone who reaches it can drive the simulation.
    port : int
        Port for TCP and UDP.
    ready : callable, optional
        Called with `ca_environment` when the server listens.

    Raises
    ------
    OSError
        If the port is taken.
    """
    _refuse_taken(interface, port)
    environment = ca_environment(interface, port)
    os.environ.update(environment)  # caproto reads them too

    async def serve() -> None:
        server = _Server(MicroscopeRecords.pvs_of(bench, prefix), [interface], bench)
        await server.serve(lambda: ready(environment) if ready else None)

    asyncio.run(serve())


def _refuse_taken(interface: str, port: int) -> None:
    """Raise an error if the port is taken; caproto would silently use another one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((interface, port))
        except OSError as error:
            raise OSError(
                f"cannot listen on {interface}, port {port} ({error.strerror}); is another IOC "
                "running there? Choose another port"
            ) from error


class _Server(Context):  # type: ignore[misc]
    """caproto's server, which can be made to disappear for a while."""

    def __init__(self, pvs: Mapping[str, Any], interfaces: list[str], bench: Bench) -> None:
        super().__init__(pvs, interfaces)
        self._bench = bench

    async def _broadcaster_queue_iteration(self, addr: Any, commands: Any) -> None:
        """Answer searches, unless disconnected."""
        if self._bench.fault != Fault.DISCONNECTED:
            await super()._broadcaster_queue_iteration(addr, commands)

    async def broadcast_beacon_loop(self) -> None:
        """Send no beacons, because clients of this server search for it."""

    async def serve(self, ready: Callable[[], None]) -> None:
        """Run until a signal arrives."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)

        async def watch(async_lib: Any) -> None:
            ready()
            while True:
                await asyncio.sleep(0.05)
                if self._bench.fault == Fault.DISCONNECTED:
                    await self._vanish()

        await self.run(startup_hook=watch)

    async def _vanish(self) -> None:
        """Drop every client, and answer no search for a while."""
        for circuit in list(self.circuits):
            circuit.client.close()
        await asyncio.sleep(self._bench.offline_s)
        self._bench.fault = Fault.NONE
