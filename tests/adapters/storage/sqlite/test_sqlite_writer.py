"""The writer thread: what it acknowledges is on the disk, and nobody waits for ever."""

from __future__ import annotations

import ast
import asyncio
import inspect
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cobot_meter.adapters.storage.moves import LEGS_MAX
from cobot_meter.adapters.storage.sqlite import transitions as sqlite_transitions
from cobot_meter.adapters.storage.sqlite import writer as sqlite_writer
from cobot_meter.adapters.storage.sqlite.books import SqliteBooks, open_sqlite_books
from cobot_meter.domain.errors import BooksBusy, Broken, LedgerUnbalanced
from cobot_meter.domain.ledger import accounts as chart
from cobot_meter.domain.ledger.transfers import posted
from cobot_meter.domain.run import events as ran
from cobot_meter.domain.transitions.transition import Transition
from cobot_meter.ports.books import Applied
from tests.adapters.storage.book_files import audited, balances_of
from tests.contracts.books.books_guards import WIDE
from tests.contracts.books.books_samples import RETENTION, START_MS, Sale, opened, opening


def asks(count: int) -> list[Transition]:
    """So many openings that no guard refuses."""
    return [opening(opened(f"esc_{number:03}"), terms=WIDE) for number in range(count)]


def entry(key: str, amount_msat: int) -> Transition:
    """A journal row with one posting between operator accounts."""
    return Transition(
        key=key,
        kind="test",
        subject_id="operator",
        caller_id=None,
        at_ms=START_MS,
        transfers=posted(chart.UNEARNED, chart.REVENUE, amount_msat),
    )


async def told(books: SqliteBooks, transitions: list[Transition]) -> list[Applied | BaseException]:
    """What everybody hears, applied all at once."""
    running = [asyncio.ensure_future(books.apply(transition)) for transition in transitions]
    await asyncio.wait(running, timeout=20)
    return [one.exception() or one.result() for one in running]


@pytest.fixture
def holder(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program that may hold the write lock."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closing(connection):
        yield connection


async def test_many_share_one_commit(books: SqliteBooks, path: Path) -> None:
    """Whatever comes in one turn of the loop is committed in groups of 64."""
    told_to_database: list[str] = []
    books._writer._connection.set_trace_callback(told_to_database.append)
    results = await told(books, asks(130))
    assert all(isinstance(result, Applied) for result in results)
    assert told_to_database.count("COMMIT") == 3
    assert told_to_database.count("SAVEPOINT transition") == 0
    assert len(await audited(path)) == 130


async def test_a_held_lock_is_waited_for(
    books: SqliteBooks, holder: sqlite3.Connection, path: Path
) -> None:
    """Writes made while another program holds the file are written when it lets go."""
    holder.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.15, holder.execute, ["ROLLBACK"])
    release.start()
    results = await told(books, asks(100))
    release.join()
    assert all(isinstance(result, Applied) for result in results)
    assert len(await audited(path)) == 100


async def test_a_lock_held_too_long_is_told_to_all(path: Path, holder: sqlite3.Connection) -> None:
    """After one timeout everybody who waits hears it, nothing is written, and a repeat works."""
    async with open_sqlite_books(path, retention=RETENTION, busy_timeout_s=0.1) as books:
        holder.execute("BEGIN IMMEDIATE")
        results = await told(books, asks(200))
        assert {type(result) for result in results} == {BooksBusy}
        with pytest.raises(BooksBusy):
            await books.ping()
        connection = books._writer._connection
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (0,)
        assert await books.escrow("esc_000") is None
        holder.execute("ROLLBACK")
        results = await told(books, asks(200))
        assert not [result for result in results if not isinstance(result, Applied)]
        assert not [one for one in results if isinstance(one, Applied) and one.repeated]
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (100,)
    assert len(await audited(path)) == 200


async def test_a_full_queue_refuses(
    path: Path, holder: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than can wait is refused at once; what waits is written."""
    monkeypatch.setattr(sqlite_writer, "WAITING_MAX", 5)
    async with open_sqlite_books(path, retention=RETENTION) as books:
        holder.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.05, holder.execute, ["ROLLBACK"])
        release.start()
        results = await told(books, asks(8))
        release.join()
    assert [type(result) for result in results] == [Applied] * 5 + [BooksBusy] * 3
    assert len(await audited(path)) == 5


async def test_what_is_not_committed_is_not_acknowledged(books: SqliteBooks, path: Path) -> None:
    """When the commit itself fails, the whole group hears so and nothing of it is there."""
    await books.apply(entry("before", 1))
    connection = books._writer._connection
    denied = {"COMMIT"}
    connection.set_authorizer(
        lambda _action, operation, *_: (
            sqlite3.SQLITE_DENY if operation in denied else sqlite3.SQLITE_OK
        )
    )
    results = await told(books, [*asks(3), entry("lost", 5)])
    assert {type(result) for result in results} == {BooksBusy}
    assert await books.escrow("esc_000") is None
    denied.clear()
    assert not (await books.apply(entry("lost", 5))).repeated
    await books.aclose()
    assert [one.key for one in await audited(path)] == ["before", "lost"]


async def test_a_full_disk_loses_nothing(books: SqliteBooks, path: Path) -> None:
    """What does not fit is not acknowledged, and once there is room it is written."""
    await books.apply(entry("before", 1))
    connection = books._writer._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    results = await told(books, asks(200))
    assert BooksBusy in {type(result) for result in results}
    held = {one.key for one in await audited(path)}
    for ask, result in zip(asks(200), results, strict=True):
        assert (ask.key in held) == isinstance(result, Applied)
    connection.execute("PRAGMA max_page_count = 1073741823")
    results = await told(books, asks(200))
    assert all(isinstance(result, Applied) for result in results)
    assert len(await audited(path)) == 201


async def test_what_cannot_be_booked_hurts_nobody_else(books: SqliteBooks, path: Path) -> None:
    """A value that no row can hold is refused alone, and leaves nothing on operator accounts."""
    results = await told(books, [entry("a", 3), entry("b", 2**63), entry("c", 4)])
    assert [type(result) for result in results] == [Applied, LedgerUnbalanced, Applied]
    (revenue,) = (one for one in await balances_of(path) if one.account == chart.REVENUE.code)
    assert revenue.credits_posted == 7


async def test_a_refusal_makes_the_others_be_written_again_once_and_no_oftener(
    books: SqliteBooks, path: Path
) -> None:
    """Savepoints come with the first refusal, stay while there are more, and go after the last."""
    told_to_database: list[str] = []
    books._writer._connection.set_trace_callback(told_to_database.append)
    seen: list[tuple[int, int, int]] = []
    for number, amounts in enumerate([(3, 2**63, 4), (2**63, 5), (6, 7), (8, 9)]):
        told_to_database.clear()
        await told(books, [entry(f"{number}/{amount}", amount) for amount in amounts])
        words = ("ROLLBACK", "SAVEPOINT transition", "ROLLBACK TO transition")
        rolled_back, kept, undone = map(told_to_database.count, words)
        seen.append((rolled_back, kept, undone))
    assert seen == [(1, 3, 1), (0, 2, 1), (0, 2, 0), (0, 0, 0)]
    (revenue,) = (one for one in await balances_of(path) if one.account == chart.REVENUE.code)
    assert revenue.credits_posted == 3 + 4 + 5 + 6 + 7 + 8 + 9


async def test_what_an_account_cannot_take_hurts_its_transition_alone(
    books: SqliteBooks, path: Path
) -> None:
    """Whose legs no roll-up can add is refused by itself, and its neighbours are booked."""
    ok, large = LEGS_MAX // 2, LEGS_MAX + 1
    results = await told(books, [entry("a", ok), entry("b", large), entry("c", ok), entry("d", 1)])
    assert [type(result) for result in results] == [Applied, LedgerUnbalanced, Applied, Applied]
    assert [one.key for one in await audited(path)] == ["a", "c", "d"]


async def test_whoever_is_cancelled_disturbs_nobody(books: SqliteBooks, path: Path) -> None:
    """Hanging up does not undo the write, nor keep the others from hearing."""
    running = [asyncio.ensure_future(books.apply(ask)) for ask in asks(3)]
    await asyncio.sleep(0)
    running[1].cancel()
    await asyncio.wait(running, timeout=20)
    assert [one.cancelled() for one in running] == [False, True, False]
    await books.ping()
    assert len(await audited(path)) == 3


async def test_closing_writes_what_waits(path: Path) -> None:
    """Everybody hears; what was acknowledged is there, and afterwards nothing is taken."""
    async with open_sqlite_books(path, retention=RETENTION) as books:
        running = [asyncio.ensure_future(books.apply(ask)) for ask in asks(150)]
        await asyncio.sleep(0)
        await books.aclose()
        assert all(isinstance(one.result(), Applied) for one in running)
        with pytest.raises(BooksBusy):
            await books.apply(entry("late", 1))
        with pytest.raises(BooksBusy):
            await books.ping()
    assert len(await audited(path)) == 150
    assert not path.with_name(f"{path.name}-wal").exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_nobody_waits_for_a_dead_writer(books: SqliteBooks) -> None:
    """Should the thread ever die, all who wait hear so, and so does the process."""
    books._writer._handed_over.put(object())  # type: ignore[arg-type]
    results = await told(books, asks(3))
    assert {type(result) for result in results} == {BooksBusy}
    with pytest.raises(BooksBusy):
        await books.ping()
    with pytest.raises(Broken, match="has died"):
        await books.died()


async def test_a_connection_of_no_more_use_is_replaced(books: SqliteBooks, path: Path) -> None:
    """Even its own ROLLBACK failing costs one refusal: the next write has a connection anew."""
    books._writer._connection.close()
    results = await told(books, asks(3))
    assert {type(result) for result in results} == {BooksBusy}
    results = await told(books, asks(3))
    assert {type(result) for result in results} == {Applied}
    assert len(await audited(path)) == 3


async def test_what_was_shredded_is_in_no_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments after a key is dropped it is neither in the file nor in its write-ahead log."""
    monkeypatch.setattr(sqlite_writer, "IDLE_S", 0.01)
    files = (path, path.with_name(f"{path.name}-wal"))
    async with open_sqlite_books(path, retention=RETENTION) as books:
        sale = Sale(books, opened("esc_secret"))
        await sale.open()
        assert any(b"key of esc_secret" in file.read_bytes() for file in files)
        await sale.record(ran.Abandoned())
        for _ in range(200):
            await asyncio.sleep(0.01)
            if files[1].stat().st_size == 0:
                break
        left = b"".join(file.read_bytes() for file in files)
        assert b"key of esc_secret" not in left
        assert b"sealed ask" not in left
        assert b"esc_secret" in left
        await books.apply(entry("after", 1))


@pytest.mark.parametrize("module", [sqlite_writer, sqlite_transitions])
def test_no_transaction_is_open_across_an_await(module: object) -> None:
    """What runs between BEGIN and COMMIT cannot await: it is no coroutine and calls none."""
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]
    awaiting = {
        function.name for function in ast.walk(tree) if isinstance(function, ast.AsyncFunctionDef)
    }
    assert awaiting <= {"apply", "aclose", "died"}
