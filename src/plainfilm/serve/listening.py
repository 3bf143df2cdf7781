"""Where a web server listens, and how it is told to stop."""

import ipaddress
import re
import signal
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import uvicorn

from plainfilm.errors import PlainfilmError, UsageError
from plainfilm.reasons import reason_of

_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Server(uvicorn.Server):
    """uvicorn's, which would raise the signal again once it has stopped, before we have."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear SIGINT and SIGTERM until the block ends."""
        kinds = (signal.SIGINT, signal.SIGTERM)
        before = {kind: signal.signal(kind, self.handle_exit) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def names_of(host: str, allowed: Iterable[str] = ()) -> frozenset[str]:
    """Give the names by which a server at an address may be called: its own, this machine's, and those that are allowed, without their ports."""
    own = {shown(host)}
    if not is_loopback(host):
        own |= {socket.gethostname(), socket.getfqdn()}
    return _LOOPBACK_NAMES | {re.sub(r":\d+\Z", "", name.lower()) for name in (*own, *allowed)}


def shown(host: str) -> str:
    """Write a host as it stands in a URL, an IPv6 address as browsers write it (RFC 5952); where all addresses are meant, this machine's name."""
    try:
        address = ipaddress.ip_address(host.strip("[]") or "0.0.0.0")
    except ValueError:
        return host
    if address.is_unspecified:
        return socket.gethostname()
    return f"[{address}]" if address.version == 6 else str(address)


def check_port(port: int, flag: str) -> None:
    """Raise UsageError unless a port may have this number; `flag` is what it was named by."""
    if not 0 <= port < 1 << 16:
        raise UsageError(
            f"Expected {flag} from 0 to 65535; received {port}. Choose another, or 0 for any that is free."
        )


@contextmanager
def listening_at(host: str, port: int) -> Iterator[socket.socket]:
    """Take connections at a port, 0 for any that is free, until the block ends.

    Raises
    ------
    UsageError
        No port has this number.
    PlainfilmError
        It is taken, or none of this machine's.
    """
    check_port(port, "--port")
    bare = host.strip("[]")
    try:
        listening = socket.create_server((bare, port), family=socket.AF_INET6 if ":" in bare else socket.AF_INET)
    except OSError as error:
        raise PlainfilmError(
            f"Expected a free port of this machine; received {host}:{port} ({reason_of(error)}). Choose another with --port, or 0 for any."
        ) from None
    with listening:
        yield listening
