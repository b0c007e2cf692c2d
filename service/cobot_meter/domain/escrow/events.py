"""The events of an escrow: one frozen type per fact.

Each says who owns the fact. Events carry everything that becomes true with them, so that
`advance` and the bookings need nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.escrow.record import Cost, Failure, IssuedInvoice, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequested:
    """Ours: from here on the upstream may have been asked. Committed before the POST."""

    # The process that asks; None in books from before processes had names.
    requested_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandoned:
    """Ours: opened, never requested, and too old to start now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationStarted:
    """The upstream's: its headers named the generation; stored before the body is read."""

    generation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionReceived:
    """The upstream's: the whole answer is here (its body is stored in the same transition)."""

    generation_id: str
    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamFailed:
    """The upstream's: it failed. `charged` False is certain; `cost` when it said one.

    `continued_as` is the escrow in which the next model is asked.
    """

    failure: Failure
    charged: bool
    cost: Cost | None = None
    continued_as: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeUnknown:
    """Nobody's yet: it may have run and may have charged. `continued_as` as in a failure."""

    failure: Failure
    continued_as: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostKnown:
    """The upstream's: what the run cost. The price is fixed here, and the payment hash chosen.

    `credit_used_msat` <= price <= the ceiling; `lookup_at_ms` when the cost is only provisional.
    """

    cost: Cost
    price_msat: int
    credit_used_msat: int
    payment_hash: str
    lookup_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostConfirmed:
    """The upstream's: its record arrived after the price was fixed, or after a failure."""

    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLookupMissed:
    """The upstream's: no record yet. `lookup_at_ms` None ends the look-ups."""

    lookup_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostNotFound:
    """Nobody's: a day of look-ups found nothing, so nothing can be charged."""

    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAttributed:
    """Ours, from the upstream's usage figure: the share of an unexplained drop (A13)."""

    cost_pusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CostGivenUp:
    """Ours: nothing explained it within a day; the budget keeps the ceiling as spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveredByCredit:
    """Ours: the price is 0, or reserved credit covers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceIssued:
    """The node's: the invoice for what credit does not cover."""

    invoice: IssuedInvoice


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLost:
    """The node's: canceled before we stored it; the next attempt has another hash."""

    payment_hash: str
    # The operator's word instead: what may have been made on the node left by this adoption.
    adoption: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRefused:
    """The node's: it will not make the invoice, for good."""

    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceSettled:
    """The node's: paid. `paid_msat` may exceed the invoice."""

    payment_hash: str
    paid_msat: int
    settle_index: int
    node_alias: str
    node_pubkey: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceCanceled:
    """The node's: canceled; it cannot be paid any more."""

    payment_hash: str
    # The operator's word instead: the node that made it was left by this adoption.
    adoption: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatePurchase:
    """Ours, guarded: a late payment became credit, and that credit buys what is still kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionDelivered:
    """Ours: committed before the first byte goes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionLost:
    """Ours: paid for, but the stored completion cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLapsed:
    """Ours: paid for and not claimed for 30 days. `kept_msat` covers what it cost us."""

    kept_msat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BodiesShredded:
    """Ours: the key was dropped; what it sealed is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """Ours: `event` happened and cannot be booked; `reason` says why. The state stays."""

    event: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineLifted:
    """The operator's: it goes on where it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenOff:
    """The operator's: it ends here. `paid_msat` is what the node says it got and we never booked.

    The payment becomes the caller's credit, and what it cost us stays an expense.
    """

    reason: str
    payment_hash: str = ""
    paid_msat: int = 0
    settle_index: int = 0
    node_alias: str = ""
    node_pubkey: str = ""


EscrowEvent = (
    UpstreamRequested
    | Abandoned
    | GenerationStarted
    | CompletionReceived
    | UpstreamFailed
    | OutcomeUnknown
    | CostKnown
    | CostConfirmed
    | CostLookupMissed
    | CostNotFound
    | CostAttributed
    | CostGivenUp
    | CoveredByCredit
    | InvoiceIssued
    | InvoiceLost
    | InvoiceRefused
    | InvoiceSettled
    | InvoiceCanceled
    | LatePurchase
    | CompletionDelivered
    | CompletionLost
    | ClaimLapsed
    | BodiesShredded
    | Quarantined
    | QuarantineLifted
    | WrittenOff
)
