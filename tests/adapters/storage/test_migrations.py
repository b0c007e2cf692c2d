"""The schema: made by migrations, equal to the tables, kept by the database itself."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine

from cobot_meter.adapters.storage.migration_run import configured, run_downgrade, run_upgrade
from cobot_meter.adapters.storage.schema import head
from cobot_meter.adapters.storage.sqlite.books import open_sqlite_books
from cobot_meter.adapters.storage.sqlite.reports import open_sqlite_reports
from cobot_meter.adapters.storage.sqlite.schema import engine_for, found_revision, upgrade
from cobot_meter.adapters.storage.tables import METADATA
from cobot_meter.domain.errors import BooksDamaged, SettingInvalid
from cobot_meter.domain.escrow.states import Mode
from cobot_meter.ports.ledger_reports import Balance
from tests.adapters.storage.book_files import balances_of, schema_of
from tests.contracts.books.books_samples import RETENTION, Sale, ask_key, opened
from tests.contracts.books.books_tasks import begun, sold_task, task
from tests.domain.samples import SELLER, Shape, opening_of, route_to
from tests.domain.samples import opened as opened_sale

ROOT = Path(__file__).parents[3]


async def sold(path: Path, name: str) -> tuple[Balance, ...]:
    """Sell one completion in the books at `path`; the balances afterwards."""
    async with open_sqlite_books(path, retention=RETENTION) as books:
        await Sale(books, opened(f"esc_{name}")).sell()
    return await balances_of(path)


def revisions() -> list[str]:
    """Every revision, oldest first."""
    with create_engine("sqlite://", poolclass=NullPool).connect() as connection:
        scripts = ScriptDirectory.from_config(configured(connection))
        return [script.revision for script in scripts.walk_revisions()][::-1]


def test_the_newest_revision_is_the_one_that_is_asked_for() -> None:
    """The fast path at start compares with the only head there is."""
    assert revisions()[-1] == head()


def test_the_migrated_schema_is_that_of_the_tables(path: Path, tmp_path: Path) -> None:
    """Tables, constraints and indexes are word for word what Core would make."""
    made = tmp_path / "made.sqlite3"
    engine = create_engine(f"sqlite:///{made}")
    METADATA.create_all(engine)
    engine.dispose()
    migrated = {name: text for name, text in schema_of(path).items() if "refuses" not in name}
    assert migrated == schema_of(made)


async def test_down_and_up_again_is_the_same_schema(path: Path) -> None:
    """Populated books go down to nothing, and up to empty books that work."""
    await sold(path, "1")
    before = schema_of(path)
    run_downgrade(engine_for(path), "base")
    assert schema_of(path) == {}
    upgrade(path)
    assert schema_of(path) == before
    assert await balances_of(path) == ()
    assert await sold(path, "1") != ()


@pytest.mark.parametrize("revision", revisions())
async def test_populated_books_survive_the_way_up(tmp_path: Path, revision: str) -> None:
    """Whatever was booked at any revision stands unchanged at the newest."""
    path = tmp_path / "books.sqlite3"
    path.touch()
    run_upgrade(engine_for(path), revision)
    before = await sold(path, "1") if revision == head() else ()
    upgrade(path)
    assert found_revision(engine_for(path)) == head()
    if before:
        assert await balances_of(path) == before
    await sold(path, "2")


async def test_an_idempotency_key_that_was_used_twice_keeps_its_first_use(path: Path) -> None:
    """Older books may hold a key twice: they go up all the same, and it finds the first."""
    async with open_sqlite_books(path, retention=RETENTION) as books:
        for number in (2, 1):
            ask = ask_key("ask", caller_id=f"c_{number}", idempotency_key=f"key {number}")
            await Sale(books, opened(f"esc_{number}", caller_id=f"c_{number}", ask=ask)).sell()
    before = await balances_of(path)
    run_downgrade(engine_for(path), "0002")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE escrow SET idempotency_key = 'key'")
    upgrade(path)
    assert await balances_of(path) == before
    async with open_sqlite_books(path, retention=RETENTION) as books:
        found, second = await books.ask_of_idempotency_key("key"), await books.escrow("esc_1")
    assert found is not None
    assert second is not None
    assert (found.escrow_id, second.ask.idempotency_key) == ("esc_2", None)


def test_a_current_schema_costs_no_alembic(path: Path) -> None:
    """A start with nothing to migrate never imports it."""
    code = (
        "import sys; from pathlib import Path;"
        "from cobot_meter.adapters.storage.sqlite import schema;"
        f"schema.upgrade(Path({str(path)!r})); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=30)


def test_books_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    """A fresh file can be read by nobody else."""
    path = tmp_path / "books.sqlite3"
    upgrade(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_books_of_a_newer_version_are_refused(path: Path) -> None:
    """One line says so, and nothing is changed."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(SettingInvalid, match="newer version of this service"):
        upgrade(path)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file of something else is left alone."""
    path = tmp_path / "books.sqlite3"
    path.write_text("these are not the books you are looking for\n" * 100, encoding="utf-8")
    with pytest.raises(BooksDamaged, match="not a database"):
        upgrade(path)


@pytest.mark.parametrize("where", ["a folder", "no folder"])
async def test_books_that_cannot_be_kept_stop_the_start(tmp_path: Path, where: str) -> None:
    """One line says where they cannot be and why."""
    path = tmp_path if where == "a folder" else tmp_path / "nowhere" / "books.sqlite3"
    with pytest.raises(SettingInvalid, match=r"cannot be (kept|opened)"):
        async with open_sqlite_books(path, retention=RETENTION):
            pass


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE journal SET facts = '{}'",
        "DELETE FROM journal",
        "UPDATE transfer SET amount = amount + 1",
        "DELETE FROM transfer WHERE kind = 'post'",
        "REPLACE INTO journal SELECT sequence, key, 'x', '', NULL, 0, '', NULL FROM journal",
    ],
)
async def test_what_is_written_stays_written(path: Path, change: str) -> None:
    """Journal and transfers refuse every change, whoever asks."""
    before = await sold(path, "1")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA recursive_triggers = ON")
    with pytest.raises(sqlite3.IntegrityError, match="insert-only"):
        connection.execute(change)
    connection.close()
    assert await balances_of(path) == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE account SET debits_pending = credits_posted + 1 WHERE code LIKE '%/available'",
        "UPDATE account SET debits_posted = credits_posted + 1 WHERE code LIKE '%/available'",
        "UPDATE account SET credits_pending = -1",
        "UPDATE account SET credits_posted = 9223372036854775807",
        "UPDATE escrow SET occupies_ask = 2",
        "INSERT INTO transfer VALUES (1, 99, 'posted', 'a', 'b', 'msat', 0, NULL, 0)",
        "INSERT INTO transfer VALUES (1, 99, 'posted', 'a', 'a', 'msat', 1, NULL, 0)",
        "INSERT INTO transfer VALUES (1, 99, 'pending', 'a', 'b', 'msat', 1, NULL, 0)",
        "INSERT INTO transfer VALUES (1, 99, 'post', 'a', 'b', 'msat', 2, 'h', 1)",
        "INSERT INTO transfer VALUES (1, 99, 'void', 'a', 'b', 'eur', 0, 'h', 1)",
        "INSERT INTO transfer VALUES (10000, 1, 'posted', 'a', 'b', 'msat', 1, NULL, 0)",
    ],
)
async def test_the_database_is_the_last_line(path: Path, change: str) -> None:
    """What no program of ours may do, no other may do either."""
    await sold(path, "1")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(change)
    connection.close()


async def test_reports_need_books_of_this_version(path: Path, tmp_path: Path) -> None:
    """No books, no tables, or tables of another version: one line each."""
    empty = tmp_path / "empty.sqlite3"
    empty.touch()
    older = tmp_path / "older.sqlite3"
    shutil.copy(path, older)
    with closing(sqlite3.connect(older)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()
    for file, line in (
        (tmp_path / "nothing.sqlite3", "there are no books"),
        (empty, "holds no books"),
        (older, "has schema 0000|have schema 0000"),
    ):
        with pytest.raises(SettingInvalid, match=line):
            async with open_sqlite_reports(file):
                pass


async def test_books_that_have_had_a_task_do_not_go_below_0017(path: Path) -> None:
    """No schema before it says whose cap bounds one: the sentence says what to do instead."""
    shape = Shape(newcomer=False, mode=Mode.TASK, max_fee=1_500)
    async with open_sqlite_books(path, retention=RETENTION) as books:
        await books.apply(opening_of(opened_sale(shape), cap_msat=10**9))
        before = await books.escrow("esc_1")
    with pytest.raises(ValueError, match="1 sales are tasks"):
        run_downgrade(engine_for(path), "0016")
    async with open_sqlite_books(path, retention=RETENTION) as books:
        assert await books.escrow("esc_1") == before


async def test_what_was_sold_before_0018_is_in_its_sellers_statement(path: Path) -> None:
    """The journal's new column is filled on the way up, and refuses changes as before."""
    async with open_sqlite_books(path, retention=RETENTION) as books:
        await Sale(books, opened("esc_other")).sell()
        await sold_task(books)
    async with open_sqlite_reports(path) as reports:
        before = await reports.statement(SELLER, before=None, limit=100)
    run_downgrade(engine_for(path), "0017")
    upgrade(path)
    async with open_sqlite_reports(path) as reports:
        assert await reports.statement(SELLER, before=None, limit=100) == before
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="insert-only"),
    ):
        connection.execute("UPDATE journal SET seller_id = NULL")


async def test_books_that_have_had_a_choice_do_not_go_below_0019(path: Path) -> None:
    """The entry of its opening has the decision's digest, and without it every audit would ring."""
    routed = replace(opened_sale(Shape(newcomer=False)), route='{"v":1}')
    async with open_sqlite_books(path, retention=RETENTION) as books:
        await books.apply(opening_of(routed, cap_msat=10**9))
        before = await books.escrow("esc_1")
        assert before is not None
        assert before.route == '{"v":1}'
    with pytest.raises(ValueError, match="1 sales asked models that the service chose"):
        run_downgrade(engine_for(path), "0018")
    async with open_sqlite_books(path, retention=RETENTION) as books:
        assert await books.escrow("esc_1") == before


async def test_books_that_have_counted_against_a_budget_do_not_go_below_0020(path: Path) -> None:
    """No schema before it says whose those reservations are."""
    code = "budget/msat/c_one/caller/day/UTC/20261129T000000Z"
    async with open_sqlite_books(path, retention=RETENTION) as books:
        await books.apply(opening_of(opened_sale(Shape(budgets=code)), cap_msat=10**9))
        before = await books.escrow("esc_1")
    with pytest.raises(ValueError, match="1 sales count against budgets"):
        run_downgrade(engine_for(path), "0019")
    async with open_sqlite_books(path, retention=RETENTION) as books:
        assert await books.escrow("esc_1") == before


async def test_books_with_a_decision_on_a_run_do_not_go_below_0024(path: Path) -> None:
    """The entry that began the run holds it, and without the column every audit would ring."""
    async with open_sqlite_books(path, retention=RETENTION) as books:
        opening = await books.apply(task())
        assert opening.escrow is not None
        await books.apply(begun(opening.escrow, route=route_to("meta/next")))
        (*_, before) = await books.runs_of("esc_1")
        assert before.instead is not None
        assert before.instead.route is not None
    with pytest.raises(ValueError, match="1 runs of tasks asked models that the service chose"):
        run_downgrade(engine_for(path), "0023")
    async with open_sqlite_books(path, retention=RETENTION) as books:
        assert (await books.runs_of("esc_1"))[-1] == before


async def test_books_with_a_tier_of_privacy_do_not_go_below_0023(path: Path) -> None:
    """A sale's is in the digest of its opening, and without it every audit would ring."""
    private = replace(opened_sale(Shape(newcomer=False)), privacy="local - local")
    async with open_sqlite_books(path, retention=RETENTION) as books:
        await books.apply(opening_of(private, cap_msat=10**9))
        before = await books.escrow("esc_1")
        assert before is not None
        assert before.privacy == "local - local"
    with pytest.raises(ValueError, match="1 sales and 0 API keys have a tier of privacy"):
        run_downgrade(engine_for(path), "0020")
    async with open_sqlite_books(path, retention=RETENTION) as books:
        assert await books.escrow("esc_1") == before
