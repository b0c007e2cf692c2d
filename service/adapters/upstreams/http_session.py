"""The process's one outward HTTP client: httpx's API over aiohttp's connections.

Must not know: who is called. httpx's own pool walks every connection on each request, so a service
that waits on models falls to 13 % of the direct rate with it (docs/decisions, dependencies); and a
client made per request costs 37 ms for its certificate store alone.
"""

from __future__ import annotations

import contextlib
import http.cookiejar
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What bounds every outward call.

    `connect_timeout_s` opens a socket, `pool_timeout_s` also waits for a free one of
    `connections_max`, `read_timeout_s` is the longest silence inside an answer. A connection idle
    for `keepalive_s` is closed, which must happen before the other side does it: a POST on a dying
    connection ends as an unknown outcome.
    """

    connections_max: int = 1_024
    keepalive_s: float = 30.0
    connect_timeout_s: float = 5.0
    pool_timeout_s: float = 15.0
    read_timeout_s: float = 60.0
    write_timeout_s: float = 30.0


class _NoCookies(http.cookiejar.CookieJar):
    """Keeps nothing, and so costs nothing on each answer."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Pass them over."""


@contextlib.asynccontextmanager
async def http_session(limits: HttpLimits) -> AsyncIterator[httpx.AsyncClient]:
    """Open the client, and close every connection on leaving.

    Proxies, netrc and certificate variables of the environment are ignored, redirects are not
    followed, cookies are not kept.
    """
    tls = httpx.create_ssl_context(trust_env=False)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=limits.connections_max, keepalive_timeout=limits.keepalive_s, ssl=tls
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
    timeout = httpx.Timeout(
        connect=limits.connect_timeout_s,
        pool=limits.pool_timeout_s,
        read=limits.read_timeout_s,
        write=limits.write_timeout_s,
    )
    async with httpx.AsyncClient(
        transport=AiohttpTransport(verify=tls, client=session),
        timeout=timeout,
        cookies=_NoCookies(),
        trust_env=False,
        follow_redirects=False,
    ) as client:
        yield client
