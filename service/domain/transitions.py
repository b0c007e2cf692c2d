"""Joins table and bookings: (escrow, event) becomes the one value that the door for writes takes.

Keys are deterministic, so that the same fact told twice is one journal row. Must not know:
storage, or who told.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping

from service.domain import escrow_events as on
from service.domain.accounts import caller_accounts
from service.domain.bookings import bookings, topup_credited, unattributed
from service.domain.callers import CallerStanding, ExposureTerms
from service.domain.errors import LedgerUnbalanced
from service.domain.escrow import advance
from service.domain.escrow_record import Escrow
from service.domain.holds import opened_accounts, opening
from service.domain.ledger import (
    CallerChange,
    SettleCursor,
    StoredBodies,
    Transfer,
    Transition,
)
from service.domain.money import AMOUNT_MAX, usd_text
from service.domain.node_adoption import AdoptedNode
from service.domain.retention import Retention
from service.domain.row_digests import ROW, opened_digest, sealed_facts, topup_digest
from service.domain.topups import Topup

Facts = Mapping[str, str | int | None]
Book = Callable[[Escrow, on.EscrowEvent, Escrow], tuple[Transfer, ...]]

SHREDDING = (
    on.Abandoned,
    on.UpstreamFailed,
    on.OutcomeUnknown,
    on.CostNotFound,
    on.InvoiceRefused,
    on.CompletionLost,
    on.ClaimLapsed,
    on.BodiesShredded,
    on.WrittenOff,
)
BASELINE_KEY = "upstream/baseline"
TOPUP_QUARANTINED = "topup_quarantined"
TOPUP_LIFTED = "topup_lifted"
TOPUP_WRITTEN_OFF = "topup_written_off"
TOPUP_QUARANTINE = frozenset({TOPUP_QUARANTINED, TOPUP_LIFTED, TOPUP_WRITTEN_OFF})
RELEASES = "releases"
RELEASES_STOPPED = "releases_stopped"
RELEASES_OPENED = "releases_opened"
# Names under which entries are numbered or written once.
COMPARED = "upstream/usage_compared"
REBASED = "upstream/usage_rebased"
FELL = "upstream/usage_fell"
KEY_NAMED = "upstream/key_named"
NODE_ADOPTED, NODE_SWEPT = "node_adopted", "node_swept"
PAYMENT_FOUND, PAYMENT_SET_ASIDE = "payment_found", "payment_set_aside"
SWEPT = f"node/{NODE_SWEPT}"
# The kinds that are numbered by how many of one name there are: `{name}/{number}` is their key.
NUMBERED_KINDS = frozenset(
    {
        "usage_compared",
        "usage_rebased",
        "caller_changed",
        NODE_SWEPT,
        RELEASES_STOPPED,
        RELEASES_OPENED,
    }
)
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def open_escrow(
    escrow: Escrow, *, standing: CallerStanding, terms: ExposureTerms, bodies: StoredBodies
) -> Transition:
    """A0: the escrow's first row with all its reservations, all or none.

    What is sent at once is opened as requested, and its entry says by whom.
    """
    quote = escrow.quote
    requested = {"requested_by": escrow.requested_by} if escrow.requested_by else {}
    least = {} if quote.least_pusd is None else {"least_usd": usd_text(quote.least_pusd)}
    fallback = dict(_parts(escrow.fallback))
    return Transition(
        key=f"{escrow.escrow_id}/opened",
        kind="opened",
        subject_id=escrow.escrow_id,
        caller_id=escrow.caller_id,
        at_ms=escrow.opened_at_ms,
        escrow=escrow,
        accounts=opened_accounts(escrow),
        transfers=opening(escrow, standing, terms),
        bodies=bodies,
        facts={
            "model": quote.model,
            "ceiling_usd": usd_text(quote.ceiling_pusd),
            "ceiling_msat": quote.ceiling_msat,
            "rate_usd_micro_per_btc": quote.rate.usd_micro_per_btc,
            "rate_source": quote.rate.source,
            "rate_at_ms": quote.rate.fetched_at_ms,
            "credit_fee_bps": quote.terms.credit_fee_bps,
            "markup_bps": quote.terms.markup_bps,
            "request_sha256": escrow.ask.request_sha256,
            **least,
            **requested,
            **{f"fallback.{name}": part for name, part in fallback.items()},
            ROW: opened_digest(escrow),
            **sealed_facts(bodies),
        },
    )


def escrow_transition(
    before: Escrow,
    event: on.EscrowEvent,
    *,
    at_ms: int,
    retention: Retention,
    bodies: StoredBodies | None = None,
    book: Book = bookings,
) -> Transition:
    """What `event` makes true of `before`. Raises IllegalTransition, LedgerUnbalanced.

    An amount beyond the one bound would spoil the sums of everybody's accounts. The row after the
    event is the transition's `escrow`; `book` says which transfers it books.
    """
    after = advance(before, event, at_ms=at_ms, retention=retention)
    transfers = book(before, event, after)
    if any(transfer.amount > AMOUNT_MAX for transfer in transfers):
        message = f"{event_name(event)} books more than {AMOUNT_MAX}"
        raise LedgerUnbalanced(message)
    return Transition(
        key=_key(before, event),
        kind=event_name(event),
        subject_id=before.escrow_id,
        caller_id=before.caller_id,
        at_ms=at_ms,
        escrow=after,
        transfers=transfers,
        bodies=bodies,
        shred=isinstance(event, SHREDDING),
        cursor=_cursor(event),
        facts=facts_of(event) | sealed_facts(bodies),
    )


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
        cursor=_cursor(settled) if settled else None,
        facts={
            **(facts_of(settled) if settled else _topup_facts(topup, kind, reason)),
            ROW: topup_digest(topup),
        },
    )


def _topup_facts(topup: Topup, kind: str, reason: str | None) -> Facts:
    facts: Facts = {"payment_hash": topup.payment_hash}
    why = topup.quarantine if kind == TOPUP_QUARANTINED else reason
    return facts if why is None else {**facts, "reason": why}


def releases_transition(*, sequence: int, stopped: bool, reason: str, at_ms: int) -> Transition:
    """Releases are stopped, or opened again: one word after the other, numbered from 0."""
    return Transition(
        key=f"{RELEASES}/{sequence}",
        kind=RELEASES_STOPPED if stopped else RELEASES_OPENED,
        subject_id=RELEASES,
        caller_id=None,
        at_ms=at_ms,
        facts={"reason": reason},
    )


def caller_transition(
    caller_id: str, change: CallerChange, *, sequence: int, at_ms: int
) -> Transition:
    """An operator's word on a caller; `sequence` numbers his words."""
    return Transition(
        key=f"{caller_id}/caller_changed/{sequence}",
        kind="caller_changed",
        subject_id="operator",
        caller_id=caller_id,
        at_ms=at_ms,
        accounts=caller_accounts(caller_id),
        caller=change,
        facts={"blocked": int(change.blocked), "cap_msat": change.cap_msat},
    )


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
        cursor=_cursor(settled),
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


def usage_compared(
    *,
    sequence: int,
    cost_pusd: int,
    usage_pusd: int,
    at_ms: int,
    baseline: int = 0,
    upstream_key: str | None = None,
) -> Transition:
    """A13's remainder: upstream spend that no open reservation explains, 0 too.

    Every comparison that concludes anything takes its number first, so that two processes at a
    hand-over never conclude the same twice. `baseline` is the number of the one it counts from.
    """
    return Transition(
        key=f"{COMPARED}/{sequence}",
        kind="usage_compared",
        subject_id="upstream",
        caller_id=None,
        at_ms=at_ms,
        transfers=unattributed(cost_pusd),
        facts={
            "usage_usd": usd_text(usage_pusd),
            "unattributed_usd": usd_text(cost_pusd),
            "usage_pusd": usage_pusd,
            "baseline": baseline,
            "upstream_key": upstream_key,
        },
    )


def upstream_baseline(
    *, usage_pusd: int, at_ms: int, upstream_key: str | None = None
) -> Transition:
    """What the upstream's key had spent before these books were opened; written once."""
    return _told_of_upstream(
        BASELINE_KEY,
        "upstream_baseline",
        at_ms,
        {"usage_pusd": usage_pusd, "upstream_key": upstream_key},
    )


def upstream_key_named(upstream_key: str, *, at_ms: int) -> Transition:
    """Books from before keys had marks: this is the key they have been counting against."""
    return _told_of_upstream(KEY_NAMED, "upstream_key_named", at_ms, {"upstream_key": upstream_key})


def usage_fell(*, baseline: int, usage_pusd: int, highest_pusd: int, at_ms: int) -> Transition:
    """The key's usage fell, seen twice: nothing is compared until there is another baseline."""
    facts: Facts = {"usage_pusd": usage_pusd, "highest_pusd": highest_pusd}
    return _told_of_upstream(f"{FELL}/{baseline}", "usage_fell", at_ms, facts)


def usage_rebased(
    *, number: int, usage_pusd: int, booked_pusd: int, upstream_key: str, reason: str, at_ms: int
) -> Transition:
    """The operator's word: from here on costs count against this figure of this key."""
    return _told_of_upstream(
        f"{REBASED}/{number}",
        "usage_rebased",
        at_ms,
        {
            "usage_pusd": usage_pusd,
            "booked_pusd": booked_pusd,
            "upstream_key": upstream_key,
            "reason": reason,
        },
    )


def _told_of_upstream(key: str, kind: str, at_ms: int, facts: Facts) -> Transition:
    return Transition(
        key=key, kind=kind, subject_id="upstream", caller_id=None, at_ms=at_ms, facts=facts
    )


def event_name(event: on.EscrowEvent) -> str:
    """The kind of entry that an event is recorded as."""
    return event_kind(type(event))


def event_kind(event_type: type[on.EscrowEvent]) -> str:
    """`InvoiceSettled` as `invoice_settled`."""
    return _snake_case(event_type.__name__)


@functools.cache
def _snake_case(name: str) -> str:
    return _CAPITAL.sub("_", name).lower()


def _key(escrow: Escrow, event: on.EscrowEvent) -> str:
    match event:
        case on.InvoiceSettled():
            return f"ln/{event.payment_hash}"
        case on.InvoiceLost(adoption=int(number)):
            return f"{escrow.escrow_id}/{event_name(event)}/node-{number}"
        case on.InvoiceIssued() | on.InvoiceLost():
            return f"{escrow.escrow_id}/{event_name(event)}/{escrow.attempt}"
        case on.Quarantined() | on.QuarantineLifted() | on.WrittenOff():
            return f"{escrow.escrow_id}/{event_name(event)}/{escrow.version}"
        case on.CostLookupMissed():
            return f"{escrow.escrow_id}/{event_name(event)}/{escrow.lookups}"
        case _:
            return f"{escrow.escrow_id}/{event_name(event)}"


def _cursor(event: on.EscrowEvent) -> SettleCursor | None:
    if isinstance(event, on.WrittenOff) and not event.paid_msat:
        return None
    if isinstance(event, on.InvoiceSettled | on.WrittenOff):
        return SettleCursor(node_pubkey=event.node_pubkey, settle_index=event.settle_index)
    return None


def facts_of(event: on.EscrowEvent) -> dict[str, str | int | None]:
    """What the journal keeps of an event: its fields, those of its parts as `part.field`."""
    facts: dict[str, str | int | None] = {}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if dataclasses.is_dataclass(value):
            facts |= {f"{field.name}.{name}": part for name, part in _parts(value)}
        else:
            facts[field.name] = value
    return facts


def _parts(value: object) -> list[tuple[str, str | int | None]]:
    if not dataclasses.is_dataclass(value):
        return []
    return [(part.name, getattr(value, part.name)) for part in dataclasses.fields(value)]
