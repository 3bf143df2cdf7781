"""Connections that end in time: pynetdicom's, which would wait and take in without limit, held to bounds."""

import socket
import ssl
import time
from collections import Counter
from typing import Any, NoReturn

from pynetdicom.fsm import StateMachine
from pynetdicom.transport import AssociationServer, AssociationSocket, RequestHandler

from plainfilm.data.images import MAX_BYTES
from plainfilm.serve.dicom.log import told

PDU_BYTES = 1 << 17  # what we ask for; ten associations send 100 MB in 8,000 of them
_LONGEST_PDU = 1 << 20
MESSAGE_BYTES = MAX_BYTES + (1 << 20)
_MESSAGE_S = 600.0
_HELD_BYTES = 1 << 30  # of all associations together
_PDU_S = 30.0
_ABORT = bytes.fromhex("07000000000400000200")  # A-ABORT by the service provider, no reason given (PS3.8 9.3.8)


class OverrunError(OSError):
    """A peer that sends too much, too slowly, or more than one message at a time."""


class BoundedSocket(AssociationSocket):
    """A socket that counts what came since the last answer, and closes where that goes beyond a bound."""

    def __init__(self, assoc: Any, client_socket: socket.socket) -> None:
        super().__init__(assoc, client_socket=client_socket)
        self._server = assoc._server
        self.received = 0
        self.messages = 0
        self.is_over = False
        self.address = client_socket.getpeername()[0]
        self._began = self._moved = time.monotonic()
        self._requestor = assoc.requestor

    def recv(self, nr_bytes: int) -> bytearray:
        """Read a whole number of bytes, in time.

        Raises
        ------
        OSError
            The peer went beyond a bound, or is gone; the connection is closed.
        """
        if self.received == 0:
            self._began = time.monotonic()
        self.received += nr_bytes
        self._check(nr_bytes)
        data = bytearray(nr_bytes)
        got, until = 0, time.monotonic() + _PDU_S
        while got < nr_bytes:
            left = until - time.monotonic()
            if left <= 0:
                self._end("too slow")
            count = self._received_into(memoryview(data)[got:], left)
            if not count:
                self._over()
                return data[:got]
            got += count
        self._moved = time.monotonic()
        return data

    def send(self, bytestream: bytes) -> None:
        """Send an answer, which ends what was received before."""
        self.received = self.messages = 0
        self._moved = time.monotonic()
        if self.socket is not None:
            self.socket.settimeout(_PDU_S)
        super().send(bytestream)

    def idle_s(self) -> float:
        """Seconds for which the peer has neither finished a PDU nor waited for an answer of ours."""
        return 0.0 if self.messages or self.is_over else time.monotonic() - self._moved

    def message_came(self) -> None:
        """Count a message. One at a time: no asynchronous operations are agreed on (PS3.7 D.3.3.3)."""
        self.messages += 1
        if self.messages > 1:
            self.abort("more than one message at a time")

    def _check(self, nr_bytes: int) -> None:
        if nr_bytes > _LONGEST_PDU:
            self._end("too long a PDU")
        if self.received > MESSAGE_BYTES:
            self._end("too long a message")
        if time.monotonic() - self._began > _MESSAGE_S:
            self._end("too slow")
        if self.received > _LONGEST_PDU and self._server.held_bytes() > _HELD_BYTES:
            self._end("too many bytes at a time")

    def _received_into(self, buffer: memoryview, left: float) -> int:
        if self.socket is None:
            raise OverrunError("closed")
        self.socket.settimeout(left)
        try:
            return self.socket.recv_into(buffer)
        except TimeoutError:
            self._end("too slow")
        except ssl.SSLError as error:  # of the handshake, which the first read begins
            self._end(f"TLS: {error.reason}")

    def _end(self, reason: str) -> NoReturn:
        self.abort(reason)
        raise OverrunError(reason)

    def abort(self, reason: str) -> None:
        """Send an A-ABORT, if the peer is still there, and close; over TLS only close, for another thread may be reading."""
        if not self.is_over:
            told("dicom.aborted", reason=reason)
        self._over()
        if self.socket is not None:
            try:
                if not isinstance(self.socket, ssl.SSLSocket):
                    self.socket.settimeout(1.0)
                    self.socket.sendall(_ABORT)
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is gone already

    def _over(self) -> None:
        """End; a thread that still waits for a request for an association must not outlive it."""
        self.is_over = True
        if self._requestor.primitive is None:
            self.assoc.dul.to_user_queue.put(None)


class _Turns(StateMachine):
    """The state machine of an association; what comes out of turn ends it, not only the thread that it runs in."""

    def do_action(self, event: str) -> None:
        try:
            super().do_action(event)
        except Exception:  # noqa: BLE001 - its own InvalidEventError, or whatever an action makes of a broken PDU
            self.dul.kill_dul()
            if isinstance(self.dul.socket, BoundedSocket):
                self.dul.socket.abort("out of turn")


class Handler(RequestHandler):
    """Gives each association a `BoundedSocket` and `_Turns`."""

    def _create_association(self) -> Any:
        association = super()._create_association()
        association.dul.socket = BoundedSocket(association, self.request)
        association.dul.state_machine = _Turns(association.dul)
        association.dul.event_queue.get_nowait()  # the connection was announced twice, once by each socket
        return association


class BoundedServer(AssociationServer):
    """Listens; takes a bounded number of connections, whether they ever ask for an association or not.

    Each has its threads before the next is taken, so that none is missed in counting.
    """

    request_queue_size = 64
    most_connections = 32
    idle_s = 2.0  # after which a connection that says nothing gives way, if there are too many
    most_threads = 256  # pynetdicom's outlive a connection by a moment

    def get_request(self) -> tuple[socket.socket, Any]:
        """Take a connection; over TLS its handshake is for the thread that reads, lest one that stalls keep all others out."""
        listening: Any = self.socket
        taken, address = listening.accept()
        if self.ssl_context is not None:
            taken = self.ssl_context.wrap_socket(taken, server_side=True, do_handshake_on_connect=False)
        return taken, address

    def verify_request(self, _: Any, client_address: Any) -> bool:
        """Take no more connections than a bound, nor all from one address; some more while `service_actions` ends idle ones."""
        links = self._links()
        own = sum(link.address == client_address[0] for link in links)
        is_room = len(links) < self.most_connections * 3 // 2 and own < self._share() + self.most_connections // 4
        return is_room and len(self.active_associations) < self.most_threads

    def service_actions(self) -> None:
        """End the connection that has been idle longest, of the address that has most: where that has more than its share, or all are taken."""
        links = self._links()
        (address, count), *_ = Counter(link.address for link in links).most_common(1) or [("", 0)]
        if count > self._share() or len(links) > self.most_connections:
            link = max((each for each in links if each.address == address), key=BoundedSocket.idle_s)
            if link.idle_s() > self.idle_s:
                link.abort("idle while others wait")

    def _links(self) -> list[Any]:
        return [link for each in self.active_associations if not getattr(link := each.dul.socket, "is_over", True)]

    def _share(self) -> int:
        """Connections that one address may have: an eighth is for others."""
        return self.most_connections - self.most_connections // 8

    def held_bytes(self) -> int:
        """Bytes that came on all connections since their last answers."""
        return sum(getattr(each.dul.socket, "received", 0) for each in self.active_associations)

    def handle_error(self, *_: Any) -> None:
        """Leave a connection that ended at once; its story would go to stderr."""
