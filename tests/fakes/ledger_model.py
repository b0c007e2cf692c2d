"""Accounts, holds and guards as a value: the model that every other ledger is compared with.

A `Ledger` never changes: `after` gives the next one or raises, so a refused transition cannot
leave a half behind. Must not know: escrows, journals or who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cobot_meter.domain.errors import LedgerContradicted
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.ledger.transfers import Guard, Transfer, TransferKind
from cobot_meter.domain.refusals import exposure_exceeded


class Counters(NamedTuple):
    """The four counters of one account; all only ever grow but the pending ones."""

    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0

    @property
    def net(self) -> int:
        """Debits less credits, posted."""
        return self.debits_posted - self.credits_posted

    @property
    def claimed(self) -> int:
        """What a guard reads: debits, reserved ones included, less posted credits."""
        return self.debits_posted + self.debits_pending - self.credits_posted


class OpenReservation(NamedTuple):
    """What a PENDING transfer reserved."""

    debit: str
    credit: str
    amount: int


NOTHING = Counters()


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counters by account code, and holds by id: None once a hold has been resolved."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    counters: Mapping[str, Counters] = field(default_factory=dict)
    holds: Mapping[str, OpenReservation | None] = field(default_factory=dict)

    def after(self, accounts: Iterable[Account], transfers: Iterable[Transfer]) -> Ledger:
        """The ledger with `accounts` opened and all `transfers` booked, in their order.

        Raises ExposureExceeded when a guard refuses, LedgerContradicted for what no ledger may
        book: a hold that is taken or resolved twice, resolved at other accounts or for another
        amount than reserved, or an exact account that nobody opened.
        """
        draft = _Draft(dict(self.accounts), dict(self.counters), dict(self.holds))
        for account in accounts:
            draft.open(account)
        for transfer in transfers:
            draft.book(transfer)
        return Ledger(draft.accounts, draft.counters, draft.holds)

    def of(self, account: Account) -> Counters:
        """One account's counters; zeros when nothing has moved it."""
        return self.counters.get(account.code, NOTHING)

    def open_reservations(self) -> dict[str, OpenReservation]:
        """The reservations that wait for their end."""
        return {hold_id: hold for hold_id, hold in self.holds.items() if hold is not None}


@dataclass(slots=True)
class _Draft:
    accounts: dict[str, Account]
    counters: dict[str, Counters]
    holds: dict[str, OpenReservation | None]

    def open(self, account: Account) -> None:
        self.accounts.setdefault(account.code, account)
        self.counters.setdefault(account.code, NOTHING)

    def book(self, transfer: Transfer) -> None:
        for account in (transfer.debit, transfer.credit):
            if account.code not in self.accounts:
                _demand(not account.exact, f"{account.code} was never opened")
                self.open(account)
        if transfer.guard is not None:
            self._test(transfer.guard, transfer)
        if transfer.kind is TransferKind.PENDING:
            self._reserve(transfer)
        elif transfer.kind is not TransferKind.POSTED:
            self._resolve(transfer)
        posted = 0 if transfer.kind is TransferKind.PENDING else transfer.amount
        pending = transfer.amount if transfer.kind is TransferKind.PENDING else -transfer.held
        debit = self.counters[transfer.debit.code]
        self.counters[transfer.debit.code] = debit._replace(
            debits_posted=debit.debits_posted + posted,
            debits_pending=debit.debits_pending + pending,
        )
        credit = self.counters[transfer.credit.code]
        self.counters[transfer.credit.code] = credit._replace(
            credits_posted=credit.credits_posted + posted,
            credits_pending=credit.credits_pending + pending,
        )

    def _test(self, guard: Guard, transfer: Transfer) -> None:
        limit = guard.limit
        if guard.cap is not None:
            limit = guard.cap.cap_msat(
                settled_msat=self._net(guard.settled), lapsed_msat=self._net(guard.lapsed)
            )
        claimed = self.counters[transfer.debit.code].claimed
        if claimed + transfer.amount > limit:
            raise exposure_exceeded(
                guard.name, open_amount=claimed, limit=limit, asked=transfer.amount
            )

    def _net(self, account: Account | None) -> int:
        return self.counters.get(account.code, NOTHING).net if account else 0

    def _reserve(self, transfer: Transfer) -> None:
        hold_id = str(transfer.hold_id)
        _demand(hold_id not in self.holds, f"{hold_id} was taken before")
        self.holds[hold_id] = OpenReservation(
            transfer.debit.code, transfer.credit.code, transfer.amount
        )

    def _resolve(self, transfer: Transfer) -> None:
        hold_id = str(transfer.hold_id)
        hold = self.holds.get(hold_id)
        _demand(hold is not None, f"{hold_id} is not open")
        resolved = OpenReservation(transfer.debit.code, transfer.credit.code, transfer.held)
        _demand(hold == resolved, f"{hold_id} was reserved as {hold}, not as {resolved}")
        self.holds[hold_id] = None


def _demand(sound: bool, message: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not sound:
        raise LedgerContradicted(message)
