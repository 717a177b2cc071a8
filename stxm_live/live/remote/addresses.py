"""Check that an address can be reached from this machine only."""

from __future__ import annotations

import ipaddress
from pathlib import Path


def checked_address(address: str, *, allow_network: bool = False) -> str:
    """Return the address with its protocol, if it is local or the network is allowed.

    Raises
    ------
    ValueError
        If it is not an address, or is open to the network without ``allow_network``.

    Examples
    --------
    >>> checked_address("127.0.0.1:5578")
    'tcp://127.0.0.1:5578'
    >>> checked_address("0.0.0.0:5578")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: 0.0.0.0:5578 is open to the network, where anyone could send ...
    """
    protocol, mark, rest = address.partition("://")
    if not mark:
        protocol, rest = "tcp", address
    if protocol == "ipc" and rest:
        return f"ipc://{rest}"
    host, colon, port = rest.rpartition(":")
    if protocol != "tcp" or not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{address}: expected HOST:PORT, as in 127.0.0.1:5578, or ipc://PATH")
    if not allow_network and not is_loopback(host):
        raise ValueError(
            f"{address} is open to the network, where anyone could send and read documents; use "
            "127.0.0.1, through an SSH tunnel from elsewhere, or say that the network is trusted"
        )
    return f"tcp://{host}:{port}"


def absolute_address(address: str) -> str:
    """Return an address that means the same in every folder.

    Examples
    --------
    >>> absolute_address("tcp://127.0.0.1:5578")
    'tcp://127.0.0.1:5578'
    >>> absolute_address("ipc:///run/feed")
    'ipc:///run/feed'
    """
    protocol, _, rest = address.partition("://")
    is_file = protocol == "ipc" and not rest.startswith("@")
    return f"ipc://{Path(rest).absolute()}" if is_file else address


def is_loopback(host: str) -> bool:
    """Return True if only this machine can reach an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
