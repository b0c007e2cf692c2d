"""Joins the top-up's table and bookings: (top-up, event) becomes the one value for the door.

Keys are deterministic, so that the same fact told twice is one journal row. The journal keeps the
hash, the reason and, of a payment, all that the node said; of the invoice the row has the text.
Must not know: storage, or who told.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from cobot_meter.domain.ledger.accounts import caller_accounts
from cobot_meter.domain.topup import events as on
from cobot_meter.domain.topup.bookings import topup_bookings
from cobot_meter.domain.topup.machine import topup_changes
from cobot_meter.domain.topup.record import Topup
from cobot_meter.domain.transitions.event_facts import event_kind, event_name, facts_of
from cobot_meter.domain.transitions.row_digests import ROW, topup_digest
from cobot_meter.domain.transitions.transition import Facts, SettleCursor, Transition

TOPUP_OPENED = "topup_opened"
_KINDS: Mapping[str, type[on.TopupEvent]] = {
    event_kind(event_type): event_type for event_type in typing.get_args(on.TopupEvent)
}
# The kinds of entries that are of a top-up.
TOPUP_KINDS = frozenset(_KINDS) | {TOPUP_OPENED}


def open_topup(topup: Topup) -> Transition:
    """The top-up's first row, with its caller's accounts: later entries find them there."""
    return Transition(
        key=f"{topup.topup_id}/{TOPUP_OPENED}/{topup.attempt}",
        kind=TOPUP_OPENED,
        subject_id=topup.topup_id,
        caller_id=topup.caller_id,
        at_ms=topup.opened_at_ms,
        topup=topup,
        accounts=caller_accounts(topup.caller_id),
        facts={"payment_hash": topup.payment_hash, ROW: topup_digest(topup)},
    )


def topup_transition(before: Topup, event: on.TopupEvent, *, at_ms: int) -> Transition:
    """What `event` makes true of `before`. Raises IllegalTransition.

    The row after the event is the transition's `topup`.
    """
    changes = topup_changes(before, event)
    after = dataclasses.replace(before, **changes)
    return Transition(
        key=_key(after, event),
        kind=event_name(event),
        subject_id=after.topup_id,
        caller_id=after.caller_id,
        at_ms=at_ms,
        topup=after,
        topup_changed=tuple(changes),
        transfers=topup_bookings(after, event),
        cursor=_cursor(event),
        facts={**_facts(after, event), ROW: topup_digest(after)},
    )


def topup_event_of(kind: str, facts: Mapping[str, object], row: Topup) -> on.TopupEvent:
    """The event as it was told; what the journal leaves to the `row` is taken from there.

    Raises ValueError for a kind or facts that no event has.
    """
    event_type = _KINDS.get(kind)
    if event_type is None:
        message = f"no event of a top-up is called {kind!r}"
        raise ValueError(message)
    said: Mapping[str, Any] = {
        "payment_request": row.payment_request,
        "expires_at_s": row.expires_at_s,
        **facts,
    }
    names = [field.name for field in dataclasses.fields(event_type)]
    missing = [name for name in names if name not in said]
    if missing:
        message = f"{kind} lacks the fact {missing[0]!r}"
        raise ValueError(message)
    return event_type(**{name: said[name] for name in names})


def _key(after: Topup, event: on.TopupEvent) -> str:
    match event:
        case on.TopupCredited():
            return f"ln/{after.payment_hash}"
        case on.TopupQuarantined() | on.TopupLifted() | on.TopupWrittenOff():
            return f"{after.topup_id}/{event_name(event)}/{after.version}"
        case _:
            return f"{after.topup_id}/{event_name(event)}/{after.attempt}"


def _cursor(event: on.TopupEvent) -> SettleCursor | None:
    if not isinstance(event, on.TopupCredited):
        return None
    return SettleCursor(node_pubkey=event.node_pubkey, settle_index=event.settle_index)


def _facts(after: Topup, event: on.TopupEvent) -> Facts:
    match event:
        case on.TopupCredited():
            return facts_of(event)
        case on.TopupQuarantined() | on.TopupWrittenOff():
            return {"payment_hash": after.payment_hash, "reason": event.reason}
        case _:
            return {"payment_hash": after.payment_hash}
