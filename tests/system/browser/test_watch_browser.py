"""`stxm-live watch` with every program in a process of its own, and a real browser."""

import threading
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from catalog_fixtures import EnergyImageDevice, stack_plan
from dashboard_page import Opened, launch, until, watching
from particles import particle_counts, particle_scan
from proxy import a_proxy, wait_until_joined
from run_engines import a_run_engine

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")
pytest.importorskip("zmq", reason="needs the extra stxm-live[zmq]")

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.adaptive.remote_chooser import ChoiceServer
from stxm_live.live.remote import publisher
from stxm_live.plans import wait_for_region

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TOKEN = "four words of salt"
STEP_UM = 0.03
"""Of the particle's pixels."""


@pytest.fixture(scope="module")
def browser():
    yield from launch()


class Session:
    """A RunEngine in this process, which maps nothing, and its chooser."""

    def __init__(self, engine, chooser):
        self.engine, self.chooser = engine, chooser
        counts, energies_ev, _ = particle_counts()
        self.scan = particle_scan()
        self.device = EnergyImageDevice(counts, energies_ev)
        self.specimen, self.extent_um = counts[0], self.scan.extent_um  # as Opened.place asks

    def scan_stack(self):
        """A run of the particle's stack."""
        return self.engine(stack_plan(self.device, self.scan))

    @contextmanager
    def waiting_plan(self):
        """A plan that waits for a choice while the browser is used; what it got."""
        got = []

        def plan():
            got.append((yield from wait_for_region(self.chooser, timeout_s=120)))

        thread = threading.Thread(target=self.engine, args=(plan(),), daemon=True)
        thread.start()
        yield got
        thread.join(120)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def watched(browser, tmp_path_factory):
    """The page of a ``watch`` process that chooses for a session, after its first stack."""
    limits_um = ((-1.0, 4.0), (-1.0, 4.0))
    with (
        a_proxy() as (into, out),
        a_run_engine() as engine,
        RegionChooser(limits_um=limits_um) as chooser,
        ChoiceServer(chooser, "127.0.0.1:0", token=TOKEN) as server,
        watching(
            tmp_path_factory.mktemp("catalog"),
            *("--zmq", out, "--choices", server.address, "--set", "energy_fit=false"),
            STXM_LIVE_CHOICES_TOKEN=TOKEN,
        ) as (_, url),
    ):
        publish = publisher(into)
        engine.subscribe(publish)
        wait_until_joined(publish, out)
        session = Session(engine, chooser)
        session.scan_stack()
        page = Opened(browser, url)
        page.says("subline", "complete")
        yield page, session
        page.page.close()
        publish.close()


@pytest.fixture
def shown(watched):
    """The page before anything is chosen."""
    page, session = watched
    page.page.get_by_text("Remove drawing", exact=True).click()
    page.press("Withdraw")
    until(lambda: session.chooser.latest() is None)
    return watched


def draw_box(page, session, first=(15, 20), last=(35, 50)):
    """Draw a box; once more if refined maps moved the picture under the mouse."""
    from playwright.sync_api import TimeoutError as NothingDrawn

    drawn = page.page.get_by_text("not chosen yet")
    for _ in range(3):
        page.page.get_by_text("Draw a box", exact=True).click()
        page.drag("phases", session, first, last)
        with suppress(NothingDrawn):
            drawn.wait_for(timeout=20_000)
            return
    drawn.wait_for()


def test_a_box_drawn_in_the_browser_reaches_the_session_of_the_scan(shown):
    page, session = shown
    draw_box(page, session)
    assert session.chooser.latest() is None
    page.press("Scan the drawn box next")
    page.says("chosen", "Next:")
    region = session.chooser.latest()
    # as test_dashboard_browser: pixel centres, and y descends from 1.77 um
    np.testing.assert_allclose(sorted(region.x_extent_um), [0.615, 1.515], atol=STEP_UM)
    np.testing.assert_allclose(sorted(region.y_extent_um), [0.72, 1.32], atol=STEP_UM)
    assert max(region.step_um) < STEP_UM
    page.press("Withdraw")
    page.says("chosen", "Nothing is chosen")
    assert session.chooser.latest() is None


def test_a_suggestion_taken_in_the_browser_is_what_a_waiting_plan_gets(shown):
    page, session = shown
    with session.waiting_plan() as got:
        page.says("chosen", "The plan waits for your choice")
        page.press("Take 1")
        until(lambda: got)
    assert got[0].reason in page.text("suggestion")
    assert min(got[0].x_extent_um) >= 0
    assert max(got[0].x_extent_um) <= 2.13
    page.says("chosen", "Nothing is chosen")
    assert session.engine.state == "idle"


def test_the_session_refuses_and_the_page_says_why(shown):
    page, session = shown
    session.chooser.limits_um = ((-1.0, 1.0), (-1.0, 4.0))
    draw_box(page, session)
    page.press("Scan the drawn box next")
    said = page.says("chosen", "Not chosen")
    session.chooser.limits_um = None
    assert "beyond the limits, -1 to 1 um" in said
    assert session.chooser.latest() is None


def test_a_choice_is_void_once_there_is_another_stack(shown):
    page, session = shown
    page.press("Take 2")
    until(lambda: session.chooser.latest() is not None)
    session.scan_stack()
    until(lambda: session.chooser.latest() is None)
    assert "was dropped" in page.says("chosen", "was dropped")
    page.says("subline", "complete")
    page.press("Take 1")
    page.says("chosen", "Next:")
    assert session.chooser.latest() is not None
