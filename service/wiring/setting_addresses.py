"""Addresses in settings: hosts, ports and URLs, and which of them are this machine's own.

Must not know: what listens there or is asked there.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

PORT_MAX = 65_535
HOST_MAX = 253
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_PORT = re.compile(r"[0-9]{1,5}")
_HTTP = ("http", "https")
_LOCAL_NAME = "localhost"
_IP = ipaddress.IPv4Address | ipaddress.IPv6Address


def split_address(value: str) -> tuple[str, int] | None:
    """Host and port of `127.0.0.1:8402`, `node.example:10009` or `[::1]:8402`; else None."""
    host, colon, port = value.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or int(port) > PORT_MAX:
        return None
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if bracketed != (":" in bare) or not is_host(bare):
        return None
    return bare, int(port)


def is_host(host: str) -> bool:
    """An IP address without a zone, or a name; what ends in a number must be an address."""
    if _ip(host) is not None:
        return "%" not in host
    labels = host.removesuffix(".").split(".")
    well = len(host) <= HOST_MAX and all(_LABEL.fullmatch(label) for label in labels)
    return well and not labels[-1][0].isdigit()


def url_fault(url: str, *, with_query: bool = False) -> str | None:
    """What keeps this from being an http address without credentials; None: nothing.

    The address itself is never in the words: a password may stand in it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not an address that can be read"
    faults = {
        "has a space in it": " " in url,
        "does not begin with https:// or http://": parts.scheme not in _HTTP or not parts.netloc,
        "has a user or a password in it, which would be shown: leave them out": "@" in parts.netloc,
        "names no host": not is_host(host),
        "has something behind its path: leave `?` or `#` and the rest out": bool(
            parts.fragment or (parts.query and not with_query)
        ),
    }
    return next((fault for fault, stands in faults.items() if stands), None)


def is_loopback(host: str) -> bool:
    """Only this machine can be meant."""
    address = _ip(host)
    if address is None:
        return host.lower().removesuffix(".") == _LOCAL_NAME
    return address.is_loopback


def is_every_address(host: str) -> bool:
    """`0.0.0.0` and `::`: a place to listen, and none to be called at."""
    address = _ip(host)
    return address is not None and address.is_unspecified


def host_of(url: str) -> str:
    """The host of a URL that `url_fault` found nothing wrong with."""
    return urlsplit(url).hostname or ""


def is_encrypted(url: str) -> bool:
    """Nobody on the way reads what is sent there."""
    return urlsplit(url).scheme == "https"


def _ip(host: str) -> _IP | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
