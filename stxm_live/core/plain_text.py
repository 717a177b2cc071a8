"""Text from documents and files, made harmless for terminals, logs and spreadsheets."""

from __future__ import annotations

import logging
import re

_FORMULA = re.compile(r"^\s*[=@+\-\uff1d\uff20\uff0b\uff0d]")
_CALCULATES = re.compile(r"""[=@+\-*/^&|!:("'\uff00-\uff65]""")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.IGNORECASE)
_SEPARATORS = re.compile(r"([,;])")


def printable(text: object) -> str:
    r"""Return a text of which a terminal shows every character: no control sequences.

    Control characters and those that change the direction of writing become escapes such as
    ``\x1b``, a tab becomes a space; line ends stay.

    Examples
    --------
    >>> print(printable("good\rpoor"))
    good\x0dpoor
    """
    whole = str(text)
    if whole.isprintable():  # nearly always, and told forty times as fast
        return whole
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in whole)


def one_line(text: object) -> str:
    r"""Return a `printable` text in one line, with single spaces.

    Examples
    --------
    >>> one_line("sample\n7")
    'sample 7'
    """
    return printable(" ".join(str(text).split()))


def error_in_words(error: BaseException) -> str:
    """Return the text of an error, without Python's own marks.

    Examples
    --------
    >>> error_in_words(KeyError("no run 7")), error_in_words(OSError(28, "the disk is full"))
    ('no run 7', 'the disk is full')
    >>> error_in_words(OSError(28, "No space left on device", "maps.nxs"))
    'maps.nxs: no space left on device'
    """
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, OSError) and error.strerror:
        name, why = error.filename, error.strerror
        return why if name is None else f"{name}: {why.lower()}"
    return str(error)


def _escaped(character: str) -> str:
    if character.isspace():
        return {"\r": "\\x0d"}.get(character, " ")
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula when it stands in a cell.

    Parts between semicolons are cells where the decimal sign is a comma.

    Examples
    --------
    >>> cell("=1+1"), cell("-0.2"), cell("Na3VPF"), cell("a;=1+1")
    ("'=1+1", '-0.2', 'Na3VPF', "a;'=1+1")
    """
    return ";".join(map(_defused, one_line(text).split(";")))


def remark(text: str) -> str:
    """Return one line of remarks, none of whose parts between commas is taken for a formula.

    Examples
    --------
    >>> remark("shifts 0.3, -0.2 px; sample a, =cmd()")
    "shifts 0.3, -0.2 px; sample a, '=cmd()"
    """
    return "".join(map(_defused, _SEPARATORS.split(one_line(text))))


def _defused(part: str) -> str:
    """Return a part with an apostrophe before a formula; a number with a unit is none."""
    number, _, unit = part.strip().partition(" ")
    is_quantity = _NUMBER.fullmatch(number) and not _CALCULATES.search(unit)
    if is_quantity or not _FORMULA.match(part):
        return part
    text = part.lstrip()
    return f"{part[: len(part) - len(text)]}'{text}"


def for_files(text: str) -> str:
    r"""Return a text that every file takes: half a character and a zero become question marks.

    HDF5 refuses both, UTF-8 the first, which is a lone surrogate and may come in JSON.

    Examples
    --------
    >>> for_files("sample\0 7\ud800")
    'sample? 7?'
    """
    return text.replace("\0", "?").encode("utf-8", "replace").decode()


class PlainRecords(logging.Filter):
    """A filter of a logger: every message is one printable line, whatever a document holds."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Make the message of a record plain, and keep the record."""
        record.msg, record.args = one_line(record.getMessage()), None
        return True
