"""TCP connections of the web server: how many, and how long each may take to say what it wants and to take what it gets."""

import json
from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 512
HEAD_S = 10.0
TAKE_S = 60.0
HEAD_BYTES = 1 << 16
PIPELINED = 100


def _answer(status: str, code: str, sentence: str) -> bytes:
    """Make an answer where there is no request to answer, or none that can be read."""
    body = json.dumps({"error": {"code": code, "message": sentence}}).encode()
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        "x-content-type-options: nosniff\r\ncontent-security-policy: default-src 'none'\r\ncache-control: no-store\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body


_FULL = _answer(
    "503 Service Unavailable\r\nretry-after: 1",
    "connections",
    "Expected fewer connections; received one too many. Come again later.",
)
_BROKEN = _answer("400 Bad Request", "no-http", "Expected an HTTP/1.1 request; received none. Check the client.")


class _TooManyError(Exception):
    """More requests on one connection than may wait; it ends httptools' parsing."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection, bounded in number, in bytes that are no body, and in time.

    A head must be whole in `HEAD_S` seconds. `HEAD_BYTES` bound a head, and whatever else comes without a byte of a body, such as
    trailers. A client that does not take an answer for `TAKE_S` seconds is left, and so is one that has more than `PIPELINED`
    requests wait behind the one that is answered.
    """

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Take a connection, or turn it away where there are too many."""
        super().connection_made(transport)
        self._idle_bytes, self._head_whole = 0, False
        self._taking: TimerHandle | None = None
        self._due: TimerHandle | None = self.loop.call_later(HEAD_S, transport.close)
        if len(self.connections) > MOST:
            transport.write(_FULL)
            transport.close()

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

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._idle_bytes, self._head_whole = 0, True
        self._stop_timers()
        super().on_headers_complete()
        if len(self.pipeline) > PIPELINED:
            raise _TooManyError

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
            self.transport.write(_BROKEN)
        self.transport.close()
        self._see_that_it_is_taken()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timers."""
        self._stop_timers()
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


def options() -> dict[str, Any]:
    """Give what uvicorn is told of connections."""
    return {"http": Connection, "ws": "none", "timeout_keep_alive": 15, "backlog": 1024}
