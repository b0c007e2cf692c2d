"""The network address an ask counts against: an exposure guard, never an identity.

IPv6 counts by its /64, which is what one subscriber has; IPv4 inside IPv6 is IPv4. Forwarded
headers are believed only as far as trusted proxies wrote them. Must not know: HTTP frameworks.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable, Sequence

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
TrustedProxies = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

UNKNOWN = "unknown"  # a peer without an address: a Unix socket, or a test
HOPS_MAX = 16
# Every request names its hosts several times, and most callers send more than one.
HOSTS_REMEMBERED = 256
HEADER_BYTES_MAX = 4_096

_IPV6_PREFIX_BITS = 64
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.%\w]+)\](?::\d+)?|([0-9.]+):\d+")


def trusted_networks(texts: Iterable[str]) -> TrustedProxies:
    """Networks (`10.0.0.0/8`, `::1`) from settings. Raises ValueError for what is none."""
    return tuple(ipaddress.ip_network(text.strip()) for text in texts)


def address_of(
    *, peer: str | None, forwarded_for: Sequence[bytes], trusted_proxies: TrustedProxies
) -> str:
    """`203.0.113.7`, or `2001:db8:1:2::/64`: the nearest hop that is no trusted proxy.

    `forwarded_for` are the `X-Forwarded-For` lines as they came. Reading stops at the first hop,
    from the right, that is unreadable: what lies beyond it is not believed.
    """
    address = _read_hop(peer or "")
    if address is None:
        return UNKNOWN
    if not _is_trusted(address, trusted_proxies):
        return _shown(address)
    for hop in map(_read_hop, _hops(forwarded_for)):
        if hop is None:
            break
        address = hop
        if not _is_trusted(address, trusted_proxies):
            break
    return _shown(address)


def is_trusted(peer: str | None, networks: TrustedProxies) -> bool:
    """Whether the host that connected is in one of these networks."""
    address = _read_hop(peer or "")
    return address is not None and _is_trusted(address, networks)


def _hops(lines: Sequence[bytes]) -> list[str]:
    """The last hops, the nearest first."""
    text = b",".join(lines)[-HEADER_BYTES_MAX:].decode("ascii", "replace")
    return [hop.strip() for hop in text.split(",")[-HOPS_MAX:]][::-1]


@functools.lru_cache(maxsize=HOSTS_REMEMBERED)
def _read_hop(text: str) -> IPAddress | None:
    match = _WITH_PORT.fullmatch(text)
    if match:
        text = match[1] or match[2]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_trusted(address: IPAddress, trusted_proxies: TrustedProxies) -> bool:
    return any(address in network for network in trusted_proxies)


def _shown(address: IPAddress) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    host_bits = 128 - _IPV6_PREFIX_BITS
    prefix = ipaddress.IPv6Address(int(address) >> host_bits << host_bits)
    return f"{prefix}/{_IPV6_PREFIX_BITS}"
