"""Waiting for what takes its time, with an end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from deploy.regtest.errors import NodeFault

POLL_S = 0.05
WAIT_S = 60.0


async def until(
    what: str, condition: Callable[[], Awaitable[bool]], *, within_s: float = WAIT_S
) -> None:
    """Ask `condition` about twenty times a second until it holds. Raises NodeFault with `what`."""
    try:
        async with asyncio.timeout(within_s):
            for _ in range(int(within_s // POLL_S) + 1):
                if await condition():
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError as fault:
        raise NodeFault(f"waited {within_s:.0f} s in vain: {what}") from fault
    raise NodeFault(f"waited {within_s:.0f} s in vain: {what}")
