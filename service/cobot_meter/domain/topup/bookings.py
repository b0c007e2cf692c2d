"""What each event of a top-up books: a payment is credit (B1), and nothing else moves money.

A fact is never refused: there is no guard. `docs/postings.md` has the posting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.transfers import Transfer, posted
from cobot_meter.domain.topup import events as on
from cobot_meter.domain.topup.record import Topup

Transfers = tuple[Transfer, ...]


def topup_bookings(topup: Topup, event: on.TopupEvent) -> Transfers:
    """The transfers of one event."""
    return _BOOKINGS[type(event)](topup, event)


def topup_credited(*, caller_id: str, node_alias: str, paid_msat: int) -> Transfers:
    """B1: all that was paid is credit."""
    return posted(chart.node_balance(node_alias), chart.available(caller_id), paid_msat)


def _none(_topup: Topup, _event: on.TopupEvent) -> Transfers:
    return ()


def _credited(topup: Topup, event: on.TopupCredited) -> Transfers:
    return topup_credited(
        caller_id=topup.caller_id, node_alias=event.node_alias, paid_msat=event.paid_msat
    )


_BOOKINGS: Mapping[type[on.TopupEvent], Callable[..., Transfers]] = {
    on.TopupInvoiced: _none,
    on.TopupInvoiceLost: _none,
    on.TopupLapsed: _none,
    on.TopupCredited: _credited,
    on.TopupQuarantined: _none,
    on.TopupLifted: _none,
    on.TopupWrittenOff: _none,
}
