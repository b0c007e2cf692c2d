"""Looks into books from outside, as an auditor would. Must not know: the writer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.ports.ledger_reports import Balance, JournalEntry
from tests.contracts.ledger_reports_suite import counters, recomputed


def schema_of(path: Path) -> dict[str, str]:
    """The SQL of everything in the file, by name, without Alembic's own table."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        ).fetchall()
    ours = ((name, text) for name, text in rows if name != "alembic_version")
    return {name: _in_order(" ".join(text.split())) for name, text in ours}


def _in_order(text: str) -> str:
    """What a table consists of, sorted: a column that came later is written at the end."""
    begin, mark, rest = text.partition(" (")
    if not mark or not begin.startswith("CREATE TABLE"):
        return text
    end = rest.rindex(")")
    parts, depth = [""], 0
    for sign in rest[:end]:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return f"{begin} ({', '.join(sorted(part.strip() for part in parts))}{rest[end:]}"


async def balances_of(path: Path) -> tuple[Balance, ...]:
    """Every account row."""
    async with open_sqlite_reports(path) as reports:
        return await reports.balances()


async def audited(path: Path) -> list[JournalEntry]:
    """The journal, once its rows, its accounts and its file have been found to agree."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    async with open_sqlite_reports(path) as reports, reports.snapshot() as still:
        entries = [entry async for entry in still.journal()]
        balances = await still.balances()
        lines = await still.trial_balance()
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    expected = recomputed(entries)
    assert {one.account: counters(one) for one in balances if one.account in expected} == expected
    for commodity in ("msat", "pusd"):
        assert sum(line.net for line in lines if line.commodity == commodity) == 0
    return entries
