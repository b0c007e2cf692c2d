"""The file of the books in the hands of others: removed, replaced, upgraded, copied."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cobot_meter.adapters.storage.migration_run import run_downgrade
from cobot_meter.adapters.storage.outage import StorageOutage
from cobot_meter.adapters.storage.schema import head
from cobot_meter.adapters.storage.sqlite import writer as sqlite_writer
from cobot_meter.adapters.storage.sqlite.backup import back_up
from cobot_meter.adapters.storage.sqlite.books import SqliteBooks, open_sqlite_books
from cobot_meter.adapters.storage.sqlite.connections import connect_writer
from cobot_meter.adapters.storage.sqlite.files import ROOM_BYTES, BooksFiles, free_bytes
from cobot_meter.adapters.storage.sqlite.integrity import look_at_pages
from cobot_meter.adapters.storage.sqlite.schema import engine_for, upgrade
from cobot_meter.adapters.storage.sqlite.statements import write_statements
from cobot_meter.adapters.storage.sqlite.transitions import TransitionWriter
from cobot_meter.adapters.storage.sqlite.writer import SqliteWriter
from cobot_meter.domain.errors import BooksBusy, BooksDamaged, SettingInvalid
from cobot_meter.ports.books import Applied
from tests.adapters.storage.book_files import audited, balances_of
from tests.adapters.storage.sqlite.test_sqlite_writer import asks, entry, told
from tests.adapters.storage.test_migrations import sold
from tests.contracts.books.books_samples import RETENTION


@pytest.mark.parametrize("suffix", ["", "-wal"])
async def test_a_file_that_is_taken_away_takes_no_writes(
    books: SqliteBooks, path: Path, suffix: str
) -> None:
    """What nobody would find again is not acknowledged; put back, the books go on."""
    await books.apply(entry("before", 1))
    file, away = path.with_name(path.name + suffix), path.with_name("away")
    file.rename(away)
    results = await told(books, asks(2))
    assert {type(result) for result in results} == {BooksBusy}
    with pytest.raises(BooksBusy):
        await books.ping()
    away.rename(file)
    await books.ping()
    await told(books, asks(2))
    assert len(await audited(path)) == 3


async def test_another_file_in_its_place_takes_no_writes(books: SqliteBooks, path: Path) -> None:
    """A backup that is laid under a running service is not written to."""
    await books.apply(entry("before", 1))
    other = path.with_name("other")
    back_up(path, other)
    before = await balances_of(other)
    other.replace(path)
    assert {type(result) for result in await told(books, asks(2))} == {BooksBusy}
    books._writer._stale = True
    assert {type(result) for result in await told(books, asks(2))} == {BooksBusy}
    await books.aclose()
    assert await balances_of(path) == before


async def test_a_disk_without_room_is_not_ready(
    books: SqliteBooks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The ping knows before the asks do; with room again the outage ends with a line."""

    def full(_descriptor: int, _offset: int, length: int) -> None:
        assert length == ROOM_BYTES
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    for _ in range(3):
        with pytest.raises(BooksBusy):
            await books.ping()
    results = await told(books, asks(2))
    assert {type(result) for result in results} == {Applied}
    assert books.outage.lasts_s > 0
    monkeypatch.undo()
    await books.look()
    assert books.outage.lasts_s == 0
    assert len(caplog.records) == 2


def test_what_cannot_tell_says_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no allocation is not a full one, and nothing is left behind."""

    def unsupported(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    BooksFiles(path).check_room()
    assert list(path.parent.iterdir()) == [path]
    assert free_bytes(path.parent) > 0
    assert free_bytes(path.parent / "nowhere") == -1


class Failing(sqlite3.Connection):
    """Refuses the statements in `refused`, as a disk does that returns errors."""

    refused: frozenset[str] = frozenset()

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 - sqlite3's
        self.refuse(sql)
        return super().execute(sql, values)

    def cursor(self, _factory: object = None, /) -> Any:  # noqa: ANN401
        return super().cursor(FailingCursor)

    def refuse(self, sql: str) -> None:
        """Raises what the driver would."""
        if sql in self.refused:
            raise sqlite3.OperationalError("disk I/O error")


class FailingCursor(sqlite3.Cursor):
    """A cursor of such a connection."""

    def execute(self, sql: str, values: Any = (), /) -> Any:  # noqa: ANN401 - sqlite3's
        connection = self.connection
        assert isinstance(connection, Failing)
        connection.refuse(sql)
        return super().execute(sql, values)


@pytest.mark.parametrize(
    "refused",
    [
        {"BEGIN IMMEDIATE"},
        {"SAVEPOINT transition"},
        {"RELEASE transition"},
        {"COMMIT"},
        {"COMMIT", "ROLLBACK"},
        {"PRAGMA user_version = 1"},
        {"PRAGMA busy_timeout"},
        {"PRAGMA wal_checkpoint(TRUNCATE)"},
    ],
    ids=lambda refused: " and ".join(sorted(refused)),
)
@pytest.mark.parametrize("wary", [False, True], ids=["at once", "each apart"])
async def test_no_statement_that_fails_ends_the_writer(
    path: Path, refused: set[str], monkeypatch: pytest.MonkeyPatch, *, wary: bool
) -> None:
    """Whatever the disk refuses, and however often, the next write has a writer."""
    monkeypatch.setattr(sqlite_writer, "IDLE_S", 0.01)

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Failing)

    connect_writer(path, busy_timeout_s=1.0).close()
    transitions = functools.partial(
        TransitionWriter, statements=write_statements(), retention=RETENTION
    )
    outage = StorageOutage(what="the books cannot be written")
    writer = SqliteWriter(connect, transitions, files=BooksFiles(path), outage=outage)
    monkeypatch.setattr(Failing, "refused", frozenset(refused))
    writer._shredded, writer._wary = True, wary
    for one in (*asks(3), None):
        with contextlib.suppress(BooksBusy):
            await writer.apply(one)
    await asyncio.sleep(0.05)
    monkeypatch.setattr(Failing, "refused", frozenset())
    for one in (*asks(3), None):
        await writer.apply(one)
    await writer.aclose()
    await writer.died()
    assert len(await audited(path)) == 3


async def test_a_file_that_cannot_be_written_stops_the_start(path: Path) -> None:
    """One sentence that names it and says what must be writable."""
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(SettingInvalid, match=r"cannot be (written|opened)"):
            async with open_sqlite_books(path, retention=RETENTION, busy_timeout_s=0.1):
                pass


async def test_a_backup_is_whole_and_its_owners_alone(books: SqliteBooks, path: Path) -> None:
    """Made while others write, of one moment, in one file, readable by nobody else."""
    await told(books, asks(20))
    target = path.with_name("backup.sqlite3")
    await asyncio.to_thread(back_up, path, target)
    await told(books, [entry("after", 1)])
    assert target.stat().st_mode & 0o777 == 0o600
    assert not [one for one in path.parent.iterdir() if one.name.startswith("backup.sqlite3-")]
    assert not [one for one in path.parent.iterdir() if one.name.endswith(".new")]
    assert len(await audited(target)) == 20


def test_a_backup_of_damaged_books_is_none(path: Path) -> None:
    """Nothing is left at the target that might be taken for one."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    target = path.with_name("backup.sqlite3")
    with pytest.raises(BooksDamaged):
        back_up(path, target)
    assert not target.exists()
    with pytest.raises(SettingInvalid):
        back_up(path, path.parent / "nowhere" / "backup.sqlite3")


async def test_an_upgrade_keeps_what_was_there(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Older books are copied first, for their owner alone, and one line says where."""
    before = await sold(path, "1")
    run_downgrade(engine_for(path), "0005")
    old = path.with_name("old.sqlite3")
    shutil.copy(path, old)
    upgrade(path)
    copy = path.with_name(f"{path.name}.before-{head()}")
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert found == ("0005",)
    assert [copy.name in record.getMessage() for record in caplog.records].count(True) == 1
    assert await balances_of(path) == before


def test_a_look_at_the_pages_has_an_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where time is short it is stopped and says so; a file that is not there is no damage."""
    assert look_at_pages(path).whole
    monkeypatch.setattr("cobot_meter.adapters.storage.sqlite.integrity.STEPS", 1)
    stopped = look_at_pages(path, within_s=-1.0)
    assert (stopped.fault, stopped.whole) == ("", False)
    assert not look_at_pages(path.with_name("nothing")).fault
