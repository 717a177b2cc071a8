"""`serve`: the dashboard on a port of this machine, and `dashboard` for a notebook."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bokeh.application import Application
from bokeh.application.handlers import FunctionHandler
from bokeh.document import Document
from bokeh.server.server import BaseServer
from bokeh.server.util import bind_sockets
from tornado.ioloop import IOLoop

from stxm_live.dashboard.guard import Guard, GuardedServer, GuardedTornado
from stxm_live.dashboard.history import CatalogHistory, History
from stxm_live.dashboard.state import Board
from stxm_live.dashboard.view import EXPORTS, LOOK_MS, View
from stxm_live.live.remote.addresses import is_loopback

if TYPE_CHECKING:
    import panel
    from bluesky import RunEngine

    from stxm_live.adaptive.chooser import RegionChooser
    from stxm_live.io.catalog import Broker
    from stxm_live.live.mapper import LivePhaseMapper

_START_TIMEOUT_S = 60.0


class Served:
    """A dashboard that is served on a thread of its own.

    Attributes
    ----------
    url : str
        The link with its token; anybody who has it can see the dashboard.
    """

    def __init__(
        self,
        open_page: Callable[[Document], None],
        url: str,
        sockets: list[Any],
        guard: Guard,
        close: Sequence[Callable[[], None]],
    ) -> None:
        self.url = url
        self._open_page, self._to_close = open_page, close
        self._sockets = sockets
        self._guard = guard
        self._loop: IOLoop | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stxm-live-dashboard", daemon=True)
        self._thread.start()
        self._started.wait(_START_TIMEOUT_S)

    def close(self) -> None:
        """Stop serving; browsers show that the connection is lost."""
        if self._loop is not None:
            self._loop.add_callback(self._loop.stop)
        self._thread.join(10.0)
        for close in self._to_close:
            close()

    def __repr__(self) -> str:
        return f"<dashboard at {self.url}>"

    def _repr_html_(self) -> str:
        """Return HTML that shows the dashboard in a notebook."""
        return (
            f'<iframe src="{escape(self.url)}" style="width:100%;height:820px;border:0"></iframe>'
        )

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loop = IOLoop.current()
        app = Application(FunctionHandler(self._open_page))
        tornado = GuardedTornado(
            {"/": app},
            self._guard,
            extra_websocket_origins=sorted(self._guard.hosts),
            use_index=False,
            redirect_root=False,
        )
        http = GuardedServer(tornado)
        http.add_sockets(self._sockets)
        server = BaseServer(self._loop, tornado, http)
        server.start()
        self._started.set()
        try:
            self._loop.start()
        finally:
            http.stop()
            loop.run_until_complete(tornado.hang_up())
            loop.run_until_complete(http.close_all_connections())
            server.stop()
            server.unlisten()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


def serve(
    live: LivePhaseMapper | Board,
    *,
    chooser: RegionChooser | None = None,
    suggesting: RegionChooser | None = None,
    run_engine: RunEngine | None = None,
    port: int = 0,
    token: str | None = None,
    catalog: str | Path | Broker | History | None = None,
    folder: str | Path = EXPORTS,
    address: str = "127.0.0.1",
    allow_network: bool = False,
) -> Served:
    """Serve the dashboard of a live analysis on a thread of its own.

    Parameters
    ----------
    live : LivePhaseMapper or Board
        A board can be given instead of a mapper, if something else sends it the results.
    chooser : RegionChooser, optional
        Receives the regions chosen in the page; without one, no region can be chosen.
    suggesting : RegionChooser, optional
        Used without a ``chooser``: its suggestions are shown but cannot be taken.
    run_engine : bluesky.RunEngine, optional
        Of this process; the page then says when it is paused.
    port : int
        0 for any free port.
    token : str, optional
        Part of the link; by default a random one.
    catalog : path, databroker.Broker or History, optional
        Catalogue whose earlier runs are listed, and in which maps can be stored.
    folder : path
        Exports and saved references are written into new folders in this one.
    address : str
        Address of this machine. One that other machines can reach needs ``allow_network``.
    allow_network : bool

    Returns
    -------
    Served
        Its ``url`` is the link; ``close`` ends it.

    Raises
    ------
    ValueError
        If the address is open to the network and ``allow_network`` is false.
    OSError
        If the port is taken.
    """
    if not is_loopback(address) and not allow_network:
        raise ValueError(
            f"{address} is open to the network, where anybody with the link could see the "
            "dashboard; use 127.0.0.1 (from other machines through an SSH tunnel), or set "
            "allow_network if the network is trusted"
        )
    board = _board_of(live)
    change_recipe = None if isinstance(live, Board) else live.change_recipe
    history = _history_of(catalog)
    sockets, bound = bind_sockets(address, port)
    token = secrets.token_urlsafe(24) if token is None else token
    names = {address, "localhost", "127.0.0.1"} | (
        {socket.gethostname()} if allow_network else set()
    )
    names |= {f"[{address}]"}
    guard = Guard(token, [f"{name}:{bound}" for name in names])
    host = socket.gethostname() if address in ("", "0.0.0.0", "::") else address
    host = f"[{host}]" if ":" in host else host
    return Served(
        lambda doc: View(
            board, chooser, history, suggesting, run_engine, folder, change_recipe
        ).open_in(doc, "stxm_live"),
        f"http://{host}:{bound}/?token={quote(token)}",
        sockets,
        guard,
        [board.close] + ([history.close] if isinstance(history, CatalogHistory) else []),
    )


def dashboard(
    live: LivePhaseMapper | Board,
    *,
    chooser: RegionChooser | None = None,
    run_engine: RunEngine | None = None,
    catalog: str | Path | Broker | History | None = None,
) -> panel.viewable.Viewable:
    """Return the dashboard as a Panel object, for your own Panel application.

    In a notebook `serve` is the better choice: its result shows the dashboard below the cell, and
    it keeps working while a scan keeps the kernel busy.
    """
    import panel

    change_recipe = None if isinstance(live, Board) else live.change_recipe
    view = View(
        _board_of(live),
        chooser,
        _history_of(catalog),
        run_engine=run_engine,
        change_recipe=change_recipe,
    )
    pane = panel.pane.Bokeh(view.layout(), sizing_mode="stretch_width")
    view.draw()
    panel.state.add_periodic_callback(view.tick, LOOK_MS)
    panel.state.add_periodic_callback(view.tick_slowly, 1000)
    return pane


def _board_of(live: LivePhaseMapper | Board) -> Board:
    if isinstance(live, Board):
        return live
    board = Board()
    live.add_sink(board)
    board.begin_with(live.results())
    for exploration in live.explorations()[-1:]:
        board.on_exploration(exploration)
    return board


def _history_of(catalog: Any) -> History | None:
    if catalog is None or hasattr(catalog, "runs"):
        return catalog  # type: ignore[no-any-return]
    return CatalogHistory(catalog)
