"""The time. Must not know: who asks, or what for."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Wall-clock time for records, and waiting. Deadlines inside one process use `sleep`."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""

    async def sleep(self, seconds: float) -> None:
        """Wait; a fake may return at once and move its own time on."""
