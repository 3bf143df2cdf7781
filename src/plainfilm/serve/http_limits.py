"""TCP connections of the web server: how many, and how long each may take to say what it wants and to take what it gets."""

from asyncio import TimerHandle, Transport
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from plainfilm.serve.admission import fits
from plainfilm.serve.clients import client_of
from plainfilm.serve.http_errors import HEADERS, body_of, new_id

MOST = 512
HEAD_S = 10.0
TAKE_S = 60.0
HEAD_BYTES = 1 << 16
PIPELINED = 100
_AROUND_A_HEADER = len(": \r\n")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is said to a connection that has no request to answer, or none that can be read; then it ends."""

    status: str
    code: str
    sentence: str

    def __bytes__(self) -> bytes:
        request_id = new_id()
        body = body_of(self.code, self.sentence, request_id).encode()
        told = {
            "content-type": "application/json",
            "content-length": len(body),
            "connection": "close",
            "x-request-id": request_id,
        }
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in (told | HEADERS).items())]
        return "\r\n".join([*lines, "", ""]).encode() + body


_LARGE = _Answer(
    "431 Request Header Fields Too Large",
    "head-too-large",
    f"Expected at most {HEAD_BYTES // 1024} kB in the head of a request; received more. Send fewer or shorter headers.",
)
_FULL = _Answer(
    "503 Service Unavailable\r\nretry-after: 1",
    "connections",
    "Expected fewer connections; received one too many. Come again later.",
)
_BROKEN = _Answer("400 Bad Request", "no-http", "Expected an HTTP/1.1 request; received none. Check the client.")


class _TooMuchError(Exception):
    """A head that is too large, or more requests on one connection than may wait; it ends httptools' parsing."""


@dataclass(slots=True)
class Connections:
    """All connections by client, and how many were turned away. `proxies` speak for many clients: theirs are bounded only together."""

    proxies: Collection[str] = ()
    turned_away: int = 0
    _of: dict[str, dict["Connection", None]] = field(default_factory=lambda: defaultdict(dict))
    _together: int = 0

    def take(self, connection: "Connection", client: str) -> bool:
        """Count one more; whether there is room for it, if need be in place of the client's oldest that has nothing under way."""
        own = self._of[client]
        has_room = self._together < MOST if client in self.proxies else fits(len(own), self._together, 1, MOST)
        if not has_room and (idle := next((each for each in own if each.is_idle), None)):
            self.give(idle, client)
            idle.transport.close()
            has_room = True
        self._of[client][connection] = None
        self._together += 1
        self.turned_away += not has_room
        return has_room

    def give(self, connection: "Connection", client: str) -> None:
        """Count one less, if it is counted still."""
        own = self._of[client]
        if connection in own:
            del own[connection]
            self._together -= 1
        if not own:
            del self._of[client]


class Connection(HttpToolsProtocol):
    """uvicorn's connection, bounded in number, in bytes that are no body, and in time.

    A client may have as many as it leaves free of `MOST`. A head must be whole in `HEAD_S` seconds. `HEAD_BYTES` bound a head, and
    whatever else comes without a byte of a body, such as trailers. A client that does not take an answer for `TAKE_S` seconds is
    left, and so is one that has more than `PIPELINED` requests wait behind the one that is answered.
    """

    def __init__(self, *told: Any, among: Connections, **named: Any) -> None:
        super().__init__(*told, **named)
        self._among = among

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Take a connection, or turn it away where there are too many."""
        super().connection_made(transport)
        self._idle_bytes, self._head_bytes, self._head_whole = 0, 0, False
        self._under_way: list[RequestResponseCycle] = []
        self._taking: TimerHandle | None = None
        self._due: TimerHandle | None = self.loop.call_later(HEAD_S, transport.close)
        self._owner = client_of(self.client)
        if not self._among.take(self, self._owner):
            transport.write(bytes(_FULL))
            transport.close()

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way whose head was whole."""
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    def data_received(self, data: bytes) -> None:
        """Take the next bytes; a head that grows without end closes the connection."""
        if self.transport.is_closing():
            return
        self._idle_bytes += len(data)
        if not self._head_whole and self._due is None:  # the first bytes of a further request
            self._due = self.loop.call_later(HEAD_S, self.transport.close)
        super().data_received(data)
        if self._idle_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """Take a further head."""
        super().on_message_begin()
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of a request's path."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self._count(len(name) + len(value) + _AROUND_A_HEADER)
        super().on_header(name, value)

    def _count(self, length: int) -> None:
        self._head_bytes += length
        if self._head_bytes > HEAD_BYTES:
            raise _TooMuchError

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._idle_bytes, self._head_whole = 0, True
        self._stop_timers()
        super().on_headers_complete()
        if self.cycle is not None:
            self._under_way = [each for each in self._under_way if not each.response_complete] + [self.cycle]
        if len(self.pipeline) > PIPELINED:
            raise _TooMuchError

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, whose length the application bounds."""
        self._idle_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next head."""
        super().on_message_complete()
        self._idle_bytes, self._head_whole = 0, False

    def on_response_complete(self) -> None:
        """See that what was answered is taken."""
        super().on_response_complete()
        if self.pipeline:  # uvicorn reads on after each answer
            self.flow.pause_reading()
        self._see_that_it_is_taken()

    def pause_writing(self) -> None:
        """Wait for a client that takes slowly."""
        super().pause_writing()
        self._see_that_it_is_taken()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - said in our words
        """End a connection that brought what is no request; say so, unless it would be taken for an earlier one's answer."""
        if not self.pipeline and (self.cycle is None or self.cycle.more_body or self.cycle.response_complete):
            is_large = max(self._head_bytes, 0 if self._head_whole else self._idle_bytes) > HEAD_BYTES
            self.transport.write(bytes(_LARGE if is_large else _BROKEN))
        self.transport.close()
        self._see_that_it_is_taken()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timers, and tell each request that its client is gone: uvicorn tells the last alone."""
        self._stop_timers()
        for each in self._under_way:
            each.disconnected = not each.response_complete
            each.message_event.set()
        self._among.give(self, self._owner)
        super().connection_lost(exc)

    def _see_that_it_is_taken(self) -> None:
        _cancel(self._taking)
        self._taking = self.loop.call_later(TAKE_S, self._leave_if_stuck)

    def _stop_timers(self) -> None:
        _cancel(self._due)
        _cancel(self._taking)
        self._due = self._taking = None

    def _leave_if_stuck(self) -> None:
        self._taking = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()


def _cancel(timer: TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def options(among: Connections) -> dict[str, Any]:
    """Give what uvicorn is told of connections."""
    return {"http": partial(Connection, among=among), "ws": "none", "timeout_keep_alive": 15, "backlog": 1024}
