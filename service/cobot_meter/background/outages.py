"""What was already said of a fault that comes again and again: its beginning, a count, its end.

A part that is away for an hour fails thousands of times. The log needs one line when it begins, one
in a while with a count, and one when it is over with its length.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cobot_meter.ports.process import Clock

GAP_MS = 60_000
GAP_MAX_MS = 3_600_000
# Of faults that differ, so many are said before a count has to do.
DIFFERENT_MAX = 5


@dataclass(slots=True)
class _Standing:
    since_ms: int | None = None
    faults: int = 0
    unsaid: int = 0
    gap_ms: int = GAP_MS
    said_at_ms: int | None = None
    said: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Outage:
    """One that is over: how often it failed, and for how long."""

    faults: int
    length_ms: int


class Outages:
    """By name of what fails; there are as many names as there are loops."""

    def __init__(self, *, clock: Clock) -> None:
        """Everything is well."""
        self._clock = clock
        self._standings: dict[str, _Standing] = {}

    def failed(self, name: str, fault: str) -> int | None:
        """How many faults went unsaid before this one, which is worth a line; None: it is not."""
        now_ms = self._clock.now_ms()
        standing = self._standings.setdefault(name, _Standing())
        if standing.since_ms is None:
            standing.since_ms, standing.faults = now_ms, 0
        standing.faults += 1
        if standing.said_at_ms is not None and now_ms - standing.said_at_ms >= standing.gap_ms:
            standing.said.clear()
            standing.gap_ms = min(2 * standing.gap_ms, GAP_MAX_MS)
        if fault in standing.said or len(standing.said) >= DIFFERENT_MAX:
            standing.unsaid += 1
            return None
        standing.said.add(fault)
        standing.said_at_ms = now_ms
        unsaid, standing.unsaid = standing.unsaid, 0
        return unsaid

    def well(self, name: str) -> Outage | None:
        """The outage that ends here, when one does that is worth a line."""
        standing = self._standings.get(name)
        if standing is None or standing.since_ms is None:
            return None
        now_ms = self._clock.now_ms()
        outage = Outage(faults=standing.faults, length_ms=max(now_ms - standing.since_ms, 0))
        was_said = standing.said_at_ms is not None and standing.said_at_ms >= standing.since_ms
        standing.since_ms, standing.gap_ms = None, GAP_MS
        return outage if was_said else None
