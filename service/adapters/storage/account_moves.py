"""What transfers do to the four counters of each account. Must not know: SQL.

A leg is one side of a transfer. Legs of one account are added up as far as no guard stands between
them, so that each row is written once.
"""

from __future__ import annotations

from collections.abc import Iterable

from service.domain.accounts import Account
from service.domain.ledger import Transfer, TransferKind

# Account, side, and what is added to that side's posted and pending counters.
Leg = tuple[Account, int, int, int]
# More of: debits posted, credits posted, debits pending, credits pending.
Counters = list[int]
DEBIT, CREDIT = 0, 1


def added_up(legs: Iterable[Leg]) -> list[tuple[Account, Counters]]:
    """What the legs add to each account, in the order of the codes."""
    moves: dict[str, tuple[Account, Counters]] = {}
    for account, side, posted, pending in legs:
        move = moves.get(account.code)
        if move is None:
            move = moves[account.code] = (account, [0, 0, 0, 0])
        counters = move[1]
        counters[side] += posted
        counters[side + 2] += pending
    return [moves[code] for code in sorted(moves)]


def amounts(transfer: Transfer) -> tuple[int, int]:
    """What a transfer adds to posted and to pending, on both of its sides."""
    if transfer.kind is TransferKind.PENDING:
        return 0, transfer.amount
    return transfer.amount, -transfer.held
