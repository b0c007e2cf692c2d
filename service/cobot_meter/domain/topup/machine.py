"""The top-up's state machine: one table of which event may follow which state, and what it sets.

An event that the table does not have raises and changes nothing. What is booked is in
`bookings.py`; the diagram of the documentation is drawn from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cobot_meter.domain.errors import IllegalTransition
from cobot_meter.domain.topup import events as on
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.topup.states import TopupState

S = TopupState
TOPUP_TRANSITIONS: Mapping[tuple[TopupState, type[on.TopupEvent]], TopupState] = {
    (S.OPENED, on.TopupInvoiced): S.INVOICED,
    (S.OPENED, on.TopupInvoiceLost): S.OPENED,
    (S.OPENED, on.TopupLapsed): S.LAPSED,
    (S.OPENED, on.TopupCredited): S.CREDITED,
    (S.INVOICED, on.TopupLapsed): S.LAPSED,
    (S.INVOICED, on.TopupCredited): S.CREDITED,
    (S.LAPSED, on.TopupCredited): S.CREDITED,
    **{(state, on.TopupQuarantined): state for state in S},
    **{(state, on.TopupLifted): state for state in S},
    (S.OPENED, on.TopupWrittenOff): S.LAPSED,
    (S.INVOICED, on.TopupWrittenOff): S.LAPSED,
    (S.LAPSED, on.TopupWrittenOff): S.LAPSED,
    (S.CREDITED, on.TopupWrittenOff): S.CREDITED,
}

Changes = dict[str, Any]


def advance(topup: Topup, event: on.TopupEvent) -> Topup:
    """The top-up after `event`. Raises IllegalTransition, leaving `topup` as it was."""
    return replace(topup, **topup_changes(topup, event))


def topup_changes(topup: Topup, event: on.TopupEvent) -> Changes:
    """The fields that `event` sets, and to what. Raises IllegalTransition."""
    state = TOPUP_TRANSITIONS.get((topup.state, type(event)))
    if state is None:
        message = f"{type(event).__name__} cannot happen to a top-up that is {topup.state}"
        raise IllegalTransition(message)
    moved: Changes = {} if state is topup.state else {"state": state}
    return {**moved, "version": topup.version + 1, **_CHANGES[type(event)](topup, event)}


def _invoiced(_topup: Topup, event: on.TopupInvoiced) -> Changes:
    return {"payment_request": event.payment_request, "expires_at_s": event.expires_at_s}


def _lost(topup: Topup, event: on.TopupInvoiceLost) -> Changes:
    return {"attempt": topup.attempt + 1, "payment_hash": event.payment_hash}


def _nothing_else(_topup: Topup, _event: on.TopupEvent) -> Changes:
    return {}


def _credited(topup: Topup, event: on.TopupCredited) -> Changes:
    if event.payment_hash != topup.payment_hash:
        message = "the node spoke of another invoice than this top-up's"
        raise IllegalTransition(message)
    return {"paid_msat": event.paid_msat, "settle_index": event.settle_index}


def _quarantined(_topup: Topup, event: on.TopupQuarantined) -> Changes:
    return {"quarantine": event.reason}


def _let_go(_topup: Topup, _event: on.TopupLifted | on.TopupWrittenOff) -> Changes:
    return {"quarantine": None}


_CHANGES: Mapping[type[on.TopupEvent], Callable[..., Changes]] = {
    on.TopupInvoiced: _invoiced,
    on.TopupInvoiceLost: _lost,
    on.TopupLapsed: _nothing_else,
    on.TopupCredited: _credited,
    on.TopupQuarantined: _quarantined,
    on.TopupLifted: _let_go,
    on.TopupWrittenOff: _let_go,
}
