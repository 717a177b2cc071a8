"""Access to the dashboard: only with the link, and only at this machine's own address."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from html import escape
from typing import Any
from urllib.parse import urlsplit

from bokeh.server.tornado import BokehTornado
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream
from tornado.web import OutputTransform, RequestHandler
from tornado.websocket import WebSocketHandler

logger = logging.getLogger("stxm_live")

_GOING_AWAY = 1001
"""Key for the answer to a websocket request, RFC 6455, section 7.4.1."""

_OPEN_PATHS = ("/static/", "/favicon.ico")
"""Paths of the libraries' own files, which are the same everywhere and need no token."""

_SCRIPTS = ["bokeh", "bokeh-widgets", "bokeh-tables"]
"""Scripts that a page needs; the last one is for those of Panel, if that is imported, too."""

MAX_STRANGERS = 64
"""Connections without a token that are open at once; a page needs six while it loads."""

MAX_HEADER_BYTES = 16_384

MAX_BODY_BYTES = 65_536
"""No request of the page has a body; its messages come through the websocket."""

MAX_WAIT_S = 30.0
"""Time in seconds in which a request has to arrive whole."""

_FIRST_ERROR = 400

_MOST_LETTERS = 100

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """A check of requests: only those with the token, sent to this server, are answered.

    Parameters
    ----------
    token : str
    hosts : iterable of str
        Names, with port, by which the server may be called.
    """

    def __init__(self, token: str, hosts: Iterable[str]) -> None:
        self._token = token.encode()
        self.hosts = frozenset(host.lower() for host in hosts)

    def refusal(self, request: HTTPServerRequest) -> str | None:
        """Return the reason for refusing a request as a sentence; None if it is allowed."""
        if request.headers.get("Host", "").lower() not in self.hosts:
            return "This is not the dashboard's own address; use the link that stxm_live printed."
        origin = request.headers.get("Origin")
        if origin is not None and _host_of(origin) not in self.hosts:
            return "Other web sites may not read the dashboard."
        if "%00" in request.path:
            return "There is no such page."
        if request.path.startswith(_OPEN_PATHS):
            return None
        given = request.query_arguments.get("token", [])
        if not given:
            return "The token is missing; use the whole link that stxm_live printed."
        if not hmac.compare_digest(given[-1], self._token):
            return (
                "The token is wrong: it changes each time the dashboard starts. "
                "Use the link that stxm_live printed last."
            )
        return None


def _host_of(origin: str) -> str:
    """Return name and port in an address; empty if it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # such as http://[
        return ""


class _Refused(RequestHandler):
    """A page that gives the reason for refusing a request."""

    def initialize(self, sentence: str) -> None:
        self._sentence = sentence

    def prepare(self) -> None:
        self.set_status(403)
        self.finish(
            "<!DOCTYPE html><title>stxm_live</title>"
            '<p style="font: 18px system-ui, sans-serif; margin: 3em">'
            f"<b>Not allowed.</b> {escape(self._sentence)}</p>"
        )


class _Headers(OutputTransform):
    """Headers that keep the link from other sites and from caches."""

    def transform_first_chunk(
        self, status_code: int, headers: Any, chunk: bytes, finishing: bool
    ) -> tuple[int, Any, bytes]:
        for name, value in HEADERS.items():
            headers[name] = value
        return status_code, headers, chunk


class GuardedServer(HTTPServer):
    """A server that bounds what senders without a token can take: connections, bytes, time."""

    def initialize(self, tornado: GuardedTornado) -> None:  # type: ignore[override]
        """Take the place of a constructor, as Tornado wants it."""
        self._tornado = tornado
        super().initialize(
            tornado,
            max_header_size=MAX_HEADER_BYTES,
            max_body_size=MAX_BODY_BYTES,
            idle_connection_timeout=MAX_WAIT_S,
            body_timeout=MAX_WAIT_S,
        )

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve a new connection; if too many have shown no token, the oldest of them is closed."""
        waiting = self._tornado.strangers
        for old in [other for other in waiting if other.closed()]:
            del waiting[old]
        while len(waiting) >= MAX_STRANGERS:
            oldest = next(iter(waiting))
            del waiting[oldest]
            oldest.close()
        waiting[stream] = None
        super().handle_stream(stream, address)


class GuardedTornado(BokehTornado):  # type: ignore[misc]
    """Bokeh's server with a guard that checks every request, for pages and websockets."""

    def __init__(self, applications: Any, guard: Guard, **options: Any) -> None:
        self._guard = guard
        self._browsers: dict[Any, WebSocketHandler] = {}
        self.strangers: dict[IOStream, None] = {}
        """Connections that have not shown the token, the oldest first."""
        super().__init__(applications, transforms=[_Headers], **options)

    def find_handler(self, request: HTTPServerRequest, **options: Any) -> Any:
        """Return the handler that answers a request."""
        sentence = self._guard.refusal(request)
        if sentence is not None:
            return self.get_handler_delegate(request, _Refused, {"sentence": sentence})
        if not request.path.startswith(_OPEN_PATHS):
            with suppress(AttributeError, KeyError):
                del self.strangers[request.connection.stream]  # type: ignore[union-attr]
        return super().find_handler(request, **options)

    def resources(self, absolute_url: Any = None) -> Any:
        """Name the scripts that the page needs, without WebGL and formulas (2 of 4 MB)."""
        return super().resources(absolute_url).clone(components=_SCRIPTS)

    def new_connection(self, protocol: Any, socket: WebSocketHandler, *more: Any) -> Any:
        """Keep the connection of a new browser."""
        connection = super().new_connection(protocol, socket, *more)
        self._browsers[connection] = socket
        return connection

    def client_lost(self, connection: Any) -> None:
        """Forget the connection of a browser that has left."""
        self._browsers.pop(connection, None)
        super().client_lost(connection)

    def log_request(self, handler: RequestHandler) -> None:
        """Log a refused or failed request without its query, which holds the token."""
        if handler.get_status() >= _FIRST_ERROR:
            request = handler.request
            logger.info(
                "dashboard: %s %s from %s was answered with %d",
                request.method,
                request.path[:_MOST_LETTERS],
                request.remote_ip,
                handler.get_status(),
            )

    async def hang_up(self, timeout_s: float = 1.0) -> None:
        """Close the connection of every browser, which Bokeh does not do when a server stops."""
        for socket in self._browsers.values():
            socket.close(_GOING_AWAY)
        deadline = time.monotonic() + timeout_s
        while self._browsers and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
