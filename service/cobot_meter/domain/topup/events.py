"""The events of a top-up: one frozen type per fact, most of them the node's.

Each says who owns the fact. Events carry everything that becomes true with them, so that `advance`
and the bookings need nothing else. The journal knows them by their names in small letters.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupInvoiced:
    """The node's: it made the invoice."""

    payment_request: str
    expires_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupInvoiceLost:
    """The node's: canceled before we stored it; the next attempt has another hash."""

    payment_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupLapsed:
    """The node's: canceled; or the operator's, that the node which made it was left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupCredited:
    """The node's: paid; late is as good as in time. `paid_msat` may exceed the invoice."""

    payment_hash: str
    paid_msat: int
    settle_index: int
    node_alias: str
    node_pubkey: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupQuarantined:
    """Ours: something happened and cannot be booked; `reason` says what, and why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupLifted:
    """The operator's: it goes on where it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupWrittenOff:
    """The operator's: it ends here, unpaid as far as the books go. A payment is credit still."""

    reason: str


TopupEvent = (
    TopupInvoiced
    | TopupInvoiceLost
    | TopupLapsed
    | TopupCredited
    | TopupQuarantined
    | TopupLifted
    | TopupWrittenOff
)
