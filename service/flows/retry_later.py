"""What could not be done comes back later and later, and stands in nobody's way meanwhile.

Kept in memory: after a restart everything is tried once. Must not know: what is tried.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.ports.clock import Clock

FIRST_MS = 2_000
LAST_MS = 3_600_000
NAMES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class _Held:
    until_ms: int
    delay_ms: int


class RetryLater:
    """Doubles the delay at each failure of one name, up to an hour."""

    def __init__(self, *, clock: Clock) -> None:
        """Nothing has failed."""
        self._clock = clock
        self._held: dict[str, _Held] = {}

    def holds(self, name: str) -> bool:
        """Whether it is not its time yet."""
        held = self._held.get(name)
        return held is not None and self._clock.monotonic_ms() < held.until_ms

    def failed(self, name: str) -> None:
        """It comes back after twice as long as before. Of too many the oldest is forgotten."""
        before = self._held.pop(name, None)
        delay_ms = min(2 * before.delay_ms, LAST_MS) if before else FIRST_MS
        if len(self._held) >= NAMES_MAX:
            del self._held[next(iter(self._held))]
        self._held[name] = _Held(self._clock.monotonic_ms() + delay_ms, delay_ms)

    def went_well(self, name: str) -> None:
        """It begins anew, should it fail again."""
        self._held.pop(name, None)
