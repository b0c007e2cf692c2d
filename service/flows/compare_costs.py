"""Compare what our books say was spent upstream with what the upstream itself says (A13).

Only when nothing is in flight and no cost is provisional or awaited, and only when two
comparisons in a row see the same: the upstream's figure may lag. Must not know: timers.
"""

from __future__ import annotations

from service.domain.errors import Quarantined, StaleEscrow
from service.domain.escrow_events import CostAttributed
from service.domain.transitions import upstream_baseline, usage_compared
from service.flows.record_event import EventRecorder
from service.ports.books import Books
from service.ports.clock import Clock
from service.ports.upstream import Upstream

UNEXPLAINED_MAX = 1_000


class CompareCosts:
    """Finds spend that no generation explains and books it as unattributed."""

    def __init__(
        self,
        *,
        books: Books,
        recorder: EventRecorder,
        upstream: Upstream,
        clock: Clock,
        unexplained_max: int = UNEXPLAINED_MAX,
    ) -> None:
        """Remembers one earlier reading; `unexplained_max` escrows are read at a time."""
        self._unexplained_max = unexplained_max
        self._books = books
        self._recorder = recorder
        self._upstream = upstream
        self._clock = clock
        self._earlier: tuple[int, int] | None = None

    async def baseline(self) -> None:
        """At the first start: what the key had spent before these books were opened."""
        if (await self._books.quiet()).baseline_pusd is None:
            usage_pusd = await self._upstream.usage_pusd()
            transition = upstream_baseline(usage_pusd=usage_pusd, at_ms=self._clock.now_ms())
            await self._recorder.apply(transition)

    async def compare(self) -> int | None:
        """The difference just booked in pico-USD (0: all is explained); None when not now."""
        before = await self._books.quiet()
        if before.in_flight or before.awaited or before.baseline_pusd is None:
            self._earlier = None
            return None
        usage_pusd = await self._upstream.usage_pusd()
        after = await self._books.quiet()
        reading = (usage_pusd, after.mark)
        seen_twice = reading == self._earlier
        self._earlier = reading
        if after.mark != before.mark or after.in_flight or not seen_twice:
            return None
        difference = usage_pusd - before.baseline_pusd - before.booked_pusd
        try:
            await self._book(difference, usage_pusd, before.comparisons)
        except StaleEscrow:
            return None  # something moved while we booked; the next comparison sees the rest
        return difference

    async def _book(self, difference: int, usage_pusd: int, sequence: int) -> None:
        rest = difference
        while page := await self._books.unexplained(limit=self._unexplained_max):
            for escrow in page:
                share = min(max(rest, 0), escrow.budget_held_pusd)
                try:
                    await self._recorder.record(escrow, CostAttributed(cost_pusd=share))
                except Quarantined:
                    continue  # its own trouble: it is in no such list any more
                rest -= share
        if rest:
            await self._recorder.apply(
                usage_compared(
                    sequence=sequence,
                    cost_pusd=rest,
                    usage_pusd=usage_pusd,
                    at_ms=self._clock.now_ms(),
                )
            )
