"""Trying a classifier beside the app, and the app that nobody looks at."""

import asyncio
import http.client
import importlib
import shutil
import signal
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from made_app import App
from plainfilm.app import desk as desks
from plainfilm.app import trying
from plainfilm.app.desk import Desk
from plainfilm.app.trying import Tries
from plainfilm.serve.http_errors import Refused
from waiting import until

BUNDLE = Path(__file__).resolve().parents[1] / "written_by_0_1_0" / "run" / "model.plainfilm"


def answers(address: str, path: str = "/api/v1/ready") -> int:
    told = urlsplit(address)
    connection = http.client.HTTPConnection(str(told.hostname), told.port, timeout=60)
    token = told.fragment.partition("=")[2]
    try:
        connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_a_classifier_is_served_until_the_app_ends_whatever_ends_it(tmp_path):
    shutil.copytree(BUNDLE.parent, tmp_path / "home" / "plainfilm-projects" / "films" / "run")
    bundle = str(tmp_path / "home" / "plainfilm-projects" / "films" / "run" / BUNDLE.name)
    with App(tmp_path / "home", log=tmp_path / "log") as app:
        client = app.client()
        address = client.post("/api/try", {"bundle": bundle})["address"]
        assert answers(address) == 200
        assert answers(address, "/api/v1/model") == 200
        assert answers(address.partition("#")[0], "/api/v1/model") == 401
        assert client.post("/api/try", {"bundle": bundle})["address"] == address, "one server a classifier"
        app.end(signal.SIGKILL)
    until(lambda: answers(address) == 0)


def test_what_cannot_be_served_is_the_line_of_the_terminal(tmp_path):
    (tmp_path / "model.plainfilm").write_text("none")
    tries = Tries()
    with pytest.raises(Refused, match="Expected a whole plainfilm bundle") as refused:
        tries.open(tmp_path / "model.plainfilm")
    assert (refused.value.status, str(refused.value).count("\n")) == (409, 0)
    assert not tries._served


def test_a_server_that_nobody_asks_ends(tmp_path, monkeypatch):
    class Forgotten:
        is_over, ended = True, False

        def end(self):
            self.ended = True

    tries, each = Tries(), Forgotten()
    tries._served[tmp_path] = each
    tries.rest()
    assert (each.ended, tries._served) == (True, {})
    assert trying.IDLE_S == 900


def test_an_app_that_nobody_looks_at_ends_by_itself(places, monkeypatch):
    monkeypatch.setattr(desks, "IDLE_S", 0.05)
    monkeypatch.setattr(desks, "_SLOW_TICK_S", 0.02)

    async def kept():
        desk = Desk(places)
        async with asyncio.timeout(60):
            await desk.keep()
        return desk.is_ending.is_set()

    assert asyncio.run(kept())


def test_an_app_that_is_looked_at_does_not(places, monkeypatch):
    monkeypatch.setattr(desks, "IDLE_S", 0.05)
    monkeypatch.setattr(desks, "_SLOW_TICK_S", 0.02)

    async def kept():
        desk = Desk(places)
        looking = asyncio.create_task(desk.state.after(desk.state.number + 10, 60))
        keeping = asyncio.create_task(desk.keep())
        await asyncio.sleep(0.5)
        still = not keeping.done()
        desk.end()
        await asyncio.gather(looking, keeping)
        return still

    assert asyncio.run(kept())


@pytest.mark.parametrize(
    ("screen", "opened"), [({"DISPLAY": ":0"}, ["file:///x"]), ({"WAYLAND_DISPLAY": "w"}, ["file:///x"]), ({}, [])]
)
def test_a_browser_is_opened_where_there_is_a_screen(monkeypatch, screen, opened):
    command, found = importlib.import_module("plainfilm.cli.app"), []
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"):
        monkeypatch.setenv(name, screen.get(name, ""))
    monkeypatch.setattr(command.webbrowser, "open", found.append)
    monkeypatch.setattr(command.sys, "platform", "linux")
    command._open("file:///x")
    for thread in threading.enumerate():
        if thread.name == "browser":
            thread.join()
    assert found == opened
