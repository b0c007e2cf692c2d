"""Compare what our books say was spent at one upstream with what that upstream itself says.

Only when nothing is in flight and no cost is provisional or awaited, and only when two comparisons
in a row see the same: the upstream's figure may lag. What the figure of another key, or one that
fell, would say is not booked: it rings. The baseline that costs are counted from is found by a few
reads of the journal by key.
"""

from __future__ import annotations

import contextlib
import logging

from cobot_meter.domain.errors import Conflict, Quarantined
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.run.events import CostAttributed
from cobot_meter.domain.transitions.kinds import BASELINE_KEY, COMPARED, FELL, KEY_NAMED, REBASED
from cobot_meter.domain.transitions.upstream import (
    upstream_baseline,
    upstream_key_named,
    usage_compared,
    usage_fell,
)
from cobot_meter.domain.upstream.usage import (
    UsageAlarm,
    UsageBaseline,
    UsageReading,
    ahead_alarm,
    baseline_of,
    usage_alarm,
)
from cobot_meter.flows.ledger import Ledger
from cobot_meter.ports.books import JournalKeys, Quiet
from cobot_meter.ports.upstream import Upstream


async def current_baseline(journal: JournalKeys) -> UsageBaseline | None:
    """The one that the operator set last, or the first; None in books that have none yet."""
    number = await journal.numbered(REBASED)
    begun = await journal.entry_facts(f"{REBASED}/{number - 1}" if number else BASELINE_KEY)
    if begun is None:
        return None
    comparisons = await journal.numbered(COMPARED)
    compared = await journal.entry_facts(f"{COMPARED}/{comparisons - 1}") if comparisons else None
    return baseline_of(
        number,
        begun,
        named=None if begun.get("upstream_key") else await journal.entry_facts(KEY_NAMED),
        compared=compared,
        fell=await journal.entry_facts(f"{FELL}/{number}") is not None,
    )


LOG = logging.getLogger(__name__)
UNEXPLAINED_MAX = 1_000


class CompareCosts:
    """Finds spend that no generation explains and books it as unattributed."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        upstream: Upstream,
        key: str,
        page: int = UNEXPLAINED_MAX,
    ) -> None:
        """`key` is the mark of our key there; `page` escrows at most share one difference.

        Remembers one earlier reading, and what rings.
        """
        self._ledger = ledger
        self._upstream = upstream
        self._key = key
        self._page = page
        self._earlier: tuple[int, int] | None = None
        self._low_pusd: int | None = None
        self.alarm: UsageAlarm | None = None

    async def baseline(self) -> None:
        """At a start: what the key had spent before these books, once; whether it is that key."""
        baseline = await current_baseline(self._ledger.books)
        if baseline is None:
            reading = self._reading(await self._upstream.usage_pusd())
            await self._ledger.apply(upstream_baseline(reading, at_ms=self._ledger.now_ms()))
        elif baseline.key is None:
            named = upstream_key_named(self._key, at_ms=self._ledger.now_ms())
            await self._ledger.apply(named)
        else:
            self._ring(usage_alarm(baseline, key=self._key, usage_pusd=baseline.highest_pusd))

    async def compare(self) -> int | None:
        """The difference just booked in pico-USD (0: all is explained); None when not now."""
        before = await self._ledger.books.quiet(self._upstream.name)
        usage_pusd = await self._upstream.usage_pusd()
        baseline = await current_baseline(self._ledger.books)
        if baseline is None or await self._rings(baseline, usage_pusd):
            self._earlier = None
            return None
        if before.in_flight or before.awaited:
            self._earlier = None
            return None
        after = await self._ledger.books.quiet(self._upstream.name)
        reading = (usage_pusd, after.mark)
        seen_twice = reading == self._earlier
        self._earlier = reading
        if after.mark != before.mark or after.in_flight or not seen_twice:
            return None
        try:
            return await self._conclude(baseline, before, usage_pusd)
        except Conflict:
            return None  # something moved while we booked; the next comparison sees the rest

    async def _rings(self, baseline: UsageBaseline, usage_pusd: int) -> bool:
        """Whether the figure says nothing; one that fell is believed when it is seen again."""
        alarm = usage_alarm(baseline, key=self._key, usage_pusd=usage_pusd)
        self._ring(alarm)
        fell = alarm is not None and baseline.key in {None, self._key} and not baseline.fell
        if fell and self._low_pusd is not None:
            await self._ledger.apply(
                usage_fell(
                    baseline=baseline.number,
                    usage_pusd=usage_pusd,
                    highest_pusd=baseline.highest_pusd,
                    at_ms=self._ledger.now_ms(),
                )
            )
        self._low_pusd = usage_pusd if fell else None
        return alarm is not None

    def _reading(self, usage_pusd: int) -> UsageReading:
        return UsageReading(upstream=self._upstream.name, usage_pusd=usage_pusd, key=self._key)

    def _ring(self, alarm: UsageAlarm | None) -> None:
        """Say it once, not at every comparison."""
        if alarm is not None and (self.alarm is None or self.alarm.code != alarm.code):
            LOG.error("%s: %s", alarm.code, alarm.message)
        elif alarm is None and self.alarm is not None:
            LOG.warning("the upstream's usage can be compared again")
        self.alarm = alarm

    async def _conclude(self, baseline: UsageBaseline, quiet: Quiet, usage_pusd: int) -> int | None:
        difference = baseline.unexplained_pusd(usage_pusd=usage_pusd, booked_pusd=quiet.booked_pusd)
        # A late record explains what was unattributed, and an answer may have told too much: no
        # more than both can come back.
        most_pusd = max(quiet.unattributed_pusd + quiet.unconfirmed_pusd, 0)
        ahead_pusd = max(-difference - most_pusd, 0)
        self._ring(ahead_alarm(ahead_pusd))
        difference += ahead_pusd
        waiting = await self._ledger.books.unexplained(self._upstream.name, limit=self._page)
        shares = _shares(waiting, difference)
        # With more waiting than one page, they may explain what is left.
        rest = difference - sum(shares) if len(waiting) < self._page else 0
        if not waiting and not rest and usage_pusd == baseline.highest_pusd:
            return difference
        applied = await self._ledger.apply(
            usage_compared(
                self._reading(usage_pusd),
                sequence=quiet.comparisons,
                cost_pusd=rest,
                at_ms=self._ledger.now_ms(),
                baseline=baseline.number,
            )
        )
        if applied.repeated:
            return None  # another process has concluded this very thing
        for escrow, share in zip(waiting, shares, strict=True):
            with contextlib.suppress(Quarantined):  # its own trouble: it is in no list any more
                await self._ledger.record(escrow, CostAttributed(cost_pusd=share))
        return difference


def _shares(waiting: tuple[Escrow, ...], difference: int) -> list[int]:
    """Of each in opening order, up to its ceiling."""
    rest, shares = max(difference, 0), []
    for escrow in waiting:
        share = min(rest, escrow.quote.ceiling_pusd)
        shares.append(share)
        rest -= share
    return shares
