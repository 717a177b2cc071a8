"""The process that takes the messages of a 0MQ socket which anyone may send to.

0MQ collects all parts of a message before it delivers the first, and reads some messages ahead.
Here this happens within a limit of memory; a message that exceeds it ends this process, or its
connection, and not the one that works with the messages.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import zmq

from stxm_live.io.other_process import connection_of_this_process, limit_memory

_PAUSE_S = 0.1


def main() -> None:
    """Take messages, or ask questions, until the other process ends."""
    connection = connection_of_this_process()
    connection.send_bytes(b"ready")
    with suppress(EOFError, ConnectionError):
        while True:
            request = json.loads(connection.recv_bytes())
            limit_memory(request["memory_bytes"])
            if request["what"] == "listen":
                _listen(connection, request)
            else:
                _answer(connection, request)


def _listen(connection: Connection, request: dict[str, Any]) -> None:
    """Pass on messages that come at an address; empty bytes stand for one of several parts."""
    is_listening = False
    with zmq.Context() as context:
        while True:
            with context.socket(zmq.SUB) as socket:
                socket.set(zmq.LINGER, 0)
                socket.set(zmq.MAXMSGSIZE, request["most_bytes"])
                socket.set(zmq.RCVHWM, 1)
                socket.set(zmq.SUBSCRIBE, b"")
                lost = lost_connections(socket)
                socket.connect(request["address"])
                if not is_listening:
                    connection.send_bytes(b"{}")
                    is_listening = True
                with lost:
                    _pass_on(connection, socket, lost)
                socket.disable_monitor()
            time.sleep(_PAUSE_S)


def _pass_on(connection: Connection, socket: zmq.Socket[bytes], lost: zmq.Socket[bytes]) -> None:
    """Pass on messages until the connection is lost."""
    poller = zmq.Poller()
    for source in (socket, lost, connection.fileno()):
        poller.register(source, zmq.POLLIN)
    while True:
        events = dict(poller.poll())
        if connection.fileno() in events:  # nothing comes there but its end
            raise EOFError
        if socket in events:
            message = _single_part(socket)
            if message is None or len(message):
                connection.send_bytes(b"" if message is None else message.buffer)
        elif lost in events:
            return


def lost_connections(socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
    """Return a socket on which something comes when a connection is lost.

    After a message that is too long 0MQ connects no more: a new socket must.
    """
    events = zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    return socket.get_monitor_socket(events)


def _answer(connection: Connection, request: dict[str, Any]) -> None:
    """Ask a question and pass on the answer of one part."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.MAXMSGSIZE, request["most_bytes"])
        socket.connect(request["address"])
        socket.send(request["question"].encode("latin-1"))
        answer = None
        has_come = bool(socket.poll(round(1000 * request["timeout_s"])))
        if has_come:
            answer = _single_part(socket)
        header = {"has_come": has_come, "is_single": answer is not None}
        connection.send_bytes(json.dumps(header).encode())
        if answer is not None:
            connection.send_bytes(answer.buffer)


def _single_part(socket: zmq.Socket[bytes]) -> zmq.Frame | None:
    """Return the next message; None if it has several parts, which are dropped."""
    first = part = socket.recv(copy=False)
    while part.more:
        part = socket.recv(copy=False)
    return first if part is first else None


if __name__ == "__main__":
    main()
