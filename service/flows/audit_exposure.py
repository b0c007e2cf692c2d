"""Audit: what counts against each day's budget, from the events alone: a second opinion.

The bookings are not consulted. Must not know: rows, the journal or the node.
"""

from __future__ import annotations

from collections import Counter

from service.domain import accounts as chart
from service.domain import escrow_events as on
from service.domain.escrow_record import Escrow, EscrowState

ENDED = frozenset({EscrowState.EXPIRED, EscrowState.FAILED})


class ExposureReplay:
    """`days` is what was counted so far, by the code of the day's account, in pico-USD."""

    def __init__(self) -> None:
        """Nothing was spent."""
        self.days: Counter[str] = Counter()

    def told(self, before: Escrow, event: on.EscrowEvent) -> None:
        """Take one event in."""
        day = chart.day_budget(before.quote.day, newcomer=before.quote.newcomer)
        self.days[day.code] += counted_pusd(before, event)


def counted_pusd(before: Escrow, event: on.EscrowEvent) -> int:
    """What this event leaves on the day, beyond what is only reserved."""
    held_pusd, counted = before.budget_held_pusd, 0
    match event:
        case on.UpstreamFailed(charged=True, cost=cost) if cost is not None and held_pusd:
            counted = cost.cost_pusd
        case on.InvoiceRefused() | on.InvoiceCanceled() | on.CostGivenUp():
            counted = held_pusd
        case on.CostAttributed():
            counted = min(event.cost_pusd, held_pusd)
        case on.CostConfirmed() if before.state is EscrowState.FAILED and held_pusd:
            counted = event.cost.cost_pusd
        case on.CostConfirmed() if before.state in ENDED and is_exposed(before):
            counted = event.cost.cost_pusd - before.cost_pusd
        case on.LatePurchase():
            counted = -before.cost_pusd
    return counted


def is_exposed(escrow: Escrow) -> bool:
    """Whether credit did not cover all of it, so that something could stay unpaid."""
    return escrow.quote.ceiling_msat > escrow.quote.credit_reserved_msat
