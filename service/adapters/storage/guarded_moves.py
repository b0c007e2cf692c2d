"""The statement that moves the money, with the guard inside it.

A guard is `debits + pending debits - credits + asked <= limit`, where the limit is a figure or the
caller's cap from its two memo accounts as they stand under the same lock. No row is changed when
it refuses. The same expressions serve every database. Must not know: how they are run.
"""

from __future__ import annotations

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

from service.adapters.storage.tables import ACCOUNT, CARRY, COUNTERS
from service.domain.callers import LAPSED_WEIGHT, SETTLED_SHARE

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
