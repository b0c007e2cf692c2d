"""What transfers do to the four counters of each account. Must not know: SQL.

A leg is one side of a transfer. Legs of one account are added up as far as no guard stands between
them, so that each row is written once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from service.domain.accounts import Account
from service.domain.errors import LedgerUnbalanced
from service.domain.ledger import Transfer, TransferKind

# Account, side, and what is added to that side's posted and pending counters.
Leg = tuple[Account, int, int, int]
# More of: debits posted, credits posted, debits pending, credits pending.
Counters = list[int]
DEBIT, CREDIT = 0, 1
# What one roll-up may add to a counter: with what stands below CARRY it stays under 2^63.
LEGS_MAX = 8 * 10**18


class Step(NamedTuple):
    """What is added to one account whose balance is exact; `guarded` bounds its debit side."""

    account: Account
    counters: Counters
    guarded: Transfer | None


def steps_of(transfers: Iterable[Transfer]) -> tuple[list[Step], list[Leg]]:
    """The moves of exact accounts in their order, and the legs of operator accounts."""
    steps: list[Step] = []
    exact_legs: list[Leg] = []
    operator_legs: list[Leg] = []
    for transfer in transfers:
        posted, pending = amounts(transfer)
        if transfer.guard is not None:
            steps += _unguarded(exact_legs)
            exact_legs.clear()
            steps.append(Step(transfer.debit, [posted, 0, pending, 0], transfer))
        else:
            legs = exact_legs if transfer.debit.exact else operator_legs
            legs.append((transfer.debit, DEBIT, posted, pending))
        legs = exact_legs if transfer.credit.exact else operator_legs
        legs.append((transfer.credit, CREDIT, posted, pending))
    return steps + _unguarded(exact_legs), operator_legs


def _unguarded(legs: list[Leg]) -> list[Step]:
    return [Step(account, counters, None) for account, counters in added_up(legs)] if legs else []


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


def rolled(legs: Iterable[Leg]) -> list[tuple[Account, Counters]]:
    """As `added_up`, for operator accounts. Raises LedgerUnbalanced for more than they can take."""
    moves = added_up(legs)
    for account, counters in moves:
        if max(map(abs, counters)) > LEGS_MAX:
            message = f"{account.code} cannot be moved by {counters} at once"
            raise LedgerUnbalanced(message)
    return moves


def amounts(transfer: Transfer) -> tuple[int, int]:
    """What a transfer adds to posted and to pending, on both of its sides."""
    if transfer.kind is TransferKind.PENDING:
        return 0, transfer.amount
    return transfer.amount, -transfer.held
