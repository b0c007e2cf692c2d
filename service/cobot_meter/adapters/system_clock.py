"""The machine's clock: the only file that reads the time."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """A Clock (service/cobot_meter/ports/process.py) over the machine's own time."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Milliseconds since some moment; on Linux not while the machine sleeps."""
        return time.monotonic_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds`; 0 only lets others run."""
        await asyncio.sleep(seconds)
