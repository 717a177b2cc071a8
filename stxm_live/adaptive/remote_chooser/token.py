"""The token of an account, which its session and its other programs share, and the keys from it.

A `ChoiceServer` encrypts (CurveZMQ), and its keys follow from the token. A handshake is sealed for
the server's key, so that only who holds the token can begin one, and only who holds it can answer.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from stxm_live.core.text_files import check_regular
from stxm_live.live.remote.sockets import zmq_or_hint

_MIN_CHARACTERS = 32
_MAX_CHARACTERS = 200


def own_token(path: Path | None = None) -> str:
    """Return the token of this account, from a file of mode 600 that its first use makes.

    Parameters
    ----------
    path : Path, optional
        The file; by default ``choices.token`` in the user's state directory.

    Raises
    ------
    OSError
        If the file cannot be made, or another account owns or can read it.
    ValueError
        If it holds no token.
    """
    from platformdirs import user_state_path

    path = path or user_state_path("stxm_live") / "choices.token"
    if not path.exists():
        _make(path)
    with check_regular(path).open(encoding="ascii", errors="replace") as file:
        _check_private(path, os.fstat(file.fileno()))
        token = file.read(_MAX_CHARACTERS).strip()
    if len(token) < _MIN_CHARACTERS:
        raise ValueError(f"{path} holds no token; delete it, and a new one is made")
    return token


def secret_key(token: str) -> bytes:
    """Return the server's secret key, 40 characters; ValueError if the token is empty."""
    zmq_or_hint()
    from zmq.utils import z85

    if not token:
        raise ValueError("the token is empty; leave it out, and that of this account is used")
    key: bytes = z85.encode(hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest())
    return key


def public_key(token: str) -> str:
    """Return the server's public key, 40 characters; ValueError if the token is empty."""
    key: bytes = zmq_or_hint().curve_public(secret_key(token))
    return key.decode("ascii")


def _make(path: Path) -> None:
    """Write a new token; one that another process writes at the same time stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # of mode 600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def _check_private(path: Path, info: os.stat_result) -> None:
    if os.name != "posix":
        return
    if info.st_uid != os.getuid() or stat.S_IMODE(info.st_mode) & 0o077:
        raise PermissionError(
            f"{path} belongs to another account or can be read by one; delete it, and a new token "
            "is made"
        )
