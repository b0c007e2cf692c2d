"""Rows of the other tables, and back: top-ups, standings, journal entries, balances.

Must not know: SQL or connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter

import orjson

from service.adapters.storage.escrow_rows import Row
from service.domain.accounts import caller_accounts
from service.domain.callers import CallerStanding
from service.domain.ledger import Transfer, Transition
from service.domain.node_adoption import AdoptedNode
from service.domain.topups import Topup, TopupState
from service.domain.transitions import NUMBERED_KINDS
from service.ports.ledger_reports import Balance, JournalEntry, JournalTransfer

TOPUP_FIXED = ("topup_id", "caller_id", "address_key", "amount_msat", "opened_at_ms")
TOPUP_MOVING = (
    "state",
    "version",
    "attempt",
    "payment_hash",
    "payment_request",
    "expires_at_s",
    "paid_msat",
    "settle_index",
)
TOPUP_COLUMNS = (*TOPUP_FIXED, *TOPUP_MOVING)
TRANSFER_COLUMNS = ("kind", "debit", "credit", "commodity", "amount", "hold_id", "held")
JOURNAL_COLUMNS = ("key", "kind", "subject_id", "caller_id", "at_ms", "facts")
NODE_COLUMNS = ("number", "pubkey", "network", "alias")
ENTRY_COLUMNS = ("sequence", *JOURNAL_COLUMNS)

topup_fixed_values = attrgetter(*TOPUP_FIXED)
node_values = attrgetter(*NODE_COLUMNS)
_topup_moving = attrgetter(*TOPUP_MOVING[1:])
_journal = attrgetter(*JOURNAL_COLUMNS[:-1])


def topup_moving_values(topup: Topup) -> Row:
    """The values of TOPUP_MOVING."""
    return (topup.state.value, *_topup_moving(topup))


def topup_from_row(row: Row) -> Topup:
    """The top-up whose TOPUP_COLUMNS `row` holds."""
    values = dict(zip(TOPUP_COLUMNS, row, strict=True))
    return Topup(**{**values, "state": TopupState(values["state"])})


def node_from_row(row: Row) -> AdoptedNode:
    """The node whose NODE_COLUMNS `row` holds."""
    number, pubkey, network, alias = row
    return AdoptedNode(number=number, pubkey=pubkey, network=network, alias=alias)


def tally_of(transition: Transition) -> str | None:
    """The name under which this entry is counted, None when it is not."""
    if transition.kind not in NUMBERED_KINDS:
        return None
    return transition.key.rpartition("/")[0]


def journal_values(transition: Transition) -> Row:
    """The values of JOURNAL_COLUMNS."""
    return (*_journal(transition), orjson.dumps(transition.facts).decode())


def transfer_values(transfer: Transfer) -> Row:
    """The values of TRANSFER_COLUMNS."""
    return (
        transfer.kind.value,
        transfer.debit.code,
        transfer.credit.code,
        transfer.debit.commodity.value,
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


def balance_from_row(row: Row) -> Balance:
    """A balance from code, commodity, nature, the four counters, and perhaps `exact`."""
    account, commodity, nature, debits_posted, credits_posted, debits_pending = row[:6]
    credits_pending, *exact = row[6:]
    return Balance(
        account=account,
        commodity=commodity,
        nature=nature,
        debits_posted=debits_posted,
        credits_posted=credits_posted,
        debits_pending=debits_pending,
        credits_pending=credits_pending,
        exact=bool(exact[0]) if exact else None,
    )


def standing_from_rows(caller_id: str, rows: Iterable[Row]) -> CallerStanding:
    """A standing from rows of code, the four counters, blocked and cap; zeros without rows."""
    found = {row[0]: row[1:] for row in rows}
    unseen = (0, 0, 0, 0, None, None)
    credit, receivable, settled, lapsed = (
        found.get(account.code, unseen) for account in caller_accounts(caller_id)
    )
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
    )
