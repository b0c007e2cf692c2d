"""Find out what a run really cost: the upstream's own record, patiently, or what the answer said.

generated → costed or failed, and corrections in every later state. Zero on a priced model is
unknown, not zero, and so is more than ten ceilings; a missing record is not yet known, not missing.
"""

from __future__ import annotations

from collections.abc import Callable

from cobot_meter.domain.errors import DependencyFault
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.retention import (
    DAY_MS,
    FREE_FAILURE_MS,
    LOOKUPS_MS,
    later_lookup_ms,
    lookup_due_ms,
)
from cobot_meter.domain.run.events import CostConfirmed, CostKnown, CostLookupMissed, CostNotFound
from cobot_meter.domain.run.record import Cost, CostAccount, CostStanding, Failure
from cobot_meter.domain.upstream.completions import GenerationCost
from cobot_meter.flows.ledger import Ledger
from cobot_meter.flows.sale.run_completion import inline_cost
from cobot_meter.flows.vault import Vault
from cobot_meter.ports.upstream import Upstream

# While it is not certain that a day has passed, and the end may come near faster than time passes.
MEANWHILE_MS = 300_000
NOT_FOUND = Failure(
    code="cost_not_found",
    message="The upstream never said what this completion cost, so it cannot be sold. Ask again.",
)


# The escrow, and what was said and is not believed.
Doubt = Callable[[Escrow, int], None]


def _nobody_hears(_escrow: Escrow, _cost_pusd: int) -> None:
    """Where nobody is there to look."""


class FindCost:
    """Look-ups at 0, 0.5, 1, 2, 4, 8 and 15 s after the answer, then rarer for a day."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        vault: Vault,
        upstream: Upstream,
        doubt: Doubt = _nobody_hears,
    ) -> None:
        """`doubt` is told of a cost that is not believed."""
        self._doubt = doubt
        self._ledger = ledger
        self._vault = vault
        self._upstream = upstream

    async def generated(self, escrow: Escrow) -> Escrow:
        """The costed escrow; still generated while the cost is unknown (a timer asks again)."""
        cost = await self._early_lookups(escrow)
        if cost is not None:
            return await self._costed(escrow, cost, lookup_at_ms=None)
        later_ms = self._later_ms(escrow)
        summary = escrow.run.summary
        inline = summary.inline_cost if summary else None
        provisional = inline_cost(escrow, inline)
        if provisional is not None:
            return await self._costed(escrow, provisional, lookup_at_ms=later_ms)
        if later_ms is None:
            return await self._ledger.record(escrow, CostNotFound(failure=NOT_FOUND))
        return await self._ledger.record(escrow, CostLookupMissed(lookup_at_ms=later_ms))

    async def confirm(self, escrow: Escrow) -> Escrow:
        """One durable look-up for an escrow whose price is fixed, or which failed."""
        cost = await self._look_up(escrow)
        if cost is not None:
            return await self._ledger.record(escrow, CostConfirmed(cost=cost))
        later_ms = self._later_ms(escrow)
        return await self._ledger.record(escrow, CostLookupMissed(lookup_at_ms=later_ms))

    async def at_once(self, escrow: Escrow) -> Cost | None:
        """What the record says of a run now; None is no miss, and later look-ups stay as planned.

        Raises nothing of the upstream's.
        """
        return await self._look_up(escrow, last=False)

    def _later_ms(self, escrow: Escrow) -> int | None:
        """The next rare look-up; None only when a day has passed, whatever the wall clock says.

        An answer that came later than now is from before the clock went back.
        """
        now_ms = self._ledger.now_ms()
        since_ms = min(_since_ms(escrow), now_ms)
        later_ms = later_lookup_ms(since_ms, now_ms=now_ms)
        if later_ms is None and self._ledger.ending_ms() < since_ms + DAY_MS:
            return now_ms + MEANWHILE_MS
        return later_ms

    async def _early_lookups(self, escrow: Escrow) -> Cost | None:
        """They go by time that has passed: nobody who sets the clock makes an ask wait for it."""
        elapsed_ms = max(0, self._ledger.now_ms() - _since_ms(escrow))
        since_ms = self._ledger.clock.monotonic_ms() - elapsed_ms
        first = sum(1 for due_ms in LOOKUPS_MS[1:] if due_ms <= elapsed_ms)
        for number in range(first, len(LOOKUPS_MS)):
            wait_ms = lookup_due_ms(since_ms, number) - self._ledger.clock.monotonic_ms()
            if wait_ms > 0:
                await self._ledger.clock.sleep(_seconds(wait_ms))
            cost = await self._look_up(escrow, last=number == len(LOOKUPS_MS) - 1)
            if cost is not None:
                return cost
        return None

    async def _look_up(self, escrow: Escrow, *, last: bool = True) -> Cost | None:
        """What the record says, if it can be believed; the `last` of several rings when not."""
        if escrow.run.generation_id is None:
            return None
        try:
            record = await self._upstream.generation_cost(
                escrow.run.generation_id, upstream=escrow.run.upstream
            )
        except DependencyFault:
            return None
        if not escrow.believes(record.cost_pusd):
            if last:
                self._doubt(escrow, record.cost_pusd)
            return None
        return None if self._too_early(escrow, record) else _cost(record)

    def _too_early(self, escrow: Escrow, record: GenerationCost) -> bool:
        """Zero on a priced model: it may yet become a bill. A failed run's is believed in time."""
        if record.cost_pusd or escrow.prices.free:
            return False
        since_ms = self._ledger.now_ms() - _since_ms(escrow)
        if escrow.run.cost_account is not CostAccount.FAILED:
            return True
        return not record.final and since_ms < FREE_FAILURE_MS

    async def _costed(self, escrow: Escrow, cost: Cost, *, lookup_at_ms: int | None) -> Escrow:
        price = escrow.price_of_run(cost.cost_pusd)
        event = CostKnown(
            cost=cost,
            price_msat=price.price_msat,
            credit_used_msat=min(escrow.reserved_msat, price.price_msat),
            payment_hash=self._vault.payment_hash(escrow.escrow_id, escrow.attempt),
            lookup_at_ms=lookup_at_ms,
        )
        return await self._ledger.record(escrow, event)


def _cost(record: GenerationCost) -> Cost:
    return Cost(
        cost_pusd=record.cost_pusd,
        text=record.total_cost,
        standing=CostStanding.CONFIRMED,
        provider=record.provider,
        model=record.model,
        record_sha256=record.record_sha256,
    )


def _since_ms(escrow: Escrow) -> int:
    summary = escrow.run.summary
    return summary.completed_at_ms if summary else escrow.run.opened_at_ms


def _seconds(milliseconds: int) -> float:
    return milliseconds / 1_000
