"""Files of whole layouts and headers with something else in them than their program writes.

Unlike `spoilt_files` they are sound HDF5 and text: data sets that are missing, of another shape,
kind or unit, other attributes, links that go in circles; headers with other words and numbers.
Right is a stack in which each image has its own energy and orientation, or a refusal that names the
file, what was found and what to do.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import h5py
import nexus_files
import numpy as np
from sdf_files import write_sdf

from stxm_live.core.stack import Stack
from stxm_live.io.files.reading import read_here

REFUSALS = (ValueError, FileNotFoundError)
LONGEST = 1500

ENERGIES = np.array([700.0, 701.5, 702.0])
SHAPE = (3, 5, 4)
CUBE = nexus_files.counts(*np.indices(SHAPE))
X_UM = np.array([-2.0, -1.5, -1.0, -0.5])
Y_UM = 10.0 + np.arange(5)


def write_exchange(path):
    with h5py.File(path, "w") as file:
        file["implements"] = "information:exchange:spectromicroscopy"
        file["exchange/data"] = CUBE.transpose(2, 1, 0)
        file["exchange/data"].attrs["axes"] = "x:y:energy"
        file["exchange/energy"], file["exchange/x"], file["exchange/y"] = ENERGIES, X_UM, Y_UM


WRITERS: tuple[Callable[[Path], object], ...] = (
    lambda path: nexus_files.write_cls(path, cube=CUBE),
    nexus_files.write_pollux,
    nexus_files.write_pollux_2017,
    nexus_files.write_hermes,
    nexus_files.write_i08,
    lambda path: nexus_files.write_pystxmcontrol_3(path, cube=CUBE),
    write_exchange,
)

VALUES = (
    lambda rng, old: np.asarray(old).T,
    lambda rng, old: np.ravel(old)[: max(np.size(old) // 2, 1)],
    lambda rng, old: np.zeros(0),
    lambda rng, old: np.float64(3.5),
    lambda rng, old: np.stack([np.ravel(old)] * 2),
    lambda rng, old: np.full(np.shape(old), np.nan),
    lambda rng, old: np.full(np.shape(old), np.inf),
    lambda rng, old: -np.abs(np.asarray(old, dtype=float)) - 1,
    lambda rng, old: np.zeros(np.shape(old)),
    lambda rng, old: np.asarray(old)[..., ::-1],
    lambda rng, old: np.asarray(old, dtype=float) * rng.choice((1e-300, 1e-3, 1e3, 1e300)),
    lambda rng, old: np.asarray(old).astype(rng.choice(("i1", "u2", "f2", "c8", "?", "S8"))),
    lambda rng, old: "a text",
    lambda rng, old: np.array([b"a", b"text"]),
    lambda rng, old: np.zeros(2, dtype=[("a", "f4"), ("b", "i2")]),
    lambda rng, old: np.ones((2, 2, 2, 2)),
)
UNITS = ("", "mm", "nm", "furlong", "eV", "keV", "s", " ", b"\xb5m", b"\xff\xfe", 3, [1, 2], ["um"])
AXES = (
    ["energy", "sample_x", "sample_y"],
    "sample_y:sample_x",
    ["a", "b", "c"],
    [0, 1, 2],
    b"\xff",
    "",
    ["energy"] * 3,
)


def _datasets(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, node: found.append(name))
    return [name for name in found if isinstance(file.get(name), h5py.Dataset)]


def mutate_structure(path: Path, rng: random.Random) -> tuple[str, bool]:
    """Change one thing of a file; what was done, and if the counts or their claims changed."""
    with h5py.File(path, "a") as file:
        names = _datasets(file)
        if not names:
            return "nothing left", True
        name = rng.choice(names)
        parent, last = name.rsplit("/", 1) if "/" in name else ("/", name)
        kind = rng.choice(("delete", "value", "value", "unit", "axes", "rename", "link", "group"))
        is_claim = last in ("data", "energy", "photon_energy") or kind == "axes"
        if kind == "unit":
            node = file[name]
            unit = rng.choice(UNITS)
            node.attrs["units"] = np.bytes_(unit) if isinstance(unit, bytes) else unit
            return f"{name} in {unit!r}", last in ("energy", "photon_energy")
        if kind == "axes":
            group = file[parent]
            axes = rng.choice(AXES)
            group.attrs["axes"] = np.bytes_(axes) if isinstance(axes, bytes) else axes
            return f"{parent} with axes {axes!r}", True
        old = file[name][()]
        del file[name]
        if kind == "value":
            number = rng.randrange(len(VALUES))
            try:
                with np.errstate(all="ignore"):
                    file[name] = VALUES[number](rng, old)
            except (ValueError, TypeError, OverflowError, IndexError):
                file[name] = "a text"
            return f"{name} with value {number}", is_claim
        if kind == "rename":
            file[f"{parent}/{last}_2"] = old
        elif kind == "link":
            file[name] = h5py.SoftLink(f"/{rng.choice((name, parent, 'nowhere'))}")
        elif kind == "group":
            file.create_group(name)
    return f"{kind} {name}", is_claim


HEADER_WORDS = (
    *("", "0", "-1", "1e999", "nan", "3", "99999", "{", "}", "(", ")", ";", "=", '"', "um"),
    *("mm", '"furlong"', '"Image"', '"Image Stack"', '"Focus Scan"', "(2, 1, 2)", "Points", "\x00"),
)
_WORD = re.compile(r'"[^"]*"|[-+\w.]+|[{}()=,;]')


def mutate_header(path: Path, rng: random.Random) -> str:
    """Change one to three words of a header, or leave out or repeat a line."""
    text = path.read_text(encoding="latin-1")
    done = []
    for _ in range(rng.randint(1, 3)):
        lines = text.split("\n")
        if rng.random() < 0.2:
            k = rng.randrange(len(lines))
            lines[k : k + 1] = rng.choice(([], [lines[k]] * 2))
            text = "\n".join(lines)
            done.append(f"line {k + 1}")
            continue
        words = list(_WORD.finditer(text))
        if not words:
            break
        word, new = rng.choice(words), rng.choice(HEADER_WORDS)
        text = text[: word.start()] + new + text[word.end() :]
        done.append(f"{word.group()!r} -> {new!r}")
    path.write_text(text, encoding="latin-1")
    return "; ".join(done)


def structures_gone_through(folder: Path, seed: int, n: int) -> tuple[Counter[str], list[str]]:
    """Read mutated HDF5 files; the number read and refused, and what went wrong."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    faults: list[str] = []
    small = {name: getattr(nexus_files, name) for name in ("CUBE", "ENERGIES", "X_UM", "Y_UM")}
    path = folder / "mutated.hdf5"
    try:
        for name in small:
            setattr(nexus_files, name, globals()[name])
        for k in range(n):
            rng.choice(WRITERS)(path)
            done, claims = zip(
                *(mutate_structure(path, rng) for _ in range(rng.randint(1, 2))), strict=True
            )
            stack = _read(path, f"{k}: {'; '.join(done)}", counts, faults)
            if stack is not None and not any(claims):
                _check_same(stack, f"{k}: {'; '.join(done)}", faults)
    finally:
        for name, value in small.items():
            setattr(nexus_files, name, value)
    return counts, faults


def headers_gone_through(folder: Path, seed: int, n: int) -> tuple[Counter[str], list[str]]:
    """Read stacks with mutated SDF headers; the number read and refused, and what went wrong."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    faults: list[str] = []
    path = folder / "mutated.hdr"
    for k in range(n):
        write_sdf(path, CUBE, ENERGIES, x_um=X_UM, y_um=Y_UM)
        done = mutate_header(path, rng)
        _read(path, f"{k}: {done}", counts, faults)
    return counts, faults


def _read(path: Path, done: str, counts: Counter[str], faults: list[str]) -> Stack | None:
    try:
        stack = read_here(path)
    except REFUSALS as error:
        counts["refused"] += 1
        text = str(error)
        if path.stem not in text or "\n" in text or len(text) > LONGEST:
            faults.append(f"{done}: refused with {text!r:.300}")
        return None
    except Exception as error:  # noqa: BLE001  any other error is what is looked for
        faults.append(f"{done}: {type(error).__name__}: {error!s:.300}")
        return None
    counts["read"] += 1
    return stack


def _check_same(stack: Stack, done: str, faults: list[str]) -> None:
    """Report a stack in which an image is not where its energy, row and column are."""
    for frame in stack.frames:
        k = int(np.argmin(np.abs(ENERGIES - frame.energy_ev)))
        if frame.intensity.shape != SHAPE[1:] or not np.array_equal(frame.intensity, CUBE[k]):
            faults.append(f"{done}: read, but the image at {frame.energy_ev:g} eV is another one")
            return
