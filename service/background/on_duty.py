"""Does what one process of several is to do, and waits while another one does it.

Must not know: what is done, or how duties are given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from service.ports.clock import Clock
from service.ports.duties import Duties

# How long a duty may lie about after its process died.
LOOK_S = 1.0


class OnDuty:
    """One turn of a loop at a time: a duty that is lost is looked for again."""

    def __init__(self, *, duties: Duties, clock: Clock) -> None:
        """Holds nothing of its own."""
        self._duties = duties
        self._clock = clock

    async def do(self, name: str, act: Callable[[], Awaitable[object]]) -> None:
        """Act when the duty is ours, otherwise wait a moment. Raises what `act` raises."""
        if await self._duties.mine(name):
            await act()
        else:
            await self._clock.sleep(LOOK_S)
