"""Joins table and bookings: (escrow, event) becomes the one value that the door for writes takes.

Keys are deterministic, so that the same fact told twice is one journal row. Must not know:
storage, or who told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cobot_meter.domain.api_key.record import KeyLimits
from cobot_meter.domain.budgets.sheets import NO_BUDGETS, BudgetLimits
from cobot_meter.domain.callers import CallerStanding, ExposureTerms
from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.bookings import bookings
from cobot_meter.domain.escrow.key_losses import losses_account
from cobot_meter.domain.escrow.machine import changes_by
from cobot_meter.domain.escrow.moves import MovedRun
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.reservations import (
    day_guards,
    extended,
    opened_accounts,
    opening,
)
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.ledger.transfers import Transfer, TransferKind
from cobot_meter.domain.money import AMOUNT_MAX, usd_text
from cobot_meter.domain.retention import Retention
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.transitions.event_facts import event_name, facts_of, parts_of
from cobot_meter.domain.transitions.row_digests import ROW, UPSTREAM, opened_digest, sealed_facts
from cobot_meter.domain.transitions.transition import SettleCursor, StoredBodies, Transition

# How much of an answer's digest tells it from another one at the same moment.
_DIGEST_CHARS = 16
# How many runs a panel opened with.
MEMBERS = "members"
Book = Callable[[Escrow, on.EscrowEvent, Escrow], tuple[Transfer, ...]]

NO_LIMITS = KeyLimits()
SHREDDING = (
    ran.Abandoned,
    ran.RunFailed,
    ran.RunOutcomeUnknown,
    ran.CostNotFound,
    on.InvoiceMakingRefused,
    on.TaskEnded,
    on.PanelEnded,
    on.CompletionLost,
    on.ClaimLapsed,
    on.BodiesShredded,
    on.WrittenOff,
)


def open_escrow(
    escrow: Escrow,
    *,
    standing: CallerStanding,
    terms: ExposureTerms,
    bodies: StoredBodies | None,
    limits: KeyLimits = NO_LIMITS,
    budgets: BudgetLimits = NO_BUDGETS,
) -> Transition:
    """A0: the escrow's first row with all its reservations, all or none.

    What is sent at once is opened as requested, and its entry says by whom. `limits` are those of
    the key that asked, `budgets` those of the accounts of budgets that the sale names.
    """
    quote = escrow.quote
    requested_by = escrow.runs[0].requested_by
    requested = {"requested_by": requested_by} if requested_by else {}
    least = {} if quote.least_pusd is None else {"least_usd": usd_text(quote.least_pusd)}
    return Transition(
        key=f"{escrow.escrow_id}/opened",
        kind="opened",
        subject_id=escrow.escrow_id,
        caller_id=escrow.caller_id,
        at_ms=escrow.opened_at_ms,
        escrow=escrow,
        opens=True,
        runs=tuple(map(MovedRun, escrow.runs)),
        accounts=opened_accounts(escrow),
        transfers=opening(escrow, standing, terms, limits, budgets),
        bodies=bodies,
        facts={
            "model": quote.model,
            UPSTREAM: escrow.run.upstream,
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
            **({} if escrow.key_id is None else {"key_id": escrow.key_id}),
            **({} if escrow.task is None else {"seller_id": escrow.task.seller_id}),
            **({} if len(escrow.runs) == 1 else {MEMBERS: len(escrow.runs)}),
            **parts_of("fallback", escrow.fallback),
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
    moves = changes_by(event, before, at_ms=at_ms, retention=retention)
    after = moves.of(before)
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
        changed=tuple(moves.sale),
        runs=moves.runs(before, after),
        accounts=_opened_by(before, transfers),
        transfers=transfers,
        bodies=bodies,
        shred=shreds(before, event),
        cursor=settle_cursor(event),
        facts=facts_of(event) | sealed_facts(bodies),
    )


def shreds(before: Escrow, event: on.EscrowEvent) -> bool:
    """Whether what is sealed of the sale is dropped: not where one of several runs has failed."""
    if before.sells_several and isinstance(event, ran.RunEvent):
        return False
    return isinstance(event, SHREDDING)


def _opened_by(escrow: Escrow, transfers: tuple[Transfer, ...]) -> tuple[Account, ...]:
    """The account of the key's losses where one is booked: no sale that goes well needs it."""
    losses = losses_account(escrow)
    booked = losses is not None and any(losses in {one.debit, one.credit} for one in transfers)
    return (losses,) if losses is not None and booked else ()


def next_run_transition(
    before: Escrow,
    event: ran.FellBack | on.TaskRunBegun,
    *,
    at_ms: int,
    retention: Retention,
    terms: ExposureTerms,
) -> Transition:
    """What `event` makes true of a sale that goes on with another run.

    What is reserved for the new run passes the guards of the sale's days, as `terms` set them: the
    books may refuse it. Raises IllegalTransition, LedgerUnbalanced.
    """
    told = escrow_transition(before, event, at_ms=at_ms, retention=retention)
    guards = day_guards(before, terms)
    transfers = (
        replace(one, guard=guards[one.debit.code]) if one.kind is TransferKind.PENDING else one
        for one in told.transfers
    )
    return replace(told, transfers=tuple(transfers))


def extension_transition(
    before: Escrow,
    event: on.ReservationExtended,
    *,
    at_ms: int,
    retention: Retention,
    limits: KeyLimits,
    budgets: BudgetLimits = NO_BUDGETS,
) -> Transition:
    """What `event` makes true of a sale whose answer goes on, within credit and the key's `limits`.

    And within its `budgets`. The books may refuse it. Raises IllegalTransition, LedgerUnbalanced.
    """

    def book(escrow: Escrow, _event: on.EscrowEvent, after: Escrow) -> tuple[Transfer, ...]:
        return extended(escrow, after, limits, budgets)

    return escrow_transition(before, event, at_ms=at_ms, retention=retention, book=book)


def _key(escrow: Escrow, event: on.EscrowEvent) -> str:
    match event:
        case _ if isinstance(event, ran.RunEvent):
            return _key_of_run(escrow, event)
        case on.InvoiceSettled():
            return f"ln/{event.payment_hash}"
        case on.InvoiceLost(adoption=int(number)):
            return f"{escrow.escrow_id}/{event_name(event)}/node-{number}"
        case on.InvoiceIssued() | on.InvoiceLost() | on.ReservationExtended():
            number = event.number if isinstance(event, on.ReservationExtended) else escrow.attempt
            return f"{escrow.escrow_id}/{event_name(event)}/{number}"
        case on.TaskRunBegun():
            return f"{event.run_id}/{event_name(event)}/{event.call}"
        case _:
            return "/".join((escrow.escrow_id, event_name(event), *_told_apart(escrow, event)))


def _told_apart(escrow: Escrow, event: on.EscrowEvent) -> tuple[str, ...]:
    """What tells an event of this kind from others of its sale; nothing where there is but one."""
    match event:
        case on.TaskAnswered():  # two answers at one moment are two facts, and one of them is late
            return str(escrow.version), event.answer_sha256[:_DIGEST_CHARS]
        case on.QuarantineBegun() | on.QuarantineLifted() | on.WrittenOff():
            return (str(escrow.version + sum(run.version for run in escrow.runs)),)
        case _:
            return ()


def _key_of_run(escrow: Escrow, event: ran.RunEvent) -> str:
    """Under the name of the run: that of the first is its sale's."""
    name = f"{escrow.run.run_id}/{event_name(event)}"
    return f"{name}/{escrow.run.lookups}" if isinstance(event, ran.CostLookupMissed) else name


def settle_cursor(event: on.EscrowEvent | None) -> SettleCursor | None:
    """How far the node's stream is booked with this event; None when it says nothing of it."""
    if isinstance(event, on.WrittenOff) and not event.paid_msat:
        return None
    if isinstance(event, on.InvoiceSettled | on.WrittenOff):
        return SettleCursor(node_pubkey=event.node_pubkey, settle_index=event.settle_index)
    return None
