"""The dashboard without a browser: who is let in, what the board keeps, what is said."""

import contextlib
import re
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import made_up_maps as made_up
import numpy as np
import pytest
from particles import documents, image_documents, image_events, particle_scan
from typer.testing import CliRunner

from stxm_live import LivePhaseMapper, Recipe
from stxm_live.cli import app

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from bokeh.events import ButtonClick

from stxm_live.adaptive.chooser import RegionChooser
from stxm_live.core.region import Region
from stxm_live.core.stack import StackKey
from stxm_live.dashboard import Board, dashboard, serve
from stxm_live.dashboard.drawing import Drawn
from stxm_live.dashboard.guard import MAX_STRANGERS
from stxm_live.dashboard.images import MAX_SHOWN_PIXELS, for_screen, phase_image
from stxm_live.dashboard.layers import DOUBT_LAYERS, doubt_layer, phase_layer
from stxm_live.dashboard.pixel_facts import INVITATION
from stxm_live.dashboard.recompute_panel import pixels_inside
from stxm_live.dashboard.scan_state import headline
from stxm_live.dashboard.scene import Scene, current_scene
from stxm_live.dashboard.state import KEPT
from stxm_live.dashboard.stored_maps import Remake, maps_of
from stxm_live.dashboard.text import notes
from stxm_live.dashboard.view import View
from stxm_live.plotting.style.palette import GROUND
from stxm_live.plotting.style.raster import field_of_view


@pytest.fixture(scope="module")
def served():
    with_board = serve(Board(), token="a-token")
    yield with_board
    with_board.close()


def get(served, path, **headers):
    """Status and body of a plain request."""
    place = urlsplit(served.url)
    connection = HTTPConnection(place.hostname, place.port, timeout=120)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    body = response.read().decode("utf-8", "replace")
    connection.close()
    return response, body


def test_whoever_has_the_link_sees_the_page(served):
    place = urlsplit(served.url)
    response, body = get(served, f"/?{place.query}")
    assert response.status == 200
    assert "<title>stxm_live</title>" in body
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"
    # the scripts that it needs, and the one that Panel's needs where that is imported
    scripts = re.findall(r"/static/js/([a-z-]+)", body)
    assert scripts == ["bokeh", "bokeh-widgets", "bokeh-tables"]


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=a-toke", "/?token=%ff", "/autoload.js"])
def test_without_the_token_there_is_a_sentence_and_nothing_else(served, path):
    response, body = get(served, path)
    assert response.status == 403
    assert "use the whole link" in body or "Use the link" in body
    assert "<script" not in body


def test_a_websocket_needs_the_token_too(served):
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    assert get(served, "/ws", **upgrade)[0].status == 403
    elsewhere = {**upgrade, "Origin": "http://elsewhere.example"}
    assert get(served, "/ws?token=a-token", **elsewhere)[0].status == 403


def test_a_request_meant_for_another_host_is_refused(served):
    for host in ("elsewhere.example", "127.0.0.1:1", ""):
        assert get(served, "/?token=a-token", Host=host)[0].status == 403


def test_addresses_that_are_none_are_refused_without_a_traceback(served, caplog):
    for origin in ("http://[", "http://[::1", "//", ""):
        assert get(served, "/?token=a-token", Origin=origin)[0].status == 403
    for path in ("/static/%00", "/static/js/%00bokeh.min.js", "/%00"):
        assert get(served, path)[0].status == 403
    assert "Traceback" not in caplog.text


def test_a_body_that_nobody_asked_for_is_not_read(served):
    place = urlsplit(served.url)
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        head = f"POST / HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 90000000\r\n\r\n"
        connection.sendall(head.encode())
        assert b"HTTP/1.1 200" not in connection.recv(100)
        assert connection.recv(100) == b""


def test_connections_without_a_token_take_no_descriptors_and_do_not_lock_the_user_out(served):
    place = urlsplit(served.url)
    n, before = 2 * MAX_STRANGERS, len(list(Path("/proc/self/fd").iterdir()))
    with contextlib.ExitStack() as opened:
        for _ in range(n):
            half = socket.create_connection((place.hostname, place.port), timeout=60)
            opened.enter_context(half)
            half.sendall(b"GET / HTTP/1.1\r\nHost")
        assert get(served, f"/?{place.query}")[0].status == 200
        open_here = len(list(Path("/proc/self/fd").iterdir())) - before
        assert open_here < n + MAX_STRANGERS + 20


def test_the_log_names_no_token(served, caplog):
    with caplog.at_level("DEBUG"):
        assert get(served, "/?token=a-token", Host="elsewhere.example")[0].status == 403
        assert get(served, "/?token=a-token&x=%1b[2J", Host="elsewhere.example")[0].status == 403
    assert "was answered with 403" in caplog.text
    assert "a-token" not in caplog.text


def test_an_address_others_reach_is_refused_unless_that_is_wanted():
    with pytest.raises(ValueError, match="open to the network"):
        serve(Board(), address="0.0.0.0")


def test_every_start_has_a_token_of_its_own():
    first, second = serve(Board()), serve(Board())
    first.close()
    second.close()
    tokens = [urlsplit(one.url).query for one in (first, second)]
    assert tokens[0] != tokens[1]
    assert all(len(token) > 30 for token in tokens)


def test_without_bokeh_one_line_says_what_to_install():
    code = "import sys; sys.modules['bokeh'] = None; from stxm_live.dashboard import serve"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: the dashboard needs Bokeh")
    assert "pip install -e '.[web]'" in last


# the board


def wait_for(board, condition, timeout_s=120.0):
    deadline = time.monotonic() + timeout_s
    while not condition(board.now):
        assert time.monotonic() < deadline, board.now
        time.sleep(0.01)
    return board.now


def test_later_maps_of_a_stack_take_the_place_of_earlier_ones():
    board = Board()
    for revision in (1, 2):
        board.on_maps(made_up.maps(revision=revision))
    assert [result.maps.revision for result in board.now.results] == [2]
    for k in range(KEPT + 3):
        board.on_maps(made_up.maps(run=f"run-{k}"))
    assert len(board.now.results) == KEPT
    assert board.now.newest.maps.key.run_uids == (f"run-{KEPT + 2}",)


class Finished:
    """A mapper that had results before anybody looked."""

    def __init__(self, *results):
        self._results = list(results)

    def add_sink(self, sink):
        """Nothing more comes."""

    def results(self):
        return self._results

    def explorations(self):
        return []

    def change_recipe(self, recipe):
        """No scan comes."""


def test_a_dashboard_that_is_opened_late_shows_the_newest_result():
    pytest.importorskip("panel")
    first, second = made_up.maps(run="first"), made_up.maps(run="second")
    (page,) = dashboard(Finished(first, second)).object.select({"css_classes": ["subline"]})
    assert "second" in page.text
    board = Board()
    board.on_maps(second)
    board.begin_with([first, second])
    assert [result.maps for result in board.now.results] == [first, second]
    assert board.now.newest.maps is second
    board = Board()
    board.begin_with([first, second])
    assert current_scene(board.now).maps is second


@pytest.fixture
def chooser():
    region = Region((2.2, 2.8), (-1.2, -1.8), nx=31, ny=31, dwell_ms=2.0, criterion="doubt")
    with RegionChooser(suggest=lambda maps, scanned: [region]) as made:
        made.on_maps(made_up.maps())
        wait_for_suggestions(made)
        yield made


def wait_for_suggestions(chooser):
    deadline = time.monotonic() + 120
    while not chooser.is_ready:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_is_outlined_and_nothing_can_be_taken_without_a_map(chooser):
    board = Board()
    view = View(board, chooser)
    view.layout()
    view.tick()
    assert view.maps.boxes.data["label"] == []
    assert all(each.disabled for each in (*view.next.takes, view.next.choose))
    board.on_maps(made_up.maps())
    view.tick()
    assert view.maps.boxes.data["label"] == ["1"]
    assert not any(each.disabled for each in (*view.next.takes, view.next.choose))


def test_without_a_plan_suggestions_are_only_looked_at(chooser):
    board = Board()
    board.on_maps(made_up.maps())
    board.on_maps(made_up.maps(run="another"))
    view = View(board, suggesting=chooser)
    view.layout()
    view.tick()
    assert view.next.title == "Suggestions"
    assert "Nothing is sent" in view.next.state.text
    assert view.maps.boxes.data["label"] == []
    assert "made for run 3f2a91bc region 1, not for this one" in view.next.lines.text
    view.show.value = str(board.now.results[0].number)
    view.tick()
    assert view.maps.boxes.data["label"] == ["1"]
    assert view.next.lines.text.startswith("<ol><li>doubt<br>0.6 x 0.6 µm")
    view.next.outlined.active = False
    assert view.maps.boxes.data["label"] == []


def test_it_is_said_that_the_plan_waits_and_no_longer_that_a_box_is_missing(chooser):
    board = Board()
    board.on_maps(made_up.maps())
    view = View(board, chooser)
    view.layout()
    view.tick()
    assert "Nothing is chosen" in view.next.state.text
    chooser.question = "zoom 1 of <1>"
    view.tick()
    assert view.next.state.text == "<b>The plan waits for your choice (zoom 1 of &lt;1&gt;).</b>"
    view.next.choose._trigger_event(ButtonClick(view.next.choose))
    view.tick()
    assert "draw a box first" in view.next.state.text
    view.maps.drawn.show_box(2.2, 2.8, -1.8, -1.2)
    assert "draw a box first" not in view.next.state.text
    assert "plan waits" in view.next.state.text
    view.next.choose._trigger_event(ButtonClick(view.next.choose))
    assert "Next:" in view.next.state.text


def test_what_is_shown_is_the_scan_under_way_and_then_its_maps():
    board = Board()
    assert current_scene(board.now) is None
    board.on_maps(made_up.maps(run="before"))
    board.on_cube(made_up.view(3, run="now"))
    assert current_scene(board.now).key.run_uids == ("now",)
    assert current_scene(board.now).maps is None
    board.on_maps(made_up.maps(run="now"))
    assert current_scene(board.now).maps is not None


def test_new_maps_by_hand_are_called_changed_and_a_failure_is_a_sentence():
    board = Board()
    asked = []

    def remake(changes):
        asked.append(dict(changes))
        if "i0.region" in changes:
            raise ValueError("the box holds no pixel")
        return made_up.maps(revision=2)

    board.on_maps(made_up.maps(remake=remake))
    told = []
    board.redo(board.now.newest, {"energy_offset_ev": 0.1}, "energies +0.1 eV", told.append)
    now = wait_for(board, lambda now: now.results[-1].origin == "changed")
    assert told == [now.results[-1].number] or wait_for(board, lambda now: told)
    assert now.newest.origin == "live"
    board.redo(now.newest, {"i0.region": (0, 1, 0, 1)}, "I0")
    assert "the box holds no pixel" in wait_for(board, lambda now: now.note).note
    mask = made_up.maps().specimen
    board.redo(now.newest, {"specimen.mask": mask}, "mask")
    wait_for(board, lambda now: len(asked) == 3)
    np.testing.assert_array_equal(np.load(asked[2]["specimen.mask"]), mask)
    board.close()
    assert not asked[2]["specimen.mask"].exists()


def test_a_closed_board_keeps_nothing_more():
    board = Board()
    board.close()
    board.on_maps(made_up.maps())
    board.on_cube(made_up.view(2))
    assert board.now.results == ()
    assert board.now.view is None


def test_names_and_messages_are_escaped_and_a_failure_says_that_the_scan_goes_on():
    board = Board()
    board.on_error("some-run", ValueError("<script>alert(1)</script>"))
    text, _ = headline(current_scene(board.now), board.now)
    assert "<script" not in text
    assert "The scan goes on" in text
    board.on_maps(made_up.maps(run="some-run", warnings=("<b>bold</b>",)))
    assert "<b>bold" not in notes(current_scene(board.now), board.now)


def with_mouse_at_rest():
    """A board, and its page with the mouse on row 30, column 40 of the maps."""
    board = Board()
    view = View(board)
    view.layout()
    board.on_maps(made_up.maps(run="overview", revision=1))
    view.tick()
    view.maps.pointer.at = ["phases", 2.79, -1.59]
    return board, view


def test_the_pixel_of_another_stack_is_told_no_longer():
    board, view = with_mouse_at_rest()
    assert "row 30, column 40" in view.pixel.text.text
    reliability = np.full((60, 80), 7.25, dtype=np.float32)
    joined = StackKey(("overview", "more"))
    board.on_maps(made_up.maps(key=joined, revision=2, reliability=reliability))
    view.tick()
    assert "row 30, column 40" in view.pixel.text.text
    assert "R 7.25" in view.pixel.text.text
    view.maps.pointer.at = []
    board.on_maps(made_up.maps(run="zoom"))
    view.tick()
    assert view.pixel.text.text == INVITATION
    assert view.pixel.table.text == ""
    assert "mean of the specimen" in view.pixel.below.text


def test_the_pixel_under_a_mouse_that_rests_is_that_of_the_new_stack():
    board, view = with_mouse_at_rest()
    reliability = np.full((60, 80), 7.25, dtype=np.float32)
    board.on_maps(made_up.maps(run="next", reliability=reliability))
    view.tick()
    assert "row 30, column 40" in view.pixel.text.text
    assert "R 7.25" in view.pixel.text.text


def test_a_mouse_on_the_same_place_of_another_field_is_reported_again():
    board, view = with_mouse_at_rest()
    board.on_maps(made_up.maps(run="mirrored", extent_um=(3.58, 2.0, -2.18, -1.0)))
    view.tick()
    assert view.pixel.text.text == INVITATION
    view.maps.pointer.at = ["phases", 2.79, -1.59]  # a browser says what has changed only
    assert "row 29, column 39" in view.pixel.text.text


# what may go wrong while somebody chooses


def press(button):
    button._trigger_event(ButtonClick(button))


def followed(docs):
    """A page after these documents, with the mapper and the chooser of its session."""
    recipe = Recipe.load("nvpf").with_changes({"model": None, "energy_fit": False})
    live = LivePhaseMapper(recipe, background=False)
    chooser, board = RegionChooser(live), Board()
    live.add_sink(board)
    view = View(board, chooser)
    view.layout()
    for name, doc in docs:
        live(name, doc)
    return view, live, chooser


def test_a_box_chosen_during_a_scan_is_kept_for_the_plan_that_asks_later():
    docs = list(image_documents())
    view, live, chooser = followed(docs[:8])
    with live, chooser:
        view.tick()
        assert "Scanning" in view.headline.text
        view.maps.drawn.show_box(0.6, 1.2, 0.5, 1.1)
        press(view.next.choose)
        chosen = chooser.latest()
        assert (chosen.x_extent_um, chosen.y_extent_um) == ((0.6, 1.2), (0.5, 1.1))
        for name, doc in docs[8:]:
            live(name, doc)
        view.tick()
        assert "complete" in view.subline.text
        assert chooser.latest() == chosen
        assert "Next:</b> region 1" in view.next.state.text


def empty_field(k, shape):
    return np.random.default_rng(k).poisson(3000, shape).astype(np.float32)


def test_a_stack_that_was_aborted_is_shown_and_its_legend_claims_no_phase_for_all():
    docs = documents(list(image_events())[:2], particle_scan(), exit_status="abort")
    view, live, chooser = followed(docs)
    with live, chooser:
        view.tick()
        assert "energies are missing: 515.6" in view.headline.text
        legend = phase_layer(view.scene, "final").legend
        assert "Na3VPF or Na2.4VPF or Na2VPF" in legend
        assert "100" not in legend


def test_maps_that_suggest_nothing_say_why_and_a_box_can_be_chosen_on_them():
    headline, why = "no specimen in the field", "no region to suggest"
    docs = image_documents(change=lambda k, image: empty_field(k, image.shape))
    view, live, chooser = followed(docs)
    with live, chooser:
        wait_for_suggestions(chooser)
        view.tick()
        assert headline in view.headline.text
        assert why in view.next.no_more.text
        for layer, _ in DOUBT_LAYERS:
            assert "nan" not in doubt_layer(view.scene, layer, (0, 1, 2)).legend
            assert "nan" not in doubt_layer(view.scene, layer, (0, 1, 2)).meaning
        assert not any(take.visible for take in view.next.takes)
        view.maps.drawn.show_box(0.6, 1.2, 0.5, 1.1)
        press(view.next.choose)
        assert "Next:" in view.next.state.text
        assert chooser.latest() is not None


def test_a_mask_of_no_specimen_is_refused_in_words():
    board = Board()
    board.on_maps(made_up.maps())
    view = View(board)
    view.layout()
    view.tick()
    view.maps.drawn.show_box(2.0, 2.05, -1.05, -1.0)
    view.changes._take_mask()
    assert board.now.note == "There is no specimen in the drawn area."


def test_a_choice_after_the_time_for_choosing_is_kept_and_can_be_withdrawn(chooser):
    board = Board()
    board.on_maps(made_up.maps())
    view = View(board, chooser)
    view.layout()
    chooser.question = "zoom 1 of 1"
    view.tick()
    assert "The plan waits" in view.next.state.text
    chooser.question = ""  # its time is over
    view.tick()
    assert view.next.state.text == "<b>Nothing is chosen.</b>"
    press(view.next.takes[0])
    assert chooser.latest() is not None
    chooser.claim()
    view.tick()
    assert view.next.state.text == "<b>Nothing is chosen.</b>"


def test_what_is_taken_is_what_is_read_beside_the_button():
    regions = [Region((2.2, 2.8), (-1.2, -1.8), nx=31, ny=31, name=name) for name in "ab"]
    board = Board()
    with RegionChooser(suggest=lambda maps, scanned: [regions[maps.revision - 1]]) as chooser:
        view = View(board, chooser)
        view.layout()
        for revision in (1, 2):
            maps = made_up.maps(revision=revision)
            board.on_maps(maps)
            chooser.on_maps(maps)
            wait_for_suggestions(chooser)
            if revision == 1:
                view.tick()
        assert chooser.suggestions == [regions[1]]
        press(view.next.takes[0])
        assert chooser.latest() == regions[0]


def test_a_session_with_another_token_or_that_is_gone_is_named(chooser):
    pytest.importorskip("zmq", reason="needs the extra stxm-live[zmq]")
    from stxm_live.adaptive.remote_chooser import ChoiceServer, RemoteChooser

    board = Board()
    board.on_maps(made_up.maps())
    server = ChoiceServer(chooser, "127.0.0.1:0", token="four words of salt")
    remote = RemoteChooser(server.address, token="guessed", suggesting=chooser, timeout_s=0.3)
    view = View(board, remote)
    view.layout()
    view.tick()
    assert "in the session that scans, with the same token?" in view.next.state.text
    server.close()
    press(view.next.takes[0])
    assert "does not answer within 0.3 s" in view.next.state.text
    assert "is there a ChoiceServer in the session that scans" in view.next.state.text
    assert current_scene(board.now).maps is not None
    remote.close()


# pictures


@pytest.mark.parametrize("extent_um", [(0, 3, 5, 3), (3, 0, 3, 5)])
def test_pictures_have_their_first_row_lowest_and_first_column_leftmost(extent_um):
    index = np.array([[0, 1, -1, -1], [-1, -1, -1, -1], [-1, -1, -1, 2]])
    colors = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    field = field_of_view(extent_um, index.shape)
    picture = for_screen(phase_image(index, colors), field).view(np.uint8).reshape(3, 4, 4)
    x, y = (0, 2) if extent_um[2] > extent_um[3] else (3, 0)
    assert picture[y, x].tolist() == [255, 0, 0, 255]
    assert picture[2 - y, 3 - x].tolist() == [0, 0, 255, 255]
    assert picture[1, 1].tolist() == [*bytes.fromhex(GROUND[1:]), 255]


def test_pictures_of_more_than_a_megapixel_are_thinned_out():
    index = np.zeros((1500, 1200), dtype=np.int8)
    picture = for_screen(
        phase_image(index, np.ones((1, 3))), field_of_view((0, 1, 0, 1), index.shape)
    )
    assert picture.size <= MAX_SHOWN_PIXELS
    assert picture.shape == (750, 600)


@pytest.mark.parametrize("extent_um", [made_up.EXTENT_UM, (3.58, 2.0, -2.18, -1.0), (0, 0, 0, 0)])
def test_every_pixel_is_found_at_its_centre(extent_um):
    board = Board()
    board.on_maps(made_up.maps(extent_um=extent_um))
    scene = Scene.of_result(board.now.newest)
    for row, column in [(0, 0), (59, 79), (13, 40)]:
        assert scene.pixel_at(*scene.centre_of(row, column)) == (row, column)
    assert scene.pixel_at(99.0, 99.0) is None


def test_an_outline_holds_the_pixels_whose_centre_it_surrounds():
    board = Board()
    board.on_maps(made_up.maps())
    scene = Scene.of_result(board.now.newest)
    corners = [(2.09, -1.05), (2.31, -1.05), (2.31, -1.25), (2.09, -1.25)]
    inside = np.argwhere(pixels_inside(corners, scene))
    assert inside.min(axis=0).tolist() == [3, 5]
    assert inside.max(axis=0).tolist() == [12, 15]


def test_a_drawing_takes_the_place_of_the_one_before():
    drawn = Drawn()
    assert drawn.box_um is None
    drawn.take({"type": "rect", "x0": 2.0, "x1": 1.0, "y0": 0.0, "y1": 3.0})
    assert drawn.box_um == (1.0, 2.0, 0.0, 3.0)
    drawn.take({"type": "poly", "x": [0, 1, 1], "y": [0, 0, 1]})
    assert drawn.box_um is None
    assert drawn.outline_um == [(0, 0), (1, 0), (1, 1)]
    drawn.clear()
    assert drawn.outline_um is None


# earlier runs


def test_a_stored_result_is_shown_as_it_was():
    maps = made_up.maps(dispersion=1.3)
    again = maps_of(maps.to_xarray())
    assert maps.identical(again)
    assert str(again.quality) == str(maps.quality)
    assert again.warnings == maps.warnings
    with pytest.raises(ValueError, match="not include the aligned images"):
        again.redo({})


def test_a_stored_result_keeps_its_numbers():
    numbers = {"dwell_ms": 2.0, "energy_offset_ev": 0.1, "energy_offset_std_ev": 0.02}
    numbers |= {"energy_width_ev": 0.2, "energy_width_std_ev": 0.03}
    again = maps_of(made_up.maps(dispersion=1.3, **numbers).to_xarray())
    assert {name: getattr(again, name) for name in numbers} == numbers


def test_a_stored_result_that_another_version_made_is_told_apart_from_the_changes():
    changed = made_up.maps(warnings=("as ever",))
    mapped = made_up.maps(remake=lambda changes: changed)
    calls = []

    def from_raw():
        calls.append("mapped")
        return mapped

    same = Remake(made_up.maps(), from_raw)
    other = Remake(made_up.maps(counts=np.ones((60, 80), np.float32)), from_raw)
    assert same({}).warnings == same({}).warnings == ("as ever",)
    assert calls == ["mapped"]
    note, rest = other({}).warnings
    assert "differs from its stored result in counts" in note
    assert rest == "as ever"


def test_watch_takes_either_a_stream_or_runs():
    done = CliRunner().invoke(app, ["watch", "--zmq", "127.0.0.1:5578", "3f2a91"])
    assert done.exit_code == 2
    assert "leave the runs out" in done.stderr
    done = CliRunner().invoke(app, ["watch", "-1", "--choices", "127.0.0.1:5580"])
    assert done.exit_code == 2
    assert "--choices goes with --zmq" in done.stderr


def test_the_page_is_there_as_a_panel_object_too():
    panel = pytest.importorskip("panel")
    board = Board()
    board.on_maps(made_up.maps())
    pane = dashboard(board)
    assert isinstance(pane, panel.viewable.Viewable)
    (verdict,) = pane.object.select({"css_classes": ["verdict"]})
    assert "Limited" in verdict.text


def test_the_mean_spectrum_of_a_drawn_area_is_that_of_its_specimen():
    board = Board()
    maps = made_up.maps()
    board.on_maps(maps)
    view = View(board)
    view.parts()
    view.tick()
    x0, x1, y0, y1 = maps.extent_um
    nx = maps.specimen.shape[1]
    view.maps.drawn.show_box(x0 + 0.2 * (x1 - x0), x0 + 0.6 * (x1 - x0), y0, y1)
    view.tick()
    scene = view.scene
    x = np.array([scene.centre_of(0, column)[0] for column in range(nx)])
    inside = maps.specimen & (x > x0 + 0.2 * (x1 - x0)) & (x < x0 + 0.6 * (x1 - x0))
    assert f"{inside.sum()} pixels of specimen" in view.pixel.text.text
    np.testing.assert_allclose(
        view.pixel.spectrum.lines.data["ys"][-1], maps.od[:, inside].mean(axis=1), rtol=1e-5
    )
    low, high = (view.pixel.spectrum.band.data[name] for name in ("low", "high"))
    np.testing.assert_allclose((high - low) / 2, maps.od[:, inside].std(axis=1), rtol=1e-4)
    share = 100 * (maps.final_index[inside] == 2).mean()
    assert f"{share:.1f} %" in view.pixel.table.text
    view.maps.pointer.at = ["phases", *scene.centre_of(30, 40)]
    assert "row 30, column 40" in view.pixel.text.text
    view.maps.pointer.at = []
    view.tick()
    assert "drawn area" in view.pixel.text.text


def test_an_area_without_specimen_changes_nothing():
    board = Board()
    board.on_maps(made_up.maps())
    view = View(board)
    view.parts()
    view.tick()
    said = view.pixel.text.text
    x0, _, y0, _ = made_up.maps().extent_um
    view.maps.drawn.show_box(x0 - 2, x0 - 1, y0 - 2, y0 - 1)
    view.tick()
    assert view.pixel.text.text == said


def test_the_title_of_the_tab_calls_while_a_plan_waits_for_a_choice(chooser):
    from bokeh.document import Document

    view, doc = View(Board(), chooser), Document()
    view.open_in(doc, "stxm_live")
    chooser.question, chooser.question_left_s = "the next region", 60.0
    view.tick_slowly()
    assert "Your choice" in doc.title
    assert "1 min 0 s left" in view.ask.text
    chooser.question = ""
    view.tick_slowly()
    assert doc.title == "stxm_live"
    assert not view.ask.visible
