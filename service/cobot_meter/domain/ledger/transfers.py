"""Transfers and transitions: the only shape in which anything is ever written.

Theory of operation. A transfer debits one account and credits another of the same commodity,
so a set of transfers cannot be unbalanced. A PENDING transfer reserves: it counts against
guards but not in the books. It is resolved exactly once, by a POST of at most its amount (the
rest is released) or by a VOID; resolving adds a transfer and changes none (TigerBeetle's
two-phase model). A guard is tested in the statement that moves the money, and only where new
exposure opens or a balance is spent: facts are never refused.

A `Transition` is one journal row with everything that becomes true at once. Its key is
deterministic, so applying it again finds the first and changes nothing.

Must not know: escrow states (they are opaque rows here), SQL, or the time.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cobot_meter.domain.callers import CapTerms
from cobot_meter.domain.errors import LedgerUnbalanced
from cobot_meter.domain.ledger.accounts import Account


class TransferKind(enum.StrEnum):
    """POSTED moves at once; PENDING reserves; POST and VOID resolve one PENDING."""

    POSTED = "posted"
    PENDING = "pending"
    POST = "post"
    VOID = "void"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A bound on the debit account: `debits + pending debits - credits + amount <= limit`.

    `limit` is a fixed amount, or the caller's cap as it stands under the same lock: `cap` with
    the two memo accounts it is computed from. `name` says which guard refused.
    """

    name: str
    limit: int = 0
    cap: CapTerms | None = None
    settled: Account | None = None
    lapsed: Account | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One debit and one credit of `amount` (> 0; 0 for a VOID).

    `hold_id` names the reservation (PENDING) or the one resolved (POST, VOID); `held` is the
    amount a POST or VOID releases from pending, i.e. all of what was reserved.
    """

    kind: TransferKind
    debit: Account
    credit: Account
    amount: int
    hold_id: str | None = None
    held: int = 0
    guard: Guard | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be booked: mixed commodities, wrong signs, over-posting."""
        kind, debit, credit, amount = self.kind, self.debit, self.credit, self.amount
        voids = kind is TransferKind.VOID
        resolves = voids or kind is TransferKind.POST
        sound = (
            debit.commodity == credit.commodity
            and debit.code != credit.code
            and amount >= 0
            and (amount == 0) == voids
            and (self.hold_id is not None) == (kind is not TransferKind.POSTED)
            and (self.held >= max(amount, 1) if resolves else self.held == 0)
            and (self.guard is None or debit.exact)
        )
        if not sound:
            message = f"not a transfer that can be booked: {self}"
            raise LedgerUnbalanced(message)


def posted(debit: Account, credit: Account, amount: int) -> tuple[Transfer, ...]:
    """A fact: nothing for 0, one transfer otherwise, turned round when negative."""
    if amount == 0:
        return ()
    if amount < 0:
        return posted(credit, debit, -amount)
    return (Transfer(kind=TransferKind.POSTED, debit=debit, credit=credit, amount=amount),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A reservation as its owner remembers it; an amount of 0 means that there is none."""

    hold_id: str
    debit: Account
    credit: Account
    amount: int

    def pend(self, guard: Guard | None = None) -> tuple[Transfer, ...]:
        """The transfer that reserves it, under `guard`; none for an amount of 0."""
        if self.amount == 0:
            return ()
        return (
            Transfer(
                kind=TransferKind.PENDING,
                debit=self.debit,
                credit=self.credit,
                amount=self.amount,
                hold_id=self.hold_id,
                guard=guard,
            ),
        )

    def post(self, amount: int) -> tuple[Transfer, ...]:
        """Book at most what was reserved and release the rest; a post at 0 is a void.

        Raises LedgerUnbalanced for more than that, also where nothing was reserved.
        """
        if self.amount == 0 == amount:
            return ()
        kind = TransferKind.POST if amount else TransferKind.VOID
        return (
            Transfer(
                kind=kind,
                debit=self.debit,
                credit=self.credit,
                amount=amount,
                hold_id=self.hold_id,
                held=self.amount,
            ),
        )

    def void(self) -> tuple[Transfer, ...]:
        """The transfer that releases all of it; none for an amount of 0."""
        return self.post(0)
