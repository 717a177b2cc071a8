"""Where and when figures were measured; no name of the computer and no path."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from stxm_live.phase_mapping.latent_space.encoder import available_cores

BUSY = 0.25
"""Others' load per core above which times are not worth much."""


@dataclass(frozen=True)
class Conditions:
    """When a program ran, with which code, and on what.

    Parameters
    ----------
    load : float
        Average number of busy processes in the minute before all began.
    """

    date: str
    version: str
    commit: str
    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    load: float

    @classmethod
    def now(cls) -> Conditions:
        """Of this process."""
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return cls(
            date=datetime.date.today().isoformat(),
            version=version("stxm_live"),
            commit=_commit(),
            processor=_processor(),
            cores=available_cores(),
            memory_gib=round(memory / 2**30, 1),
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            load=round(os.getloadavg()[0], 1),
        )

    @property
    def is_busy(self) -> bool:
        """Whether other processes took much of the machine."""
        return self.load > BUSY * self.cores

    def in_words(self) -> str:
        """One line."""
        busy = "; **the machine was busy**" if self.is_busy else ""
        return (
            f"{self.date}, stxm_live {self.version} ({self.commit}), {self.processor}, "
            f"{self.cores} cores, {self.memory_gib:g} GiB, {self.system}, Python {self.python}, "
            f"load {self.load:g} before{busy}"
        )


def _processor() -> str:
    lines = Path("/proc/cpuinfo")
    if lines.exists():
        for line in lines.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown processor"


def _commit() -> str:
    """Of the clone, with a plus where files have been changed since."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent
        )
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return done.stdout.strip()
