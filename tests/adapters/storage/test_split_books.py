"""Books that the version before revision 0012 wrote go up, live on, and come down again.

0012 gives runs a row of their own, 0013 gives them an upstream and each upstream an account, and
0014 lets a sale have several of them.
`books_at_0010.sql.gz` was written by that version: escrows in every state, each of them also
parked, let go and written off, paid late, bought late, corrected, with top-ups and words of the
operator. Some of them are made those of a local model here.
"""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from cobot_meter.adapters.storage.migration_run import run_downgrade, run_upgrade
from cobot_meter.adapters.storage.postgres.books import open_postgres_books
from cobot_meter.adapters.storage.postgres.reports import open_postgres_reports
from cobot_meter.adapters.storage.postgres.schema import downgrade_postgres, upgrade_postgres
from cobot_meter.adapters.storage.schema import head
from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.adapters.storage.sqlite.schema import engine_for, found_revision, upgrade
from cobot_meter.domain.escrow import events as on
from cobot_meter.domain.escrow.record import Escrow
from cobot_meter.domain.escrow.states import Progress
from cobot_meter.domain.transitions.escrows import escrow_transition
from cobot_meter.flows.audit.ledger import AuditLedger
from cobot_meter.ports.books import Books
from cobot_meter.ports.ledger_reports import LedgerReports
from tests.domain.samples import (
    NOW_MS,
    RETENTION,
    cost_known,
    fell_back,
    invoice_issued,
    received,
    settled,
)
from tests.flows.audit.audit_rig import ToldNode
from tests.postgres.cluster import Cluster

WRITTEN = Path(__file__).with_name("books_at_0010.sql.gz")
BEFORE = "0010"
Tables = dict[str, list[dict[str, Any]]]
ONE_ACCOUNT = "openrouter/credits"
GATEWAYS, OWN = "upstream/openrouter/credits", "upstream/ollama/credits"
# A model's name and the digest that it is part of: entries of then could lack the latter.
LOCAL_FACTS = "json_remove(json_set(facts, '$.model', 'ollama/m'), '$.row_sha256')"
ON_TWO = f"""
UPDATE escrow SET model = 'ollama/m' WHERE opened_sequence % 3 = 0;
UPDATE journal SET facts = {LOCAL_FACTS} WHERE kind = 'opened' AND subject_id IN (
  SELECT escrow_id FROM escrow WHERE model = 'ollama/m');
"""  # noqa: S608 - a text of ours


@pytest.fixture
def at_one_upstream(tmp_path: Path) -> Path:
    """The file as the version before left it."""
    path = tmp_path / "books.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(gzip.decompress(WRITTEN.read_bytes()).decode())
    return path


@pytest.fixture
def old(at_one_upstream: Path) -> Path:
    """The same with every third escrow run by a local model."""
    with closing(sqlite3.connect(at_one_upstream)) as connection:
        name = "journal_refuses_update"
        (trigger,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = ?", (name,)
        ).fetchone()
        connection.executescript(f"DROP TRIGGER {name}; {ON_TWO} {trigger};")
    return at_one_upstream


def spent_at(tables: Tables, code: str) -> int:
    """What the account of this code has given, by its transfers."""
    given = {"debit": -1, "credit": 1}
    return sum(
        sign * row["amount"]
        for row in tables["transfer"]
        for side, sign in given.items()
        if row[side] == code
    )


def balance_of(tables: Tables, code: str) -> int:
    """The same by its row; 0 without one."""
    found = [row for row in tables["account"] if row["code"] == code]
    return sum(row["credits_posted"] - row["debits_posted"] for row in found)


def but_for_names(tables: Tables) -> Tables:
    """Transfers with one name for every upstream's account, and all accounts but those."""
    credits_of = {ONE_ACCOUNT, GATEWAYS, OWN}
    return {
        "transfer": [
            row | {side: ONE_ACCOUNT for side in ("debit", "credit") if row[side] in credits_of}
            for row in sorted(tables["transfer"], key=lambda row: (row["sequence"], row["line"]))
        ],
        "account": [row for row in tables["account"] if row["code"] not in credits_of],
    }


def rows_in(path: Path) -> Tables:
    """Every row of every table, by the names of its columns."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"
        ).fetchall()
        return {
            name: sorted(
                (dict(row) for row in connection.execute(f"SELECT * FROM {name}")),  # noqa: S608
                key=lambda row: str(sorted(row.items())),
            )
            for (name,) in names
        }


async def findings(reports: LedgerReports) -> list[str]:
    """What an audit has against the books, but for quarantines and what no node here knows."""
    audit = AuditLedger(
        reports=reports, node=lambda: ToldNode({}), upstream=None, retention=RETENTION
    )
    report = await audit.audit()
    expected = {"quarantined", "settlement_unknown", "invoice_unknown"}
    return [str(one) for one in report.findings if one.code not in expected]


async def progress_of(reports: LedgerReports) -> dict[str, str]:
    """How far every escrow is."""
    return {one.escrow_id: one.progress.value async for one in reports.escrows()}


async def paid_for(books: Books, escrow: Escrow, index: int) -> None:
    """Its invoice is paid, and what it bought is handed over."""
    for told in (settled(escrow, settle_index=index), on.CompletionDelivered()):
        row = await books.escrow(escrow.escrow_id)
        assert row is not None
        await books.apply(escrow_transition(row, told, at_ms=NOW_MS, retention=RETENTION))


async def live_on(books: Books, reports: LedgerReports, words: dict[str, str]) -> None:
    """Nothing is missing, the audit is clean, and every open invoice can be paid."""
    assert await progress_of(reports) == words
    assert set(words.values()) == set(Progress)
    assert await findings(reports) == []
    unpaid = [one async for one in reports.escrows() if one.progress is Progress.INVOICED]
    assert len(unpaid) > 3
    for index, escrow in enumerate(unpaid, 9_000):
        await paid_for(books, escrow, index)
    assert await findings(reports) == []
    moved = await progress_of(reports)
    assert {moved[escrow.escrow_id] for escrow in unpaid} == {"released"}


def words_in(tables: Tables) -> dict[str, str]:
    """What the state was called in the row of before."""
    return {row["escrow_id"]: row["state"] for row in tables["escrow"]}


def test_up_and_down_again_is_every_row_of_before(old: Path) -> None:
    """Only names of accounts differ in between, and at the end each escrow's row is whole again."""
    before = rows_in(old)
    upgrade(old)
    split = rows_in(old)
    assert len(split["run"]) == len(split["escrow"]) == len(before["escrow"])
    for name in before.keys() - {"escrow", "transfer", "account", "journal"}:
        assert split[name] == before[name]
    assert split["journal"] == [row | {"seller_id": None} for row in before["journal"]]
    assert but_for_names(split) == but_for_names(before)
    run_downgrade(engine_for(old), BEFORE)
    assert rows_in(old) == before


def test_each_upstream_gets_what_its_runs_booked(old: Path) -> None:
    """By the model of each run; what no generation explained is the gateway's."""
    before = rows_in(old)
    upgrade(old)
    split = rows_in(old)
    local = {row["escrow_id"] for row in before["escrow"] if row["model"] == "ollama/m"}
    assert {row["escrow_id"] for row in split["run"] if row["upstream"] == "ollama"} == local
    assert {row["upstream"] for row in split["run"]} == {"openrouter", "ollama"}
    subjects = {row["sequence"]: row["subject_id"] for row in split["journal"]}
    assert {
        subjects[row["sequence"]] in local
        for row in split["transfer"]
        if OWN in {row["debit"], row["credit"]}
    } == {True}
    for code in (GATEWAYS, OWN):
        assert balance_of(split, code) == spent_at(split, code) > 0
    parts = balance_of(split, GATEWAYS) + balance_of(split, OWN)
    assert parts == balance_of(before, ONE_ACCOUNT) == spent_at(before, ONE_ACCOUNT)


def test_without_a_local_model_the_account_is_only_renamed(at_one_upstream: Path) -> None:
    """Every counter stays, and no second account appears."""
    before = rows_in(at_one_upstream)
    upgrade(at_one_upstream)
    split = rows_in(at_one_upstream)
    renamed = [
        row | {"code": GATEWAYS if row["code"] == ONE_ACCOUNT else row["code"]}
        for row in before["account"]
    ]
    assert sorted(renamed, key=lambda row: str(sorted(row.items()))) == split["account"]


def test_transfers_are_insert_only_again(old: Path) -> None:
    """The trigger was away for one statement of the migration, up and down."""
    for move in (upgrade, lambda path: run_downgrade(engine_for(path), BEFORE)):
        move(old)
        refused = pytest.raises(sqlite3.IntegrityError, match="insert-only")
        with closing(sqlite3.connect(old)) as connection, refused:
            connection.execute("UPDATE transfer SET amount = amount + 1")


def test_a_third_upstream_is_not_taken_down(old: Path) -> None:
    """No version before could tell its account from the gateway's, and none is mixed up."""
    upgrade(old)
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("UPDATE run SET upstream = 'third' WHERE run_state = 'opened'")
    before = rows_in(old)
    with pytest.raises(ValueError, match="restore a copy from before the upgrade"):
        run_downgrade(engine_for(old), "0012")
    assert rows_in(old) == before


async def test_split_books_live_on(old: Path) -> None:
    """In whatever state an escrow was."""
    words = words_in(rows_in(old))
    upgrade(old)
    async with (
        open_sqlite_books(old, retention=RETENTION) as books,
        open_sqlite_reports(old) as reports,
    ):
        await live_on(books, reports, words)


def test_a_migration_that_is_killed_at_any_statement_starts_again(old: Path) -> None:
    """Until it is there as a whole it is not there at all."""
    before = rows_in(old)
    for killed_at in range(1, 200):
        if not _killed(old, killed_at):
            break
        assert found_revision(engine_for(old)) == BEFORE
        assert rows_in(old) == before
    assert killed_at > 30
    assert found_revision(engine_for(old)) == head()


class Killed(BaseException):
    """The process ends here."""


def _killed(path: Path, at: int) -> bool:
    """Whether the way up had a statement of this number, before which it was ended."""
    engine, count = engine_for(path), 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise Killed

    event.listen(engine, "before_cursor_execute", counted)
    try:
        run_upgrade(engine, head())
    except Killed:
        return True
    finally:
        engine.dispose()
    return False


async def test_what_no_row_of_before_can_hold_is_not_taken_down(old: Path) -> None:
    """A sale that is paid in another way stays where it is, and the sentence says what to do."""
    upgrade(old)
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("UPDATE escrow SET billing_mode = 'credit' WHERE state = 'released'")
    before = rows_in(old)
    with pytest.raises(ValueError, match="restore a copy from before the upgrade"):
        run_downgrade(engine_for(old), "0011")
    assert rows_in(old) == before


async def _filled(url: str, tables: Tables) -> None:
    """The same rows in PostgreSQL, at the revision at which they were written."""
    await upgrade_postgres(url, BEFORE)
    connection = await asyncpg.connect(url)
    try:
        for name in ("journal", *(one for one in tables if one not in {"journal", "body"}), "body"):
            if name == "secret_mark" or not tables[name]:
                continue
            columns = list(tables[name][0])
            records = [tuple(row.values()) for row in tables[name]]
            await connection.copy_records_to_table(name, records=records, columns=columns)
        await connection.execute(
            "SELECT setval(pg_get_serial_sequence('journal', 'sequence'), max(sequence)) "
            "FROM journal"
        )
        await connection.execute("INSERT INTO tally SELECT 'journal', count(*) FROM journal")
    finally:
        await connection.close()


async def _rows(url: str, names: Sequence[str]) -> Tables:
    connection = await asyncpg.connect(url)
    try:
        return {
            name: sorted(
                (dict(row) for row in await connection.fetch(f"SELECT * FROM {name}")),  # noqa: S608
                key=lambda row: str(sorted(row.items())),
            )
            for name in names
        }
    finally:
        await connection.close()


async def _not_rolled_up(url: str, amount: int) -> None:
    """Some of what was spent upstream waits beside its account, as after a kill."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "UPDATE account SET credits_posted = credits_posted - $1 WHERE code = $2",
            *(amount, ONE_ACCOUNT),
        )
        await connection.execute(
            "INSERT INTO operator_leg VALUES ($1, 'pusd', 'asset', 0, $2, 0, 0)",
            *(ONE_ACCOUNT, amount),
        )
    finally:
        await connection.close()


async def _refuses_changes(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        with pytest.raises(asyncpg.PostgresError, match="insert-only"):
            await connection.execute("UPDATE transfer SET amount = amount + 1")
    finally:
        await connection.close()


@pytest.mark.postgres
async def test_postgresql_splits_them_alike(old: Path, cluster: Cluster) -> None:
    """The rows are those that SQLite makes of them, live on, and come down to what they were."""
    url, before = cluster.new_database(), rows_in(old)
    await _filled(url, before)
    await _not_rolled_up(url, 1_000)
    upgrade(old)
    await upgrade_postgres(url)
    split = rows_in(old)
    alike = ("escrow", "run", "transfer", "account")
    assert await _rows(url, alike) == {one: split[one] for one in alike}
    await _refuses_changes(url)
    await downgrade_postgres(url, BEFORE)
    again = ("escrow", "transfer", "account")
    assert await _rows(url, again) == {one: before[one] for one in again}
    await _refuses_changes(url)
    await upgrade_postgres(url)
    books: AbstractAsyncContextManager[Books] = open_postgres_books(url, retention=RETENTION)
    async with books as opened, open_postgres_reports(url) as reports:
        await live_on(opened, reports, words_in(before))


async def fall_back(books: Books, reports: LedgerReports) -> None:
    """What was being run when the version changed goes on with another model, and is sold."""
    found = [one async for one in reports.escrows() if one.progress is Progress.REQUESTED]
    escrow = next(one for one in found if one.quarantine is None)
    for told in (
        fell_back,
        lambda _: received(),
        lambda now: cost_known(now, 7_000),
        invoice_issued,
    ):
        row = await books.escrow(escrow.escrow_id)
        assert row is not None
        await books.apply(escrow_transition(row, told(row), at_ms=NOW_MS, retention=RETENTION))
    assert [run.number for run in await books.runs_of(escrow.escrow_id)] == [1, 2]
    assert await findings(reports) == []


async def test_a_sale_of_before_falls_back_and_goes_no_further_down(old: Path) -> None:
    """Two runs are more than a schema before 0014 can tell apart: the sentence says what to do."""
    upgrade(old)
    async with (
        open_sqlite_books(old, retention=RETENTION) as books,
        open_sqlite_reports(old) as reports,
    ):
        await fall_back(books, reports)
    before = rows_in(old)
    with pytest.raises(ValueError, match=r"1 sales have several runs.*restore a copy"):
        run_downgrade(engine_for(old), "0013")
    assert rows_in(old) == before


@pytest.mark.postgres
async def test_postgresql_falls_back_alike(old: Path, cluster: Cluster) -> None:
    """Up, on with another model, audited, and not down any more."""
    url = cluster.new_database()
    await _filled(url, rows_in(old))
    await upgrade_postgres(url)
    books: AbstractAsyncContextManager[Books] = open_postgres_books(url, retention=RETENTION)
    async with books as opened, open_postgres_reports(url) as reports:
        await fall_back(opened, reports)
    before = await _rows(url, ("escrow", "run"))
    with pytest.raises(ValueError, match="several runs"):
        await downgrade_postgres(url, "0013")
    assert await _rows(url, ("escrow", "run")) == before
