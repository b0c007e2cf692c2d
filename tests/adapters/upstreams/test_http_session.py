"""The one client: what it ignores, how it waits, and that it leaves nothing open."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from cobot_meter.adapters.upstreams.http_errors import fault_of_send
from cobot_meter.adapters.upstreams.http_session import HttpLimits, http_session
from cobot_meter.domain.errors import OutcomeUnknown, UpstreamUnreachable
from tests.fakes.servers.serving import refused_address, serving

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


async def redirecting(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Sends everybody elsewhere, with a cookie."""
    headers = [(b"location", b"/elsewhere"), (b"set-cookie", b"seen=1"), (b"content-length", b"0")]
    if any(name == b"cookie" for name, _ in scope["headers"]):
        headers.append((b"x-cookie-came", b"1"))
    await send({"type": "http.response.start", "status": 302, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def silent(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Never answers."""
    await asyncio.Event().wait()


async def test_no_redirects_and_no_cookies() -> None:
    """A redirect is an answer like any other, and cookies are not sent back."""
    async with serving(redirecting) as address, http_session(HttpLimits()) as client:
        first = await client.get(address)
        second = await client.get(address)
    assert first.status_code == second.status_code == 302
    assert "x-cookie-came" not in second.headers


async def test_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment does not get our traffic."""
    with refused_address() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("ALL_PROXY", proxy)
        async with serving(redirecting) as address, http_session(HttpLimits()) as client:
            assert (await client.get(address)).status_code == 302


async def test_refused_connection_is_unreachable() -> None:
    """Nobody listening: no byte was sent."""
    with refused_address() as address:
        async with http_session(HttpLimits()) as client:
            with pytest.raises(httpx.TransportError) as refused:
                await client.post(address, content=b"{}")
    assert isinstance(fault_of_send(refused.value), UpstreamUnreachable)


async def test_silence_is_unknown() -> None:
    """Sent, and no answer in time: it may have run."""
    limits = HttpLimits(read_timeout_s=0.05)
    async with serving(silent) as address, http_session(limits) as client:
        with pytest.raises(httpx.ReadTimeout) as silence:
            await client.post(address, content=b"{}")
    assert isinstance(fault_of_send(silence.value), OutcomeUnknown)


async def test_full_pool_is_unreachable() -> None:
    """No free connection in time: no byte was sent."""
    limits = HttpLimits(connections_max=1, pool_timeout_s=0.05, read_timeout_s=5)
    async with (
        serving(silent) as address,
        http_session(limits) as client,
        asyncio.TaskGroup() as tasks,
    ):
        holder = tasks.create_task(client.post(address, content=b"{}"))
        await asyncio.sleep(0.02)
        with pytest.raises(httpx.TimeoutException) as full:
            await client.post(address, content=b"{}")
        holder.cancel()
    assert isinstance(fault_of_send(full.value), UpstreamUnreachable)


async def test_nothing_stays_open() -> None:
    """After leaving, no socket, session or connector is left to be warned about."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with serving(redirecting) as address, http_session(HttpLimits()) as client:
            await client.get(address)
        del client
        gc.collect()
        await asyncio.sleep(0)
    assert [warning for warning in caught if warning.category is ResourceWarning] == []
