"""Where a request comes from, as far as that can be believed."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network


def client_address(
    peer: str, headers: Iterable[tuple[bytes, bytes]], *, trusted_proxies: int
) -> str:
    """Return the address a request comes from.

    Anybody can send ``X-Forwarded-For``, so it counts for nothing unless it is known how many
    proxies of ours stand in front. Each appends the address that it was called from; the one
    which the outermost appended is the client's, and whatever stands before it is hearsay.

    Args:
        peer: Who opened the connection.
        headers: Of the request, names in lower case.
        trusted_proxies: How many proxies of ours every request passes; 0 for none.
    """
    if not trusted_proxies:
        return peer
    stated = b",".join(value for name, value in headers if name == b"x-forwarded-for")
    hops = stated.decode("latin-1").split(",")
    if len(hops) < trusted_proxies:
        return peer
    try:
        return str(ip_address(hops[-trusted_proxies].strip()))
    except ValueError:
        return peer


def caller_of(address: str) -> str:
    """Return what a limit by address counts: an IPv6 customer holds a whole /64."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, 64), strict=False))
