"""The long books of the ledger benchmark are books: they balance, and go on."""

from __future__ import annotations

import secrets
from pathlib import Path

from benchmarks.big_books import make_big_books
from benchmarks.ledger_paths import in_step, through_the_door
from benchmarks.ledger_sales import STEPS, Sales
from cobot_meter.adapters.secrets.identifiers import KeyedIdentifiers
from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.adapters.system_clock import SystemClock
from cobot_meter.domain.retention import Retention


def sales() -> Sales:
    """Fresh ones."""
    clock = SystemClock()
    return Sales(KeyedIdentifiers(preimage_key=secrets.token_bytes(32), clock=clock), clock)


async def test_copies_are_entries_of_their_own(tmp_path: Path) -> None:
    """Every journal row is there under its own key, and both commodities balance."""
    path = tmp_path / "big.sqlite3"
    make_big_books(path, sales(), journal_rows=80)
    async with open_sqlite_reports(path) as reports:
        balances = await reports.balances()
    posted = sum(balance.debits_posted - balance.credits_posted for balance in balances)
    assert posted == 0
    async with open_sqlite_books(path, retention=Retention()) as books:
        assert (await books.quiet("simulator")).mark == 80


def test_new_sales_go_on_top(tmp_path: Path) -> None:
    """The door takes further sales after the copies, each as a new entry."""
    path, made = tmp_path / "big.sqlite3", sales()
    make_big_books(path, made, journal_rows=80)
    assert through_the_door(path, made.make(3), callers=2).per_s > 0


def test_groups_are_in_step() -> None:
    """The raw loop writes as callers come: the same step of each one's sale in one group."""
    groups = list(in_step(sales().make(5), 2))
    assert [len(group) for group in groups] == [2] * 2 * STEPS + [1] * STEPS
    assert {transition.kind for transition in groups[0]} == {"opened"}
