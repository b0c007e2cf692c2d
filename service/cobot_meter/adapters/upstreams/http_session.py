"""The process's one outward HTTP client: httpx's API over aiohttp's connections.

httpx's own pool walks every connection on each request, so a service that waits on models falls to
13 % of the direct rate with it (docs/decisions, dependencies); and a client made per request costs
37 ms for its certificate store alone.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator, Coroutine
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


def loopback_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket to this machine. Raises OSError for any other address, whatever name led there.

    It is asked of every connection, with the address that was resolved: a name that is this
    machine's today may be another one's tomorrow.
    """
    family, kind, protocol, _, where = address
    if not ipaddress.ip_address(str(where[0]).partition("%")[0]).is_loopback:
        raise OSError(errno.EACCES, "this client goes to no other machine")
    return socket.socket(family, kind, protocol)


class _StraightClient(httpx.AsyncClient):
    """Goes straight to its transport: no redirects, authentication, cookies, hooks or log lines.

    None of them is used here, and passing them took a fifth of what a call costs.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, timeout: httpx.Timeout) -> None:
        super().__init__(transport=transport, timeout=timeout, trust_env=False)
        self._straight = transport

    def send(
        self, request: httpx.Request, *, stream: bool = False, **_: object
    ) -> Coroutine[None, None, httpx.Response]:
        """As the base class; what it would do besides is not done."""
        answer = self._straight.handle_async_request(request)
        return answer if stream else _read_whole(answer)


async def _read_whole(answer: Coroutine[None, None, httpx.Response]) -> httpx.Response:
    response = await answer
    async with contextlib.aclosing(response):
        await response.aread()
    return response


@contextlib.asynccontextmanager
async def http_session(
    limits: HttpLimits, *, here_only: bool = False
) -> AsyncIterator[httpx.AsyncClient]:
    """Open the client, and close every connection on leaving; `here_only` goes to loopback alone.

    Proxies, netrc and certificate variables of the environment are ignored, redirects are not
    followed, cookies are not kept.
    """
    tls = httpx.create_ssl_context(trust_env=False)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=limits.connections_max,
            keepalive_timeout=limits.keepalive_s,
            ssl=tls,
            socket_factory=loopback_socket if here_only else None,
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
    transport = AiohttpTransport(verify=tls, client=session)
    async with _StraightClient(transport, timeout) as client:
        yield client
