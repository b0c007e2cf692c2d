"""The events of a sale: one frozen type per fact, most of them the node's.

Each says who owns the fact. Events carry everything that becomes true with them, so that
`advance` and the bookings need nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobot_meter.domain.escrow.record import IssuedInvoice
from cobot_meter.domain.pricing.prices import ModelPrice
from cobot_meter.domain.run.events import RunEvent
from cobot_meter.domain.run.record import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationExtended:
    """Ours, guarded: the answer goes on, and so much more credit is reserved for it.

    It is the `number`-th time, counted from 1.
    """

    number: int
    by_msat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRunBegun:
    """Ours, guarded: a task has another run, `run_id`, and its request is about to be sent.

    `upstream` is asked for `model`, at no more than `prices` and no more than `most_pusd` in all.
    `requested_by` is the process that asks; `call` names the request that it is for, so that of
    two that come at once one is refused. `route` is the decision that chose the model, None where
    the seller named it.
    """

    run_id: str
    call: str
    upstream: str
    model: str
    prices: ModelPrice
    most_pusd: int
    requested_by: str
    route: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAnswered:
    """The seller's: what the buyer is to get, stored sealed; it takes the place of an earlier one.

    `answer_sha256` is the digest of its text.
    """

    answer_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskClosed:
    """The seller's: no further run, and `fee_msat` for itself. The price is fixed here.

    `price_msat` is that of the runs with the fee. Of `provisional_runs` only the answer has said
    what they cost.
    """

    fee_msat: int
    price_msat: int
    payment_hash: str
    provisional_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded:
    """The seller's, or ours when its time is over: nothing of it is sold."""

    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelAnswered:
    """Ours: nobody on the panel is awaited any more, and what is sold is stored sealed.

    `answer_sha256` is the digest of its text.
    """

    answer_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelPriced:
    """Ours: the cost of every member that answered is known. The price is fixed here.

    `priced_pusd` is the sum of these costs, and `price_msat` the price of that sum. Of
    `provisional_runs` only the answer has said what they cost.
    """

    priced_pusd: int
    price_msat: int
    credit_used_msat: int
    payment_hash: str
    provisional_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelEnded:
    """Ours: fewer members have answered than it takes. Nothing of it is sold."""

    failure: Failure


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
class InvoiceMakingRefused:
    """The node's: it will not make the invoice, for good. The journal's `invoice_refused`."""

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
class QuarantineBegun:
    """Ours: `event` happened and cannot be booked; `reason` says why. The state stays.

    The journal's `quarantined`.
    """

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


SaleEvent = (
    ReservationExtended
    | TaskRunBegun
    | TaskAnswered
    | TaskClosed
    | TaskEnded
    | PanelAnswered
    | PanelPriced
    | PanelEnded
    | CoveredByCredit
    | InvoiceIssued
    | InvoiceLost
    | InvoiceMakingRefused
    | InvoiceSettled
    | InvoiceCanceled
    | LatePurchase
    | CompletionDelivered
    | CompletionLost
    | ClaimLapsed
    | BodiesShredded
    | QuarantineBegun
    | QuarantineLifted
    | WrittenOff
)
# Everything that is told of an escrow: of its sale, or of a run of it.
EscrowEvent = RunEvent | SaleEvent
