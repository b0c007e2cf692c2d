"""The operator's word that costs count from here on: another key, or a counter that began anew."""

from __future__ import annotations

from cobot_meter.domain.errors import BooksBusy, RequestInvalid
from cobot_meter.domain.outside import text
from cobot_meter.domain.transitions.kinds import REBASED
from cobot_meter.domain.transitions.upstream import usage_rebased
from cobot_meter.domain.upstream.usage import UsageBaseline, UsageReading
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.operate.compare_costs import current_baseline
from cobot_meter.ports.upstream import Upstream

REASON_MAX = 200
TRIES = 40
PAUSE_S = 0.25


class RebaseUsage:
    """Books a new baseline; what the old key spent stays as it was booked."""

    def __init__(self, *, ledger: Ledger, upstream: Upstream, key: str) -> None:
        """`key` is the mark of our key there."""
        self._ledger = ledger
        self._upstream = upstream
        self._key = key

    async def rebase(self, reason: str) -> UsageBaseline:
        """Take the key's usage of now as the new zero.

        Raises RequestInvalid without a reason, BooksBusy while a run is in flight or a cost is
        awaited, and the upstream's faults.
        """
        reason = text(reason.strip())
        if not 0 < len(reason) <= REASON_MAX:
            message = f"a reason of 1 to {REASON_MAX} characters is needed: it stays in the journal"
            raise RequestInvalid(message, param="reason")
        for _ in range(TRIES):
            if await self._rebased(reason):
                baseline = await current_baseline(self._ledger.books)
                if baseline is not None:
                    return baseline
            await self._ledger.clock.sleep(PAUSE_S)
        message = (
            f"runs were in flight or costs were awaited all the {TRIES * PAUSE_S:g} s; nothing was "
            "changed: say it again when less is asked, or with the service stopped"
        )
        raise BooksBusy(message)

    async def _rebased(self, reason: str) -> bool:
        before = await self._ledger.books.quiet(self._upstream.name)
        if before.in_flight or before.awaited:
            return False
        usage_pusd = await self._upstream.usage_pusd()
        number = await self._ledger.books.numbered(REBASED)
        after = await self._ledger.books.quiet(self._upstream.name)
        if after.mark != before.mark:
            return False
        applied = await self._ledger.apply(
            usage_rebased(
                UsageReading(upstream=self._upstream.name, usage_pusd=usage_pusd, key=self._key),
                number=number,
                booked_pusd=after.booked_pusd,
                reason=reason,
                at_ms=self._ledger.now_ms(),
            )
        )
        return not applied.repeated
