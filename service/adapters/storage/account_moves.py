"""What a transition's transfers do to the four counters of each account. Must not know: SQL.

Moves of one account are added up as far as no guard stands between them, so that each row is
written once.
"""

from __future__ import annotations

from collections.abc import Iterable

from service.domain.accounts import Account
from service.domain.ledger import Transfer, TransferKind

# More of: debits posted, credits posted, debits pending, credits pending.
Counters = list[int]
DEBIT, CREDIT = 0, 1


class AccountMoves:
    """Counters still to be added, by account."""

    __slots__ = ("_accounts", "_counters")

    def __init__(self) -> None:
        """Nothing moves yet."""
        self._accounts: dict[str, Account] = {}
        self._counters: dict[str, Counters] = {}

    def __bool__(self) -> bool:
        return bool(self._counters)

    def add(self, account: Account, side: int, transfer: Transfer) -> None:
        """One side of a transfer."""
        counters = self._of(account)
        posted, pending = amounts(transfer)
        counters[side] += posted
        counters[side + 2] += pending

    def merge(self, other: AccountMoves) -> None:
        """Everything that `other` moves too."""
        for account, counters in other.take():
            mine = self._of(account)
            for index, more in enumerate(counters):
                mine[index] += more

    def take(self) -> Iterable[tuple[Account, Counters]]:
        """What is to be added, by code; nothing is left."""
        taken = [(self._accounts[code], self._counters[code]) for code in sorted(self._counters)]
        self._accounts.clear()
        self._counters.clear()
        return taken

    def _of(self, account: Account) -> Counters:
        counters = self._counters.get(account.code)
        if counters is None:
            self._accounts[account.code] = account
            counters = self._counters[account.code] = [0, 0, 0, 0]
        return counters


def amounts(transfer: Transfer) -> tuple[int, int]:
    """What a transfer adds to posted and to pending on both of its sides."""
    if transfer.kind is TransferKind.PENDING:
        return 0, transfer.amount
    return transfer.amount, -transfer.held
