"""A seller as its buyer names it: an address without a path.

A plain one is read without loading an HTTP library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from urllib.parse import urlsplit

from cobot_pay.cli.settings import BadSettings

_NO_PATHS = frozenset({"", "/v1", "/api/v1"})
_USUAL_PORTS = {"http": 80, "https": 443}
_PLAIN = re.compile(r"([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)(?::[0-9]+)?")
_IS_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """A seller as the command line names it: its address without a path, and its origin."""

    url: str
    origin: str


def seller_of(text: str) -> Seller:
    """The seller at this address. Raises BadSettings for what is no address of one."""
    wrong = BadSettings(f"a seller is named by its address, https://…, not {text!r}")
    try:
        parts = urlsplit(text.strip().rstrip("/"))
        port = parts.port or _USUAL_PORTS.get(parts.scheme, 0)
    except ValueError as fault:
        raise wrong from fault
    if parts.scheme not in _USUAL_PORTS or not parts.hostname:
        raise wrong
    if parts.path not in _NO_PATHS or parts.query or parts.username:
        raise BadSettings(f"name the seller without a path: {parts.scheme}://{parts.netloc}")
    url = f"{parts.scheme}://{parts.netloc}"
    origin = _plain_origin(parts.scheme, parts.netloc.lower(), port) or _origin_as_sent(url)
    if not origin:
        raise wrong
    return Seller(url=url, origin=origin)


def _plain_origin(scheme: str, netloc: str, port: int) -> str:
    """The origin of an address that has one spelling; empty for any other."""
    found = _PLAIN.fullmatch(netloc)
    if found is None:
        return ""
    host = found[1]
    labels = host.split(".")
    if any(label.startswith("xn--") for label in labels):
        return ""
    if _IS_NUMBER.fullmatch(labels[-1]) and not _is_ipv4(host):
        return ""
    return f"{scheme}://{host}:{'' if port == _USUAL_PORTS[scheme] else port}"


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True


def _origin_as_sent(url: str) -> str:
    """The origin of any address as a purchase there writes it; empty where none can be sent."""
    import httpx

    from cobot_pay.http_shapes import origin_of

    try:
        return origin_of(httpx.URL(url))
    except httpx.InvalidURL:
        return ""
