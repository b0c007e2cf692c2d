"""Wake-ups inside one process: futures by subject."""

from __future__ import annotations

import asyncio


class WakeHub:
    """Implements `ports.wakes.Wakes`; idle waiters cost one future each."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}

    def wake(self, subject_id: str) -> None:
        """Wake everybody who waits for this subject."""
        for waiter in self._waiters.pop(subject_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, subject_id: str, *, timeout_s: float) -> bool:
        """Wait for the next wake-up; False when the time ran out."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(subject_id, set()).add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            return False
        finally:
            self._forget(subject_id, waiter)
        return True

    def _forget(self, subject_id: str, waiter: asyncio.Future[None]) -> None:
        waiters = self._waiters.get(subject_id)
        if waiters is not None:
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[subject_id]
