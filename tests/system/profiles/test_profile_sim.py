import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from particles import documents, particle_scan

from stxm_live.io.catalog import close_catalog, load_maps, open_catalog, reading, store_documents

PROFILES = Path(__file__).parents[3] / "profiles"
IGNORED = shutil.ignore_patterns("*.sqlite*", "db", "log", "pid", "security")

SESSION = """
import json
from dataclasses import replace
raster = replace(field, nx=32, ny=28)
microscope.camera._exposure_time_s = lambda scan: 0.0
(uid,) = RE(stxm_stack(camera, energy, recipe.energies_ev, raster))
maps = live.wait(uid, timeout_s=120)
again = map_run(catalog[uid], live.recipe)  # stored by the time the prompt is back
scan_id = catalog[uid].start["scan_id"]
RE(explore_here(maps=maps, n_zooms=1, choice_timeout_s=0.2))
print("RESULT", json.dumps({
    "frozen": __import__("gc").get_freeze_count(),
    "uid": uid, "scan_id": scan_id,
    "shape": maps.phase_index.shape,
    "status": maps.status, "differences": maps.differences(again),
    "names": [name for name in "RE live chooser stxm_stack wait_for_maps".split()
              if name in globals()],
    "devices": [d.name for d in (energy, sample_x, sample_y, camera, line, ring_current)],
}))
"""

EXIT = """
from stxm_live.io.catalog.run_store import RunStore
from stxm_live.sim.instrument import SimulatedMicroscope
seen = []
def keep(name, doc):
    seen.append((name, doc))
token = RE.subscribe(keep)
raster = replace(field, nx=20, ny=16)
RE(stxm_stack(camera, energy, recipe.energies_ev[:2], raster))
RE.unsubscribe(token)
store, writing = RunStore.__call__, __import__("threading").Event()
def late(self, name, doc):
    writing.wait(0.5)
    store(self, name, doc)
RunStore.__call__ = late
for name, doc in seen:
    writer(name, {**doc, **{k: "another" + doc[k] for k in ("run_start",) if k in doc},
                  **({"uid": "another" + doc["uid"]} if name == "start" else {})})
print("RESULT", json.dumps([seen[0][1]["uid"], len(seen)]))
"""


TUTORIAL = PROFILES.parent / "docs" / "tutorial.md"
QUICK = """
import json, time
from matplotlib.figure import Figure
from stxm_live import Region
Figure.savefig = lambda figure, target, **options: None
starts, refusals = [], []
def keep(name, doc):
    starts.append(doc)
RE.subscribe(keep, "start")
microscope.camera._exposure_time_s = lambda scan: 0.0
small = Region(field.x_extent_um, field.y_extent_um, nx=40, ny=40)
explore_here = partial(
    explore, camera, energy, recipe.energies_ev[::4], small, **explore_here.keywords
)
"""
REFUSED = """
try:
    {command}
except ValueError as error:
    refusals.append(f"ValueError: {{error}}")
"""
READY = """
while chooser.stack and not chooser.is_ready:
    time.sleep(0.1)
"""
TUTORIAL_END = """
regions = [[d["stxm_live"]["region"], d["stxm"]["x_extent"]] for d in starts]
print("RESULT", json.dumps([regions, refusals, page.url, maps.key.run_uids[0], starts[3]["uid"]]))
"""


def session(folder: Path, code: str) -> tuple[list, str]:
    """Run code in IPython with the profile, as a user would; its results, and all it printed.

    Its maps are made without the fit of the energy axis, which takes most of their time.
    """
    shutil.copytree(PROFILES, folder / "profiles", dirs_exist_ok=True, ignore=IGNORED)
    startup = folder / "profiles" / "profile_sim" / "startup" / "20-live.py"
    text, whole = startup.read_text(), 'Recipe.load(os.environ.get("STXM_LIVE_RECIPE") or "nvpf")'
    assert whole in text
    startup.write_text(text.replace(whole, f'{whole}.with_changes({{"energy_fit": False}})'))
    command = ["-m", "IPython", f"--ipython-dir={folder / 'profiles'}", "--profile=sim"]
    environment = {**os.environ, "STXM_LIVE_CATALOG": str(folder / "runs")}
    done = subprocess.run(
        [sys.executable, *command, "-c", code],
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = [text for text in done.stdout.splitlines() if text.startswith("RESULT ")]
    assert lines, done.stdout[-3000:] + done.stderr[-3000:]
    return [json.loads(line.removeprefix("RESULT ")) for line in lines], done.stdout + done.stderr


def tutorial():
    """What the tutorial types at the prompt, and the refusal that it shows."""
    text = TUTORIAL.read_text(encoding="utf-8")
    blocks = re.findall(r"```py\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 5
    ((command, refusal),) = re.findall(r"^In \[\d+\]: (.*)\n(ValueError: .*)$", text, re.MULTILINE)
    code = QUICK + READY.join([*blocks, REFUSED.format(command=command)]) + TUTORIAL_END
    return code, refusal


SCANS_BEFORE = 40


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The folder of a session, what its three parts tell, and its text."""
    folder = tmp_path_factory.mktemp("sim")
    broker = open_catalog(folder / "runs")
    store_documents(broker, documents([], particle_scan(), md={"scan_id": SCANS_BEFORE}))
    close_catalog(broker)
    (of_tutorial, result, of_end), printed = session(folder, tutorial()[0] + SESSION + EXIT)
    return folder, result, of_tutorial, of_end, printed


@pytest.mark.slow
def test_a_session_with_the_profile_scans_maps_stores_and_replays(first):
    folder, told, *_ = first
    assert told["status"] == "complete"
    assert told["shape"] == [28, 32]
    assert told["differences"] == []
    assert told["scan_id"] == SCANS_BEFORE + 7  # it goes on counting; six are of the tutorial
    assert told["frozen"] > 100_000  # no search for garbage among the objects of packages
    assert told["names"] == ["RE", "live", "chooser", "stxm_stack", "wait_for_maps"]
    names = ["energy", "sample_x", "sample_y", "camera", "line", "ring_current"]
    assert told["devices"] == names
    broker = open_catalog(folder / "runs")
    stored = load_maps(broker, told["uid"])
    close_catalog(broker)
    assert [stored.sizes["y"], stored.sizes["x"]] == told["shape"]


@pytest.mark.slow
def test_at_the_prompt_a_plan_that_asks_is_seen_and_the_banner_names_what_exists(first):
    folder, *_, printed = first
    assert re.search(r"energy \d+ of 13 \(5\d\d.* eV\), .*(left|all images|last image)", printed)
    assert "zoom 1 of 1: choose a region within 0.2 s" in printed
    assert "no region was chosen within 0.2 s" in printed
    for word in ("explore_here", "quit()", str(folder / "runs")):
        assert word in printed


@pytest.mark.slow
def test_what_no_plan_waited_for_is_stored_when_the_session_ends(first):
    folder, *_, (uid, n_documents), printed = first
    assert list((folder / "runs" / "backup").iterdir()) == [], printed[-3000:]
    broker = open_catalog(folder / "runs")
    stored = list(reading.documents(broker.v2[f"another{uid}"]))
    close_catalog(broker)
    assert len(stored) == n_documents


@pytest.mark.slow
def test_what_the_tutorial_types_at_the_prompt_chooses_and_scans_regions(first):
    folder, _, (told, refusals, url, mapped, last_overview), *_ = first
    assert refusals == [tutorial()[1]]
    assert url.startswith("http://127.0.0.1:") or url.startswith("http://localhost:")
    assert mapped == last_overview
    assert (folder / "stxm-live-demo" / "overview" / "next-regions.png").is_file()
    assert (folder / "stxm-live-demo" / "zoom" / "overview.png").is_file()
    assert [region for region, _ in told] == [
        *("overview", "zoom 1", "zoom 1"),
        *("overview", "zoom 1", "zoom 2"),
    ]
    assert told[2][1] == [-0.9, 0.3]  # the box that was drawn


def test_startup_files_are_short_and_only_wire():
    files = sorted((PROFILES / "profile_sim" / "startup").glob("*.py"))
    assert [file.name[:3] for file in files] == ["00-", "10-", "20-", "30-", "90-"]
    for file in files:
        text = file.read_text()
        assert len(text.splitlines()) < 40, file.name
        assert "def " not in text
        assert "class " not in text
