"""Asks of a service under test that a busy machine may be too slow for once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from cobot_meter.domain.errors import UpstreamUnreachable

PAUSE_S = 0.1


async def answered(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask the upstream again for as long as it does not answer; the test's own limit ends it.

    The service does so by itself in turns: a test that asks once in its place must be as patient.
    """
    while True:
        try:
            await ask()
        except UpstreamUnreachable:
            await asyncio.sleep(PAUSE_S)
        else:
            return
