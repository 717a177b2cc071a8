"""One question to another process, and its answer."""

from __future__ import annotations

from stxm_live.io.other_process import OtherProcess
from stxm_live.live.remote.addresses import absolute_address
from stxm_live.live.remote.sockets import attach, zmq_or_hint

MAX_ANSWER_BYTES = 2**20
"""A longer answer is not read."""

_MEMORY_BYTES = 512 * 2**20
"""Memory for an answer of someone who is not known, whose parts 0MQ collects."""

_SPARE_S = 5.0

_SEVERAL_PARTS = "answers in several parts; expected one"

_process = OtherProcess("stxm_live.io.message_process")


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
    if public_key is None:
        return _answer_of_anyone(address, question, timeout_s)
    try:
        with zmq.Context() as context, context.socket(zmq.REQ) as socket:
            socket.set(zmq.LINGER, 0)
            socket.set(zmq.MAXMSGSIZE, MAX_ANSWER_BYTES)
            _encrypt(socket, public_key)
            attach(socket, address, bind=False)
            socket.send(question)
            if not socket.poll(round(1000 * timeout_s)):
                raise TimeoutError(f"{address} does not answer within {timeout_s:g} s")
            answer: bytes = socket.recv()
            if socket.get(zmq.RCVMORE):
                raise ValueError(f"{address} {_SEVERAL_PARTS}")
            return answer
    except zmq.ZMQError as error:
        raise OSError(error.errno, f"{address} cannot be asked ({error.strerror})") from error


def _answer_of_anyone(address: str, question: bytes, timeout_s: float) -> bytes:
    """Return the answer of whoever has the address, received within a limit of memory."""
    request = {
        "what": "ask",
        "address": absolute_address(address),
        "question": question.decode("latin-1"),
        "timeout_s": timeout_s,
        "most_bytes": MAX_ANSWER_BYTES,
        "memory_bytes": _MEMORY_BYTES,
    }
    with _process.lock:
        try:
            header = _process.asked(request, timeout_s + _SPARE_S)
            is_there = header["has_come"] and header["is_single"]
            answer = _process.answering(_SPARE_S).recv_bytes(MAX_ANSWER_BYTES) if is_there else b""
        except BaseException as error:
            _process.end()
            if isinstance(error, EOFError):
                raise ValueError(f"{address} gives an answer that takes too much memory") from None
            raise
    if not header["has_come"]:
        raise TimeoutError(f"{address} does not answer within {timeout_s:g} s")
    if not header["is_single"]:
        raise ValueError(f"{address} {_SEVERAL_PARTS}")
    return answer


def _encrypt(socket: object, public_key: str) -> None:
    zmq = zmq_or_hint()
    if len(public_key) != 40:
        raise ValueError(f"the public key has {len(public_key)} characters, expected 40")
    socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()  # type: ignore[attr-defined]
    try:
        socket.curve_serverkey = public_key.encode("ascii")  # type: ignore[attr-defined]
    except zmq.ZMQError as error:
        raise ValueError("the public key holds characters that no key has") from error
