"""The time by which things end of themselves: the wall clock, unless somebody has just set it."""

from __future__ import annotations

import logging

from cobot_meter.domain.steady_time import TOLERANCE_MS, begun, followed
from cobot_meter.ports.process import Clock

LOG = logging.getLogger(__name__)
# How often timers are looked for that were set by a clock which has gone back since.
AHEAD_PAUSE_MS = 30_000
SECOND_MS = 1_000


class SteadyClock:
    """Looks at both clocks whenever it is read; the background reads it every few seconds."""

    def __init__(self, *, clock: Clock) -> None:
        """The wall clock is believed until it parts from the other."""
        self._clock = clock
        self._time = begun(wall_ms=clock.now_ms(), monotonic_ms=clock.monotonic_ms(), latest_ms=0)
        self._furthest = self._time.stood
        self._told = False
        self._looked_ahead_ms: int | None = None

    def begin(self, latest_ms: int) -> None:
        """At a start: the books were last written at `latest_ms`, 0 for never."""
        wall_ms, monotonic_ms = self._clock.now_ms(), self._clock.monotonic_ms()
        self._time = begun(wall_ms=wall_ms, monotonic_ms=monotonic_ms, latest_ms=latest_ms)
        self._furthest = max(self._time.stood, wall_ms - monotonic_ms)
        self._tell(latest_ms, wall_ms)

    @property
    def parted(self) -> bool:
        """Whether the clock was set, and things end later than the wall clock says."""
        self._look()
        return self._time.parted

    def ending_ms(self) -> int:
        """Unix ms: what ends by itself is compared with this; it is never ahead of the wall."""
        return min(self._look() + self._time.ending, self._clock.now_ms())

    def day_ms(self) -> int:
        """Unix ms: whose UTC day it is."""
        return self._look() + self._time.stood

    def timers_ms(self) -> int:
        """Unix ms: timers up to here may be due.

        That is the wall clock. After a step back it is now and then the clock from before: whose
        timers would stand still otherwise.
        """
        monotonic_ms, wall_ms = self._look(), self._clock.now_ms()
        ahead_ms = monotonic_ms + self._furthest
        if ahead_ms - wall_ms <= TOLERANCE_MS:
            return wall_ms
        looked_ms = self._looked_ahead_ms
        if looked_ms is not None and monotonic_ms - looked_ms < AHEAD_PAUSE_MS:
            return wall_ms
        self._looked_ahead_ms = monotonic_ms
        return ahead_ms

    def _look(self) -> int:
        wall_ms, monotonic_ms = self._clock.now_ms(), self._clock.monotonic_ms()
        before_ms = monotonic_ms + self._time.ending
        self._time = followed(self._time, wall_ms=wall_ms, monotonic_ms=monotonic_ms)
        self._furthest = max(self._furthest, wall_ms - monotonic_ms)
        self._tell(before_ms, wall_ms)
        return monotonic_ms

    def _tell(self, before_ms: int, wall_ms: int) -> None:
        if self._time.parted and not self._told:
            LOG.warning(
                "the clock went %+d s while it should not have: claims, bodies and invoices end "
                "later than it says until it has stood for ten minutes; if it is wrong, set it now",
                (wall_ms - before_ms) // SECOND_MS,
            )
        elif self._told and not self._time.parted:
            LOG.warning("the clock has stood long enough: things end by it again")
        self._told = self._time.parted
