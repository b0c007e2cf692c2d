"""A wall clock that was set, told from time that has passed: two readings that only follow slowly.

The machine has two clocks. The one on the wall can be set, or be hours on after a laptop's sleep;
the other only counts. While they go together both readings are the wall clock. When they part, the
day keeps to what it was until the wall clock has stood for ten minutes: a day's budget must not
begin anew with every jump. What ends by itself (claims, bodies, unpaid invoices, look-ups) then
follows at most 24 times as fast as time passes: it ends in portions, and an operator who sees the
clock a month ahead has hours to set it right. Whoever reads it takes the wall clock where that is
behind: what began after a step back must not end by the clock from before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# Less is a clock that is kept in time, leap seconds included.
TOLERANCE_MS = 60_000
STANDS_AFTER_MS = 600_000
PACE = 24
# Books whose newest entry is this old were not just restarted: the wall clock may be far ahead.
RESTART_GAP_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyTime:
    """Differences between a wall clock and the counting one, in ms.

    `stood` was the last that stood long enough, `ending` is on its way there. `seen` is one that
    was first seen `seen_at_ms` on the counting clock and has not stood long enough yet.
    """

    stood: int
    ending: int
    seen: int | None = None
    seen_at_ms: int = 0
    paced_at_ms: int = 0

    @property
    def parted(self) -> bool:
        """Whether the readings are not those of the wall clock."""
        return self.seen is not None or self.ending != self.stood


def begun(*, wall_ms: int, monotonic_ms: int, latest_ms: int) -> SteadyTime:
    """At a start, when the newest entry of the books is of `latest_ms` (0: there is none)."""
    difference, known = wall_ms - monotonic_ms, latest_ms - monotonic_ms
    if latest_ms and difference < known - TOLERANCE_MS:
        return SteadyTime(stood=known, ending=known, seen=difference, seen_at_ms=monotonic_ms)
    if latest_ms and difference > known + RESTART_GAP_MS:
        later_ms = monotonic_ms + STANDS_AFTER_MS
        return SteadyTime(stood=difference, ending=known, paced_at_ms=later_ms)
    return SteadyTime(stood=difference, ending=difference)


def followed(time: SteadyTime, *, wall_ms: int, monotonic_ms: int) -> SteadyTime:
    """What `time` becomes after another look at both clocks, each read in ms."""
    return _paced(_stood(time, wall_ms - monotonic_ms, monotonic_ms), monotonic_ms)


def _stood(time: SteadyTime, difference: int, monotonic_ms: int) -> SteadyTime:
    if difference == time.stood and time.seen is None:
        return time
    if _close(difference, time.stood):
        ending = difference if time.ending == time.stood else time.ending
        return replace(time, stood=difference, ending=ending, seen=None)
    if time.seen is None or not _close(difference, time.seen):
        return replace(time, seen=difference, seen_at_ms=monotonic_ms)
    if monotonic_ms - time.seen_at_ms < STANDS_AFTER_MS:
        return time
    paced_at_ms = time.paced_at_ms if time.ending != time.stood else monotonic_ms
    return replace(time, stood=difference, seen=None, paced_at_ms=paced_at_ms)


def _paced(time: SteadyTime, monotonic_ms: int) -> SteadyTime:
    """`ending` a little nearer to `stood`; at once where that puts off an end."""
    behind = time.stood - time.ending
    if behind == 0:
        return time
    if behind < 0:
        return replace(time, ending=time.stood)
    step = PACE * max(0, monotonic_ms - time.paced_at_ms)
    paced_at_ms = max(time.paced_at_ms, monotonic_ms)
    return replace(time, ending=time.ending + min(behind, step), paced_at_ms=paced_at_ms)


def _close(one: int, other: int) -> bool:
    return abs(one - other) <= TOLERANCE_MS
