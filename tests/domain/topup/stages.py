"""A top-up in every state, and every event that it can be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from cobot_meter.domain.topup import events as on
from cobot_meter.domain.topup.machine import advance
from cobot_meter.domain.topup.record import PROBE_AMOUNT_MSAT, Topup
from cobot_meter.domain.topup.states import TopupState
from tests.domain.samples import CALLER, NODE, NOW_MS, PUBKEY

S = TopupState
TOPUP = Topup(
    topup_id="top_1",
    caller_id=CALLER,
    address_key="a",
    amount_msat=PROBE_AMOUNT_MSAT,
    opened_at_ms=NOW_MS,
    state=S.OPENED,
    version=1,
    attempt=0,
    payment_hash="h0",
)


def paid(topup: Topup, paid_msat: int = 1_500) -> on.TopupCredited:
    """The node's word on a payment of this top-up."""
    return on.TopupCredited(
        payment_hash=topup.payment_hash,
        paid_msat=paid_msat,
        settle_index=3,
        node_alias=NODE,
        node_pubkey=PUBKEY,
    )


INVOICED = on.TopupInvoiced(payment_request="lnbcrt1", expires_at_s=1)
LOST = on.TopupInvoiceLost(payment_hash="h1")
LAPSED = on.TopupLapsed()
PARKED = on.TopupQuarantined(reason="topup_credited: it is too large")
LIFTED = on.TopupLifted()
WRITTEN_OFF = on.TopupWrittenOff(reason="looked at")
EVENTS: Mapping[type[on.TopupEvent], Callable[[Topup], on.TopupEvent]] = {
    on.TopupInvoiced: lambda _: INVOICED,
    on.TopupInvoiceLost: lambda _: LOST,
    on.TopupLapsed: lambda _: LAPSED,
    on.TopupCredited: paid,
    on.TopupQuarantined: lambda _: PARKED,
    on.TopupLifted: lambda _: LIFTED,
    on.TopupWrittenOff: lambda _: WRITTEN_OFF,
}


def told(topup: Topup, *events: on.TopupEvent) -> Topup:
    """The top-up after these, one after the other."""
    for event in events:
        topup = advance(topup, event)
    return topup


STAGES: Mapping[TopupState, Topup] = {
    S.OPENED: TOPUP,
    S.INVOICED: told(TOPUP, INVOICED),
    S.CREDITED: told(TOPUP, INVOICED, paid(TOPUP)),
    S.LAPSED: told(TOPUP, INVOICED, LAPSED),
}


def parked(state: TopupState) -> Topup:
    """One in this state, in quarantine, that has been told a lot before."""
    return told(replace(STAGES[state], version=4), PARKED)
