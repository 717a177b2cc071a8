"""The package that the how-to shows is built, installed, and found by a new interpreter."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import particles
import pytest

import stxm_live

PROJECT = Path(stxm_live.__file__).parents[1]
PAGE = PROJECT / "docs" / "howto" / "plug-ins.md"
FILE = re.compile(r"^```\w+\n# (\S+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
MAX_LINES = 40


def files_of_the_page():
    return dict(FILE.findall(PAGE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the installed package, as ``pip install`` makes it."""
    source, site = tmp_path_factory.mktemp("stxm-ourlab"), tmp_path_factory.mktemp("site")
    for name, text in files_of_the_page().items():
        path = source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(site)]
    command = [sys.executable, "-m", "pip", "install", *options, str(source)]
    subprocess.run(command, check=True, timeout=240)
    return site


def run(arguments, site, folder):
    paths = [str(site), str(PROJECT), str(Path(particles.__file__).parent)]
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.fixture(scope="module")
def report(site, tmp_path_factory):
    """What came out of the session."""
    script = Path(__file__).with_name("ourlab_session.py")
    folder = tmp_path_factory.mktemp("session")
    done = run([str(script)], site, folder)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "report.json").read_text())


def test_each_of_the_three_has_at_most_forty_lines():
    modules = {n: t for n, t in files_of_the_page().items() if n.endswith(".py")}
    assert set(modules) == {f"stxm_ourlab/{name}.py" for name in ("reader", "lines", "thin")}
    assert all(len(text.splitlines()) <= MAX_LINES for text in modules.values())


def test_a_file_of_the_plug_in_is_read(report):
    assert report["reader"] == {
        "counts": True,
        "extent_um": [0.0, 2.13, 1.77, 0.0],
        "folder": True,
    }


def test_a_run_of_the_plug_in_is_mapped_live_and_replayed_identically(report):
    assert report["shape"]["status"] == "complete"
    assert report["shape"]["counts"]  # every line in its place, those measured backwards too
    assert report["shape"]["replayed"]


def test_check_names_the_plug_in_that_recognised_the_run(report):
    assert (
        "read as: lines of our laboratory (document shape 'ourlab-lines' of package "
        "stxm-ourlab 0.1)" in report["shape"]["check"]
    )
    assert "can be mapped with 13 energies" in report["shape"]["check"]


def test_regions_are_suggested_by_the_criterion_of_the_plug_in(report):
    found = report["criterion"]
    assert found["criterion"] == "thin"
    assert found["reason"].startswith("thin, ")
    assert found["in_region"] > 1.2 * found["in_specimen"]
    assert found["mixed"] == "mixture"


def test_the_command_lists_them(site, tmp_path):
    done = run(["-m", "stxm_live", "plugins"], site, tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("ourlab.npz", "ourlab-lines", "thin"):
        assert f"  {name} of package stxm-ourlab 0.1\n" in done.stdout


def test_nothing_of_a_plug_in_is_imported_before_it_is_needed(site, tmp_path):
    program = (
        "import sys, stxm_live, stxm_live.cli, stxm_live.io.files, stxm_live.adaptive.regions\n"
        "from stxm_live.io.files.reading import stack_file\n"
        "open('a.npz', 'w').close()\n"
        "print(stack_file('a.npz'), [name for name in sys.modules if 'ourlab' in name])"
    )
    done = run(["-c", program], site, tmp_path)
    assert done.stdout == "a.npz []\n", done.stderr
