"""What transfers do to the counters of accounts, and the statement that moves the money.

A leg is one side of a transfer. Legs of one account are added up as far as no guard stands between
them, so that each row is written once. A guard is `debits + pending debits - credits + asked <=
limit`, where the limit is a figure or the caller's cap from its two memo accounts as they stand
under the same lock; it stands inside the UPDATE, and no row is changed when it refuses. The same
expressions serve every database.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Label,
    Select,
    Update,
    bindparam,
    case,
    func,
    literal_column,
    select,
    update,
)

from cobot_meter.adapters.storage.tables import ACCOUNT, CARRY, COUNTERS
from cobot_meter.domain.callers import LAPSED_WEIGHT, SETTLED_SHARE
from cobot_meter.domain.errors import LedgerContradicted, LedgerUnbalanced
from cobot_meter.domain.ledger.accounts import Account
from cobot_meter.domain.ledger.transfers import Transfer, TransferKind

# Account, side, and what is added to that side's posted and pending counters.
Leg = tuple[Account, int, int, int]
# More of: debits posted, credits posted, debits pending, credits pending.
Counters = list[int]
DEBIT, CREDIT = 0, 1
# What one roll-up may add to a counter: with what stands below CARRY it stays under 2^63.
LEGS_MAX = 8 * 10**18


class CounterStep(NamedTuple):
    """What is added to one account whose balance is exact; `guarded` bounds its debit side."""

    account: Account
    counters: Counters
    guarded: Transfer | None


def steps_of(transfers: Iterable[Transfer]) -> tuple[list[CounterStep], list[Leg]]:
    """The moves of exact accounts in their order, and the legs of operator accounts."""
    steps: list[CounterStep] = []
    exact_legs: list[Leg] = []
    operator_legs: list[Leg] = []
    for transfer in transfers:
        posted, pending = amounts(transfer)
        if transfer.guard is not None:
            steps += _unguarded(exact_legs)
            exact_legs.clear()
            steps.append(CounterStep(transfer.debit, [posted, 0, pending, 0], transfer))
        else:
            legs = exact_legs if transfer.debit.exact else operator_legs
            legs.append((transfer.debit, DEBIT, posted, pending))
        legs = exact_legs if transfer.credit.exact else operator_legs
        legs.append((transfer.credit, CREDIT, posted, pending))
    return steps + _unguarded(exact_legs), operator_legs


def _unguarded(legs: list[Leg]) -> list[CounterStep]:
    return (
        [CounterStep(account, counters, None) for account, counters in added_up(legs)]
        if legs
        else []
    )


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
    """What the legs of operator accounts add to each, in the order of the codes.

    Raises LedgerUnbalanced when they would add more than LEGS_MAX to one counter at once.
    """
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


# The parameters, in the order in which they stand in the statements.
MOVE = (*(f"more_{name}" for name in COUNTERS), "code")
CARRY_MOVE = (*(f"more_{name}" for name in COUNTERS for _ in range(3)), "code")
CAP_TERMS = ("max_msat", "max_msat", "newcomer_msat", "settled", "lapsed")


def claimed() -> ColumnElement[int]:
    """What a guard reads of an account."""
    columns = ACCOUNT.c
    return columns.debits_posted + columns.debits_pending - columns.credits_posted


def move(*, within: ColumnElement[int] | None = None) -> Update:
    """Add to the four counters of one account, if that leaves it `within`."""
    added = ((ACCOUNT.c[name], ACCOUNT.c[name] + bindparam(f"more_{name}")) for name in COUNTERS)
    moved = update(ACCOUNT).ordered_values(*added).where(ACCOUNT.c.code == bindparam("code"))
    if within is None:
        return moved
    return moved.where(claimed() + bindparam("asked", type_=BigInteger()) <= within)


def carry() -> Update:
    """Add to the four counters of an operator account, and carry over what passes CARRY."""
    values = []
    for name in COUNTERS:
        column, carried = ACCOUNT.c[name], ACCOUNT.c[f"{name}_carried"]
        more: BindParameter[int] = bindparam(f"more_{name}", type_=BigInteger())
        left = ((column + more) % _whole(CARRY) + _whole(CARRY)) % _whole(CARRY)
        values += [(column, left), (carried, carried + (column + more - left) // _whole(CARRY))]
    return update(ACCOUNT).ordered_values(*values).where(ACCOUNT.c.code == bindparam("code"))


def cap() -> Select[tuple[int]]:
    """`CapTerms.cap_msat` in SQL."""
    nets = select(_net("settled"), _net("lapsed")).subquery("nets")
    share = _floor_div(nets.c.settled, _whole(SETTLED_SHARE))
    newcomer = bindparam("newcomer_msat", type_=BigInteger())
    earned = select(
        (newcomer + share - _whole(LAPSED_WEIGHT) * nets.c.lapsed).label("msat")
    ).subquery("earned")
    floored = select(
        case((earned.c.msat < _whole(0), _whole(0)), else_=earned.c.msat).label("msat")
    ).subquery("floored")
    most = bindparam("max_msat", type_=BigInteger())
    return select(case((floored.c.msat > most, most), else_=floored.c.msat))


def _net(name: str) -> Label[int]:
    """Debits less credits of the account whose code is passed as `name`; 0 when it has no row."""
    account = ACCOUNT.alias(f"{name}_account")
    net = select(account.c.debits_posted - account.c.credits_posted)
    found = net.where(account.c.code == bindparam(name)).scalar_subquery()
    return func.coalesce(found, _whole(0), type_=BigInteger()).label(name)


def _floor_div(value: ColumnElement[int], by: ColumnElement[int]) -> ColumnElement[int]:
    """Python's `//`: databases cut towards zero instead."""
    remainder = ((value % by) + by) % by
    return (value - remainder) // by


def _whole(number: int) -> ColumnElement[int]:
    return literal_column(str(number), BigInteger())


# A hold reserved or resolved a second time, and credit spent below zero: no value of one sale
# does that, only books whose rows and transfers tell different stories.
_CONTRADICTIONS = ("transfer.hold_id", "uq_transfer_re", "account_spendable")


def unbookable(key: str, says: str) -> LedgerUnbalanced:
    """The error of a transition that a constraint refused, in the database's own words."""
    message = f"{key} cannot be booked: {says}"
    if any(name in says for name in _CONTRADICTIONS):
        return LedgerContradicted(message)
    return LedgerUnbalanced(message)
