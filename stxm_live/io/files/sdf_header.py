"""The text structure of an SDF header: ``name = value;``, ``{...}`` and ``(n, ...)``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stxm_live.core.text_files import check_regular

MAX_HEADER_BYTES = 16 * 2**20
"""Largest header that is read."""

_TOKEN = re.compile(r'"[^"]*"|[-+\w.]+|[{}()=,;]|\S')


def read_header(path: Path) -> dict[str, Any]:
    """Return a header as dicts (``{...}``), lists (``(n, ...)`` without n), numbers and strings.

    Raises
    ------
    ValueError
        If the text is not of this form; the message names the file and the line.
    """
    if check_regular(path).stat().st_size > MAX_HEADER_BYTES:
        raise ValueError(f"{path}: a header of more than {MAX_HEADER_BYTES} bytes")
    text = path.read_text(encoding="latin-1")
    if text.lstrip().startswith("ENVI"):
        raise ValueError(
            f"{path}: a header of ENVI, not of an SDF stack; export the images as TIFF"
        )
    found = _Parser(path, list(_tokens(text))).assignments(end="")
    if not found:
        raise ValueError(f"{path}: an empty header")
    return found


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Yield tokens with the line they are on; an empty one ends the file."""
    number = 1
    for number, line in enumerate(text.splitlines(), start=1):
        for match in _TOKEN.finditer(line):
            yield match.group(), number
    yield "", number


class _Parser:
    """Read tokens one after the other."""

    def __init__(self, path: Path, tokens: list[tuple[str, int]]) -> None:
        self._path = path
        self._tokens = tokens
        self._at = 0
        self._line = 1

    def assignments(self, end: str) -> dict[str, Any]:
        """Return ``name = value;`` pairs until ``end`` (empty: the end of the file)."""
        found: dict[str, Any] = {}
        while (name := self._next()) != end:
            if name == ";":
                continue
            if not name:
                raise self._error(end, name)
            self._expect("=", f"{name} = ...")
            found[name] = self._value()
        return found

    def _value(self) -> Any:
        token = self._next()
        if token == "{":
            return self.assignments(end="}")
        if token == "(":
            return self._items()
        if token.startswith('"'):
            return token.strip('"')
        if token in ("", "}", ")", "=", ",", ";"):
            raise self._error("a value", token)
        try:
            return float(token)
        except ValueError:
            return {"true": True, "false": False}.get(token, token)

    def _items(self) -> list[Any]:
        """Return the items of an array after its opening parenthesis; the first is their number."""
        items = [self._value()]
        while (token := self._next()) != ")":
            if token == "}":  # some converted headers have one too many here
                continue
            if token != ",":
                raise self._error("',' or ')'", token)
            items.append(self._value())
        n_items = len(items) - 1
        if items[0] != n_items:
            raise self._error(f"an array that begins with {n_items}, its length", str(items[0]))
        return items[1:]

    def _next(self) -> str:
        token, self._line = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _expect(self, wanted: str, what: str) -> None:
        token = self._next()
        if token != wanted:
            raise self._error(what, token)

    def _error(self, expected: str, token: str) -> ValueError:
        found = token or "the end of the file"
        return ValueError(
            f"{self._path}, line {self._line}: expected {expected:.80}, found {found:.80}"
        )
