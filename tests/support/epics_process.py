"""An IOC and a client, each in a process of its own, on ports that nobody else uses."""

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
CLIENT_S = 420


def free_port():
    """A port that is free for TCP and UDP."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return tcp.getsockname()[1]


def environment(port):
    """What a client has to set before EPICS is imported."""
    return os.environ | {
        "EPICS_CA_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(port),
        "EPICS_CA_REPEATER_PORT": str(free_port()),
    }


@contextmanager
def served(command, port, ready="ready\n"):
    """An IOC that listens; afterwards it is gone."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(port)) as ioc:
        try:
            while (line := ioc.stdout.readline()) != ready:
                assert line, "the IOC ended before it listened"
            yield ioc
        finally:
            ioc.kill()


def run_client(*scenarios):
    """What scenarios of `epics_client` tell, by their names, one after the other in one session."""
    done = subprocess.run(
        [sys.executable, str(HERE / "epics_client.py"), *scenarios],
        capture_output=True,
        text=True,
        timeout=CLIENT_S,
        env=environment(free_port()),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    lines = [text for text in done.stdout.splitlines() if text.startswith("RESULT ")]
    assert lines, done.stdout[-3000:] + done.stderr[-30000:]
    told = json.loads(lines[0].removeprefix("RESULT "))
    assert list(told) == list(scenarios), done.stderr[-30000:]
    return told
