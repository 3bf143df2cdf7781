import asyncio
import json
import logging
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.serve import middleware, tokens
from plainfilm.serve.http_errors import CSP, Refused
from plainfilm.serve.middleware import API, Door, Guard
from plainfilm.serve.telemetry import Telemetry

HOSTS = {"127.0.0.1", "localhost", "[::1]"}
TOKEN = "a-token-of-some-length"


class Recorded(Telemetry):
    def __init__(self):
        super().__init__(dict)
        self.requests = []

    def answered(self, *, route, status, seconds):  # noqa: ARG002 - the guard names it
        self.requests.append((route, status))


async def fine(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def ask(*headers, path="/", method="GET", app=fine, token=None, root=""):
    """Status, headers and body of a request with exactly these headers."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": method, "path": path, "headers": [(a.encode(), b.encode()) for a, b in headers]}
    telemetry = Recorded()
    asyncio.run(
        Guard(app, Door(hosts=HOSTS, tokens=tokens.read(None, models=(), everybodys=token), root=root), telemetry)(
            scope, receive, send
        )
    )
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1, "one answer, never two"
    got = [(name.decode(), value.decode()) for name, value in starts[0]["headers"]]
    assert len(dict(got)) == len(got)
    body = b"".join(message.get("body", b"") for message in sent)
    assert telemetry.requests[0][1] == starts[0]["status"]
    return starts[0]["status"], dict(got), body


def code(*headers, **more):
    status, _, body = ask(*headers, **more)
    return status, body if body == b"in" else json.loads(body)["error"]["code"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost", "LOCALHOST:80", "[::1]", "[::1]:8000", "localhost:65535"]
)
def test_our_own_names_come_in(host):
    assert code(("host", host)) == (200, b"in")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "evil.example:127.0.0.1", "127.0.0.1@evil.example", "", ":8000", "localhost:",
     "localhost:x", "localhost ", " localhost", "localhost:8000:8000", "[::1]x", "[::1", "::1", "localhost.", "127.0.0.1\n", "localhost,evil",
     "127.0.0.1/x", "2130706433", "127.1"],
)  # fmt: skip
def test_other_names_stay_outside_so_that_rebinding_a_name_reaches_nothing(host):
    assert code(("host", host)) == (403, "host")


@given(st.text(st.characters(codec="latin-1"), max_size=30))
def test_no_other_host_ever_comes_in(host):
    name = host.lower().rsplit(":", 1)[0] if host.lower() not in HOSTS else host.lower()
    door = Door(hosts=HOSTS)
    scope = {"path": "/", "headers": [(b"host", host.encode("latin-1"))]}
    if name not in HOSTS:
        with pytest.raises(Refused):
            door.check(scope)


def test_no_host_or_two_of_them_stay_outside():
    assert code() == (403, "host")
    assert code(("host", "127.0.0.1"), ("host", "127.0.0.1")) == (403, "host")


@pytest.mark.parametrize("origin", ["http://localhost:8000", "https://localhost:8000"])
def test_the_page_itself_may_ask(origin):
    assert code(("host", "localhost:8000"), ("origin", origin)) == (200, b"in")


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost", "http://localhost:8001", "http://localhost:8000.evil.example", "file://",
     "http://127.0.0.1:8000", "localhost:8000", "http://localhost:8000/", "ftp://localhost:8000"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_pages_of_others_may_not(origin, method):
    assert code(("host", "localhost:8000"), ("origin", origin), method=method) == (403, "origin")


def test_two_origins_are_one_too_many():
    ours = ("origin", "http://localhost")
    assert code(("host", "localhost"), ours, ours) == (403, "origin")


@pytest.mark.parametrize(
    "path", [f"{API}/predict", f"{API}/model", f"{API}/metrics", f"{API}/openapi.json", "/dicom-web/studies"]
)
def test_the_interface_asks_for_the_token(path):
    host = ("host", "localhost")
    assert code(host, path=path, token=TOKEN) == (401, "token")
    assert code(host, ("authorization", f"Bearer {TOKEN}"), path=path, token=TOKEN) == (200, b"in")
    assert code(host, ("authorization", f"bearer  {TOKEN} "), path=path, token=TOKEN) == (200, b"in")
    assert ask(host, path=path, token=TOKEN)[1]["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    "given", [f"Bearer {TOKEN}x", "Bearer", "", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", "Bearer \xff", f"Bearer {TOKEN.upper()}"]
)  # fmt: skip
def test_another_token_is_none(given):
    assert code(("host", "localhost"), ("authorization", given), path=f"{API}/model", token=TOKEN) == (401, "token")


def test_a_token_that_stands_twice_is_none():
    right = ("authorization", f"Bearer {TOKEN}")
    assert code(("host", "localhost"), right, right, path=f"{API}/model", token=TOKEN) == (401, "token")


@pytest.mark.parametrize("path", ["/", "/page/page.js", f"{API}/health", f"{API}/ready", f"{API}/card"])
def test_the_page_and_the_health_need_no_token(path):
    assert code(("host", "localhost"), path=path, token=TOKEN) == (200, b"in")


def test_a_token_is_not_needed_where_none_is_set():
    assert code(("host", "localhost"), path=f"{API}/model") == (200, b"in")


async def refuses(scope, receive, send):
    raise Refused(413, "too-many-bytes", "Expected less; received more. Send less.")


async def fails(scope, receive, send):
    raise ZeroDivisionError("Doe^Jane 1950")


async def fails_late(scope, receive, send):
    await fine(scope, receive, send)
    raise ZeroDivisionError("Doe^Jane 1950")


@pytest.mark.parametrize(("app", "status"), [(fine, 200), (refuses, 413), (fails, 500), (fails_late, 200)])
def test_every_answer_bears_the_headers_and_a_name(app, status):
    seen, headers, _ = ask(("host", "localhost"), app=app)
    assert seen == status
    assert headers["content-security-policy"] == CSP
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert len(headers["x-request-id"]) == 16
    assert not [name for name in headers if name.startswith("access-control-")]


def test_the_policy_lets_no_script_in_but_our_own_files():
    rules = dict(rule.split(" ", 1) for rule in CSP.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["form-action"] == rules["base-uri"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == "'self'"
    assert "unsafe" not in CSP
    assert "http" not in CSP


def test_a_clients_name_of_a_request_is_kept_if_it_is_one():
    assert ask(("host", "localhost"), ("x-request-id", "trace-0123.45"))[1]["x-request-id"] == "trace-0123.45"
    for wrong in ("short", "x" * 65, "with space", "a\r\nb: c-----", "<script>alert(1)</script>"):
        assert wrong not in ask(("host", "localhost"), ("x-request-id", wrong))[1]["x-request-id"]


def test_a_refusal_of_an_unread_body_ends_the_connection():
    assert ask(("host", "evil"), method="POST")[1]["connection"] == "close"
    assert "connection" not in ask(("host", "evil"))[1]


def test_the_log_names_the_place_of_a_fault_and_never_its_text(caplog):
    with caplog.at_level(logging.INFO, "plainfilm.serve"):
        ask(("host", "localhost"), ("user-agent", "Mozilla"), app=fails, path="/Doe/Jane")
    (failed, request) = caplog.records
    from plainfilm.serve.telemetry import _JsonLines

    lines = [json.loads(_JsonLines().format(record)) for record in (failed, request)]
    assert lines[0]["error"].startswith("ZeroDivisionError at test_middleware:")
    assert lines[0]["request"] == lines[1]["request"]
    assert (lines[1]["route"], lines[1]["status"], lines[1]["method"]) == ("other", 500, "GET")
    assert not any(word in json.dumps(lines) for word in ("Doe", "Mozilla", "localhost"))


def test_a_request_is_logged_with_its_route_and_what_was_noted_of_it(caplog):
    async def app(scope, receive, send):
        scope["route"], scope["noted"] = SimpleNamespace(path="/of/{ours}"), {"files": 3}
        await fine(scope, receive, send)

    with caplog.at_level(logging.INFO, "plainfilm.serve"):
        _, headers, _ = ask(("host", "localhost"), app=app, path="/of/them", method="PUT")
    (record,) = caplog.records
    milliseconds = record.event.pop("ms")
    assert milliseconds == round(milliseconds, 1) >= 0
    assert record.event == {
        "request": headers["x-request-id"],
        "method": "PUT",
        "route": "/of/{ours}",
        "status": 200,
        "files": 3,
    }
    assert record.getMessage() == "request"


def test_the_time_of_a_request_is_counted_in_seconds_and_logged_in_milliseconds(monkeypatch, caplog):
    now = iter([100.0, 100.25])
    monkeypatch.setattr(middleware.time, "perf_counter", lambda: next(now))
    with caplog.at_level(logging.INFO, "plainfilm.serve"):
        ask(("host", "localhost"))
    assert caplog.records[0].event["ms"] == 250.0


def test_a_head_is_answered_as_a_get_and_logged_as_one():
    async def app(scope, receive, send):
        assert scope["method"] == "GET"
        await fine(scope, receive, send)

    assert ask(("host", "localhost"), app=app, method="HEAD")[0] == 200
    assert ask(("host", "localhost"), method="HEAD")[2] == b"in"


def test_an_answer_keeps_its_own_headers_and_gets_all_of_ours():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})

    async def bare(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    ours = {
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "cache-control": "no-store",
        "x-request-id": "12345678",
    }
    sent = ("host", "localhost"), ("x-request-id", "12345678")
    assert ask(*sent, app=app)[1] == {"x-own": "1", **ours}
    assert ask(*sent, app=bare)[1] == ours


def test_what_is_no_http_is_passed_on():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(Guard(app, Door(hosts=HOSTS), Recorded())({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
    assert middleware.LOG.name == "plainfilm.serve"
