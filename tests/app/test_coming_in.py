import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from plainfilm.app import server
from plainfilm.app.coming_in import FILE_HEADERS, KEY_S, PAGE_CSP, AppDoor, Keys
from plainfilm.app.desk import Desk
from plainfilm.app.routes import application
from plainfilm.serve.http_errors import Refused
from plainfilm.serve.middleware import Guard
from plainfilm.serve.telemetry import Telemetry


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def scope(path="/api/state", method="GET", **headers):
    sent = {"host": "127.0.0.1:5000"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "path": path,
        "method": method,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
    }


@pytest.fixture
def door():
    return AppDoor(hosts={"127.0.0.1", "localhost"}, port=5000)


def refusal(door, asked):
    with pytest.raises(Refused) as refused:
        door.check(asked)
    return refused.value.status, refused.value.code


def test_a_key_is_good_once_and_for_ten_minutes():
    clock = Clock()
    keys = Keys(clock)
    first, second = keys.new(), keys.new()
    assert keys.use(first)
    assert not keys.use(first)
    clock.now = KEY_S
    assert not keys.use(second)
    assert not keys.use("")
    assert not keys.use("x" * 32)


def test_no_more_keys_are_kept_than_anybody_needs():
    keys = Keys()
    oldest = keys.new()
    for _ in range(100):
        newest = keys.new()
    assert not keys.use(oldest)
    assert keys.use(newest)


def test_nothing_is_told_without_the_cookie(door):
    good = f"{door.cookie_name}={door.cookie}"
    door.check(scope(cookie=good))
    door.check(scope(cookie=f"other=1; {good}"))
    door.check(scope("/"))  # the page itself says how to come in
    for cookie in (
        "",
        "plainfilm_5000=",
        f"plainfilm_5001={door.cookie}",
        f"{door.cookie_name}=x",
        f"{good}é",
        "\x00=;;,",
        f"{door.cookie_name}={door.cookie}=",
    ):
        assert refusal(door, scope(cookie=cookie)) == (401, "cookie"), cookie
    assert refusal(door, scope("/files/a/run/report.html")) == (401, "cookie")
    assert door.given().endswith(f"; HttpOnly; SameSite=Strict; Path={door.root}/")


def test_no_other_port_is_shown_the_cookie_nor_can_hide_it(door):
    assert len(door.root) > 20
    assert door.root != AppDoor(hosts={"localhost"}, port=5000).root
    good = f"{door.cookie_name}={door.cookie}"
    door.check(scope(f"{door.root}/api/state", cookie=f"{door.cookie_name}=x; {good}; {door.cookie_name}=y"))
    for path in (f"{door.root}/api/state", f"{door.root}/files/a/run/report.html"):
        assert refusal(door, scope(path)) == (401, "cookie")


def answer(app, asked):
    """Status, headers and body of an answer."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    asyncio.run(
        app({"type": "http", "query_string": b"", "http_version": "1.1", "root_path": "", **asked}, receive, send)
    )
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_who_follows_a_link_of_another_place_comes_in_too(door, places):
    app = Guard(application(Desk(places), door), door, Telemetry(dict))
    for site, status in (("none", 303), ("cross-site", 200), ("same-site", 200)):
        asked = scope(f"{door.root}/", sec_fetch_site=site) | {"query_string": f"key={door.keys.new()}".encode()}
        got, headers, body = answer(app, asked)
        assert (got, headers[b"set-cookie"].decode()) == (status, door.given()), site
        assert (
            f"0;url={door.root}/".encode() in body
            if status == 200
            else headers[b"location"].decode() == f"{door.root}/"
        )
        assert answer(app, asked)[0] == 401
    cookie = f"{door.cookie_name}={door.cookie}"
    assert b"<script" in answer(app, scope(f"{door.root}/", cookie=cookie))[2]


def test_no_command_line_of_a_browser_has_a_key(places):
    address = "http://127.0.0.1:5000/place/?key=secret"
    opened = server.leading_to(address, server.AppSettings(root=places.root))
    if opened != address:  # Windows shows a user's command lines to nobody else
        page = Path(url2pathname(urlsplit(opened).path))
        assert (urlsplit(opened).scheme, page.parent) == ("file", places.own)
        assert address in page.read_text()
        assert page.stat().st_mode & 0o077 == 0


def test_another_name_of_this_machine_or_another_sites_page_gets_nothing(door):
    good = f"{door.cookie_name}={door.cookie}"
    for host in ("evil.example", "evil.example:5000", "127.0.0.1.evil.example", "", "127.0.0.1:5000, evil"):
        assert refusal(door, scope(cookie=good, host=host)) == (403, "host"), host
    for origin in ("http://evil.example", "null", "http://127.0.0.1:5001", "https://127.0.0.1"):
        assert refusal(door, scope(cookie=good, origin=origin)) == (403, "origin"), origin
    for site in ("cross-site", "same-site"):
        assert refusal(door, scope(cookie=good, sec_fetch_site=site)) == (403, "origin"), site
    door.check(scope(cookie=good, origin="http://127.0.0.1:5000", sec_fetch_site="same-origin"))


def test_only_who_reads_the_secret_beside_the_lock_gets_a_key(door):
    asked = lambda shown: scope("/api/key", "POST", authorization=shown)  # noqa: E731
    door.check(asked(f"Bearer {door.secret}"))
    for shown in ("", "Bearer", f"Basic {door.secret}", "Bearer x", f"Bearer {door.cookie}"):
        assert refusal(door, asked(shown)) == (401, "secret")


def test_no_policy_names_another_place():
    for policy in (PAGE_CSP, FILE_HEADERS["content-security-policy"]):
        assert "default-src 'none'" in policy
        assert "http" not in policy
        assert "*" not in policy
    assert "allow-same-origin" not in FILE_HEADERS["content-security-policy"]
    assert "frame-src 'self'" in PAGE_CSP


def test_a_fault_of_ours_is_said_in_one_line_too(door, places, monkeypatch, caplog):
    def breaks(_self):
        raise RuntimeError("a fault")

    desk = Desk(places)
    monkeypatch.setattr(Desk, "heard_now", breaks)
    app = Guard(application(desk, door), door, Telemetry(dict))
    status, headers, body = answer(app, scope(f"{door.root}/api/state", cookie=f"{door.cookie_name}={door.cookie}"))
    assert (status, headers[b"content-type"], json.loads(body)["error"]["code"]) == (500, b"application/json", "failed")
    assert next(record.getMessage() for record in caplog.records if record.name == "plainfilm.serve") == "failed"
