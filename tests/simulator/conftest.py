"""A simulator without sockets: requests go straight into the application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import httpx
import pytest

from openrouter_simulator.app import Simulator, build_simulator
from tests.fakes.clock import FakeClock


@pytest.fixture
def simulator() -> Simulator:
    """Five dollars, no lag, no latency, a clock that stands still."""
    return build_simulator(
        seed=3, credit_usd=Decimal(5), lag_s=0.0, latency_s=0.0, clock=FakeClock()
    )


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key."""
    transport = httpx.ASGITransport(app=simulator)
    async with httpx.AsyncClient(
        transport=transport,
        base_url="http://simulator",
        headers={"authorization": "Bearer sk-or-v1-test"},
        trust_env=False,
    ) as client:
        yield client
