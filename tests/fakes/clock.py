"""A clock whose time only tests move.

Two ways to use it. `FakeClock()` holds every `sleep` until `advance` or `pass_time` reaches its
end: for code that waits in the background. `FakeClock(leaping=True)` lets every `sleep` return at
once and moves the time on by as much: for code that waits inside one call.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from decimal import Decimal

START_MS = 1_700_000_000_000
_TURNS = 20  # of the event loop that woken code gets before time moves on again


class FakeClock:
    """A Clock (service/cobot_meter/ports/process.py) that stands still until told otherwise."""

    def __init__(self, *, now_ms: int = START_MS, leaping: bool = False) -> None:
        """`now_ms` is Unix milliseconds; `leaping` makes `sleep` move the time by itself."""
        self._now_ms = now_ms
        self._stepped_ms = 0
        self._leaping = leaping
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        """Unix time in milliseconds, as last set."""
        return self._now_ms

    def monotonic_ms(self) -> int:
        """Time that has passed: `set_ms` and `advance` move it, `step` does not."""
        return self._now_ms - self._stepped_ms

    def step(self, seconds: float) -> None:
        """Somebody sets the clock (backwards too): no time passes, and whoever sleeps sleeps on."""
        step_ms = _ms(seconds)
        self._now_ms += step_ms
        self._stepped_ms += step_ms
        self._sleepers = [(at + step_ms, number, woken) for at, number, woken in self._sleepers]

    @property
    def sleepers(self) -> int:
        """How many `sleep` calls are still waiting."""
        return sum(1 for _, _, woken in self._sleepers if not woken.done())

    async def sleep(self, seconds: float) -> None:
        """Wait for the tests to move the time that far, or leap there at once."""
        if self._leaping:
            self.advance(seconds)
            await asyncio.sleep(0)
            return
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        until_ms = self._now_ms + _ms(seconds)
        heapq.heappush(self._sleepers, (until_ms, next(self._order), woken))
        await woken

    def set_ms(self, now_ms: int) -> None:
        """Put the time there (backwards too) and wake whoever has slept long enough."""
        self._now_ms = now_ms
        while self._sleepers and self._sleepers[0][0] <= now_ms:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    def advance(self, seconds: float) -> None:
        """Move on in one jump; what was woken runs when the caller next awaits."""
        self.set_ms(self._now_ms + _ms(seconds))

    async def pass_time(self, seconds: float) -> None:
        """Move on from sleeper to sleeper, letting woken code run (and sleep again) in between."""
        end_ms = self._now_ms + _ms(seconds)
        await _let_others_run()
        while self._sleepers and self._sleepers[0][0] <= end_ms:
            self.set_ms(self._sleepers[0][0])
            await _let_others_run()
        self.set_ms(end_ms)
        await _let_others_run()


def _ms(seconds: float) -> int:
    """Whole milliseconds, from the decimal that was written (0.1 is 100)."""
    return int(Decimal(str(seconds)) * 1000)


async def _let_others_run() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
