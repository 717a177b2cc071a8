"""The programs that `python -m benchmarks` runs, and how one of them is run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common.figures import SKIPPED, Figure, read_figures

ROOT = Path(__file__).parents[2]
ALS_STACK = ROOT.parent / "shared" / "data" / "als_fe_l23_71214078_sdf.tgz"


@dataclass(frozen=True)
class Program:
    """One benchmark.

    Parameters
    ----------
    module : str
        Below `benchmarks`.
    quick, full : str, optional
        Arguments of the quick run and of the whole one; None leaves it out of that run.
    real : bool
        Takes ``--real FOLDER`` with the measured iron stack; in the whole run only.
    """

    module: str
    quick: str | None
    full: str | None = ""
    real: bool = False


PROGRAMS: dict[str, Program] = {
    "live": Program("speed.live", "--side 256 --repeats 3"),
    "encoder": Program("speed.encoder", "--side 256"),
    "correlation": Program("speed.correlation", "--side 256 --repeats 3"),
    "exploration": Program("speed.exploration", "--side 64 --repeats 1", real=True),
    "figure": Program("speed.figure", "--side 256 --pairs 1 --image-s 0.5"),
    "image_files": Program("speed.image_files", ""),
    "archive": Program("speed.archive", None),
    "catalog": Program("speed.catalog", "--runs 200 --side 128 --repeats 1"),
    "memory": Program("speed.memory", None),
    "large_stack": Program("speed.large_stack", None, "--side 512 --energies 60 --gib 0.1"),
    "display": Program("speed.display", None),
    "resolver": Program("accuracy.resolver", "--side 256"),
    "truth": Program("accuracy.truth", "--worlds matched --photons 1000 --seeds 1"),
    "alignment": Program(
        "accuracy.alignment",
        "--side 128 --seeds 1 --photons 1000 --no-peers --cost-sides 256",
        "--seeds 2",
        real=True,
    ),
    "i0": Program("accuracy.i0", "--seeds 1", "--seeds 3"),
    "amounts": Program("accuracy.amounts", "--quick"),
    "composition": Program("accuracy.composition", "--seeds 1 --photons 1000"),
    "any_energies": Program("accuracy.any_energies", "--seeds 1"),
    "sparse": Program("accuracy.sparse", "--seeds 1", real=True),
    "damage": Program("accuracy.damage", "--quick --stacks 20 --side 64"),
    "composite": Program("accuracy.composite_worlds", "--quick --parts worlds"),
    "promises": Program("accuracy.promises", None),
    "energy_axis": Program("accuracy.energy_axis", None, real=True),
    "energy_choice": Program("accuracy.energy_choice", None, "--side 96 --seeds 2"),
    "dose": Program("accuracy.dose", None, "--seeds 1 3 5"),
    "dose_by_plan": Program("accuracy.dose", None, "--plan --photons 1000"),
    "dose_promises": Program("accuracy.dose_promises", None),
    "regions": Program("accuracy.regions", None, "--fields 80 --all"),
    "mantis": Program("peers.mantis", None),
    "harm": Program("robustness.harm", None),
    "kill": Program("robustness.harm", None, "--kill"),
    "endings": Program("robustness.endings", None),
    "first_look": Program("robustness.first_look", None),
    "scan_thread": Program("robustness.scan_thread", None),
    "sizes": Program("robustness.sizes", None),
    "layouts": Program("robustness.layouts", None),
    "faults": Program("robustness.harm", None, "--faults 40000"),
    "files": Program("robustness.files", None, "--files 20000"),
    "messages": Program("robustness.harm", None, "--messages 20000"),
    "growth": Program("robustness.harm", None, "--images 10000"),
}


@dataclass(frozen=True)
class Outcome:
    """What came of a program: key figures, or the reason why there are none."""

    seconds: float
    figures: tuple[Figure, ...] = ()
    reason: str = ""
    skipped: bool = False


def run_program(module: str, arguments: Sequence[str], timeout_s: float) -> Outcome:
    """Run a benchmark in a process of its own; whatever happens to it ends up in the outcome."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
        begun = time.monotonic()
        status, said = _ended([*command, "--figures", str(path)], timeout_s)
        seconds = time.monotonic() - begun
        if status is None:
            return Outcome(seconds, reason=f"not done after {timeout_s:.0f} s")
        if status != 0:
            last = next((line for line in reversed(said.splitlines()) if line.strip()), "")
            reason = last if status == SKIPPED else f"failed with status {status}: {last}"
            return Outcome(seconds, reason=reason, skipped=status == SKIPPED)
        try:
            return Outcome(seconds, tuple(read_figures(path)))
        except (OSError, ValueError) as e:
            return Outcome(seconds, reason=f"its figures cannot be read: {e}")


def _ended(command: list[str], timeout_s: float) -> tuple[int | None, str]:
    """Exit status, None after the time-out, and what was written to stderr.

    The program has a session of its own, so that what it started ends with it.
    """
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return process.returncode, said


@contextmanager
def real_stack() -> Iterator[Path | None]:
    """A folder with the measured iron stack; None where the archive is not beside the clone."""
    if not ALS_STACK.exists():
        yield None
        return
    with TemporaryDirectory() as folder, tarfile.open(ALS_STACK) as files:
        files.extractall(folder, filter="data")
        yield Path(folder)
