"""Transitions of the node: which one the books belong to, and payments found there."""

from __future__ import annotations

from collections.abc import Mapping

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.invoices import AdoptedNode
from cobot_meter.domain.ledger.accounts import caller_accounts
from cobot_meter.domain.topup.bookings import topup_credited
from cobot_meter.domain.transitions.escrows import settle_cursor
from cobot_meter.domain.transitions.event_facts import facts_of
from cobot_meter.domain.transitions.kinds import (
    NODE_ADOPTED,
    NODE_SWEPT,
    PAYMENT_FOUND,
    PAYMENT_SET_ASIDE,
    SWEPT,
)
from cobot_meter.domain.transitions.transition import Transition


def node_adopted(adopted: AdoptedNode, *, at_ms: int) -> Transition:
    """The books belong to this node from here on; its number makes the word one word."""
    return Transition(
        key=f"node/node_adopted/{adopted.number}",
        kind=NODE_ADOPTED,
        subject_id="node",
        caller_id=None,
        at_ms=at_ms,
        node=adopted,
        facts={"pubkey": adopted.pubkey, "network": adopted.network, "alias": adopted.alias},
    )


def node_swept(
    *, number: int, pubkey: str, through_s: int, counted: Mapping[str, int], at_ms: int
) -> Transition:
    """All that the node made before `through_s` has ended, and the books know what was paid."""
    return Transition(
        key=f"{SWEPT}/{number}",
        kind=NODE_SWEPT,
        subject_id="node",
        caller_id=None,
        at_ms=at_ms,
        facts={"pubkey": pubkey, "through_s": through_s, **counted},
    )


def payment_found(caller_id: str, settled: on.InvoiceSettled, *, at_ms: int) -> Transition:
    """B1 for a payment that these books had no invoice for: all of it is its payer's credit.

    The key is that of any settlement of this hash, so that none is ever booked twice.
    """
    return Transition(
        key=f"ln/{settled.payment_hash}",
        kind=PAYMENT_FOUND,
        subject_id="node",
        caller_id=caller_id,
        at_ms=at_ms,
        accounts=caller_accounts(caller_id),
        transfers=topup_credited(
            caller_id=caller_id, node_alias=settled.node_alias, paid_msat=settled.paid_msat
        ),
        cursor=settle_cursor(settled),
        facts=facts_of(settled),
    )


def payment_set_aside(payment_hash: str, *, paid_msat: int, reason: str, at_ms: int) -> Transition:
    """The operator's word: a payment at the node that these books have no business with."""
    return Transition(
        key=f"node/{PAYMENT_SET_ASIDE}/{payment_hash}",
        kind=PAYMENT_SET_ASIDE,
        subject_id="node",
        caller_id=None,
        at_ms=at_ms,
        facts={"payment_hash": payment_hash, "paid_msat": paid_msat, "reason": reason},
    )
