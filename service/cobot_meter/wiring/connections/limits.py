"""How much a connection may send and hold, for how long, and how many there may be.

Must not know: HTTP, or what is served.
"""

from __future__ import annotations

import contextlib
import resource
from dataclasses import dataclass, replace

from cobot_meter.http_api.http.addresses import TrustedProxies, trusted_networks

LOOPBACK = trusted_networks(("127.0.0.0/8", "::1/128"))
# More than this is never asked of the system: it is what a few thousand connections need.
OPEN_FILES_WANTED = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Bounds of one listener.

    `many_behind` are networks each of whose addresses may stand for many callers (this machine, a
    proxy of the operator's): the bound by address is not for them, the one in all is.
    `files_share` says that at most one in so many of the process's descriptors are connections.
    """

    head_bytes: int = 32_768
    head_s: float = 10.0
    body_s: float = 60.0
    idle_s: float = 60.0
    unread_s: float = 60.0
    linger_s: float = 5.0
    linger_bytes: int = 4_194_304
    pipelined_max: int = 16
    connections_max: int = 2_048
    address_max: int = 64
    many_behind: TrustedProxies = LOOPBACK
    files_share: int = 8

    def fitted(self) -> ConnectionLimits:
        """These limits, with no more connections than this process has descriptors for.

        `connections_max` is at most one in `files_share` of those that it may open, and at least 1.
        """
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return self
        most = max(1, soft // self.files_share)
        return replace(self, connections_max=min(self.connections_max, most))


def allow_open_files(wanted: int = OPEN_FILES_WANTED) -> None:
    """Raise this process's own bound on descriptors as far as the system lets it, if it is lower.

    The usual 1,024 are from a time of `select`; with them a few hundred callers use up what the
    books, the node and the upstream need too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
