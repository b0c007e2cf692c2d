"""Rows of tables that are no values of the domain, and back: journal, transfers, balances.

Must not know: SQL or connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TypeVar

import orjson

from cobot_meter.adapters.storage.row_spec import Row
from cobot_meter.adapters.storage.tables import CARRY
from cobot_meter.domain import outside
from cobot_meter.domain.budgets.budget import BudgetWindow
from cobot_meter.domain.budgets.sheets import BudgetSheet
from cobot_meter.domain.budgets.spending import BudgetSpending
from cobot_meter.domain.callers import CallerStanding
from cobot_meter.domain.errors import BooksDamaged
from cobot_meter.domain.ledger.accounts import Account, caller_accounts
from cobot_meter.domain.ledger.transfers import Transfer
from cobot_meter.domain.transitions.budgets import WORDS, budgets_name
from cobot_meter.domain.transitions.kinds import NUMBERED_KINDS
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.ports.books import KeyDay, KeySpending
from cobot_meter.ports.ledger_reports import Balance, JournalEntry, JournalTransfer

_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError)
_NUL_ESCAPED = b"\\u0000"
Value = TypeVar("Value")

TRANSFER_COLUMNS = ("kind", "debit", "credit", "commodity", "amount", "hold_id", "held")
JOURNAL_COLUMNS = ("key", "kind", "subject_id", "caller_id", "at_ms", "facts", "seller_id")
ENTRY_COLUMNS = ("sequence", *JOURNAL_COLUMNS)

# A counter in two parts, so that a database can add up a billion of each without an overflow.
HALF = 10**9

_journal = attrgetter(*JOURNAL_COLUMNS[:-2])


def tally_of(transition: Transition) -> str | None:
    """The name under which this entry is counted, None when it is not."""
    if transition.kind not in NUMBERED_KINDS:
        return None
    return transition.key.rpartition("/")[0]


def journal_values(transition: Transition) -> Row:
    """The values of JOURNAL_COLUMNS."""
    return (*_journal(transition), dumped(transition.facts).decode(), transition.seller_id)


def dumped(document: Mapping[str, object]) -> bytes:
    """As JSON, in which each text is as both databases hold it.

    The gate mends every text before it comes here. Should one ever pass it, the row and the
    journal hold the same of it, and neither database refuses the neighbours for it. Raises
    TypeError for values that JSON has not.
    """
    try:
        text = orjson.dumps(document)
    except TypeError:
        text = orjson.dumps(outside.value(dict(document)))
    return orjson.dumps(outside.value(dict(document))) if _NUL_ESCAPED in text else text


def mended(values: Row) -> Row:
    """The values of a row, with each text as both databases hold it."""
    texts = "".join([one for one in values if type(one) is str])
    if texts.isascii() and "\0" not in texts:
        return values
    return tuple(outside.text(one) if isinstance(one, str) else one for one in values)


def transfer_values(transfer: Transfer) -> Row:
    """The values of TRANSFER_COLUMNS; `_value_` is what `value` reads, without its frame."""
    return (
        transfer.kind._value_,
        transfer.debit.code,
        transfer.credit.code,
        transfer.debit.commodity._value_,
        transfer.amount,
        transfer.hold_id,
        transfer.held,
    )


def entries_from_rows(rows: Iterable[Row]) -> Iterator[JournalEntry]:
    """Journal entries from rows of ENTRY_COLUMNS and TRANSFER_COLUMNS, one for each transfer.

    The rows of one entry follow each other; an entry without transfers is one row of NULLs.
    """
    open_row: Row | None = None
    transfers: list[JournalTransfer] = []
    width = len(ENTRY_COLUMNS)
    for row in rows:
        if open_row is not None and row[0] != open_row[0]:
            yield _entry(open_row, transfers)
            transfers = []
        open_row = row
        if row[width] is not None:
            transfers.append(
                JournalTransfer(**dict(zip(TRANSFER_COLUMNS, row[width:], strict=True)))
            )
    if open_row is not None:
        yield _entry(open_row, transfers)


def _entry(row: Row, transfers: list[JournalTransfer]) -> JournalEntry:
    values = dict(zip(ENTRY_COLUMNS, row, strict=False))
    return JournalEntry(
        **{**values, "facts": orjson.loads(values["facts"]), "transfers": tuple(transfers)}
    )


def made_of(values: Iterable[Value]) -> Iterator[Value]:
    """Hands the values on as they are made. Raises BooksDamaged for a row that cannot be read."""
    try:
        yield from values
    except _UNREADABLE as error:
        raise _unreadable(error) from error


def one_of(make: Callable[[Row], Value], rows: Sequence[Row]) -> Value | None:
    """What the first row holds, None without one. Raises BooksDamaged when it cannot be read."""
    try:
        return make(rows[0]) if rows else None
    except _UNREADABLE as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> BooksDamaged:
    said = str(error).partition("\n")[0]
    return BooksDamaged(f"the books hold a row that this version cannot read ({said})")


def balance_from_row(row: Row) -> Balance:
    """A balance from code, commodity, nature, the four counters, their carries, `exact`."""
    left, carried, exact = row[3:7], row[7:11], row[11:]
    counters = (some + CARRY * over for some, over in zip(left, carried, strict=True))
    return _balance(row, *counters, exact=bool(exact[0]) if exact else None)


def sum_from_row(row: Row) -> Balance:
    """The balance of many accounts from code, commodity, nature and the sums of their counters.

    For each of the four: how many whole HALFs, what is left beside them, how many carries.
    """
    high, low, carried = row[3:7], row[7:11], row[11:15]
    counters = (
        HALF * some + rest + CARRY * over
        for some, rest, over in zip(high, low, carried, strict=True)
    )
    return _balance(row, *counters)


def _balance(row: Row, *counters: int, exact: bool | None = None) -> Balance:
    """Python's integers have no end: sums are made here and not by a database."""
    debits_posted, credits_posted, debits_pending, credits_pending = counters
    return Balance(
        account=row[0],
        commodity=row[1],
        nature=row[2],
        debits_posted=debits_posted,
        credits_posted=credits_posted,
        debits_pending=debits_pending,
        credits_pending=credits_pending,
        exact=exact,
    )


def key_spending_from_rows(rows: Iterable[Row]) -> KeySpending:
    """From rows of code and the four counters, the total first and then the newest day."""
    spent, reserved, named = 0, 0, []
    for code, debits, given_back, pending, _ in rows:
        if code.endswith("/spent"):
            spent, reserved = debits - given_back, pending
        else:
            date = code.rpartition("/")[2]
            amounts = {"spent_msat": debits - given_back, "reserved_msat": pending}
            named.append(KeyDay(utc_day=date, **amounts))
    return KeySpending(spent_msat=spent, reserved_msat=reserved, days=tuple(named))


def budget_sheets_from_rows(owners: Sequence[str], rows: Iterable[Row]) -> tuple[BudgetSheet, ...]:
    """The sheet of each owner from rows of name, number of words and the newest one's facts."""
    found = {
        name: BudgetSheet.of_text(name.partition("/")[2], words, str(orjson.loads(facts)[WORDS]))
        for name, words, facts in rows
    }
    return tuple(found.get(budgets_name(owner)) or BudgetSheet(owner=owner) for owner in owners)


def budget_spending_from_rows(
    windows: Iterable[BudgetWindow], rows: Iterable[Row]
) -> tuple[BudgetSpending, ...]:
    """What stands in each window from rows of code and the four counters; nothing without one."""
    found = {code: (debits - given, pending) for code, debits, given, pending, _ in rows}
    named = ((one, found.get(one.account.code, (0, 0))) for one in windows)
    return tuple(
        BudgetSpending(window=one, spent=spent, reserved=reserved)
        for one, (spent, reserved) in named
    )


# The code of no account: what is asked for where no key's losses are.
NO_ACCOUNT = ""


def standing_codes(caller_id: str, *, losses: Account | None = None) -> tuple[str, ...]:
    """The codes that a standing is read from: the caller's four, and `losses` of a key, if any."""
    codes = (account.code for account in caller_accounts(caller_id))
    return (*codes, losses.code if losses is not None else NO_ACCOUNT)


def standing_from_rows(caller_id: str, rows: Iterable[Row]) -> CallerStanding:
    """A standing from rows of code, the four counters, blocked and cap; zeros without rows."""
    found = {row[0]: row[1:] for row in rows}
    unseen = (0, 0, 0, 0, None, None)
    credit, receivable, settled, lapsed = (
        found.pop(account.code, unseen) for account in caller_accounts(caller_id)
    )
    losses = next(iter(found.values()), unseen)
    return CallerStanding(
        caller_id=caller_id,
        available_msat=credit[1] - credit[0] - credit[2],
        open_msat=receivable[0] + receivable[2] - receivable[1],
        settled_msat=settled[0] - settled[1],
        lapsed_msat=lapsed[0] - lapsed[1],
        credited_msat=credit[1],
        spent_credit_msat=credit[0],
        blocked=bool(credit[4]),
        cap_override_msat=credit[5],
        key_losses_pusd=losses[0] - losses[1],
    )
