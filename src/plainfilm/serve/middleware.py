"""The door of the web server: who may come in (Host, Origin, token), and what every answer bears."""

import asyncio
import re
import time
from collections.abc import Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plainfilm.serve import http_errors
from plainfilm.serve.http_errors import Refused
from plainfilm.serve.telemetry import LOG, Telemetry
from plainfilm.serve.tokens import Access, Tokens

API = "/api/v1"
_EVERY_ANSWER = {name.encode(): value.encode() for name, value in http_errors.HEADERS.items()}
_OPEN = frozenset({f"{API}/health", f"{API}/ready", f"{API}/card"})  # of the API; the page itself is open too
_CARD = re.compile(rf"{API}/models/[^/]+/card")  # which is open as that of the first is
_PROTECTED = (f"{API}/", "/dicom-web/")
AT_ONCE_S = 0.02  # what has come by then was sent with the request
LINGER_S = 2.0
_LINGER_BYTES = 1 << 25
_SOON_TAKEN_BYTES = 1 << 16  # as uvicorn's mark for what waits to be written
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Who may come in: host names (lower case, without port), and the tokens that the API asks for, if any.

    `root` is the path that a proxy puts before ours, "" or as /xray; it may have taken it off already.
    """

    hosts: Collection[str]
    tokens: Tokens = field(default_factory=Tokens)
    root: str = ""

    def below(self, path: str) -> str:
        """Give a path without the root."""
        return path.removeprefix(self.root) if path.startswith(f"{self.root}/") else path

    def check(self, scope: Scope) -> Access:
        """Let a request in, and say what it may do.

        Raises
        ------
        Refused
            403 as `check_site` has it; 401 without the token.
        """
        self.check_site(scope)
        path = self.below(scope["path"])
        if not self.tokens or not path.startswith(_PROTECTED) or path in _OPEN or _CARD.fullmatch(path):
            return Access()
        kind, _, shown = only(scope, b"authorization").partition(" ")
        access = self.tokens.access(shown.strip()) if kind.lower() == "bearer" else None
        if access is None:
            raise Refused(
                401,
                "token",
                "Expected the header Authorization: Bearer TOKEN; received none, or another token. Ask who runs the server for one.",
            )
        return access

    def check_site(self, scope: Scope) -> None:
        """Turn away whoever calls this server by another's name, or from another's page.

        Raises
        ------
        Refused
            403 for a Host or an Origin that is not ours, which is how other pages in a user's browser would reach in (DNS
            rebinding, cross-site requests).
        """
        host = only(scope, b"host")
        if _name_of(host) not in self.hosts:
            raise Refused(
                403,
                "host",
                "Expected a Host that this server was started for; received another. Start it with --allow-host NAME.",
            )
        origin = only(scope, b"origin")
        if origin and origin not in {f"http://{host}", f"https://{host}"}:
            raise Refused(
                403,
                "origin",
                "Expected a request of this server's own page; received one of another site's. Open the page of this server.",
            )


class Guard:
    """Wraps the application: lets in, names each request, bears headers, counts, and logs a line."""

    def __init__(self, app: ASGIApp, door: Door, telemetry: Telemetry) -> None:
        self._app, self._door, self._telemetry = app, door, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {
                **scope,
                "method": "GET",
            }  # answered alike; the server, which has its own scope, leaves the body out
        with ExitStack() as held:
            scope["held"] = held
            answer = _Answer(scope, receive, send)
            try:
                scope["access"] = self._door.check(scope)
                await self._within(scope, receive, answer.send)
            except Refused as refused:
                await (await answered(refused, scope, receive))(scope, receive, answer.send)
            except Exception:  # noqa: BLE001 - logged, and told to the client as a fault of ours
                LOG.exception("failed", extra={"event": {"request": answer.request_id}})
                if not answer.status:
                    await http_errors.failed().answer(scope)(scope, receive, answer.send)
            finally:
                self._note(scope, answer)

    async def _within(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer below the root, and send who stands at it to its page, whose links are relative."""
        root = self._door.root
        if root and scope["path"] == root:
            await RedirectResponse(f"{root}/", 308)(scope, receive, send)
            return
        scope["root_path"], scope["path"] = root, root + self._door.below(scope["path"])
        await self._app(scope, receive, send)

    def _note(self, scope: Scope, answer: "_Answer") -> None:
        seconds, route = time.perf_counter() - answer.began, getattr(scope.get("route"), "path", "other")
        self._telemetry.answered(route=route, status=answer.status, seconds=seconds)
        token = scope["access"].token if "access" in scope else ""
        event = {
            "request": answer.request_id,
            **({"token": token} if token else {}),
            "method": scope["method"],
            "route": route,
            "status": answer.status,
        }
        LOG.info("request", extra={"event": {**event, "ms": round(1000 * seconds, 1), **scope.get("noted", {})}})


async def answered(refused: Refused, scope: Scope, receive: Receive) -> Response:
    """Make the answer of a refusal, after the rest of a body that is there already: then the connection need not end.

    What the request held is given back before.
    """
    scope["held"].close()
    if http_errors.may_have_body(scope) and not only(scope, b"expect"):
        await _read_on(scope, receive, AT_ONCE_S)
    return refused.answer(scope)


class _Answer:
    """One answer on its way out. `scope["held"]` is held until the client has taken it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began, self.status = time.perf_counter(), 0
        self._scope, self._receive, self._send = scope, receive, send
        given = only(scope, b"x-request-id").encode()
        self.request_id = given.decode() if _REQUEST_ID.fullmatch(given) else http_errors.new_id()
        scope["request_id"] = self.request_id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            own = {name.lower(): value for name, value in message.get("headers", ())}
            message["headers"] = [
                *message.get("headers", ()),
                *((name, value) for name, value in _EVERY_ANSWER.items() if name not in own),
                (b"x-request-id", self.request_id.encode()),
            ]
        elif not message.get("more_body"):
            await self._end(message)
            return
        await self._send(message)

    async def _end(self, message: Message) -> None:
        """Send the last of an answer; the connection of a client that still sends ends only when it can have read it."""
        is_refused_early = self.status >= 400 and http_errors.may_have_body(self._scope)
        if is_refused_early or len(message.get("body", b"")) > _SOON_TAKEN_BYTES:
            await self._send({**message, "more_body": True})
            message = {"type": "http.response.body"}
        if is_refused_early:
            await _read_on(self._scope, self._receive, LINGER_S)
        await self._send(message)  # once what was sent before is on its way


async def _read_on(scope: Scope, receive: Receive, seconds: float) -> None:
    """Pass over what is left of a body, for a time; a connection that is closed before is reset, and its answer may be lost."""
    left = _LINGER_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while left > 0 and (message := await receive())["type"] == "http.request":
                left -= len(message.get("body", b""))
                if not message.get("more_body"):
                    scope["read_whole"] = True
                    return


def only(scope: Scope, name: bytes) -> str:
    """Value of a header that may stand once; what stands twice matches nothing."""
    found = [value for key, value in scope["headers"] if key == name]
    return found[0].decode("latin-1") if len(found) == 1 else "\n" * len(found)


def _name_of(host: str) -> str:
    """Name in a Host header, lower case, without port; of an IPv6 address with its brackets."""
    matched = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]\s]+)(?::\d{1,5})?", host)
    return matched[1].lower() if matched else ""
