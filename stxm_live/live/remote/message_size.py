"""The number of values in a message, counted before any of them is made."""

from __future__ import annotations

MAX_VALUES = 500_000
"""Most numbers, texts, lists and maps of a message; an array counts as one."""

MAX_DEPTH = 64
"""Most lists and maps within each other."""

_BYTES_AFTER = {
    **dict.fromkeys((0xC0, 0xC2, 0xC3), 0),
    **{0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8},
    **{0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17},
}
"""Values of a fixed size: constants, numbers and short extensions."""

_LENGTH_BYTES = {
    **{0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0)},  # bytes
    **{0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)},  # extensions, with their type
    **{0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)},  # texts
}
"""Values with a length: bytes of the length, and bytes that it does not count."""

_ITEMS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Long lists and maps: bytes of the length, and values of each item."""


def check_values(message: bytes | memoryview) -> None:
    r"""Raise an error if a message of msgpack has too many values, or is too deep.

    A list of empty lists takes a byte each on the wire and 64 in memory; only the sum of all
    values bounds what a message becomes. What is no msgpack is left to the reader of it.

    Raises
    ------
    ValueError
        If it has.

    Examples
    --------
    >>> check_values(b"\x92\x90\x90")  # [[], []]
    >>> check_values(b"\x91" * 100 + b"\x90")
    Traceback (most recent call last):
    ValueError: the message has lists or maps more than 64 deep
    """
    position, open_ = 0, [1]  # values that are still to come, at each depth
    for _ in range(MAX_VALUES):
        while open_ and not open_[-1]:
            open_.pop()
        if not open_ or position >= len(message):
            return
        open_[-1] -= 1
        position, n_items = _next(message, position)
        if n_items:
            open_.append(n_items)
            if len(open_) > MAX_DEPTH:
                raise ValueError(f"the message has lists or maps more than {MAX_DEPTH} deep")
    raise ValueError(f"the message has more than {MAX_VALUES} values outside arrays")


def _next(message: bytes | memoryview, position: int) -> tuple[int, int]:
    """Return the position after a value, without its items, and the number of items."""
    code = message[position]
    position += 1
    if 0x80 <= code < 0xA0:
        return position, (code & 0x0F) * (2 if code < 0x90 else 1)
    if 0xA0 <= code < 0xC0:
        return position + (code & 0x1F), 0
    if code in _ITEMS:
        n_bytes, of_each = _ITEMS[code]
        return position + n_bytes, of_each * _number(message, position, n_bytes)
    if code in _LENGTH_BYTES:
        n_bytes, more = _LENGTH_BYTES[code]
        return position + n_bytes + more + _number(message, position, n_bytes), 0
    return position + _BYTES_AFTER.get(code, 0), 0


def _number(message: bytes | memoryview, position: int, n_bytes: int) -> int:
    return int.from_bytes(message[position : position + n_bytes], "big")
