"""Text files as people have them: any encoding, and decimal commas."""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MAX_TEXT_BYTES = 64 * 2**20
"""Largest text file of numbers that is read."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+|\d*,\d+)(?:[eE][+-]?\d+)?|nan", re.IGNORECASE)


def check_regular(path: Path) -> Path:
    """Return the path, or raise an error if it is a pipe, a device, a socket or a folder.

    Raises
    ------
    FileNotFoundError
        If there is nothing of this name.
    ValueError
        If it is not a regular file: reading others may never end.
    """
    if not path.is_file():
        path.stat()
        raise ValueError(f"{path}: not a regular file")
    return path


def read_bytes(path: Path, most_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """Return the content of a regular file.

    Raises
    ------
    ValueError
        If it is no regular file, or has more bytes.
    """
    if check_regular(path).stat().st_size > most_bytes:
        raise ValueError(f"{path}: larger than {most_bytes // 2**20} MiB, and not read for that")
    return path.read_bytes()


def read_text(path: Path, most_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a file in UTF-8, UTF-16, UTF-32 or, if it is none of these, cp1252.

    Raises
    ------
    ValueError
        If the file is no text, no regular file, or too large.
    """
    content = read_bytes(path, most_bytes)
    for encoding in _encodings(content):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    if b"\0" in content:
        raise ValueError(f"{path}: not a text file")
    return content.decode("cp1252", "replace")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the values of a TOML file.

    Raises
    ------
    ValueError
        If the file is no text, too large, or no TOML.
    """
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except ValueError as error:  # an integer of too many digits is no TOMLDecodeError
        raise ValueError(f"{path}: {error}") from None


def _encodings(content: bytes) -> Iterable[str]:
    """Return the encodings that a text may have, the likeliest first."""
    named = [encoding for bom, encoding in _BOMS if content.startswith(bom)]
    if named:
        return named
    zeros = content.count(0)
    if zeros > len(content) / 4:  # UTF-16 of a program that writes no mark
        odd = content[1::2].count(0)
        return ("utf-16-le",) if odd > zeros / 2 else ("utf-16-be",)
    return () if zeros else ("utf-8",)


def with_decimal_points(path: Path, text: str) -> str:
    """Return a text with points in place of decimal commas, and blanks between its columns.

    Commas are decimal where blanks, tabs or semicolons separate the columns, as German and French
    programs write them. A text in which commas separate the columns is returned as it is.

    Raises
    ------
    ValueError
        If commas may be decimal or separate thousands.

    Examples
    --------
    >>> with_decimal_points(Path("a.txt"), "505,0;0,25")
    '505.0;0.25'
    >>> with_decimal_points(Path("a.csv"), "505.0, 0.25")
    '505.0, 0.25'
    """
    lines = [cells for line in text.splitlines() if (cells := _cells(line))]
    if not lines or not any("," in cell for cells in lines for cell in cells):
        return text
    if any("," in cell and not _DECIMAL_COMMA.fullmatch(cell) for cells in lines for cell in cells):
        return text  # such as "505.0," or "505,0,25": the commas separate columns
    with_comma = [cell for cells in lines for cell in cells if "," in cell]
    if not any("," in cells[0] for cells in lines) and all(map(_THOUSANDS.fullmatch, with_comma)):
        raise ValueError(
            f"{path}: {with_comma[0]!r} may have a decimal comma or separate thousands; write "
            "decimal points"
        )
    return "\n".join(
        line.replace(",", ".").replace('"', "") if _cells(line) else line
        for line in text.splitlines()
    )


def _cells(line: str) -> list[str]:
    """Return the cells of a line of two or more numbers that other signs than commas separate."""
    cells = re.split(r"\s*[;\t]\s*|\s+", line.strip().rstrip(";"))
    cells = [cell.strip('"') for cell in cells]
    ends_open = [cell.rstrip(",") for cell in cells]
    return cells if len(cells) > 1 and all(map(_NUMBER.fullmatch, ends_open)) else []
