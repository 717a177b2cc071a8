"""Files of every reader, spoilt in many ways, each read in a process that may die of it.

As a program it reads files numbered from FIRST on and prints one line of JSON for each:

    python spoilt_files.py FOLDER SEED FIRST COUNT
"""

from __future__ import annotations

import json
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MOST_MIB = 4096
"""Memory of the process that reads, beyond which the system refuses more."""

LONGEST_S = 10.0

KILLED_S = 20

NUMBERS = (b"1e999", b"-1", b"nan", b"0", b"99999999999", b"1e-320", b"", b"inf", b"{", b"0x10")
NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def make_files(folder: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Write one small file of each kind; what is opened and what may be spoilt, by kind."""
    import nexus_files
    import tifffile

    from stxm_live.io.files import read_stack, write_ncb

    cube = nexus_files.CUBE.astype(np.float32)
    made: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name in ("cls", "pollux", "pystxmcontrol_3", "pystxmcontrol_2"):
        getattr(nexus_files, f"write_{name}")(folder / f"{name}.hdf5")
        made[name] = (f"{name}.hdf5", (f"{name}.hdf5",))
    _write_sdf(folder, cube)
    made["sdf"] = ("s.hdr", ("s.hdr", "s_a000.xim", "s_a002.xim"))

    write_ncb(folder / "n.ncb", read_stack(folder / "s.hdr"))
    made["ncb"] = ("n.ncb", ("n.ncb", "n.dat"))
    tifffile.imwrite(folder / "t.tif", cube, photometric="minisblack")
    (folder / "t.toml").write_text(
        'file = "t.tif"\nenergies = [700.0, 701.5, 702.0]\npixel_size_um = [0.5, 2.0]\n'
    )
    made["tiff"] = ("t.toml", ("t.toml", "t.tif"))
    lines = "".join(f"{e:.2f},{e / 700:.4f},{701 / e:.4f}\n" for e in np.arange(698, 704, 0.5))
    (folder / "r.csv").write_text("energy_ev,A,B\n" + lines)
    made["references"] = ("r.csv", ("r.csv",))
    return made


def _write_sdf(folder: Path, cube: np.ndarray) -> None:
    from particles import SDF_HEADER

    n, ny, nx = cube.shape
    numbers = {
        "columns": ", ".join(map(str, range(nx))),
        "rows": ", ".join(map(str, range(ny))),
        "energies": "700.0, 701.5, 702.0",
    }
    sizes = {"x": nx - 1, "y": ny - 1, "nx": nx, "ny": ny, "low": 700.0, "high": 702.0, "n": n}
    (folder / "s.hdr").write_text(SDF_HEADER.format(name="s", **sizes, **numbers))
    for k, image in enumerate(cube):
        text = "".join("\t".join(f"{v:.3f}" for v in row) + "\n" for row in image)
        (folder / f"s_a{k:03d}.xim").write_text(text)


# ways to spoil the bytes of a file: (random, bytes) -> bytes


def flipped(rand: random.Random, raw: bytes) -> bytes:
    spoilt = bytearray(raw)
    for _ in range(rand.randint(1, 8)):
        spoilt[rand.randrange(len(raw))] ^= 1 << rand.randrange(8)
    return bytes(spoilt)


def truncated(rand: random.Random, raw: bytes) -> bytes:
    return raw[: rand.randrange(len(raw))]


def with_noise(rand: random.Random, raw: bytes) -> bytes:
    k = rand.randrange(len(raw))
    return raw[:k] + rand.randbytes(rand.randint(1, 64)) + raw[k + rand.choice((0, 32)) :]


def zeroed(rand: random.Random, raw: bytes) -> bytes:
    k, n = rand.randrange(len(raw)), rand.randint(1, 256)
    return raw[:k] + bytes(min(n, len(raw) - k)) + raw[k + n :]


def doubled(rand: random.Random, raw: bytes) -> bytes:
    k = rand.randrange(len(raw))
    return raw[: k + rand.randint(1, 256)] + raw[k:]


def renumbered(rand: random.Random, raw: bytes) -> bytes:
    found = list(NUMBER.finditer(raw))
    if not found:
        return flipped(rand, raw)
    place = rand.choice(found)
    return raw[: place.start()] + rand.choice(NUMBERS) + raw[place.end() :]


WAYS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    *(flipped, truncated, with_noise, zeroed, doubled, renumbered),
)


@dataclass(frozen=True)
class Reading:
    """What came of one spoilt file: "read", "refused", or a fault in words."""

    name: str
    outcome: str
    seconds: float
    mib: float


def read_spoilt(folder: Path, seed: int, first: int, count: int) -> Iterator[Reading]:
    """Spoil and read files in this process; it may die of one."""
    from stxm_live.cli.errors import EXPECTED
    from stxm_live.core.references import ReferenceSpectra
    from stxm_live.io.files import read_stack

    resource.setrlimit(resource.RLIMIT_AS, (MOST_MIB * 2**20,) * 2)
    kinds = json.loads((folder / "kinds.json").read_text())
    here = folder / f"spoilt-{first}"
    for n in range(first, first + count):
        rand = random.Random(f"{seed} {n}")
        kind = sorted(kinds)[n % len(kinds)]
        opened, files = kinds[kind]
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        for path in folder.glob(f"{Path(files[0]).stem}*.*"):
            shutil.copy(path, here)
        target, way = rand.choice(files), rand.choice(WAYS)
        (here / target).write_bytes(way(rand, (here / target).read_bytes()))
        name = f"{n} {target} {way.__name__}"
        _say({"begins": name})
        signal.alarm(KILLED_S)
        start = time.monotonic()
        try:
            if kind == "references":
                ReferenceSpectra.from_csv(here / opened)
            else:
                stack = read_stack(here / opened)
                sum(float(np.nansum(frame.intensity)) for frame in stack.frames)
            outcome = "read"
        except EXPECTED as error:
            outcome = "refused" if str(error).strip() else f"refused without a word: {error!r}"
        except MemoryError:
            outcome = "took more than its memory"
        except Exception as error:  # noqa: BLE001  all of them are reported
            outcome = f"{type(error).__name__}: {error}"
        yield Reading(name, outcome, time.monotonic() - start, _most_mib())
    shutil.rmtree(here, ignore_errors=True)


def _most_mib() -> float:
    """Return the most memory of this process, or of the one that reads for it."""
    from stxm_live.io.files import reading_apart

    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    own = max(resource.getrusage(who).ru_maxrss for who in whose) / 1024
    try:
        status = Path(f"/proc/{reading_apart._process.pid}/status").read_text()
    except OSError:
        return own
    peak = re.search(r"VmHWM:\s*(\d+) kB", status)
    return max(own, int(peak[1]) / 1024 if peak else 0.0)


def gone_through(folder: Path, seed: int, n_files: int) -> tuple[Counter[str], list[str], float]:
    """Read so many spoilt files; how many of each outcome, the faults, and the most MiB taken."""
    (folder / "kinds.json").write_text(json.dumps(make_files(folder)))
    counts: Counter[str] = Counter()
    faults: list[str] = []
    most_mib = 0.0
    n = 0
    while n < n_files:
        begun, done = "", 0
        for line in _lines(folder, seed, n, n_files - n):
            begun = line.get("begins", "")
            if not begun:
                done += 1
                most_mib = max(most_mib, line["mib"])
                is_fine = line["outcome"] in ("read", "refused")
                counts[line["outcome"] if is_fine else "fault"] += 1
                if not is_fine or line["seconds"] > LONGEST_S:
                    faults.append(f"{line['name']}: {line['outcome']}, {line['seconds']:.1f} s")
        n += done
        if begun:
            counts["fault"] += 1
            faults.append(f"{begun}: ended the process, or took more than {KILLED_S} s")
            n += 1
    return counts, faults, most_mib


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _lines(folder: Path, seed: int, first: int, count: int) -> Iterator[dict]:
    command = [sys.executable, __file__, str(folder), str(seed), str(first), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)


if __name__ == "__main__":
    import faulthandler

    faulthandler.enable(sys.stderr)
    for reading in read_spoilt(Path(sys.argv[1]), *map(int, sys.argv[2:])):
        _say(vars(reading))
