"""Ways to damage books: each changes one thing behind the back of everything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cobot_meter.ports.ledger_reports import JournalEntry, JournalTransfer
from tests.domain.samples import NOW_MS
from tests.fakes.books_rows import BooksRows
from tests.fakes.ledger_model import Counters

Damage = Callable[[BooksRows], BooksRows]


def with_entry(rows: BooksRows, at: str, **changes: object) -> BooksRows:
    """One journal row edited."""
    entry = replace(rows.journal[at], **changes)  # type: ignore[arg-type]
    return replace(rows, journal={**rows.journal, at: entry})


def with_transfer(rows: BooksRows, key: str, number: int = 0, **changes: object) -> BooksRows:
    """One transfer of one journal row edited."""
    transfers = list(rows.journal[key].transfers)
    transfers[number] = replace(transfers[number], **changes)  # type: ignore[arg-type]
    return with_entry(rows, key, transfers=tuple(transfers))


def without_entry(rows: BooksRows, *keys: str) -> BooksRows:
    """Journal rows deleted."""
    kept = {key: entry for key, entry in rows.journal.items() if key not in keys}
    return replace(rows, journal=kept)


def with_escrow(rows: BooksRows, escrow_id: str, **changes: object) -> BooksRows:
    """One escrow row edited."""
    escrow = replace(rows.escrows[escrow_id], **changes)  # type: ignore[arg-type]
    return replace(rows, escrows={**rows.escrows, escrow_id: escrow})


def with_topup(rows: BooksRows, topup_id: str, **changes: object) -> BooksRows:
    """One top-up row edited."""
    topup = replace(rows.topups[topup_id], **changes)  # type: ignore[arg-type]
    return replace(rows, topups={**rows.topups, topup_id: topup})


def with_account(rows: BooksRows, code: str, **changes: int) -> BooksRows:
    """One account row's counters edited."""
    counters: Counters = rows.ledger.counters[code]._replace(**changes)
    ledger = replace(rows.ledger, counters={**rows.ledger.counters, code: counters})
    return replace(rows, ledger=ledger)


def with_more(rows: BooksRows, entry: JournalEntry) -> BooksRows:
    """One more journal row at the end."""
    numbered = replace(entry, sequence=len(rows.journal) + 1)
    return replace(rows, journal={**rows.journal, entry.key: numbered})


def entry_of(key: str, *transfers: JournalTransfer, kind: str, subject_id: str) -> JournalEntry:
    """A journal row that nobody's flow wrote."""
    return JournalEntry(
        sequence=0,
        key=key,
        kind=kind,
        subject_id=subject_id,
        caller_id=None,
        at_ms=NOW_MS,
        facts={},
        transfers=transfers,
    )


def grown(rows: BooksRows, sequence: int) -> BooksRows:
    """Two entries with one sequence number."""
    return with_entry(rows, "esc_released/opened", sequence=sequence)


def facts(rows: BooksRows, key: str, **changes: object) -> BooksRows:
    """One journal row's facts edited (`__` stands for the dot)."""
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    return with_entry(rows, key, facts={**rows.journal[key].facts, **changed})


def posting(debit: str, credit: str, amount: int, **changes: object) -> JournalTransfer:
    """A transfer in msat."""
    plain = JournalTransfer(
        kind="posted",
        debit=debit,
        credit=credit,
        commodity="msat",
        amount=amount,
        hold_id=None,
        held=0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def slipped_in(*transfers: JournalTransfer, subject_id: str = "operator") -> Damage:
    """A journal row that no flow wrote."""

    def damage(rows: BooksRows) -> BooksRows:
        entry = entry_of("slipped", *transfers, kind="gift", subject_id=subject_id)
        return with_more(rows, entry)

    return damage


def without_row(rows: BooksRows, escrow_id: str) -> BooksRows:
    """An escrow row deleted."""
    kept = {name: row for name, row in rows.escrows.items() if name != escrow_id}
    return replace(rows, escrows=kept)


def orphan_row(rows: BooksRows) -> BooksRows:
    """An escrow row that nobody opened."""
    escrow = replace(rows.escrows["esc_open"], escrow_id="esc_ghost")
    return replace(rows, escrows={**rows.escrows, "esc_ghost": escrow})


def without_account(rows: BooksRows, code: str) -> BooksRows:
    """An account row deleted."""
    kept = {name: row for name, row in rows.ledger.counters.items() if name != code}
    return replace(rows, ledger=replace(rows.ledger, counters=kept))


def unblocked(rows: BooksRows) -> BooksRows:
    """An operator's word undone without a word."""
    return replace(rows, callers={})
