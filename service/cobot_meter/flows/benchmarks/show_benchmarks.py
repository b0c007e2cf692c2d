"""Show what the records of benchmark runs say: now to the operator, of whole days to buyers.

Reading and reckoning may take seconds with years of records, so they are done beside the event
loop, one at a time, and what was found is kept until there is something new. Must not know: HTTP.
"""

from __future__ import annotations

import asyncio

from cobot_meter.domain.benchmarks.overview import Overview, overview_of
from cobot_meter.domain.benchmarks.record import MS_PER_DAY
from cobot_meter.ports.bench_records import BenchRecords
from cobot_meter.ports.process import Clock

# A run adds a record every few seconds; the page need not be reckoned anew for each.
FRESH_MS = 15_000


class ShowBenchmarks:
    """One set of records."""

    def __init__(self, *, records: BenchRecords, clock: Clock) -> None:
        """Nothing is read before somebody asks."""
        self._records = records
        self._clock = clock
        self._reading = asyncio.Lock()
        self._latest: tuple[tuple[int, int], int, Overview] | None = None
        self._edition: Overview | None = None

    async def latest(self) -> Overview:
        """What they say now, or said at most FRESH_MS ago. Raises OSError."""
        async with self._reading:
            now_ms, monotonic_ms = self._clock.now_ms(), self._clock.monotonic_ms()
            mark = self._records.mark()
            if self._latest is not None:
                seen, reckoned_ms, overview = self._latest
                fresh = monotonic_ms - reckoned_ms < FRESH_MS
                same_day = overview.at_ms // MS_PER_DAY == now_ms // MS_PER_DAY
                if fresh or (seen == mark and same_day):
                    return overview
            overview = await asyncio.to_thread(self._reckoned, now_ms + 1)
            self._latest = (mark, monotonic_ms, overview)
            return overview

    async def edition(self) -> Overview:
        """What they said when this UTC day began: the same all day long. Raises OSError."""
        async with self._reading:
            now_ms = self._clock.now_ms()
            began_ms = now_ms - now_ms % MS_PER_DAY
            if self._edition is None or self._edition.at_ms != began_ms:
                self._edition = await asyncio.to_thread(self._reckoned, began_ms)
            return self._edition

    def _reckoned(self, at_ms: int) -> Overview:
        kept = self._records.read()
        return overview_of(kept.records, at_ms=at_ms, passed_over=kept.passed_over)
