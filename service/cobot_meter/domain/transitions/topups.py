"""Transitions of top-ups: opened, invoiced, paid, ended, parked."""

from __future__ import annotations

from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.bookings import topup_credited
from cobot_meter.domain.ledger.accounts import caller_accounts
from cobot_meter.domain.ledger.transfers import Transfer
from cobot_meter.domain.topups import Topup
from cobot_meter.domain.transitions.escrows import settle_cursor
from cobot_meter.domain.transitions.event_facts import facts_of
from cobot_meter.domain.transitions.kinds import TOPUP_QUARANTINE, TOPUP_QUARANTINED
from cobot_meter.domain.transitions.row_digests import ROW, topup_digest
from cobot_meter.domain.transitions.transition import Facts, Transition


def topup_transition(
    topup: Topup,
    kind: str,
    *,
    at_ms: int,
    settled: on.InvoiceSettled | None = None,
    reason: str | None = None,
) -> Transition:
    """A top-up's row after `kind` (`topup_opened`, ...), with B1 when it was paid.

    `reason` is the operator's, of what he writes off.
    """
    number = topup.version if kind in TOPUP_QUARANTINE else topup.attempt
    key = f"ln/{topup.payment_hash}" if settled else f"{topup.topup_id}/{kind}/{number}"
    transfers: tuple[Transfer, ...] = ()
    if settled:
        transfers = topup_credited(
            caller_id=topup.caller_id,
            node_alias=settled.node_alias,
            paid_msat=settled.paid_msat,
        )
    return Transition(
        key=key,
        kind=kind,
        subject_id=topup.topup_id,
        caller_id=topup.caller_id,
        at_ms=at_ms,
        topup=topup,
        accounts=caller_accounts(topup.caller_id) if topup.version == 1 else (),
        transfers=transfers,
        cursor=settle_cursor(settled),
        facts={
            **(facts_of(settled) if settled else _topup_facts(topup, kind, reason)),
            ROW: topup_digest(topup),
        },
    )


def _topup_facts(topup: Topup, kind: str, reason: str | None) -> Facts:
    facts: Facts = {"payment_hash": topup.payment_hash}
    why = topup.quarantine if kind == TOPUP_QUARANTINED else reason
    return facts if why is None else {**facts, "reason": why}
