"""A proxy in the test's own loop, before any seller."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from cobot_pay import Budget, L402Auth
from cobot_pay.budget import Spending
from cobot_pay.proxy.forwarder import Forwarder
from cobot_pay.proxy.listener import Listener
from cobot_pay.proxy.refusals import refusal
from cobot_pay.wallet import Wallet
from tests.client.shop import AT_ONCE


@dataclass
class Proxied:
    """The proxy's address, a client that asks it, and what stands behind it."""

    url: str
    port: int
    http: httpx.AsyncClient
    listener: Listener

    async def ask(self, body: object, **headers: str) -> httpx.Response:
        """A chat completion, with the placeholder for a key that programs have."""
        worn = {"Authorization": "Bearer none", "x-api-key": "none", **headers}
        return await self.http.post(f"{self.url}/v1/chat/completions", json=body, headers=worn)


@asynccontextmanager
async def proxied(
    upstream: str, wallet: Wallet, *, budget: Spending | None = None, key: str = ""
) -> AsyncIterator[Proxied]:
    """A proxy that passes on to `upstream` and pays with `wallet`."""
    auth = L402Auth(
        wallet=wallet,
        budget=budget or Budget(total_msat=100_000),
        terms=AT_ONCE,
        payment_timeout_s=5.0,
    )
    async with httpx.AsyncClient(timeout=10) as out, httpx.AsyncClient(timeout=10) as http:
        forwarder = Forwarder(out, upstream=upstream, auth=auth, key=key)
        listener = Listener(
            forwarder.respond, refuse=lambda status, text: refusal(status, text, code="bad_request")
        )
        async with listener.listening("127.0.0.1", 0) as port:
            yield Proxied(f"http://127.0.0.1:{port}", port, http, listener)
        assert await listener.drained(5)
