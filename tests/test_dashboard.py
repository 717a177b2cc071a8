"""The dashboard without a browser: who is let in, what the board keeps, what is said."""

from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

pytest.importorskip("bokeh", reason="needs the extra stxm-live[web]")

from stxm_live.display.dashboard import Board, serve


@pytest.fixture(scope="module")
def served():
    with_board = serve(Board(), token="a-token")
    yield with_board
    with_board.close()


def get(served, path, **headers):
    """Status and body of a plain request."""
    place = urlsplit(served.url)
    connection = HTTPConnection(place.hostname, place.port, timeout=20)
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
