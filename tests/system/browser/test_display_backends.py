"""Windows of real toolkits and a real notebook kernel, each in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SUPPORT = Path(__file__).parents[2] / "support"


@pytest.fixture
def display():
    """A screen that nobody sees."""
    if shutil.which("Xvfb") is None:
        pytest.skip("no Xvfb on this machine")
    if find_spec("tkinter") is None:
        pytest.skip("this Python has no tkinter")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as number:
        yield f":{number.readline().strip()}"
    server.terminate()
    server.wait(10)


def scan_with_window(backend, environment):
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "window_scan.py"), backend],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check(told):
    """It was drawn on the main thread while the first scan ran; a closed window is let be."""
    first, second = told["drawn_in_scans"]
    assert first >= 2  # one is that of the empty window
    assert second <= first + 3  # the last image and two results, before it was closed
    assert told["threads"] == ["MainThread"]
    assert told["is_closed"]


def test_a_window_of_tk_follows_a_scan_and_may_be_closed(display):
    check(scan_with_window("tkagg", {"DISPLAY": display}))


@pytest.mark.skipif(find_spec("PySide6") is None, reason="PySide6 is not installed")
def test_a_window_of_qt_follows_a_scan_and_may_be_closed():
    check(scan_with_window("qtagg", {"QT_QPA_PLATFORM": "offscreen"}))


def test_a_notebook_with_inline_figures_has_one_picture_that_is_replaced():
    """Also when told on another thread, as a mapper does while the cell is busy."""
    manager = pytest.importorskip("jupyter_client.manager")
    kernel, client = manager.start_new_kernel(kernel_name="python3")
    shown = []

    def remember(message):
        if message["msg_type"] in ("display_data", "update_display_data", "error"):
            content = message["content"]
            place = content.get("transient", {}).get("display_id")
            shown.append((message["msg_type"], place, list(content.get("data", content))))

    try:
        client.execute_interactive(
            f"""
%matplotlib inline
import sys, threading
sys.path.insert(0, {str(SUPPORT)!r})
import made_up_maps
from stxm_live.plotting import LiveFigure
figure = LiveFigure(dpi=40)
figure.show()
worker = threading.Thread(target=figure.on_cube, args=(made_up_maps.view(4),))
worker.start()
worker.join()
""",
            timeout=120,
            output_hook=remember,
        )
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    assert [kind for kind, *_ in shown] == ["display_data", "update_display_data"], shown
    assert shown[0][1] == shown[1][1] is not None
    assert all("image/png" in data for *_, data in shown)
