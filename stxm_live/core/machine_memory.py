"""The largest stack that this machine has the memory for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

LARGEST_STACK_BYTES = 8 * 2**30
"""Images of a stack in float32, on any machine."""

_SHARE = 0.5
"""Share of the available memory that the images may take; maps need as much again."""

_FILES = {"memory.max": "memory.current", "memory.limit_in_bytes": "memory.usage_in_bytes"}
"""Files with the limit of a control group of Linux and its use, of versions 2 and 1."""


def largest_stack_bytes(root: Path = Path("/")) -> int:
    """Return the largest size of the images of a stack in float32, in bytes.

    This is half of the available memory and at most 8 GiB. The limit of a container or a
    service (a control group) counts as well. Where the system is not Linux, it is 8 GiB.

    Parameters
    ----------
    root : Path
        Folder with ``proc`` and ``sys``.
    """
    return min(LARGEST_STACK_BYTES, int(_SHARE * available_bytes(root)))


def available_bytes(root: Path = Path("/")) -> int:
    """Return the memory that this process may still take; 16 GiB where nothing says it.

    Parameters
    ----------
    root : Path
        Folder with ``proc`` and ``sys``.
    """
    return min(_available_bytes(root), default=2 * LARGEST_STACK_BYTES)


def _available_bytes(root: Path) -> Iterator[int]:
    """Yield the memory that the machine, and each control group of this process, has left."""
    machine = _numbers(root / "proc/meminfo").get("MemAvailable:")
    if machine is not None:
        yield 1024 * machine
    for folder in _groups(root):
        for limit_name, used_name in _FILES.items():
            limit, used = (_number(folder / name) for name in (limit_name, used_name))
            if limit is not None and used is not None:
                cache = _numbers(folder / "memory.stat").get("inactive_file", 0)
                yield max(0, limit - used + cache)


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folders of the control groups of this process, with those around them."""
    for line in _lines(root / "proc/self/cgroup"):
        _, names, path = line.split(":", 2)
        if names in ("", "memory"):
            top = root / "sys/fs/cgroup" / names
            folder = top / path.strip("/")
            yield from (folder, *(p for p in folder.parents if p.is_relative_to(top)))


def _numbers(path: Path) -> dict[str, int]:
    """Return the lines of a file of names and numbers."""
    words = (line.split() for line in _lines(path))
    return {w[0]: int(w[1]) for w in words if len(w) > 1 and w[1].isdecimal()}


def _number(path: Path) -> int | None:
    """Return the number in a file; None if there is none, such as "max"."""
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
