"""Four public price services on one loopback address, each in its own shape."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from tests.fakes.servers.serving import serving

NAMES = ("bitstamp", "coinbase", "kraken", "mempool")
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def answer_of(name: str, usd: str, *, at_s: int) -> bytes:
    """What the service of that name answers when a bitcoin costs `usd`."""
    shapes: dict[str, object] = {
        "bitstamp": {"last": usd, "open": "1", "bid": "2", "timestamp": str(at_s)},
        "coinbase": {"data": {"amount": usd, "base": "BTC", "currency": "USD"}},
        "kraken": {
            "error": [],
            "result": {"XXBTZUSD": {"a": ["1", "1", "1"], "c": [usd, "0.01"], "o": "1"}},
        },
    }
    if name == "mempool":  # its price is a bare number
        return b'{"time":%d,"USD":%s,"EUR":-1}' % (at_s, usd.encode())
    return json.dumps(shapes[name]).encode()


class RateServices:
    """What each service says now; tests change it at will."""

    def __init__(self, address: str) -> None:
        """Everybody answers 404 until a price is set."""
        self.address = address
        self.bodies: dict[str, bytes] = {}
        self.statuses: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        self.held: asyncio.Event | None = None
        self.endless: set[str] = set()

    @property
    def sources(self) -> str:
        """All four as a setting writes them."""
        return ",".join(f"{name}={self.address}/{name}" for name in NAMES)

    def say(self, usd: str, *names: str, at_s: int) -> None:
        """These services (all when none is named) give that price, as of that second."""
        for name in names or NAMES:
            self.bodies[name] = answer_of(name, usd, at_s=at_s)
            self.statuses.pop(name, None)

    def fail(self, *names: str, status: int = 503) -> None:
        """These services answer with an error."""
        for name in names or NAMES:
            self.statuses[name] = status

    async def __call__(self, scope: MutableMapping[str, Any], _receive: object, send: Send) -> None:
        """One ASGI request."""
        name = str(scope["path"]).removeprefix("/")
        self.asked[name] = self.asked.get(name, 0) + 1
        if self.held is not None:
            await self.held.wait()
        status = self.statuses.get(name, 200 if name in self.bodies else 404)
        await send({"type": "http.response.start", "status": status, "headers": []})
        while name in self.endless:
            await send({"type": "http.response.body", "body": bytes(4_096), "more_body": True})
        await send({"type": "http.response.body", "body": self.bodies.get(name, b"")})


@contextlib.asynccontextmanager
async def rate_services() -> AsyncIterator[RateServices]:
    """The four services, up."""
    services = RateServices("")
    async with serving(services) as address:
        services.address = address
        yield services
