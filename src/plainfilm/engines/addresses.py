"""Addresses of schedulers: encrypted, or on this machine alone."""

import ipaddress
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from plainfilm.errors import UsageError
from plainfilm.reasons import reason_of

PORT = 8786  # Dask's


def check_address(address: str, *, may_choose: bool = False) -> str:
    """Give `tls://HOST:PORT` or `tcp://LOOPBACK:PORT` as it is; port 0, any that is free, only where one `may_choose` it.

    Raises
    ------
    UsageError
        Another address; or one by which whoever reaches the port could run programs on every machine of the cluster.
    """
    scheme, host, port = _parts(address)
    if scheme not in {"tls", "tcp"} or not host or not (port or may_choose):
        raise UsageError(
            f"Expected the address of a scheduler, tls://HOST:{PORT} or tcp://127.0.0.1:{PORT}; received {address}. See docs/cluster.md."
        )
    if scheme == "tcp" and not is_loopback(host):
        raise UsageError(
            f"Expected tls:// for another machine; received {address}, by which whoever reaches the port runs programs as you. "
            "Make certificates first: plainfilm cluster certificate DIR"
        )
    return address


def is_encrypted(address: str) -> bool:
    """Whether an address asks for certificates at both ends."""
    return address.startswith("tls://")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, for itself alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """Give a host as an address has it: one of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def own_towards(address: str) -> str:
    """Give the address of this machine by which it reaches another; nothing is sent.

    Raises
    ------
    UsageError
        No way leads there.
    """
    _, host, port = _parts(address)
    try:
        family, kind, *_, at = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as towards:
            towards.connect(at)
            return str(towards.getsockname()[0])
    except OSError as error:
        raise UsageError(f"Expected a host that can be reached; received {address} ({reason_of(error)}).") from error


def _parts(address: str) -> tuple[str, str, int]:
    """Give scheme, host and port; nothing where there is more, or no port that can be one."""
    with suppress(ValueError):
        parts = urlsplit(address)
        if not (parts.path or parts.query or parts.fragment or parts.username or parts.password):
            return parts.scheme, parts.hostname or "", parts.port or 0
    return "", "", 0
