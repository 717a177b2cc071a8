"""One question to another process, and its answer."""

from __future__ import annotations

from stxm_live.live.remote.sockets import attach, zmq_or_hint

MAX_ANSWER_BYTES = 2**20
"""A longer answer is not read."""


def answer_of(
    address: str, question: bytes, *, timeout_s: float, public_key: str | None = None
) -> bytes:
    """Return the answer of the process at an address.

    Every question has a socket of its own, so that a lost one does not delay later ones.

    Parameters
    ----------
    address : str
        Address with its protocol, from `checked_address`.
    question : bytes
    timeout_s : float
    public_key : str, optional
        Key of a process that encrypts (CURVE, 40 characters).

    Raises
    ------
    TimeoutError
        If it does not answer.
    OSError
        If no socket can be opened.
    ValueError
        If the key is not valid, or the answer has several parts.
    """
    zmq = zmq_or_hint()
    try:
        with zmq.Context() as context, context.socket(zmq.REQ) as socket:
            socket.set(zmq.LINGER, 0)
            socket.set(zmq.MAXMSGSIZE, MAX_ANSWER_BYTES)
            if public_key is not None:
                _encrypt(socket, public_key)
            attach(socket, address, bind=False)
            socket.send(question)
            if not socket.poll(round(1000 * timeout_s)):
                raise TimeoutError(f"{address} does not answer within {timeout_s:g} s")
            answer: bytes = socket.recv()
            if socket.get(zmq.RCVMORE):
                raise ValueError(f"{address} answers in several parts; expected one")
            return answer
    except zmq.ZMQError as error:
        raise OSError(error.errno, f"{address} cannot be asked ({error.strerror})") from error


def _encrypt(socket: object, public_key: str) -> None:
    zmq = zmq_or_hint()
    if len(public_key) != 40:
        raise ValueError(f"the public key has {len(public_key)} characters, expected 40")
    socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()  # type: ignore[attr-defined]
    try:
        socket.curve_serverkey = public_key.encode("ascii")  # type: ignore[attr-defined]
    except zmq.ZMQError as error:
        raise ValueError("the public key holds characters that no key has") from error
