"""The time. Must not know: who asks, or what for."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Wall-clock time for records; ages and deadlines inside one process go by the other."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""

    def monotonic_ms(self) -> int:
        """Milliseconds since some moment: they never go back, whoever sets the time."""

    async def sleep(self, seconds: float) -> None:
        """Wait; a fake may return at once and move its own time on."""
