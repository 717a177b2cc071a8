"""Other programs in environments of their own: MANTiS is GPL and is never imported by the package.

Its parts that need no Qt are installed into the user's cache folder, once.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_cache_path

MANTIS = "mantis-xray==3.3.0"
NEEDS = ["numpy", "scipy", "h5py", "lxml", "pillow", "matplotlib", "scikit-image", "xdrlib3"]
SIDE = Path(__file__).with_name("mantis_side.py")


def peer_python(name: str, *steps: Sequence[str]) -> Path:
    """The interpreter of a program's own environment; made where it is not there yet.

    Parameters
    ----------
    name : str
        Name and version, such as ``mantis-xray==3.3.0``.
    *steps : sequence of str
        Arguments of each ``pip install``.

    Raises
    ------
    OSError, subprocess.SubprocessError
        If it cannot be installed, for lack of a package index for example.
    """
    folder = user_cache_path("stxm_live") / "peers" / name.replace("==", "-")
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    installed = folder / "installed"
    if not installed.exists():
        venv.create(folder, clear=True)  # without a pip of its own
        pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
        install = [*pip, "install", "--quiet", "--no-compile"]  # most of it is never imported
        for packages in steps:
            subprocess.run([*install, *packages], check=True, timeout=600)
        installed.touch()
    return python


def mantis_python() -> Path:
    """The interpreter that can import MANTiS; errors as for `peer_python`."""
    return peer_python(MANTIS, NEEDS, ["--no-deps", MANTIS])


def run_mantis(*arguments: str | Path) -> str:
    """What `mantis_side.py` prints, run by MANTiS' interpreter."""
    command = [str(mantis_python()), str(SIDE), *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return done.stdout
