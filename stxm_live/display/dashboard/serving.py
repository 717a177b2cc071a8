"""`serve`: the dashboard on a port of this machine, and `dashboard` for a notebook."""

from __future__ import annotations

import asyncio
import secrets
import threading
from typing import TYPE_CHECKING, Any

from bokeh.application import Application
from bokeh.application.handlers import FunctionHandler
from bokeh.document import Document
from bokeh.server.server import BaseServer
from bokeh.server.util import bind_sockets
from panel.io.state import set_curdoc
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

from stxm_live.display.dashboard.board import Board
from stxm_live.display.dashboard.guard import Guard, GuardedTornado, is_loopback
from stxm_live.display.dashboard.view import View

if TYPE_CHECKING:
    from stxm_live.live import LivePhaseMapper

_START_TIMEOUT_S = 60.0


class Served:
    """A dashboard that is being served on a thread of its own.

    Attributes
    ----------
    url : str
        The link, token included; whoever has it sees the dashboard.
    """

    def __init__(self, board: Board, url: str, sockets: list[Any], guard: Guard) -> None:
        self.board = board
        self.url = url
        self._sockets = sockets
        self._guard = guard
        self._loop: IOLoop | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stxm-live-dashboard", daemon=True)
        self._thread.start()
        self._started.wait(_START_TIMEOUT_S)

    def close(self) -> None:
        """Stop serving; browsers are told that the connection is lost."""
        if self._loop is not None:
            self._loop.add_callback(self._loop.stop)
        self._thread.join(10.0)
        self.board.close()

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loop = IOLoop.current()
        app = Application(FunctionHandler(self._open))
        tornado = GuardedTornado(
            {"/": app},
            self._guard,
            extra_websocket_origins=sorted(self._guard.hosts),
            use_index=False,
            redirect_root=False,
        )
        http = HTTPServer(tornado)
        http.add_sockets(self._sockets)
        server = BaseServer(self._loop, tornado, http)
        server.start()
        self._started.set()
        try:
            self._loop.start()
        finally:
            server.stop()
            server.unlisten()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def _open(self, doc: Document) -> None:
        """A new browser."""
        with set_curdoc(doc):
            View(self.board).open_in(doc, "stxm_live")


def serve(
    live: LivePhaseMapper | Board,
    *,
    port: int = 0,
    token: str | None = None,
    address: str = "127.0.0.1",
    allow_network: bool = False,
) -> Served:
    """Serve the dashboard of a live analysis."""
    if not is_loopback(address) and not allow_network:
        raise ValueError(
            f"{address} is open to the network, where anybody with the link could see the "
            "dashboard; use 127.0.0.1, through an SSH tunnel from elsewhere, or say that the "
            "network is trusted (allow_network)"
        )
    if isinstance(live, Board):
        board = live
    else:
        board = Board()
        live.add_sink(board)
    sockets, bound = bind_sockets(address, port)
    token = secrets.token_urlsafe(24) if token is None else token
    hosts = [f"{host}:{bound}" for host in {address, "localhost", "127.0.0.1"}]
    return Served(board, f"http://{address}:{bound}/?token={token}", sockets, Guard(token, hosts))
