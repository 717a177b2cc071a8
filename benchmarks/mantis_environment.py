"""MANTiS in an environment of its own: it is GPL and is never imported by the package.

Its parts that need no Qt are installed into the user's cache folder, once.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from platformdirs import user_cache_path

MANTIS = "mantis-xray==3.3.0"
NEEDS = ["numpy", "scipy", "h5py", "lxml", "pillow", "matplotlib", "scikit-image", "xdrlib3"]
SIDE = Path(__file__).with_name("mantis_side.py")


def mantis_python() -> Path:
    """The interpreter that can import MANTiS; installs it where it is not there yet.

    Raises
    ------
    OSError, subprocess.SubprocessError
        If it cannot be installed, for lack of a package index for example.
    """
    folder = user_cache_path("stxm_live") / "peers" / MANTIS.replace("==", "-")
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    installed = folder / "installed"
    if not installed.exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for packages in (NEEDS, ["--no-deps", MANTIS]):
            subprocess.run([*install, *packages], check=True, timeout=600)
        installed.touch()
    return python


def run_mantis(*arguments: str | Path) -> str:
    """What `mantis_side.py` prints, run by MANTiS' interpreter."""
    command = [str(mantis_python()), str(SIDE), *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return done.stdout
