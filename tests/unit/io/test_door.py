import asyncio
import threading
import time

import pytest

from stxm_live.io.catalog.door import CatalogClosedError, Door, Doorkeeper


def answer_to(door, answer=None):
    """Return the status with which a request is answered."""
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    keeper = Doorkeeper(answer or app, door)
    asyncio.run(keeper({"type": "http"}, None, send))
    return sent[0]["status"]


def test_a_request_is_answered_until_the_catalogue_is_closed_and_then_refused():
    door = Door()
    assert answer_to(door) == 200
    door.shut()
    assert answer_to(door) == 410
    with pytest.raises(CatalogClosedError, match="the session ends"), door.inside():
        pass


def test_it_stays_open_for_those_inside_and_for_those_who_come_right_after_them():
    door, events, entered = Door(), [], threading.Event()

    def use_twice():
        for k in range(2):
            with door.inside():
                entered.set()
                time.sleep(0.1)
                events.append(k)
            time.sleep(0.06)

    using = threading.Thread(target=use_twice)
    using.start()
    entered.wait()
    door.shut()
    events.append("shut")
    using.join()
    assert events == [0, 1, "shut"]


def test_it_waits_for_writers_but_not_without_end_for_others(monkeypatch, caplog):
    monkeypatch.setattr("stxm_live.io.catalog.door._LONGEST_S", 0.0)
    door, looks = Door(), []
    door.wait_for(lambda: looks.append(1) or len(looks) > 3)
    with door.inside():
        door.shut()
    assert len(looks) > 3
    assert "although something still uses it" in caplog.text
    assert answer_to(door) == 410
