"""A whole session with the EPICS profile: IPython in one process, the microscope in another."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from epics_process import environment, free_port, served

PROFILE = Path(__file__).parents[3] / "profiles" / "profile_stxm"
IGNORED = shutil.ignore_patterns("*.sqlite*", "db", "log", "pid", "security")

SESSION = """
import json
(uid,) = RE(
    stxm_stack(
        image, energy, recipe.energies_ev, Region((-0.7, 0.7), (-0.7, 0.7), nx=40, ny=44),
        shutter=shutter, monitors=[ring_current],
    )
)
maps = live.wait(uid, timeout_s=120)
writer.wait(uid, 60)
(uid_2,) = RE(
    stxm_overview(
        image, energy, [505.0, 524.0], Region((-2, 2), (-2, 2), nx=50, ny=50, dwell_ms=0.5),
        shutter=shutter,
    )
)
print("RESULT", json.dumps({
    "status": maps.status, "shape": maps.phase_index.shape,
    "differences": maps.differences(map_run(catalog[uid], recipe)),
    "picture": figure.image().ndim, "open": shutter.is_open, "scan_id": RE.md["scan_id"],
}))
"""


@pytest.mark.slow
def test_a_session_scans_over_epics_maps_stores_and_draws(tmp_path):
    shutil.copytree(PROFILE, tmp_path / "profile_stxm", ignore=IGNORED)
    port = free_port()
    ioc = ["-m", "stxm_live", "ioc", "--size", "48", "--pace", "50", "--port", str(port)]
    with served([sys.executable, *ioc], port, ready=f"export EPICS_CA_SERVER_PORT={port}\n"):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "IPython"),
                *(f"--profile-dir={tmp_path / 'profile_stxm'}", "-c", SESSION),
            ],
            capture_output=True,
            text=True,
            timeout=600,
            env={**environment(port), "STXM_LIVE_CATALOG": str(tmp_path / "runs")},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    lines = [text for text in done.stdout.splitlines() if text.startswith("RESULT ")]
    assert lines, done.stdout[-3000:] + done.stderr[-3000:]
    told = json.loads(lines[0].removeprefix("RESULT "))
    assert told == {
        "status": "complete",
        "shape": [44, 40],
        "differences": [],
        "picture": 3,
        "open": False,
        "scan_id": 2,
    }


def test_startup_files_are_short_and_only_wire():
    files = sorted((PROFILE / "startup").glob("*.py"))
    assert [file.name[:3] for file in files] == ["00-", "10-", "20-"]
    for file in files:
        text = file.read_text()
        assert len(text.splitlines()) < 45, file.name
        assert "def " not in text
        assert "class " not in text
