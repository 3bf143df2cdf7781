"""Who is one client: an IPv4 address, or the /64 of an IPv6 address, which is what one customer is given (RFC 6177)."""

import ipaddress
from collections.abc import Sequence

_OF_ONE_CUSTOMER = 64  # bits of an IPv6 address


def client_of(address: Sequence[object] | None) -> str:
    """Name the client at an address as ASGI gives it, (host, port); all that have none, as behind a UNIX socket, are one."""
    host = str(address[0]) if address else ""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), _OF_ONE_CUSTOMER), strict=False))
